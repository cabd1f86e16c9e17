//! Steps that an operator counts as done.

use serde_json::json;

use super::super::super::run::Status;
use super::*;

const UNDOABLE: &str = "- pay: { call: payment, with: { type: a }, metadata: { compensate: refund } }\n\
                        - refund: { call: payment, with: { type: b } }\n\
                        - ship: { call: shipping, with: { type: c } }\n";

#[test]
fn a_step_that_failed_is_skipped_and_its_output_is_taken_as_if_it_had_given_it() {
    let text = "- pay: { call: payment, with: { type: a }, output: { as: .sum }, export: { as: '{\"x\": 1}' } }\n\
                - ship: { call: shipping, with: { type: b, data: { sum: '${ . }', seen: '${ $context.x }' } } }\n";
    let mut case = Case::start(text, json!({}));
    case.failed("pay");
    case.skip("pay", json!({"sum": 7}));
    assert_eq!(
        (case.told(), case.data("ship")),
        (vec!["call ship 1".to_owned()], json!({"sum": 7, "seen": 1}))
    );
    assert_eq!(case.notes(), ["pay skipped", "pay done", "ship began"]);
}

#[test]
fn a_step_that_calls_is_skipped_and_its_command_taken_back() {
    for late in
        [Outcome::TakenBack, Outcome::Done(json!("late")), Outcome::Failed(Error::new(Kind::Runtime, "", ""))]
    {
        let mut case = Case::start(UNDOABLE, json!({}));
        case.skip("pay", json!("by hand"));
        assert_eq!(
            (case.told(), case.data("ship")),
            (vec!["take back pay 1".to_owned(), "call ship 1".to_owned()], json!("by hand"))
        );
        case.takes(case.acknowledgement("pay", 1, late.clone()));
        assert!(case.told().is_empty());
        // It counts as done, so it is undone: once, whatever became of its command.
        case.failed("ship");
        case.cancel();
        assert_eq!(case.data("refund"), json!({"input": {}, "output": "by hand"}));
        case.done("refund", json!(1));
        case.is_over(Status::Cancelled);
        assert_eq!(case.ignores(case.acknowledgement("pay", 1, late)), "run-over");
    }
}

#[test]
fn a_skipped_command_is_waited_for_before_its_task_is_undone() {
    let mut case = Case::start(UNDOABLE, json!({}));
    case.skip("pay", json!("by hand"));
    case.cancel();
    assert_eq!(case.told(), ["take back ship 1"]);
    case.taken_back("ship");
    assert!(case.told().is_empty());
    case.done("pay", json!("late"));
    assert_eq!(
        (case.told(), case.data("refund")["output"].clone()),
        (vec!["call refund 1".to_owned()], json!("by hand"))
    );
}

#[test]
fn what_waits_is_skipped_with_its_timers_and_listens_no_more() {
    let text = "- work:\n    timeout: { after: PT1H }\n    do:\n    \
                - rest: { wait: PT5S, timeout: { after: PT1M } }\n    \
                - hear: { listen: { to: { one: { with: { type: told } } } }, timeout: { after: PT1M } }\n    \
                - again: { try: [ { pay: { call: payment, with: { type: a } } } ], catch: { retry: { delay: PT3S, limit: { attempt: { duration: PT9S } } } } }\n";
    let mut case = Case::start(text, json!({}));
    assert_eq!(case.told(), ["timer 1 work 3600000", "timer 2 rest 60000", "timer 3 rest 5000"]);
    case.skip("rest", json!(1));
    assert_eq!(case.told(), ["timer 2 off", "timer 3 off", "timer 4 hear 60000", "listen hear 1"]);
    let event = case.event("hear", 0, json!(1));
    case.skip("hear", json!(2));
    assert_eq!(case.told(), ["timer 4 off", "listen hear 1 off", "timer 5 again 9000", "call pay 1"]);
    assert_eq!((case.ignores(event), case.ignores(What::Due { timer: 3 })), ("not-awaited", "not-awaited"));
    case.failed("pay");
    assert_eq!(case.told(), ["timer 5 off", "timer 6 again 3000"]);
    case.skip("again", json!(3));
    assert_eq!(case.told(), ["timer 6 off", "timer 1 off", "ended"]);
    case.gave(json!(3));
}

#[test]
fn a_whole_task_is_skipped_with_all_that_is_under_way_in_it() {
    let text = "- work: { do: [ { pay: { call: payment, with: { type: a } } }, { more: { wait: PT1S } } ] }\n- last: { set: '${ . }' }";
    let mut case = Case::start(text, json!({}));
    case.skip("work", json!("enough"));
    assert_eq!(case.told(), ["take back pay 1", "ended"]);
    case.gave(json!("enough"));
}

#[test]
fn a_branch_of_a_fork_is_skipped() {
    let text = "- both: { fork: { branches: [ { a: { call: x, with: { type: a } } }, { b: { call: x, with: { type: b } } } ] } }";
    let mut case = Case::start(text, json!({}));
    case.failed("a");
    case.skip("a", json!("a"));
    assert_eq!(case.status(), Status::Running);
    case.skip("b", json!("b"));
    case.gave(json!(["a", "b"]));
}

#[test]
fn only_a_task_that_is_under_way_is_skipped() {
    let mut case = Case::start(UNDOABLE, json!({}));
    for (name, why) in [
        ("ship", "task-not-under-way"),
        ("refund", "task-not-under-way"),
        ("/do/7/x", "unknown-task"),
        ("", "unknown-task"),
    ] {
        let task = case.place(name);
        assert_eq!(case.ignores(What::Skip { task, output: json!(1) }), why, "{name}");
    }
}
