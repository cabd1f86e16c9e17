//! Runs as people read them.
#![allow(clippy::unwrap_used)]

use serde_json::json;

use super::*;
use crate::cli::output::Style;
use crate::model::workflow::report::{RunDetail, RunDone};

fn time(s: u64) -> String {
    format!("2026-01-31T12:00:{s:02}.000Z")
}

/// The classic: the card has expired.
pub(super) fn faulted() -> Value {
    let error = json!({
        "type": "https://serverlessworkflow.io/spec/1.0.0/errors/communication", "status": 500,
        "instance": "/do/1/work/fork/branches/0/charge", "detail": "the card has expired",
    });
    json!({
        "id": "place-order-17", "workflow": "place-order", "version": "1.0.0", "status": "faulted", "over": false,
        "undoing": false, "flow": "f-1", "started": time(0), "latest": time(3), "error": error,
        "at": [
            {"task": "/do/1/work/fork/branches/1/reserve", "since": time(1), "waits_for": "processor",
             "detail": "inventory, attempt 1"},
            {"task": "/do/1/work/fork/branches/0/charge", "since": time(1), "waits_for": "operator",
             "detail": "the card has expired"},
        ],
    })
}

fn with(mut run: Value, changes: Value) -> Value {
    run.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    run
}

pub(super) fn run(value: Value) -> RunReport {
    serde_json::from_value(value).unwrap()
}

pub(super) fn detail(value: Value) -> RunDetail {
    let rest = json!({
        "definition": "ab", "input": {"sku": "x".repeat(200)},
        "history": [
            {"time": time(0), "task": "/do/0/create", "what": "calls order-placement", "detail": "attempt 1"},
            {"time": time(3), "task": "/do/1/work/fork/branches/0/charge", "what": "failed",
             "detail": "the card has expired"},
            {"time": time(3), "task": "", "what": "cancelled by an operator"},
        ],
    });
    serde_json::from_value(with(value, rest)).unwrap()
}

pub(super) fn waiting() -> Value {
    let at = json!([{
        "task": "/do/0/approval/try/0/ask", "since": time(1), "waits_for": "event", "detail": "order-approved",
        "until": time(59),
    }]);
    let mut run = with(faulted(), json!({"status": "waiting", "at": at}));
    run.as_object_mut().unwrap().remove("error");
    run
}

pub(super) fn over(status: &str) -> Value {
    with(faulted(), json!({"status": status, "over": true, "at": []}))
}

#[test]
fn a_task_is_called_by_the_end_of_its_place() {
    assert_eq!(name_of("/do/0/pay/try/1/a~1b~0c"), "a/b~c");
    assert_eq!(name_of(""), "the workflow");
    assert_eq!((quoted("charge"), quoted("a b'c")), ("charge".to_owned(), "'a b'\\''c'".to_owned()));
    assert_eq!((cut("short", 5), cut("longer", 5)), ("short".to_owned(), "lo...".to_owned()));
}

#[test]
fn what_an_operator_said_is_answered_with_how_the_run_is() {
    let mut done = RunDone { run: detail(waiting()), handled: true };
    let text = word::render(&done, "it goes on.", Style::default());
    assert!(text.starts_with("it goes on.\n\nrun place-order-17  waiting\n"), "{text}");
    done.handled = false;
    let text = word::render(&done, "it goes on.", Style::default());
    assert!(text.starts_with("run place-order-17  waiting\n"), "{text}");
}
