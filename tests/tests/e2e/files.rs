//! The folder of processors: what is bad changes nothing that runs, what is half written is not loaded, what is the same
//! changes nothing.

use std::io::Write;

use baton_tests::guests::component;
use baton_tests::http::event;
use baton_tests::wait::eventually;
use serde_json::{Value, json};

use crate::shop;

/// A component without anything in it.
const EMPTY_COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";
const CORE_MODULE: &[u8] = b"\0asm\x01\0\0\0";

#[test]
fn bad_files_leave_what_runs_running_and_are_named_with_what_to_do() {
    let shop = shop();
    shop.drop_in("relay", &component("guest-relay"));
    let host = shop.start();
    host.await_running(&["relay"]);
    let before = host.processor("relay")["digest"].clone();
    let relay = component("guest-relay");
    let bad: [(&str, &[u8], &str); 5] = [
        ("text", b"this is no component", "component-not-wasm"),
        ("core", CORE_MODULE, "component-core-module"),
        ("bare", EMPTY_COMPONENT, "descriptor-missing"),
        ("cut", &relay[..relay.len() / 2], "component-invalid"),
        ("twin", &relay, "name-clash"),
    ];
    for (name, bytes, _) in bad {
        shop.drop_in(name, bytes);
    }
    let problems = eventually("all bad files are named", || {
        let problems = host.get("/v1/status").expect(200)["problems"].as_array()?.clone();
        let listed = host.get("/v1/processors").expect(200)["problems"].as_array()?.len();
        (problems.len() == bad.len() && listed == bad.len()).then_some(problems)
    });
    for (name, _, code) in bad {
        let problem = problems.iter().find(|p| p["file"] == format!("{name}.wasm")).unwrap();
        assert_eq!(problem["code"], code, "{problem}");
        assert!(problem["message"].as_str().unwrap().len() > 20, "{problem}");
    }
    host.publish("ticks", "?wait=tocks", &event("1", "tick", "a", json!({"number": 1}))).expect(200);
    // A bad file in the place of one that runs.
    shop.drop_in("relay", b"not any more");
    eventually("the bad version is named", || {
        let status = host.get("/v1/status").expect(200);
        status["problems"].as_array()?.iter().any(|p| p["file"] == "relay.wasm").then_some(())
    });
    assert_eq!(host.processor("relay")["digest"], before);
    host.publish("ticks", "?wait=tocks", &event("2", "tick", "a", json!({"number": 2}))).expect(200);

    for (name, ..) in bad {
        std::fs::remove_file(shop.file(name)).unwrap();
    }
    shop.drop_in("relay", &component("guest-relay"));
    eventually("no problem is left", || {
        let status = host.get("/v1/status").expect(200);
        status["problems"].as_array()?.is_empty().then_some(())
    });
}

#[test]
fn a_file_that_is_written_slowly_is_loaded_once_and_whole() {
    let shop = shop();
    let host = shop.start();
    let bytes = component("guest-relay");
    let mut file = std::fs::File::create(shop.file("relay")).unwrap();
    for part in bytes.chunks(bytes.len() / 4 + 1) {
        file.write_all(part).unwrap();
        file.sync_all().unwrap();
        // The host looks in between: a round trip through its door, and a deploy behind which it has looked.
        let receipts = host.get("/v1/deployments").expect(200);
        assert!(part.len() == bytes.len() || receipts["deployments"].as_array().unwrap().is_empty());
    }
    drop(file);
    host.await_running(&["relay"]);
    let receipts = host.get("/v1/deployments").expect(200);
    assert_eq!(receipts["deployments"].as_array().unwrap().len(), 1, "{receipts}");
}

#[test]
fn the_same_bytes_again_change_nothing_and_say_so() {
    let shop = shop();
    let host = shop.start();
    let first = host.put("/v1/processors/relay", component("guest-relay")).expect(200);
    assert_eq!(first["unchanged"], false);
    let again = host.put("/v1/processors/relay", component("guest-relay")).expect(200);
    assert_eq!((&again["unchanged"], &again["deployment"]), (&json!(true), &first["deployment"]));
    shop.drop_in("relay", &component("guest-relay"));
    host.put("/v1/processors/tally", component("guest-tally")).expect(200);
    let receipts: Vec<Value> =
        host.get("/v1/deployments").expect(200)["deployments"].as_array().unwrap().clone();
    let names: Vec<&Value> = receipts.iter().map(|receipt| &receipt["descriptor"]["name"]).collect();
    assert_eq!(names, ["relay", "tally"]);
}

#[test]
fn undeploying_keeps_the_place_and_forgetting_gives_it_up() {
    let shop = shop();
    let host = shop.start();
    host.put("/v1/processors/relay", component("guest-relay")).expect(200);
    let tick = |n: u64| event(&n.to_string(), "tick", "a", json!({"number": n}));
    host.publish("ticks", "?wait=tocks", &tick(1)).expect(200);
    assert_eq!(host.ask("DELETE", "/v1/processors/relay", &[], vec![]).unwrap().status, 204);
    assert!(!shop.file("relay").exists(), "the folder says what is wanted");
    host.publish("ticks", "", &tick(2)).expect(202);
    host.put("/v1/processors/relay", component("guest-relay")).expect(200);
    host.await_quiet();
    assert_eq!((host.count("tocks"), &host.state("relay")["a/passed"]), (2, &json!(2)));

    assert_eq!(host.ask("DELETE", "/v1/processors/relay?forget=true", &[], vec![]).unwrap().status, 204);
    host.put("/v1/processors/relay", component("guest-relay")).expect(200);
    host.await_quiet();
    assert_eq!((host.count("tocks"), &host.state("relay")["a/passed"]), (4, &json!(2)), "it began again");
}
