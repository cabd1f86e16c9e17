//! Hostile and broken guests, one after another, beside a processor that behaves: each gets what it must, and the neighbour loses
//! nothing. How long the neighbour waits is measured by `baton prove zoo`, not here.

use std::time::{Duration, Instant};

use baton::prove::zoo::{CompileLimits, Options, animals, run};
use baton_tests::guests::component;
use baton_tests::wait::eventually;

use crate::{PROGRAM, shop};

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

/// The processes that compile for a host.
fn compilers_of(host: u32) -> Vec<String> {
    let stat = |pid: &str| std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let parent = |pid: &str| stat(pid).rsplit(')').next()?.split_whitespace().nth(1)?.parse::<u32>().ok();
    let processes = std::fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().file_name());
    let numbers =
        processes.filter_map(|name| name.into_string().ok()).filter(|name| name.parse::<u32>().is_ok());
    numbers.filter(|pid| parent(pid) == Some(host)).collect()
}

#[test]
fn control_never_stands_behind_the_compiler_and_a_stop_ends_it() {
    let bomb = animals().unwrap().into_iter().find(|animal| animal.name == "nested-loops").unwrap();
    let shop = shop();
    shop.drop_in("relay", &component("guest-relay"));
    let host = shop.spawn();
    host.await_running(&["relay"]);
    let pid = host.pid().unwrap();
    shop.drop_in("bomb", &bomb.bytes);
    let compilers =
        eventually("the bomb is compiled", || Some(compilers_of(pid)).filter(|found| !found.is_empty()));

    let began = Instant::now();
    assert_eq!(host.ask("DELETE", "/v1/processors/relay", &[], vec![]).unwrap().status, 204);
    host.put("/v1/processors/relay", component("guest-relay")).expect(200);
    assert_eq!(compilers_of(pid), compilers, "it went on meanwhile");
    assert_eq!(host.terminate(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    eventually("the compiler ended with its host", || {
        compilers.iter().all(|pid| !std::path::Path::new(&format!("/proc/{pid}")).exists()).then_some(())
    });
}
