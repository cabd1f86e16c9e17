//! The host inside an application, and topologies on a bench: as a Rust test, and as scenarios in YAML.

use std::path::Path;

use baton::testkit::{TestError, Topology, given};
use baton_tests::guests::{BOOKSHOP, component};
use baton_tests::host::Shop;
use serde_json::{Value, json};

use crate::shop;

/// The example as it stands, so that it cannot rot.
#[allow(dead_code, reason = "its main is for those who run it")]
#[path = "../../../host/examples/embed.rs"]
mod example;

/// A folder with the components of these crates, as cargo names them.
fn wasm(packages: &[&str]) -> Shop {
    let shop = shop();
    for package in packages {
        let file = format!("{}.wasm", package.trim_start_matches("guest-").replace('-', "_"));
        std::fs::write(shop.dir().join(file), component(package)).unwrap();
    }
    shop
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_runs() {
    let shop = wasm(&["order-placement", "payment"]);
    let folder = tempfile::tempdir().unwrap();
    let files =
        ["order_placement.wasm", "payment.wasm"].map(|file| shop.dir().join(file).display().to_string());
    let said = example::run(folder.path(), files.into_iter()).await.unwrap();
    assert_eq!(
        (&said["told"], &said["state"][0]["value"], &said["events"]),
        (&json!(29), &json!(29), &json!(4))
    );
}

#[test]
fn a_topology_of_components_runs_on_a_bench() -> Result<(), TestError> {
    let mut bench =
        Topology::new().component(component("guest-fickle")).component(component("guest-relay")).build()?;
    for (key, way) in [("a", "well"), ("b", "trap"), ("c", "loop"), ("b", "well")] {
        bench.publish(given("tasks").subject(key).json(&json!({ "way": way }))?)?;
    }
    bench.run_until_quiet()?;
    let faults: Vec<_> = bench.faults().into_iter().map(|fault| (fault.key, fault.kind)).collect();
    assert_eq!(faults, [("b".to_owned(), "trap".to_owned()), ("c".to_owned(), "deadline".to_owned())]);
    assert_eq!(bench.emitted("tasks-done")?.len(), 1);
    assert_eq!(bench.state("fickle", "a", "done")?, Some(json!(1)));
    Ok(())
}

fn plugins() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins")
}

#[test]
fn the_scenarios_of_the_bookshop_pass() {
    let shop = wasm(&BOOKSHOP);
    let folder = plugins().join("scenarios");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path().display().to_string());
    let mut files: Vec<_> = files.filter(|file| file.ends_with(".yaml")).collect();
    files.sort_unstable();
    assert!(files.len() >= 3);
    let arguments: Vec<_> =
        ["test", "--wasm", "."].into_iter().chain(files.iter().map(String::as_str)).collect();
    let output = shop.run(&arguments);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(said.lines().filter(|line| line.starts_with("ok ")).count(), files.len());
}

/// Plays one scenario with `fickle` and gives its report.
fn fails(steps: &str) -> Value {
    let shop = wasm(&["guest-fickle"]);
    std::fs::write(shop.dir().join("s.yaml"), format!("name: n\nprocessors: [fickle]\nsteps:\n{steps}"))
        .unwrap();
    let output = shop.run(&["test", "--json", "--wasm", ".", "s.yaml"]);
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_scenario_that_is_not_so_says_what_is() {
    let report = fails(
        "  - given: [{channel: tasks, subject: a, data: {way: well}}]\n    expect:\n      \
         emits: [{channel: tasks-done, subject: b}]\n      state: [{processor: fickle, key: b, name: done, value: 1}]\n",
    );
    let differences = report["differences"].as_array().unwrap();
    assert_eq!((differences.len(), &report["failed_step"]), (2, &json!(1)));
    assert_eq!(differences[0]["details"], json!(["subject: expected 'b', found 'a'"]));
    assert_eq!(differences[1]["details"], json!(["expected 1, found nothing; it keeps a/done"]));
}

#[test]
fn a_guest_that_breaks_or_does_not_end_fails_the_step_even_without_expectations() {
    let report = fails(
        "  - given:\n      - {channel: tasks, subject: a, data: {way: trap}}\n      - {channel: tasks, subject: b, data: {way: loop}}\n",
    );
    let details: Vec<_> =
        report["differences"].as_array().unwrap().iter().map(|d| d["details"][0].to_string()).collect();
    assert_eq!(details.len(), 2, "{report}");
    assert!(details[0].contains("trap: ") && details[0].contains("broke on purpose"), "{report}");
    assert!(details[1].contains("deadline: ") && details[1].contains("300 ms"), "{report}");
}

#[test]
fn a_scenario_that_cannot_be_played_says_why() {
    let error = |steps| fails(steps)["error"].as_str().unwrap().to_owned();
    assert!(error("  - expects: {}\n").starts_with("s.yaml:4:"));
    assert!(error("  - given: [{channel: a b}]\n").contains("'a b'"));
    assert!(
        error("  - expect: {state: [{processor: fickel, key: a, name: b}]}\n").contains("there are: fickle")
    );
    assert!(error("  - advance: soon\n").contains("line 4: advance: 'soon'"));
}
