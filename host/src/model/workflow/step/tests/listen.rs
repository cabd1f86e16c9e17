//! Events that are waited for, and events that are published.

use serde_json::json;

use super::super::super::run::Status;
use super::super::super::task::Read;
use super::*;

const TWO: &str = "[ { with: { type: ready, source: 'https://x.test' } }, { with: { type: paid, data: '${ .sum }' }, correlate: { order: { from: .data.order, expect: '${ .order }' } } } ]";

fn listens(way: &str) -> Case {
    let text = format!("- hear: {{ listen: {{ to: {{ {way}: {TWO} }} }} }}\n- last: {{ set: '${{ . }}' }}");
    Case::start(&text, json!({"order": 7}))
}

#[test]
fn a_task_says_what_it_listens_to_with_the_values_that_link_events_to_the_run() {
    let case = listens("all");
    let filters = json!([
        {"type": "ready", "attributes": {"source": "https://x.test"}},
        {"type": "paid", "data": ".sum", "correlate": [{"name": "order", "from": ".data.order", "expect": 7}]},
    ]);
    let found = case.commands.iter().find_map(|command| match command {
        Command::Listen { filters, all, read, .. } => Some((json!(filters), *all, *read)),
        _ => None,
    });
    assert_eq!(found, Some((filters, true, Read::Data)));
    assert_eq!(case.status(), Status::Waiting);
}

#[test]
fn the_first_event_is_enough_or_one_of_each_is_wanted() {
    let mut case = listens("any");
    case.takes(case.event("hear", 1, json!(2)));
    assert_eq!(case.told(), ["ended"]);
    case.gave(json!([2]));

    let mut case = listens("all");
    case.takes(case.event("hear", 1, json!(2)));
    assert_eq!((case.told().len(), case.status()), (0, Status::Waiting));
    for (filter, attempt) in [(1, 1), (2, 1), (0, 2)] {
        let event = json!({"type": "x", "data": 9});
        assert_eq!(
            case.ignores(What::Taken { task: case.place("hear"), attempt, filter, event }),
            "not-awaited"
        );
    }
    case.takes(case.event("hear", 0, json!(1)));
    case.gave(json!([1, 2]));
}

#[test]
fn one_event_gives_its_data_or_itself() {
    let event = json!({"type": "told", "data": 1});
    for (read, output) in [
        ("", json!([1])),
        (", read: data", json!([1])),
        (", read: envelope", json!([event])),
        (", read: raw", json!([event])),
    ] {
        let mut case = Case::start(
            &format!("- hear: {{ listen: {{ to: {{ one: {{ with: {{ type: told }} }} }}{read} }} }}"),
            json!({}),
        );
        case.takes(case.event("hear", 0, json!(1)));
        case.gave(output);
    }
}

#[test]
fn an_operator_signals_a_task_that_listens_to_the_type() {
    let signal = |ty: &str| What::Signal { ty: ty.to_owned(), event: json!({"data": ty}) };
    let mut case = listens("any");
    assert_eq!(case.ignores(signal("other")), "not-awaited");
    case.takes(signal("paid"));
    assert_eq!(case.told(), ["listen hear 1 off", "ended"]);
    case.gave(json!(["paid"]));
    assert_eq!(case.ignores(signal("paid")), "run-over");

    let mut case = listens("all");
    case.takes(signal("paid"));
    assert!(case.told().is_empty());
    assert_eq!(case.ignores(signal("paid")), "not-awaited");
    case.takes(signal("ready"));
    assert_eq!(case.told(), ["listen hear 1 off", "ended"]);
    case.gave(json!(["ready", "paid"]));
}

#[test]
fn a_task_that_listens_too_long_listens_no_more() {
    let text = "- hear: { listen: { to: { one: { with: { type: told } } } }, timeout: { after: PT5S } }";
    let mut case = Case::start(text, json!({}));
    let event = case.event("hear", 0, json!(1));
    case.due(1);
    assert_eq!((case.told(), case.failures()), (vec!["listen hear 1 off".to_owned()], vec!["hear"]));
    assert_eq!(case.ignores(event), "not-awaited");
    case.resume();
    assert_eq!(case.told(), ["timer 2 hear 5000", "listen hear 2"]);
}

#[test]
fn an_event_is_published_and_given_to_the_next_task() {
    let text = "- tell: { emit: { event: { with: { type: '${ .ty }', source: 'https://x.test', subject: '${ .n }', data: { n: '${ .n }' } } } } }";
    let case = Case::start(text, json!({"ty": "told", "n": 7}));
    assert_eq!(
        (case.told(), case.data("tell")),
        (vec!["emit tell told".to_owned(), "ended".to_owned()], json!({"n": 7}))
    );
    case.gave(json!({
        "specversion": "1.0", "id": "run-1", "source": "https://x.test", "type": "told", "time": "1970-01-01T00:00:01.000Z",
        "subject": "7", "data": {"n": 7},
    }));
    let case = Case::start(
        "- tell: { emit: { event: { with: { type: told } } } }\n- last: { set: '${ .source }' }",
        json!({}),
    );
    case.gave(json!("/processors/test"));
}

#[test]
fn what_is_no_event_or_no_channel_is_not_published_nor_handed_over() {
    for (ty, subject) in [
        (json!("No Channel"), json!("x")),
        (json!(""), json!("x")),
        (json!({}), json!("x")),
        (json!("told"), json!("")),
        (json!("told"), json!("x".repeat(5_000))),
    ] {
        let with = "with: { type: '${ .ty }', subject: '${ .subject }', data: '${ .data }' }";
        let input = json!({"ty": ty, "subject": subject, "data": 1});
        let case = Case::start(&format!("- tell: {{ emit: {{ event: {{ {with} }} }} }}"), input.clone());
        assert_eq!((case.failures(), case.told()), (vec!["tell"], Vec::new()), "{input}");
        if ty != "No Channel" {
            let case = Case::start(&format!("- pay: {{ call: x, {with} }}"), input.clone());
            assert_eq!((case.failures(), case.told()), (vec!["pay"], Vec::new()), "{input}");
        }
    }
    let large = json!({"data": "x".repeat(1 << 20)});
    let case = Case::start("- pay: { call: x, with: { type: a } }", large);
    assert!(case.why().detail.as_ref().unwrap().contains("bytes"), "{:?}", case.why().ty);
}
