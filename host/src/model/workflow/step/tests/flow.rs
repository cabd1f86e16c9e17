//! One task after another: calls and their acknowledgements, directions, and flows without an end.

use serde_json::json;

use super::super::super::run::{Run, Status};
use super::super::{BEGUN_MAX, ITEMS_MAX};
use super::*;

const TWO: &str = "- pay: { call: pay, with: { type: a } }\n- ship: { call: ship, with: { type: b } }\n";

#[test]
fn tasks_follow_each_other_with_what_the_one_before_gave() {
    let case = Case::start(
        "- a: { set: { n: 1, from: '${ .start }' } }\n- b: { set: '${ .from }' }",
        json!({"start": "x"}),
    );
    case.gave(json!("x"));
    assert_eq!(case.notes(), [" began", "a began", "a done", "b began", "b done", " done"]);
}

#[test]
fn a_call_waits_for_its_acknowledgement_and_for_no_other() {
    let mut case = Case::start(TWO, json!({"sum": 7}));
    assert_eq!((case.told(), case.data("pay")), (vec!["call pay 1".to_owned()], json!({"sum": 7})));
    assert_eq!(case.status(), Status::Running);
    let before = case.run.clone();
    for (name, attempt) in [("pay", 2), ("pay", 0), ("ship", 1), ("/do/9/none", 1)] {
        for outcome in [Outcome::Done(json!(1)), Outcome::TakenBack] {
            assert_eq!(case.ignores(case.acknowledgement(name, attempt, outcome)), "not-awaited");
        }
    }
    assert_eq!(case.ignores(case.acknowledgement("pay", 1, Outcome::TakenBack)), "not-awaited");
    assert_eq!(case.run, before);

    case.done("pay", json!({"paid": true}));
    assert_eq!(case.data("ship"), json!({"paid": true}));
    assert_eq!(case.ignores(case.acknowledgement("pay", 1, Outcome::Done(json!(1)))), "not-awaited");
    case.done("ship", json!("sent"));
    case.gave(json!("sent"));
    assert_eq!(case.ignores(case.acknowledgement("ship", 1, Outcome::Done(json!(1)))), "run-over");
    assert_eq!(case.ignores(What::Cancel), "run-over");
}

#[test]
fn a_run_begins_once() {
    let mut case = Case::start(TWO, json!({}));
    assert_eq!(case.ignores(What::Start), "run-begun");
    let mut case = Case::pending(TWO, json!({}));
    assert_eq!(case.ignores(What::Due { timer: 1 }), "not-awaited");
    case.cancel();
    case.is_over(Status::Cancelled);
    assert_eq!(case.ignores(What::Start), "run-begun");
}

#[test]
fn a_direction_leads_to_a_task_out_of_the_list_or_to_the_end() {
    let text = |then: &str| {
        format!(
            "- outer:\n    do:\n    - first: {{ set: {{ at: first }}, then: {then} }}\n    - second: {{ set: {{ at: second }} }}\n    - third: {{ set: '${{ . + {{\"third\": 1}} }}' }}\n- last: {{ set: '${{ . + {{\"last\": 1}} }}' }}"
        )
    };
    let gave = |then| Case::start(&text(then), json!({})).run.output.unwrap();
    assert_eq!(gave("continue"), json!({"at": "second", "third": 1, "last": 1}));
    assert_eq!(gave("third"), json!({"at": "first", "third": 1, "last": 1}));
    assert_eq!(gave("exit"), json!({"at": "first", "last": 1}));
    assert_eq!(gave("end"), json!({"at": "first"}));
}

#[test]
fn a_flow_that_goes_on_without_waiting_is_stopped_at_the_task_that_is_one_too_many() {
    let text = "- a: { set: { n: '${ .n + 1 }' } }\n- b: { switch: [ { more: { when: '.n < 1000000', then: a } } ] }";
    let mut case = Case::start(text, json!({"n": 0}));
    assert_eq!((case.status(), case.failures()), (Status::Faulted, vec!["a"]));
    assert!(case.why().detail.as_ref().unwrap().contains("20000"), "{:?}", case.why());
    let given = case.run.failures().next().unwrap().0.given()["n"].clone();
    assert_eq!(given, json!(BEGUN_MAX / 2));
    case.resume();
    assert_eq!(case.failures(), ["a"]);
}

#[test]
fn the_most_items_of_a_for_are_gone_through_in_one_step() {
    let text = "- each: { for: { in: . }, do: [ { a: { set: { n: '${ $index }' } } } ] }";
    let most: Vec<u32> = (0..ITEMS_MAX as u32).collect();
    let case = Case::start(text, json!(most));
    case.gave(json!({"n": ITEMS_MAX - 1}));
    let more: Vec<u32> = (0..=ITEMS_MAX as u32).collect();
    assert_eq!(Case::start(text, json!(more)).failures(), ["each"]);
}

#[test]
fn a_waiting_run_is_small_and_the_same_after_it_was_kept() {
    let order = json!({"order": "0190c0de", "customer": "ada", "lines": [{"isbn": "978", "count": 1}]});
    let case = Case::start("- outer: { do: [ { pay: { call: pay, with: { type: a } } } ] }", order);
    let bytes = serde_json::to_vec(&case.run).unwrap();
    assert!(bytes.len() < 2_048, "{} bytes", bytes.len());
    assert_eq!(serde_json::from_slice::<Run>(&bytes).unwrap(), case.run);
}

/// What is kept as JSON must tell nothing from `null`: else a call whose output is `null` would be made twice.
#[test]
fn a_run_with_null_in_it_is_the_same_after_it_was_kept() {
    let text = "- a: { set: '${ . }', export: { as: 'null' } }\n- b: { input: { from: .x }, call: x, with: { type: a, data: null }, output: { as: '${ $context.x + . }' } }";
    let mut case = Case::start(text, json!(null));
    case.done("b", json!(null));
    assert_eq!(case.failures(), ["b"]);
    let kept = |run: &Run| serde_json::from_slice::<Run>(&serde_json::to_vec(run).unwrap()).unwrap();
    case.run = kept(&case.run);
    case.resume();
    assert_eq!(case.told(), Vec::<String>::new());
    case.skip("b", json!(7));
    assert_eq!(case.failures(), ["b"]);
    let what = What::Resume { from: None, input: Some(json!(null)) };
    assert_eq!(serde_json::from_value::<What>(json!(what)).unwrap(), what);
    let definition = serde_json::from_value::<Definition>(json!(case.definition)).unwrap();
    assert_eq!(definition, case.definition);
    let case = Case::start("- a: { set: '${ .x }' }", json!({}));
    assert_eq!(kept(&case.run), case.run);
}
