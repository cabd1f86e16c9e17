//! Tasks side by side.

use serde_json::json;

use super::super::super::run::Status;
use super::*;

fn fork(compete: bool, branches: &str) -> String {
    format!(
        "- both:\n    fork:\n      compete: {compete}\n      branches:\n{branches}- last: {{ set: '${{ . }}' }}\n"
    )
}

const CALLS: &str = "      - a: { call: x, with: { type: a }, metadata: { compensate: ua } }\n      - ua: { call: x, with: { type: b } }\n      \
                     - b: { call: x, with: { type: c }, metadata: { compensate: ub } }\n      - ub: { call: x, with: { type: d } }\n";

#[test]
fn all_branches_are_waited_for_and_give_a_list_in_the_order_of_their_places() {
    let mut case = Case::start(&fork(false, CALLS), json!({"n": 1}));
    assert_eq!(
        (case.told(), case.data("b")),
        (vec!["call a 1".to_owned(), "call b 1".to_owned()], json!({"n": 1}))
    );
    case.done("b", json!("b"));
    assert!(case.told().is_empty());
    case.done("a", json!("a"));
    case.gave(json!(["a", "b"]));
}

#[test]
fn of_branches_that_compete_the_first_counts_and_the_others_are_taken_back() {
    let mut case = Case::start(&fork(true, CALLS), json!({}));
    case.done("b", json!("b"));
    assert_eq!(case.told(), ["take back a 1"]);
    // Whether the loser was carried out is waited for, since it would have to be undone.
    assert_eq!((case.status(), case.run.is_over()), (Status::Running, false));
    case.taken_back("a");
    case.gave(json!("b"));
}

#[test]
fn a_loser_that_was_carried_out_after_all_is_undone_whatever_becomes_of_the_run() {
    let mut case = Case::start(&fork(true, CALLS), json!({}));
    case.done("b", json!("b"));
    case.done("a", json!("late"));
    assert_eq!(
        (case.told(), case.data("ua")),
        (vec!["call ua 1".to_owned()], json!({"input": {}, "output": "late"}))
    );
    case.failed("ua");
    assert_eq!((case.status(), case.failures()), (Status::Faulted, vec!["ua"]));
    case.resume();
    case.done("ua", json!(1));
    case.gave(json!("b"));

    let text =
        fork(true, CALLS).replace("- last: { set: '${ . }' }", "- last: { call: x, with: { type: e } }");
    let mut case = Case::start(&text, json!({}));
    case.done("b", json!("b"));
    case.done("a", json!("late"));
    assert!(case.told().is_empty());
    let running = case.run.clone();
    case.done("last", json!("end"));
    assert_eq!(case.told(), ["call ua 1"]);
    case.done("ua", json!(1));
    case.gave(json!("end"));
    case.run = running;
    case.failed("last");
    case.cancel();
    assert_eq!(case.told(), ["call ua 1"]);
    case.done("ua", json!(1));
    assert_eq!(case.told(), ["call ub 1"]);
}

#[test]
fn what_a_losing_branch_has_done_is_undone_and_what_the_winner_did_is_not() {
    let branches = ["a", "b"].map(|name| {
        format!(
            "      - {name}:\n          do:\n          - one{name}: {{ call: x, with: {{ type: a }}, metadata: {{ compensate: u{name} }} }}\n          - u{name}: {{ call: x, with: {{ type: b }} }}\n          - two{name}: {{ call: x, with: {{ type: c }} }}\n"
        )
    });
    let text = format!(
        "- twice:\n    for: {{ in: '[1, 2]' }}\n    do:\n{}",
        fork(true, &branches.concat()).lines().map(|line| format!("    {line}\n")).collect::<String>()
    );
    let mut case = Case::start(&text, json!({}));
    // The first time a wins, the second time b does.
    for (winner, loser) in [("a", "b"), ("b", "a")] {
        case.done(&format!("one{winner}"), json!(winner));
        case.done(&format!("one{loser}"), json!(loser));
        case.done(&format!("two{winner}"), json!(winner));
        assert!(
            case.told().contains(&format!("take back two{loser} {}", case.latest(&format!("two{loser}"))))
        );
    }
    assert_eq!(
        (case.told().last().unwrap().as_str(), case.data("ua")["output"].clone()),
        ("call ua 1", json!("a"))
    );
    case.done("ua", json!(1));
    assert_eq!(case.told(), ["call ub 1"]);
    case.done("ub", json!(1));
    case.is_over(Status::Completed);
}

#[test]
fn commands_of_losers_that_nothing_undoes_are_taken_back_after_the_end_too() {
    let text = "- both: { fork: { compete: true, branches: [ { a: { call: x, with: { type: a } } }, { b: { call: x, with: { type: b } } } ] } }";
    let mut case = Case::start(text, json!({}));
    case.done("a", json!("a"));
    assert_eq!(case.told(), ["take back b 1", "ended"]);
    case.gave(json!("a"));
    assert_eq!(
        (case.run.left[0].task.as_str(), case.run.left[0].attempt),
        ("/do/0/both/fork/branches/1/b", 1)
    );
    assert_eq!(case.ignores(case.acknowledgement("b", 1, Outcome::Done(json!(1)))), "run-over");
}

#[test]
fn after_a_branch_that_wins_at_once_no_other_begins() {
    let branches = "      - a: { set: { x: 1 } }\n      - b: { call: x, with: { type: a } }\n";
    let case = Case::start(&fork(true, branches), json!({}));
    assert_eq!(case.told(), ["ended"]);
    case.gave(json!({"x": 1}));
    // Not even if the fork fails afterwards.
    let text = fork(true, branches).replace("- both:\n", "- both:\n    output: { as: error }\n");
    let mut case = Case::start(&text, json!({}));
    assert_eq!((case.told(), case.failures(), case.run.scopes.len()), (Vec::new(), vec!["both"], 2));
    case.resume();
    assert_eq!((case.told(), case.failures()), (Vec::new(), vec!["both"]));
}

#[test]
fn a_branch_that_is_left_out_wins_nothing() {
    let branches =
        "      - a: { if: .a, set: { x: 1 } }\n      - b: { if: .b, call: x, with: { type: a } }\n";
    let mut case = Case::start(&fork(true, branches), json!({"b": true}));
    assert_eq!(case.told(), ["call b 1"]);
    case.done("b", json!("b"));
    case.gave(json!("b"));
    Case::start(&fork(true, branches), json!({"n": 1})).gave(json!({"n": 1}));
    Case::start(&fork(false, branches), json!({"a": true})).gave(json!([{"x": 1}, {"a": true}]));
}

#[test]
fn a_branch_that_failed_leaves_the_others_at_work() {
    let mut case = Case::start(&fork(false, CALLS), json!({}));
    case.failed("a");
    assert_eq!((case.status(), case.told().len()), (Status::Faulted, 0));
    case.done("b", json!("b"));
    assert_eq!(case.status(), Status::Faulted);
    case.resume();
    case.done("a", json!("a"));
    case.gave(json!(["a", "b"]));

    let mut case = Case::start(&fork(true, CALLS), json!({}));
    case.failed("a");
    case.done("b", json!("b"));
    case.gave(json!("b"));
}

#[test]
fn an_error_of_a_branch_that_is_caught_round_the_fork_breaks_the_others_off() {
    let inner: String = fork(false, CALLS).lines().map(|line| format!("    {line}\n")).collect();
    let text = format!("- safe:\n    try:\n{inner}    catch: {{ as: e }}\n");
    let mut case = Case::start(&text, json!({}));
    case.failed("a");
    assert_eq!(case.told(), ["take back b 1"]);
    assert_eq!(
        case.notes(),
        ["a failed", "b broken off", "both broken off", "safe caught", "safe done", " done"]
    );
    case.done("b", json!("late"));
    assert_eq!(case.told(), ["call ub 1"]);
    case.done("ub", json!(1));
    case.is_over(Status::Completed);
}

#[test]
fn a_branch_that_says_end_ends_the_run() {
    for compete in [true, false] {
        let branches = "      - a: { call: x, with: { type: a }, then: end }\n      - b: { call: x, with: { type: b } }\n";
        let mut case = Case::start(&fork(compete, branches), json!({}));
        case.done("a", json!("a"));
        assert_eq!(case.told(), ["take back b 1", "ended"]);
        case.gave(json!("a"));
    }
}
