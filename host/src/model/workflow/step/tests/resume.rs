//! Runs that failed and go on: at the step that failed, or at another.

use serde_json::json;

use super::super::super::run::Status;
use super::*;

const ORDER: &str = "- create: { call: orders, with: { type: a } }\n\
                     - pay: { call: payment, with: { type: b } }\n\
                     - ship: { call: shipping, with: { type: c } }\n";

/// The classic: the card has expired, the customer changes it, and the run goes on where it stopped.
#[test]
fn a_run_that_failed_goes_on_there_and_does_nothing_twice() {
    let mut case = Case::start(ORDER, json!({"order": 7}));
    case.done("create", json!({"order": 7, "card": "old"}));
    case.failed("pay");
    assert_eq!((case.status(), case.told().len()), (Status::Faulted, 0));
    assert_eq!((case.failures(), case.why().instance.as_str()), (vec!["pay"], "/do/1/pay"));
    assert!(!case.run.is_over());

    case.takes(What::Resume { from: None, input: Some(json!({"order": 7, "card": "new"})) });
    assert_eq!(case.told(), ["call pay 2"]);
    assert_eq!(
        (case.data("pay"), case.notes()),
        (json!({"order": 7, "card": "new"}), vec!["pay resumed".to_owned(), "pay began".to_owned()])
    );
    assert_eq!(case.ignores(case.acknowledgement("pay", 1, Outcome::Done(json!(1)))), "not-awaited");
    case.done("pay", json!({"paid": true}));
    case.done("ship", json!("sent"));
    case.gave(json!("sent"));
}

#[test]
fn without_another_input_the_step_is_given_what_it_was_given_before() {
    let text = "- pay: { call: payment, input: { from: .card }, with: { type: a } }";
    let mut case = Case::start(text, json!({"card": "old"}));
    case.failed("pay");
    case.resume();
    assert_eq!(case.data("pay"), json!("old"));
    case.failed("pay");
    case.resume_at("pay", Some(json!({"card": "new"})));
    assert_eq!(case.data("pay"), json!("new"));
    case.does_not_resume("run-not-faulted");
}

#[test]
fn a_run_goes_on_at_a_step_before_or_after_the_one_that_failed() {
    let mut case = Case::start(ORDER, json!({"order": 7}));
    case.done("create", json!({"card": "old"}));
    case.failed("pay");
    let faulted = case.run.clone();
    case.resume_at("ship", Some(json!("paid by hand")));
    assert_eq!((case.told(), case.data("ship")), (vec!["call ship 1".to_owned()], json!("paid by hand")));
    case.run = faulted;
    case.resume_at("create", Some(json!({"order": 8})));
    assert_eq!((case.told(), case.data("create")), (vec!["call create 2".to_owned()], json!({"order": 8})));
}

#[test]
fn a_task_round_the_step_that_failed_is_begun_anew_with_what_it_was_given() {
    let text = "- create: { set: { order: 7 } }\n\
                - work:\n    timeout: { after: PT1H }\n    do:\n    - pay: { call: payment, with: { type: a } }\n    - ship: { call: shipping, with: { type: b } }\n";
    let mut case = Case::start(text, json!({}));
    case.done("pay", json!("paid"));
    case.failed("ship");
    case.resume_at("work", None);
    assert_eq!(case.told(), ["timer 1 off", "timer 2 work 3600000", "call pay 2"]);
    assert_eq!(case.data("pay"), json!({"order": 7}));
}

#[test]
fn a_step_that_is_out_of_reach_or_not_there_is_none_to_go_on_at() {
    let text = "- pay: { call: payment, with: { type: a }, metadata: { compensate: refund } }\n\
                - refund: { call: payment, with: { type: b } }\n\
                - work: { do: [ { ship: { call: shipping, with: { type: c } } } ] }\n\
                - both: { fork: { branches: [ { one: { wait: PT1S } }, { two: { wait: PT1S } } ] } }\n";
    let mut case = Case::start(text, json!({}));
    case.does_not_resume("run-not-faulted");
    case.failed("pay");
    for (name, why) in [
        ("ship", "task-not-in-reach"),
        ("one", "task-not-in-reach"),
        ("refund", "task-not-in-reach"),
        ("/do/9/no", "unknown-task"),
        ("", "unknown-task"),
    ] {
        let from = Some(case.place(name));
        assert_eq!(case.ignores(What::Resume { from, input: None }), why, "{name}");
    }
}

#[test]
fn all_that_failed_is_tried_again_and_an_input_needs_to_know_for_which() {
    let text = "- both:\n    fork:\n      branches:\n      - a: { call: x, with: { type: a } }\n      - b: { call: x, with: { type: b } }\n      - c: { call: x, with: { type: c } }\n";
    let mut case = Case::start(text, json!({"n": 1}));
    case.failed("a");
    case.failed("b");
    assert_eq!(case.status(), Status::Faulted);
    assert_eq!(case.ignores(What::Resume { from: None, input: Some(json!(2)) }), "several-failures");
    let faulted = case.run.clone();
    case.resume_at("b", Some(json!(2)));
    assert_eq!(
        (case.told(), case.data("b"), case.failures()),
        (vec!["call b 2".to_owned()], json!(2), vec!["a"])
    );
    case.run = faulted;
    case.resume();
    assert_eq!(
        (case.told(), case.status()),
        (vec!["call a 2".to_owned(), "call b 2".to_owned()], Status::Running)
    );
    case.done("c", json!("c"));
    case.done("b", json!("b"));
    case.done("a", json!("a"));
    case.gave(json!(["a", "b", "c"]));
}

#[test]
fn what_failed_only_after_its_call_was_carried_out_does_not_call_again() {
    for form in [
        "output: { as: '${ . + $context }' }",
        "export: { as: '${ . + $context }' }",
        "output: { schema: { document: { type: string } } }",
    ] {
        let text = format!(
            "- context: {{ set: {{ x: 1 }}, export: {{ as: .n }} }}\n- pay: {{ call: payment, with: {{ type: a }}, {form} }}\n- last: {{ set: '${{ . }}' }}"
        );
        let mut case = Case::start(&text, json!({}));
        case.done("pay", json!({"paid": 1}));
        assert_eq!(case.failures(), ["pay"], "{form}");
        case.resume();
        assert_eq!((case.failures(), case.told()), (vec!["pay"], Vec::new()), "{form}");
        case.skip("pay", json!("skipped"));
        let gave = case.run.output.clone();
        match form.contains("schema") {
            true => assert_eq!(gave, Some(json!("skipped")), "{form}"),
            false => assert_eq!(case.failures(), ["pay"], "{form}"),
        }
    }
}

#[test]
fn a_switch_whose_output_failed_goes_on_where_its_case_says() {
    let text = "- choose: { switch: [ { red: { when: .red, then: red } } ], output: { as: '${ .n + $workflow.input.m }' } }\n- other: { set: { at: other }, then: end }\n- red: { set: { at: red } }";
    let mut case = Case::start(text, json!({"red": true, "n": 1}));
    assert_eq!(case.failures(), ["choose"]);
    case.run.input = json!({"m": 2});
    case.resume();
    case.gave(json!({"at": "red"}));
}

#[test]
fn the_rounds_of_a_for_are_not_done_twice_when_its_while_fails() {
    let text = "- each:\n    for: { in: .items }\n    while: .go.on\n    do: [ { pay: { call: payment, with: { type: a, data: '${ $item }' } } } ]\n";
    let mut case = Case::start(text, json!({"items": [1, 2, 3], "go": {"on": true}}));
    case.done("pay", json!({"go": 1}));
    assert_eq!((case.failures(), case.told()), (vec!["each"], Vec::new()));
    case.resume();
    assert_eq!((case.failures(), case.told()), (vec!["each"], Vec::new()));
    let faulted = case.run.clone();
    case.skip("each", json!("enough"));
    case.gave(json!("enough"));
    case.run = faulted;
    case.resume_at("each", Some(json!({"items": [5], "go": {"on": true}})));
    assert_eq!((case.told(), case.data("pay")), (vec!["call pay 2".to_owned()], json!(5)));
}

#[test]
fn a_workflow_that_cannot_begin_or_end_goes_on_there() {
    let text = "input: { schema: { document: { type: object, required: [ n ] } } }\noutput: { as: .paid.at }\ndo:\n- pay: { call: payment, with: { type: a } }";
    let mut case = Case::start(text, json!({}));
    assert_eq!((case.status(), case.told()), (Status::Faulted, Vec::new()));
    case.takes(What::Resume { from: None, input: Some(json!({"n": 1})) });
    assert_eq!((case.told(), case.run.input.clone()), (vec!["call pay 1".to_owned()], json!({"n": 1})));
    case.done("pay", json!({"paid": 1}));
    assert_eq!((case.status(), case.run.is_over()), (Status::Faulted, false));
    case.resume();
    assert_eq!((case.status(), case.told()), (Status::Faulted, Vec::new()));
    case.cancel();
    case.is_over(Status::Cancelled);
}

impl Case {
    fn does_not_resume(&mut self, why: &str) {
        assert_eq!(self.ignores(What::Resume { from: None, input: None }), why);
    }
}
