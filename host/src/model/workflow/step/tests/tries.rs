//! Errors that are raised and caught, and tasks that are tried again.

use serde_json::json;

use super::super::super::run::Status;
use super::*;

/// A `try` round one call, with this in its `catch`, and a task after it.
fn safe(catch: &str) -> String {
    format!(
        "- safe:\n    try: [ {{ pay: {{ call: payment, with: {{ type: a }} }} }} ]\n    catch: {{ {catch} }}\n- last: {{ set: {{ last: '${{ . }}' }} }}\n"
    )
}

const BAD: &str =
    "raise: { error: { type: 'https://x.test/bad', status: 402, title: '${ .t }', detail: too bad } }";

#[test]
fn an_error_that_is_raised_and_not_caught_ends_the_run_and_undoes_it() {
    let text = format!(
        "timeout: {{ after: P1D }}\ndo:\n- pay: {{ call: payment, with: {{ type: a }}, metadata: {{ compensate: refund }} }}\n- refund: {{ call: payment, with: {{ type: b }} }}\n- bad: {{ {BAD} }}"
    );
    let mut case = Case::start(&text, json!({}));
    case.done("pay", json!({"t": "Bad"}));
    assert_eq!(
        (case.told(), case.status()),
        (vec!["timer 1 off".to_owned(), "call refund 1".to_owned()], Status::Running)
    );
    assert_eq!(case.notes(), ["pay done", "bad began", "bad failed", "refund began"]);
    case.done("refund", json!(1));
    case.is_over(Status::Faulted);
    let ending = serde_json::to_value(&case.run.ending).unwrap();
    let error = json!({"type": "https://x.test/bad", "status": 402, "instance": "/do/2/bad", "title": "Bad", "detail": "too bad"});
    assert_eq!(ending, json!({"failed": error}));
}

#[test]
fn an_error_that_is_raised_is_caught_by_its_fields_and_told_to_the_tasks_of_catch() {
    let text = |catch: &str| {
        format!(
            "- safe:\n    try: [ {{ bad: {{ {BAD} }} }} ]\n    catch:\n      {catch}\n      as: e\n      do: [ {{ tell: {{ set: {{ status: '${{ $e.status }}', given: '${{ . }}' }} }} }} ]\n"
        )
    };
    for catch in [
        "errors: { with: { type: 'https://x.test/bad' } }",
        "errors: { with: { status: 402, detail: too bad } }",
        "when: '$e.status == 402'",
        "exceptWhen: '$e.status == 500'",
        "when: .t",
    ] {
        Case::start(&text(catch), json!({"t": "x"})).gave(json!({"status": 402, "given": {"t": "x"}}));
    }
    for catch in [
        "errors: { with: { status: 500 } }",
        "errors: { with: { instance: /do/0 } }",
        "when: '$e.status == 500'",
        "exceptWhen: '$e.status == 402'",
        "when: error",
    ] {
        Case::start(&text(catch), json!({"t": "x"})).is_over(Status::Faulted);
    }
}

#[test]
fn without_tasks_an_error_that_is_caught_is_forgotten_and_the_try_gives_what_it_was_given() {
    let mut case = Case::start(&safe("as: e"), json!({"n": 1}));
    case.failed("pay");
    case.gave(json!({"last": {"n": 1}}));
    assert_eq!(case.notes(), ["pay failed", "safe caught", "safe done", "last began", "last done", " done"]);
}

#[test]
fn what_fails_in_catch_is_for_those_round_it() {
    let inner: String = safe("do: [ { help: { call: help, with: { type: b } } } ]")
        .lines()
        .map(|line| format!("    {line}\n"))
        .collect();
    let mut case = Case::start(
        &format!(
            "- outer:\n    try:\n{inner}    catch: {{ as: f, do: [ {{ tell: {{ set: '${{ $f.instance }}' }} }} ] }}"
        ),
        json!({}),
    );
    case.failed("pay");
    assert_eq!(case.told(), ["call help 1"]);
    case.failed("help");
    case.gave(json!("/do/0/outer/try/0/safe/catch/do/0/help"));
}

#[test]
fn an_error_that_nobody_catches_stays_where_it_is_inside_the_try() {
    let mut case = Case::start(&safe("errors: { with: { status: 503 } }"), json!({}));
    case.failed("pay");
    assert_eq!((case.failures(), case.told()), (vec!["pay"], Vec::new()));
    case.resume();
    case.done("pay", json!("paid"));
    case.gave(json!({"last": "paid"}));
}

/// Lets the call fail until the run waits no more, and says how long it waited each time.
fn waited(catch: &str, chance: u64) -> Vec<String> {
    let mut case = Case::start(&safe(catch), json!({}));
    case.chance = chance;
    let mut waits = Vec::new();
    for timer in 1..=9 {
        case.failed("pay");
        let Some(told) = case.told().first().cloned() else { break };
        let ms = told.strip_prefix(&format!("timer {timer} safe ")).unwrap().to_owned();
        assert_eq!(case.notes(), ["pay failed".to_owned(), format!("safe again {ms}")]);
        assert_eq!(case.status(), Status::Waiting);
        case.at_ms += ms.parse::<u64>().unwrap();
        case.due(timer);
        assert_eq!(case.told(), [format!("call pay {}", timer + 1)]);
        waits.push(ms);
    }
    assert!(waits.len() == 9 || case.failures() == ["pay"]);
    waits
}

#[test]
fn delays_stay_grow_or_double_by_chance_and_up_to_each_limit() {
    let retry = |backoff: &str, limit: &str| {
        format!("retry: {{ delay: PT1S, backoff: {{ {backoff}: {{}} }}, {limit} }}")
    };
    let three = "limit: { attempt: { count: 3 } }";
    assert_eq!(waited(&retry("constant", three), 0), ["1000", "1000", "1000"]);
    assert_eq!(waited(&retry("linear", three), 0), ["1000", "2000", "3000"]);
    assert_eq!(waited(&retry("exponential", three), 0), ["1000", "2000", "4000"]);
    assert_eq!(waited(&retry("exponential", "limit: { duration: PT10S }"), 0), ["1000", "2000", "4000"]);
    assert_eq!(waited(&retry("constant", "jitter: { from: PT0S, to: PT1S }"), 250), vec!["1250"; 9]);
    assert_eq!(
        waited(
            &retry("constant", "jitter: { from: PT2S, to: PT3S }, limit: { attempt: { count: 2 } }"),
            1_002
        ),
        ["3001", "3001"].map(|_| "3001")
    );
    assert_eq!(waited("retry: { limit: { attempt: { count: 1 } } }", 7), ["0"]);
    assert!(waited(&retry("constant", "when: '$error.status == 404'"), 0).is_empty());
    assert!(waited(&retry("constant", "exceptWhen: '$error.status == 500'"), 0).is_empty());
    assert!(waited("errors: { with: { status: 404 } }, retry: { delay: PT1S }", 0).is_empty());
}

#[test]
fn after_the_last_retry_the_tasks_of_catch_follow() {
    let mut case = Case::start(
        &safe(
            "retry: { delay: PT1S, limit: { attempt: { count: 1 } } }, do: [ { tell: { set: '${ $error.detail }' } } ]",
        ),
        json!({}),
    );
    case.failed("pay");
    case.due(1);
    case.failed("pay");
    assert_eq!(case.told(), ["ended"]);
    case.gave(json!({"last": "pay failed"}));
}

#[test]
fn an_operator_begins_a_try_that_gave_up_inside_or_from_its_start() {
    let text = safe("retry: { delay: PT1S, limit: { attempt: { count: 1 } } }");
    let mut case = Case::start(&text, json!({}));
    case.failed("pay");
    case.due(1);
    case.failed("pay");
    let faulted = case.run.clone();
    case.resume();
    case.failed("pay");
    assert_eq!((case.told(), case.failures()), (Vec::new(), vec!["pay"]));
    case.run = faulted;
    case.resume_at("safe", None);
    assert_eq!(case.told(), ["call pay 4"].map(|_| format!("call pay {}", case.latest("pay"))));
    case.failed("pay");
    assert_eq!(case.told(), ["timer 2 safe 1000"]);
}

#[test]
fn an_attempt_that_takes_too_long_is_broken_off_and_tried_again() {
    let text = safe("retry: { delay: PT1S, limit: { attempt: { count: 1, duration: PT9S } } }");
    let mut case = Case::start(&text, json!({}));
    assert_eq!(case.told(), ["timer 1 safe 9000", "call pay 1"]);
    case.due(1);
    assert_eq!(case.told(), ["take back pay 1", "timer 2 safe 1000"]);
    case.due(2);
    assert_eq!(case.told(), ["timer 3 safe 9000", "call pay 2"]);
    assert_eq!(case.ignores(What::Due { timer: 1 }), "not-awaited");
    // Nobody waits for the first attempt any more, whatever came of it.
    case.done_at("pay", 1, json!("late"));
    assert!(case.told().is_empty());
    let waiting = case.run.clone();
    case.done("pay", json!("paid"));
    assert_eq!(case.told(), ["timer 3 off", "ended"]);
    case.gave(json!({"last": "paid"}));
    case.run = waiting;
    case.due(3);
    assert_eq!((case.told(), case.failures()), (vec!["take back pay 2".to_owned()], vec!["safe"]));
    assert!(case.why().ty.ends_with("/timeout"));
    case.resume();
    assert_eq!(case.told(), ["timer 4 safe 9000", "call pay 3"]);
}

#[test]
fn an_attempt_that_failed_or_was_left_has_no_timer_any_more() {
    let limit = "retry: { delay: PT1S, limit: { attempt: { duration: PT9S } } }";
    let mut case = Case::start(&safe(limit), json!({}));
    case.failed("pay");
    assert_eq!(case.told(), ["timer 1 off", "timer 2 safe 1000"]);
    case.due(2);
    case.cancel();
    assert_eq!(
        case.told(),
        ["timer 3 off", "take back pay 2"].map(str::to_owned).into_iter().rev().collect::<Vec<_>>()
    );
    for text in [
        safe(limit).replace("with: { type: a }", "with: { type: a }, then: end"),
        format!("- context: {{ set: {{ x: 1 }} }}\n{}", safe(limit))
            .replace("- safe:\n", "- safe:\n    output: { as: error }\n"),
    ] {
        let mut case = Case::start(&text, json!({}));
        case.done("pay", json!({}));
        assert_eq!(case.told().iter().filter(|told| *told == "timer 1 off").count(), 1, "{:?}", case.told());
    }
}

#[test]
fn an_attempt_that_is_broken_off_and_carried_out_after_all_is_undone_at_the_end() {
    let text = safe("retry: { delay: PT1S, limit: { attempt: { duration: PT9S } } }")
        .replace("with: { type: a } } }", "with: { type: a }, metadata: { compensate: refund } } }, { refund: { call: payment, with: { type: b } } }");
    let mut case = Case::start(&text, json!({}));
    case.due(1);
    case.due(2);
    case.done_at("pay", 1, json!("first"));
    case.done("pay", json!("second"));
    assert_eq!(
        (case.told(), case.data("refund")["output"].clone()),
        (vec!["timer 3 off".to_owned(), "call refund 1".to_owned()], json!("first"))
    );
    case.done("refund", json!(1));
    case.gave(json!({"last": "second"}));
}
