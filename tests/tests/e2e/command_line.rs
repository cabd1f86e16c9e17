//! The program as a script uses it: JSON on stdout, words on stderr, exit codes.

use std::process::Output;

use baton_tests::guests::component;
use baton_tests::host::{Host, Shop};
use baton_tests::wait::{eventually, soon_ms};
use serde_json::{Value, json};

use crate::shop;

struct Script {
    shop: Shop,
    host: Host,
}

impl Script {
    fn start() -> Self {
        let shop = shop();
        for name in ["relay", "fickle"] {
            std::fs::write(shop.dir().join(format!("{name}.wasm")), component(&format!("guest-{name}")))
                .unwrap();
        }
        let host = shop.start();
        Self { shop, host }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.shop.run(&[&["--json", "--server", &self.host.url], arguments].concat())
    }

    /// One JSON document from a command that ends with `code`.
    fn json(&self, code: i32, arguments: &[&str]) -> Value {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", said(&output));
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{arguments:?}: {error}"))
    }

    /// A command that fails with `code` and prints no result.
    fn fails(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", said(&output));
        assert!(output.stdout.is_empty(), "{arguments:?}");
        said(&output)
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_processor_from_its_deployment_to_its_end() {
    let script = Script::start();
    let inspected = script.json(0, &["inspect", "relay.wasm"]);
    assert_eq!(inspected["descriptor"]["name"], "relay");
    let report = script.json(0, &["deploy", "relay.wasm"]);
    assert_eq!(
        (&report["unchanged"], &report["deployment"]["digest"]),
        (&json!(false), &inspected["digest"])
    );
    assert_eq!(script.json(0, &["deploy", "relay.wasm"])["unchanged"], true);

    let tock = script.json(
        0,
        &["publish", "ticks", "--data", "{\"number\": 7}", "--subject", "k", "--id", "t1", "--wait", "tocks"],
    );
    assert_eq!(tock["data"], json!({"number": 7}));
    let published =
        script.json(0, &["publish", "ticks", "--data", "{\"number\": 7}", "--subject", "k", "--id", "t1"]);
    assert_eq!(published["events"][0]["duplicate"], true);
    let flow = script.json(0, &["flow", "show", tock["correlationid"].as_str().unwrap()]);
    assert_eq!(flow["events"].as_array().unwrap().len(), 2);

    let lines = script.run(&["tail", "tocks", "--from", "earliest"]);
    let lines: Vec<Value> =
        serde_json::Deserializer::from_slice(&lines.stdout).into_iter().map(Result::unwrap).collect();
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["event"]["data"], json!({"number": 7}));
    let state = script.json(0, &["processor", "state", "relay"]);
    assert_eq!(state["entries"], json!([{"key": "k", "name": "passed", "value": 1}]));
    assert_eq!(script.json(0, &["processor", "ls"])["processors"][0]["status"], "running");
    assert_eq!(script.json(0, &["channel", "ls"])["channels"].as_array().unwrap().len(), 2);
    assert_eq!(script.json(0, &["deployment", "ls"])["deployments"].as_array().unwrap().len(), 1);

    assert_eq!(script.json(0, &["undeploy", "relay"]), json!({"processor": "relay", "forgotten": false}));
    assert_eq!(script.json(0, &["processor", "show", "relay"])["status"], "undeployed");
}

#[test]
fn exit_codes_say_what_kind_of_failure_it_was() {
    let script = Script::start();
    std::fs::write(script.shop.dir().join("bad.wasm"), "no component").unwrap();
    assert!(script.fails(1, &["deploy", "bad.wasm"]).contains("component-not-wasm"));
    script.fails(2, &["publish"]);
    script.fails(2, &["tail", "ticks", "--from", "yesterday"]);
    let nowhere = script.shop.run(&["--server", "http://127.0.0.1:9", "status"]);
    assert_eq!(nowhere.status.code(), Some(3), "{}", said(&nowhere));
    assert!(script.fails(4, &["processor", "show", "nobody"]).contains("unknown-processor"));
    assert!(script.fails(4, &["channel", "show", "nobody"]).contains("unknown-channel"));
    let late = script.json(5, &["publish", "ticks", "--data", "{}", "--wait", "tocks", "--timeout", "50ms"]);
    assert!(late["events"][0]["flow"].is_string(), "who waited in vain knows the flow");
}

#[test]
fn status_says_what_is_wrong_and_resume_what_became_of_it() {
    let script = Script::start();
    script.json(0, &["deploy", "fickle.wasm"]);
    let task = json!({"way": "later", "not_before_ms": soon_ms()}).to_string();
    script.json(0, &["publish", "tasks", "--data", &task, "--subject", "a"]);
    eventually("the fault shows", || {
        let status = script.json(0, &["status"]);
        (status["processors"][0]["status"] == "held").then_some(())
    });
    let words = script.shop.run(&["--server", &script.host.url, "status"]);
    let words = String::from_utf8_lossy(&words.stdout).into_owned();
    assert!(words.contains("fickle") && words.contains("it is too early for this task"), "{words}");
    eventually("a resume comes late enough", || {
        script.json(0, &["processor", "resume", "fickle"]);
        (script.host.count("tasks-done") == 1).then_some(())
    });
}

#[test]
fn a_served_folder_ends_in_order_and_its_journal_verifies() {
    let shop = shop();
    let host = shop.spawn();
    let published = shop.run(&["--server", &host.url, "publish", "ticks", "--data", "{}"]);
    assert_eq!(published.status.code(), Some(0));
    let dir = shop.dir().display().to_string();
    assert_eq!(shop.run(&["journal", "verify", &dir]).status.code(), Some(1), "a running host has it");
    assert_eq!(host.terminate(), Some(0));
    let report = shop.run(&["journal", "verify", "--json", &dir]);
    assert_eq!(report.status.code(), Some(0), "{}", said(&report));
    let report: Value = serde_json::from_slice(&report.stdout).unwrap();
    assert_eq!((&report["whole"], &report["segments"][0]["sealed"]), (&json!(true), &json!(true)));
    let nothing = shop.run(&["journal", "verify", "--data", "nowhere", &dir]);
    assert_eq!(nothing.status.code(), Some(4), "{}", said(&nothing));
}
