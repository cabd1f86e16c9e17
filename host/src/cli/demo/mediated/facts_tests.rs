//! What the demo finds wrong: each fact by itself.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::*;
use crate::model::report::FlowEvent;
use serde_json::json;

fn run(status: &str) -> RunDetail {
    let report = json!({
        "id": "place-order-17", "workflow": "place-order", "version": "1.0.0", "status": status, "over": true,
        "undoing": false, "flow": "f-1", "started": "T1", "latest": "T2", "at": [],
        "definition": "d", "input": null, "history": [],
    });
    serde_json::from_value(report).unwrap()
}

fn event(channel: &str, step: &str, attempt: usize) -> FlowEvent {
    let event = json!({
        "position": 0, "channel": channel, "offset": 0, "recorded": "T1", "handlings": [],
        "event": {RUN: "place-order-17", STEP: format!("/do/0/{step}"), ATTEMPT: attempt.to_string()},
    });
    serde_json::from_value(event).unwrap()
}

/// A flow in which each of the steps is asked for once and acknowledged.
fn flow(steps: &[&str]) -> FlowReport {
    let pair = |step: &&str| [event("baton.queue.p", step, 1), event("baton.inbox.place-order", step, 1)];
    FlowReport {
        flow: "f-1".into(),
        status: FlowStatus::Done,
        overdue: false,
        deadline: None,
        reason: None,
        started: String::new(),
        latest: String::new(),
        expired: false,
        events: steps.iter().flat_map(pair).collect(),
        truncated: false,
    }
}

fn stock(reserved: u32) -> Option<Stock> {
    Some(Stock { on_hand: 40, reserved })
}

fn wrong(run: RunDetail, flow: FlowReport, after: Option<Stock>, expected: &Expected) -> String {
    Scene::new(("s", "moby-dick"), (run, None, flow), (stock(2), after), expected).wrong.join("; ")
}

#[test]
fn an_order_that_is_as_it_should_be_has_nothing_wrong() {
    let completed = Expected::completed(1).reserves(3);
    assert_eq!(wrong(run("completed"), flow(&STEPS), stock(5), &completed), "");
    let undone = Expected::undone().reserves(3);
    assert_eq!(wrong(run("faulted"), flow(&STEPS_UNDONE), stock(2), &undone), "");
    let refunded = Expected::refunded().reserves(3);
    assert_eq!(wrong(run("faulted"), flow(&STEPS_REFUNDED), stock(2), &refunded), "");
    assert!(wrong(run("faulted"), flow(&STEPS_UNDONE), stock(2), &refunded).contains("pay-back"));
}

#[test]
fn a_reservation_that_nobody_began_is_not_undone() {
    let steps: Vec<&str> = STEPS_UNDONE.into_iter().filter(|step| *step != "restock").collect();
    let undone = Expected::undone();
    let mut flow = flow(&steps);
    assert!(wrong(run("faulted"), flow.clone(), stock(2), &undone).contains("\"restock\": 1"));
    for event in flow.events.iter_mut().filter(|event| event.event[STEP] == "/do/0/reserve") {
        event.event["type"] = json!("baton.taken-back");
    }
    assert_eq!(wrong(run("faulted"), flow, stock(2), &undone), "");
}

#[test]
fn how_often_the_stock_is_filled_does_not_matter() {
    let steps = [&STEPS[..], &["order-stock", "put-in", "order-stock"]].concat();
    assert_eq!(wrong(run("completed"), flow(&steps), stock(2), &Expected::completed(1)), "");
}

#[test]
fn each_thing_that_is_wrong_is_named() {
    let expected = Expected::completed(1).reserves(3);
    let twice = [&STEPS[..], &["reserve"]].concat();
    let told = FlowReport { events: vec![event("email-sent", "confirm", 1)], ..flow(&STEPS) };
    let mut unanswered = flow(&STEPS);
    unanswered.events.pop();
    let open = FlowReport { status: FlowStatus::Open, ..flow(&STEPS) };
    let cases = [
        (run("faulted"), flow(&STEPS), stock(5), "it is faulted, not completed"),
        (run("completed"), open, stock(5), "flow f-1 is not done"),
        (run("completed"), flow(&twice), stock(5), "\"reserve\": 2"),
        (run("completed"), flow(&STEPS), stock(8), "8 copies of moby-dick are reserved, not 5"),
        (run("completed"), flow(&STEPS), None, "0 copies of moby-dick are reserved, not 5"),
        (run("completed"), told, stock(5), "it told something on email-sent"),
        (run("completed"), unanswered, stock(5), "8 commands have 7 answers"),
    ];
    for (run, flow, after, part) in cases {
        let found = wrong(run, flow, after, &expected);
        assert!(found.contains("place-order-17: ") && found.contains(part), "{part} is not in {found}");
    }
}

#[test]
fn a_run_has_to_stop_where_it_should() {
    let point =
        json!({"task": "/do/0/updated", "since": "T1", "waits_for": "event", "detail": "card-updated"});
    let mut waiting = run("waiting");
    waiting.run.at = vec![serde_json::from_value(point).unwrap()];
    let stopped = |expected: Expected| {
        let stop = Stop::of(&waiting);
        Scene::new(("s", "m"), (run("completed"), stop, flow(&STEPS)), (None, None), &expected).wrong
    };
    assert_eq!(stopped(Expected::completed(1).stops_for("updated")), Vec::<String>::new());
    assert_eq!(stopped(Expected::completed(1).stops_for("ask")).len(), 1);
    assert_eq!(stopped(Expected::completed(1).stops_at("updated")).len(), 1);
    assert_eq!(stopped(Expected::completed(1)).len(), 1);
}
