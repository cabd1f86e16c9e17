//! Runs that an operator ends, whatever they are at.

use serde_json::json;

use super::super::super::run::Status;
use super::*;

const SHOP: &str = "- pay: { call: payment, with: { type: a }, metadata: { compensate: refund } }\n\
                    - refund: { call: payment, with: { type: b } }\n\
                    - ship: { call: shipping, with: { type: c }, metadata: { compensate: fetch } }\n\
                    - fetch: { call: shipping, with: { type: d } }\n\
                    - mail: { call: mail, with: { type: e } }\n";

fn at_mail() -> Case {
    let mut case = Case::start(SHOP, json!({}));
    case.done("pay", json!("paid"));
    case.done("ship", json!("sent"));
    case
}

#[test]
fn a_run_with_nothing_to_undo_is_over_once_its_command_is_known_not_to_run() {
    for outcome in
        [Outcome::TakenBack, Outcome::Done(json!(1)), Outcome::Failed(Error::new(Kind::Runtime, "", ""))]
    {
        let mut case = Case::start("- mail: { call: mail, with: { type: a } }", json!({}));
        case.cancel();
        assert_eq!((case.told(), case.status()), (vec!["take back mail 1".to_owned()], Status::Running));
        assert_eq!(case.notes(), ["mail broken off"]);
        assert_eq!(case.ignores(What::Cancel), "run-undoing");
        case.takes(case.acknowledgement("mail", 1, outcome));
        case.is_over(Status::Cancelled);
    }
}

#[test]
fn what_is_done_is_undone_in_reverse_order_after_the_late_acknowledgement() {
    let mut case = at_mail();
    case.cancel();
    assert_eq!(case.told(), ["take back mail 1"]);
    case.taken_back("mail");
    assert_eq!(
        (case.told(), case.data("fetch")),
        (vec!["call fetch 1".to_owned()], json!({"input": "paid", "output": "sent"}))
    );
    case.done("fetch", json!(1));
    assert_eq!(
        (case.told(), case.data("refund")),
        (vec!["call refund 1".to_owned()], json!({"input": {}, "output": "paid"}))
    );
    assert_eq!(case.notes(), ["fetch done", "fetch undone", "refund began"]);
    assert_eq!(case.status(), Status::Running);
    case.done("refund", json!(1));
    case.is_over(Status::Cancelled);
}

#[test]
fn what_undoes_is_left_out_where_its_condition_does_not_hold() {
    let mut case = Case::start(
        "- pay: { call: payment, with: { type: a }, metadata: { compensate: refund } }\n\
         - refund: { if: .output.paid, call: payment, with: { type: b } }\n\
         - mail: { call: mail, with: { type: c } }\n",
        json!({}),
    );
    case.done("pay", json!({"paid": false}));
    case.cancel();
    case.taken_back("mail");
    assert_eq!(case.notes(), ["refund left out"]);
    case.is_over(Status::Cancelled);
}

#[test]
fn a_command_that_was_carried_out_all_the_same_is_undone_too_and_first() {
    let mut case = Case::start(SHOP, json!({}));
    case.done("pay", json!("paid"));
    case.cancel();
    assert_eq!(case.told(), ["take back ship 1"]);
    case.done("ship", json!("sent after all"));
    assert_eq!(case.data("fetch"), json!({"input": "paid", "output": "sent after all"}));
    case.done("fetch", json!(1));
    assert_eq!(case.told(), ["call refund 1"]);
    let mut case = Case::start(SHOP, json!({}));
    case.cancel();
    case.failed("pay");
    case.is_over(Status::Cancelled);
}

#[test]
fn a_run_that_waits_listens_or_failed_is_over_at_once() {
    for (task, told) in [
        ("wait: PT5S", ["timer 1 off", "timer 2 off", "timer 3 off", "ended"].as_slice()),
        (
            "listen: { to: { one: { with: { type: told } } } }",
            &["timer 1 off", "timer 2 off", "listen a 1 off", "ended"],
        ),
        ("set: '${ error }'", &["timer 1 off", "ended"]),
    ] {
        let text = format!("timeout: {{ after: P1D }}\ndo:\n- a: {{ {task}, timeout: {{ after: PT1M }} }}");
        let mut case = Case::start(&text, json!({}));
        case.cancel();
        let mut sorted = case.told();
        sorted.sort_by_key(|told| told.replace("listen", "timer z"));
        let mut expected: Vec<String> = told.iter().map(|told| (*told).to_owned()).collect();
        expected.sort_by_key(|told| told.replace("listen", "timer z"));
        assert_eq!(sorted, expected, "{task}");
        case.is_over(Status::Cancelled);
    }
}

#[test]
fn a_run_that_waits_to_try_again_is_over_at_once() {
    let text =
        "- again: { try: [ { a: { call: x, with: { type: a } } } ], catch: { retry: { delay: PT3S } } }";
    let mut case = Case::start(text, json!({}));
    case.failed("a");
    case.cancel();
    assert_eq!(case.told(), ["timer 1 off", "ended"]);
}

#[test]
fn a_fork_with_one_branch_done_is_undone_with_that_branch() {
    let text = "- both:\n    fork:\n      branches:\n      \
                - a: { call: x, with: { type: a }, metadata: { compensate: ua } }\n      \
                - ua: { call: x, with: { type: b } }\n      \
                - b: { call: x, with: { type: c }, metadata: { compensate: ub } }\n      \
                - ub: { call: x, with: { type: d } }\n      \
                - c: { call: x, with: { type: e }, metadata: { compensate: uc } }\n      \
                - uc: { call: x, with: { type: f } }\n";
    let mut case = Case::start(text, json!({}));
    assert_eq!(case.told(), ["call a 1", "call b 1", "call c 1"]);
    case.done("b", json!("b"));
    case.failed("c");
    case.cancel();
    assert_eq!(case.told(), ["take back a 1"]);
    case.taken_back("a");
    assert_eq!((case.told(), case.data("ub")["output"].clone()), (vec!["call ub 1".to_owned()], json!("b")));
    case.done("ub", json!(1));
    case.is_over(Status::Cancelled);
}

#[test]
fn a_step_that_failed_after_its_call_was_carried_out_is_undone() {
    let text = "- pay: { call: payment, with: { type: a }, export: { as: error }, metadata: { compensate: refund } }\n\
                - refund: { call: payment, with: { type: b } }\n";
    let mut case = Case::start(text, json!({}));
    case.done("pay", json!("paid"));
    assert_eq!(case.failures(), ["pay"]);
    case.cancel();
    assert_eq!(case.data("refund"), json!({"input": {}, "output": "paid"}));
    case.done("refund", json!(1));
    case.is_over(Status::Cancelled);
}

#[test]
fn nobody_is_asked_twice_while_a_run_is_undone() {
    let mut case = at_mail();
    case.cancel();
    case.taken_back("mail");
    assert_eq!(case.ignores(What::Cancel), "run-undoing");
    assert_eq!(case.ignores(case.acknowledgement("mail", 1, Outcome::Done(json!(1)))), "not-awaited");
    assert_eq!(case.ignores(What::Resume { from: None, input: None }), "run-not-faulted");
    assert_eq!(case.ignores(What::Skip { task: case.place("pay"), output: json!(1) }), "task-not-under-way");
}
