//! What is done is undone: what is undone by which task, in which order, and what happens when that fails.

use serde_json::json;

use super::super::super::run::{Status, UNDO_MAX};
use super::*;

/// A task that calls, undone by one with a `u` before its name.
fn pair(name: &str) -> String {
    format!(
        "- {name}: {{ call: x, with: {{ type: a }}, metadata: {{ compensate: u{name} }} }}\n- u{name}: {{ call: x, with: {{ type: b }} }}\n"
    )
}

/// Cancels, and says which tasks were then begun to undo others, each of which is done at once.
fn undone(case: &mut Case) -> Vec<String> {
    let mut order = Vec::new();
    case.cancel();
    while let Some(call) = case.told().iter().find(|told| told.starts_with("call ")) {
        let name = call.split(' ').nth(1).unwrap().to_owned();
        case.done(&name, json!(1));
        order.push(name);
    }
    case.is_over(Status::Cancelled);
    order
}

fn indented(text: &str, by: usize) -> String {
    text.lines().map(|line| format!("{}{line}\n", " ".repeat(by))).collect()
}

#[test]
fn tasks_in_others_are_undone_in_reverse_order_of_completion_each_as_often_as_it_was_done() {
    let text = format!(
        "- outer:\n    metadata: {{ compensate: uouter }}\n    do:\n{}- uouter: {{ call: x, with: {{ type: c }} }}\n\
         - safe:\n    try:\n{}    catch: {{ as: e }}\n\
         - each:\n    for: {{ in: '[1, 2]' }}\n    do:\n{}- rest: {{ wait: PT1S }}\n",
        indented(&pair("a"), 4),
        indented(&pair("b"), 4),
        indented(&pair("c"), 4),
    );
    let mut case = Case::start(&text, json!({}));
    for name in ["a", "b", "c", "c"] {
        case.done(name, json!(name));
    }
    assert_eq!(undone(&mut case), ["uc", "uc", "ub", "uouter", "ua"]);
}

#[test]
fn branches_are_undone_in_reverse_order_of_their_completion_not_of_their_places() {
    let branches = ["a", "b", "c"].map(|name| indented(&pair(name), 6)).concat();
    let text = format!("- all:\n    fork:\n      branches:\n{branches}- rest: {{ wait: PT1S }}\n");
    let mut case = Case::start(&text, json!({}));
    for name in ["b", "c", "a"] {
        case.done(name, json!(name));
    }
    assert_eq!(undone(&mut case), ["ua", "uc", "ub"]);
}

#[test]
fn what_was_done_before_an_error_was_caught_is_undone_too() {
    let text = format!(
        "- safe:\n    try:\n{}    - bad: {{ call: x, with: {{ type: a }} }}\n    catch:\n      retry: {{ delay: PT1S, limit: {{ attempt: {{ count: 1 }} }} }}\n      do:\n{}- rest: {{ wait: PT1S }}\n",
        indented(&pair("a"), 4),
        indented(&pair("c"), 6),
    );
    let mut case = Case::start(&text, json!({}));
    case.done("a", json!(1));
    case.failed("bad");
    case.due(1);
    case.done("a", json!(2));
    case.failed("bad");
    case.done("c", json!(3));
    assert_eq!(undone(&mut case), ["uc", "ua", "ua"]);
}

#[test]
fn an_error_that_is_caught_after_a_call_was_carried_out_leaves_the_call_to_be_undone() {
    let text = "- safe:\n    try:\n    \
                - pay: { call: x, with: { type: a }, output: { as: error }, metadata: { compensate: refund } }\n    \
                - refund: { call: x, with: { type: b } }\n    catch: { as: e }\n- rest: { wait: PT1S }\n";
    let mut case = Case::start(text, json!({}));
    case.done("pay", json!("paid"));
    assert_eq!(case.notes(), ["pay failed", "safe caught", "safe done", "rest began"]);
    assert_eq!(undone(&mut case), ["refund"]);
}

#[test]
fn the_task_that_undoes_sees_the_variables_that_the_other_saw() {
    let text = "- each:\n    for: { each: line, in: '[7, 8]' }\n    do:\n    \
                - take: { call: x, with: { type: a }, metadata: { compensate: give } }\n    \
                - give: { call: x, with: { type: b, data: '${ $line }' } }\n- rest: { wait: PT1S }\n";
    let mut case = Case::start(text, json!({}));
    case.done("take", json!(1));
    case.done("take", json!(2));
    case.cancel();
    assert_eq!(case.data("give"), json!(8));
    case.failed("give");
    case.resume();
    assert_eq!(case.data("give"), json!(8));
    case.done("give", json!(1));
    assert_eq!(case.data("give"), json!(7));
    case.done("give", json!(1));
    case.is_over(Status::Cancelled);
}

#[test]
fn a_run_whose_undoing_fails_is_faulted_there_and_goes_on_there() {
    let text = format!(
        "{}{}- bad: {{ raise: {{ error: {{ type: 'https://x.test/bad', status: 400 }} }} }}\n",
        pair("a"),
        pair("b")
    );
    for by in ["resume", "resume at", "skip"] {
        let mut case = Case::start(&text, json!({}));
        case.done("a", json!(1));
        case.done("b", json!(2));
        assert_eq!(case.told(), ["call ub 1"]);
        case.failed("ub");
        assert_eq!(
            (case.status(), case.failures(), case.run.is_over()),
            (Status::Faulted, vec!["ub"], false)
        );
        match by {
            "resume" => case.resume(),
            "resume at" => case.resume_at("ub", None),
            _ => case.skip("ub", json!(1)),
        }
        if by != "skip" {
            assert_eq!(
                (case.told(), case.data("ub")["output"].clone()),
                (vec!["call ub 2".to_owned()], json!(2))
            );
            case.done("ub", json!(1));
        }
        assert_eq!((case.told(), case.status()), (vec!["call ua 1".to_owned()], Status::Running), "{by}");
        case.done("ua", json!(1));
        case.is_over(Status::Faulted);
        assert_eq!(case.ignores(What::Resume { from: None, input: None }), "run-over");
    }
}

#[test]
fn undoing_may_take_several_tasks_wait_and_take_too_long() {
    let text = "- pay: { call: x, with: { type: a }, metadata: { compensate: back } }\n\
                - back:\n    timeout: { after: PT1M }\n    do:\n    - refund: { call: x, with: { type: b, data: '${ .output }' } }\n    - rest: { wait: PT5S, then: end }\n    - never: { call: x, with: { type: c } }\n\
                - mail: { call: x, with: { type: d } }\n";
    let mut case = Case::start(text, json!({}));
    case.done("pay", json!("paid"));
    case.failed("mail");
    case.cancel();
    assert_eq!(
        (case.told(), case.data("refund")),
        (vec!["timer 1 back 60000".to_owned(), "call refund 1".to_owned()], json!("paid"))
    );
    case.due(1);
    assert_eq!((case.told(), case.failures()), (vec!["take back refund 1".to_owned()], vec!["back"]));
    case.resume();
    assert_eq!(case.told(), ["timer 2 back 60000", "call refund 2"]);
    case.done("refund", json!(1));
    case.due(3);
    assert_eq!(case.told(), ["timer 2 off"]);
    assert_eq!(case.status(), Status::Running);
    case.taken_back_at("refund", 1);
    case.is_over(Status::Cancelled);
}

#[test]
fn nothing_is_done_that_could_not_be_undone() {
    let text = "- each:\n    for: { in: . }\n    do:\n    - take: { set: { x: 1 }, metadata: { compensate: give } }\n    - give: { set: { x: 1 } }\n- rest: { wait: PT1S }\n";
    let items: Vec<usize> = (0..=UNDO_MAX).collect();
    let mut case = Case::start(text, json!(items));
    assert_eq!((case.failures(), case.run.undo.len()), (vec!["take"], UNDO_MAX));
    case.cancel();
    case.is_over(Status::Cancelled);
}

#[test]
fn a_task_that_was_left_out_or_never_done_is_not_undone() {
    let text = format!(
        "{}{}- rest: {{ wait: PT1S }}\n",
        pair("a").replace("call: x", "if: 'false', call: x"),
        pair("b")
    );
    let mut case = Case::start(&text, json!({}));
    assert_eq!(case.told(), ["call b 1"]);
    case.failed("b");
    assert!(undone(&mut case).is_empty());
}

#[test]
fn a_completed_run_is_not_undone() {
    let mut case = Case::start(&pair("a"), json!({}));
    case.done("a", json!(1));
    case.gave(json!(1));
}

impl Case {
    fn taken_back_at(&mut self, name: &str, attempt: u32) {
        self.takes(self.acknowledgement(name, attempt, Outcome::TakenBack));
    }
}
