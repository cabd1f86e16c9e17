//! Workflows of a host as people read them.
#![allow(clippy::unwrap_used)]

use serde_json::json;

use super::*;
use crate::model::report::FileProblem;

fn workflow(runs: serde_json::Value, deployed: bool) -> WorkflowReport {
    serde_json::from_value(json!({
        "name": "place-order", "version": "1.0.0", "definition": "ab".repeat(32), "file": "place-order.yaml",
        "deployed": deployed, "queue": "order-wanted", "calls": ["payment"], "runs": runs, "versions": {"1.0.0": 3},
    }))
    .unwrap()
}

#[test]
fn a_workflow_is_a_line_with_what_is_wrong_first() {
    let fine = workflow(json!({"completed": 9, "faulted": 1, "running": 2}), true);
    let list = WorkflowList { workflows: vec![fine], problems: Vec::new() };
    let expected = "\
WORKFLOW     VERSION  STARTS WITH   RUNS                             FILE
place-order  1.0.0    order-wanted  1 faulted, 2 running, 9 completed  place-order.yaml

those that are faulted: baton run ls --status faulted
";
    let text = render(&list, Style::default());
    assert_eq!(text.split_whitespace().collect::<Vec<_>>(), expected.split_whitespace().collect::<Vec<_>>());
    assert!(left_behind(&workflow(json!({}), true)).starts_with("3 runs in progress stand still until"));
}

#[test]
fn a_workflow_that_is_removed_and_a_file_that_does_not_run_say_so() {
    let problem = FileProblem {
        file: "pay.yaml".into(),
        code: "unknown-function".into(),
        message: "/do/0/pay calls 'pay'".into(),
        since: "2026-01-31T12:00:00Z".into(),
    };
    let list = WorkflowList { workflows: vec![workflow(json!({}), false)], problems: vec![problem] };
    let text = render(&list, Style::default());
    for part in ["none  removed", "FILE pay.yaml (unknown-function) does not run", "/do/0/pay calls 'pay'"] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    let none = render(&WorkflowList { workflows: Vec::new(), problems: Vec::new() }, Style::default());
    assert!(none.contains("baton workflow deploy FILE"), "{none}");
}
