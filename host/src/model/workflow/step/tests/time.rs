//! Waits and timeouts, and that each timer is switched off on every way out.

use serde_json::json;

use super::super::super::run::Status;
use super::*;

#[test]
fn a_wait_ends_with_its_timer_and_gives_what_it_was_given() {
    let mut case =
        Case::start("- rest: { wait: { minutes: 2 } }\n- last: { set: '${ . }' }", json!({"n": 1}));
    assert_eq!((case.told(), case.status()), (vec!["timer 1 rest 120000".to_owned()], Status::Waiting));
    assert_eq!(case.ignores(What::Due { timer: 2 }), "not-awaited");
    case.due(1);
    case.gave(json!({"n": 1}));
}

#[test]
fn a_length_that_an_expression_gives_is_a_duration_or_an_error() {
    let text = "- rest: { wait: '${ .for }', timeout: { after: '${ .most }' } }";
    let case = Case::start(text, json!({"for": "PT5S", "most": "1m"}));
    assert_eq!(case.told(), ["timer 1 rest 60000", "timer 2 rest 5000"]);
    for wrong in [json!("soon"), json!(5), json!("-PT5S"), json!("P11Y"), json!("P4000D"), json!(null)] {
        for input in [json!({"for": wrong, "most": "PT1S"}), json!({"for": "PT1S", "most": wrong})] {
            let case = Case::start(text, input.clone());
            assert_eq!((case.failures(), case.told()), (vec!["rest"], Vec::new()), "{input}");
            assert!(case.why().ty.ends_with("/expression"));
        }
    }
}

#[test]
fn a_task_that_takes_too_long_fails_there_and_lets_go_of_what_is_in_it() {
    let text = "- work:\n    timeout: { after: PT1M }\n    do:\n    - both:\n        fork:\n          branches:\n          - pay: { call: x, with: { type: a } }\n          - rest: { wait: PT5S }\n          - hear: { listen: { to: { one: { with: { type: told } } } }, timeout: { after: PT9S } }\n";
    let mut case = Case::start(text, json!({"n": 1}));
    assert_eq!(
        case.told(),
        ["timer 1 work 60000", "call pay 1", "timer 2 rest 5000", "timer 3 hear 9000", "listen hear 1"]
    );
    case.due(1);
    assert_eq!(case.told(), ["take back pay 1", "timer 2 off", "timer 3 off", "listen hear 1 off"]);
    assert_eq!((case.failures(), case.status()), (vec!["work"], Status::Faulted));
    assert!(case.why().ty.ends_with("/timeout") && case.why().instance == "/do/0/work", "{:?}", case.why());
    case.resume();
    assert_eq!(
        case.told(),
        ["timer 4 work 60000", "call pay 2", "timer 5 rest 5000", "timer 6 hear 9000", "listen hear 2"]
    );
}

#[test]
fn a_timeout_is_caught_like_other_errors() {
    let text = "- safe:\n    try: [ { pay: { call: x, with: { type: a }, timeout: { after: PT5S } } } ]\n    catch:\n      errors: { with: { type: 'https://serverlessworkflow.io/spec/1.0.0/errors/timeout' } }\n      do: [ { late: { set: '${ $error.status }' } } ]\n";
    let mut case = Case::start(text, json!({}));
    case.due(1);
    assert_eq!(case.told(), ["take back pay 1", "ended"]);
    case.gave(json!(408));
}

#[test]
fn timers_are_off_once_a_task_is_done_failed_or_left() {
    let text = "timeout: { after: P1D }\ndo:\n- pay: { call: x, with: { type: a }, timeout: { after: PT5S }, THEN }\n- last: { set: '${ . }' }";
    let mut case = Case::start(&text.replace(", THEN", ""), json!({}));
    assert_eq!(case.told(), ["timer 1  86400000", "timer 2 pay 5000", "call pay 1"]);
    let begun = case.run.clone();
    case.failed("pay");
    assert_eq!(case.told(), ["timer 2 off"]);
    case.resume();
    assert_eq!(case.told(), ["timer 3 pay 5000", "call pay 2"]);
    case.run = begun;
    case.done("pay", json!(1));
    assert_eq!(case.told(), ["timer 2 off", "timer 1 off", "ended"]);
    let mut case = Case::start(&text.replace("THEN", "then: end"), json!({}));
    case.done("pay", json!(1));
    assert_eq!(case.told(), ["timer 2 off", "timer 1 off", "ended"]);
    let mut case = Case::start(&text.replace("THEN", "output: { as: error }"), json!({}));
    case.done("pay", json!(1));
    assert_eq!((case.told(), case.failures()), (vec!["timer 2 off".to_owned()], vec!["pay"]));
}

#[test]
fn a_workflow_that_takes_too_long_is_undone_and_over() {
    let text = "timeout: { after: PT1H }\ndo:\n- pay: { call: x, with: { type: a }, metadata: { compensate: refund } }\n- refund: { call: x, with: { type: b } }\n- rest: { wait: P1D }";
    let mut case = Case::start(text, json!({}));
    case.done("pay", json!("paid"));
    case.due(1);
    assert_eq!(case.told(), ["timer 2 off", "call refund 1"]);
    case.done("refund", json!(1));
    case.is_over(Status::Faulted);
    // A run that waits for an operator has no more time than others.
    let mut case = Case::start(text, json!({}));
    case.failed("pay");
    case.due(1);
    case.is_over(Status::Faulted);
}

#[test]
fn a_timer_that_is_switched_off_and_due_all_the_same_changes_nothing() {
    let text = "- pay: { call: x, with: { type: a }, timeout: { after: PT5S } }\n- rest: { wait: PT1S }";
    let mut case = Case::start(text, json!({}));
    case.done("pay", json!(1));
    assert_eq!(case.ignores(What::Due { timer: 1 }), "not-awaited");
    case.due(2);
    assert_eq!(case.ignores(What::Due { timer: 2 }), "run-over");
}
