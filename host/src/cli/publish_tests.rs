//! What `publish` sends and how it reads an answer.

#![allow(clippy::unwrap_used)]

use super::*;
use clap::Parser;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: PublishArgs,
}

fn args(line: &str) -> Result<PublishArgs, clap::Error> {
    Line::try_parse_from(format!("publish {line}").split(' ')).map(|line| line.args)
}

fn event_of(line: &str, data: Option<&str>) -> Result<Event, Failure> {
    event(&args(line).unwrap(), data.map(|data| data.as_bytes().to_vec()))
}

#[test]
fn an_event_is_made_of_what_was_said() {
    let event =
        event_of("orders --subject o-1 --key k --id 7 --source /me --type t", Some("{\"n\":1}")).unwrap();
    let expected = serde_json::json!({"specversion": "1.0", "id": "7", "source": "/me", "type": "t",
        "subject": "o-1", "partitionkey": "k", "datacontenttype": "application/json", "data": {"n": 1}});
    assert_eq!(event.to_json(), expected);
}

#[test]
fn what_was_not_said_has_good_defaults() {
    let event = event_of("orders", None).unwrap();
    assert_eq!((event.ty.as_str(), event.source.as_str(), event.data), ("orders", "/baton/cli", None));
    assert!(event.id.parse::<Uuid>().is_ok());
}

#[test]
fn data_that_is_not_json_says_what_to_do() {
    let failure = event_of("orders", Some("hello")).unwrap_err();
    assert!(failure.exit == Exit::Usage && failure.message.contains("--content-type"), "{failure}");
    let event = event_of("orders --content-type text/plain", Some("hello")).unwrap();
    assert_eq!(event.to_json().get("data"), Some(&Value::from("hello")));
}

#[test]
fn arguments_that_contradict_each_other_are_refused() {
    for line in ["orders - --data 1", "orders --data 1 --file f", "orders --timeout 5s", "Orders", "orders x"]
    {
        assert!(args(line).is_err(), "{line}");
    }
    let timeout = args("orders --wait reply --timeout PT2S").unwrap().timeout;
    assert_eq!(timeout, Some(Duration::from_secs(2)));
}

#[test]
fn an_accepted_event_says_where_it_is() {
    let accepted = |duplicate| Accepted {
        id: "7".into(),
        source: "/me".into(),
        channel: "orders".into(),
        offset: 3,
        position: 9,
        flow: "f-1".into(),
        duplicate,
    };
    let text =
        render_publication(&Publication { events: vec![accepted(false), accepted(true)] }, Style::default());
    assert!(text.contains("accepted and durable: orders@3\n  id    7\n  flow  f-1\n"), "{text}");
    assert!(text.contains("accepted before, nothing was added: orders@3"), "{text}");
}

#[test]
fn a_lost_answer_says_how_to_ask_again() {
    let event = event_of("orders --id 7", None).unwrap();
    let failure = unsure(Failure::new(Exit::Timeout, "late"), &event);
    assert!(failure.message.contains("--id 7 --source /baton/cli is safe"), "{failure}");
}
