//! Hostile and broken guests, one after another, beside a processor that behaves: each gets what it must, and the neighbour loses
//! nothing. How long the neighbour waits is measured by `baton prove zoo`, not here.

use baton::prove::zoo::{CompileLimits, Options, run};
use baton_tests::guests::component;

use crate::PROGRAM;

#[test]
fn each_animal_gets_what_it_must_and_the_neighbour_loses_nothing() {
    let compile_limits = CompileLimits { cpu_s_max: 4, ..CompileLimits::default() };
    let rogue = Ok(component("guest-zoo"));
    let options = Options { compiler: PROGRAM.into(), compile_limits, rate: 2_000, rogue };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let report = runtime.block_on(run(options)).unwrap();
    assert!(report.broken().is_empty(), "{}", report.broken().join("\n"));
    assert!(report.rows.len() > 70 && report.neighbour.published > 2_000);
}
