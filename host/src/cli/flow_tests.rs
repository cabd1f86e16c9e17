//! A flow as a tree: who caused what, who handled it, what is still to do.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::*;
use serde_json::json;

fn time(ms: u64) -> String {
    format!("2026-01-31T12:00:00.{ms:03}Z")
}

fn event(position: u64, cause: Option<u64>, channel: &str, by: &str, handlings: Vec<Handling>) -> FlowEvent {
    FlowEvent {
        position,
        cause,
        channel: channel.into(),
        offset: 3,
        recorded: time(position),
        event: json!({"source": format!("/baton/{by}"), "subject": "o-1", "data": {"n": position}}),
        handlings,
    }
}

fn handling(processor: &str, status: HandlingStatus) -> Handling {
    let done = status == HandlingStatus::Handled;
    let fault = json!({"kind": "trap", "message": "overflow", "time_ms": 0, "digest": "ab"});
    Handling {
        processor: processor.into(),
        status,
        time: done.then(|| time(9)),
        digest: done.then(|| "abababab".into()),
        reply: (processor == "order-placement").then(|| json!({"order": "o-1"})),
        fault: (status == HandlingStatus::Held).then(|| serde_json::from_value(fault).unwrap()),
    }
}

fn flow(events: Vec<FlowEvent>) -> FlowReport {
    FlowReport {
        flow: "f-1".into(),
        status: FlowStatus::Stuck,
        overdue: false,
        deadline: None,
        reason: None,
        started: time(0),
        latest: time(9),
        expired: false,
        events,
        truncated: false,
    }
}

#[test]
fn a_flow_is_a_tree_of_causes() {
    let placed = vec![handling("order-placement", HandlingStatus::Handled)];
    let created =
        vec![handling("payment", HandlingStatus::Held), handling("inventory", HandlingStatus::Handled)];
    let text = render_flow(
        &flow(vec![
            event(0, None, "place-order", "shop", placed),
            event(2, Some(0), "order-created", "order-placement", created),
            event(4, Some(2), "inventory-updated", "inventory", Vec::new()),
        ]),
        Style::default(),
    );
    let expected = "\
flow f-1  STUCK: an event failed, and nobody tries it again by himself
started 2026-01-31T12:00:00.000Z, 3 events, the latest +9 ms

place-order@3  o-1  +0 ms
│  {\"n\":0}
└─ order-placement handled  after 9 ms  by abababab
   │  replied {\"order\":\"o-1\"}
   └─ order-created@3  o-1  +2 ms
      │  {\"n\":2}
      ├─ payment HELD
      │     trap: overflow
      │     why:  baton why order-created@3 payment
      │     mend: deploy a fixed version, or try again as it is:
      │           baton processor resume payment
      └─ inventory handled  after 7 ms  by abababab
         └─ inventory-updated@3  o-1  +4 ms
               {\"n\":4}
               (nobody subscribes)
";
    assert_eq!(text, expected);
}

#[test]
fn an_effect_of_nobody_known_hangs_under_its_cause() {
    let text = render_flow(
        &flow(vec![
            event(0, None, "a", "shop", vec![handling("p", HandlingStatus::Pending)]),
            event(1, Some(0), "b", "gone", Vec::new()),
        ]),
        Style::default(),
    );
    assert!(text.contains("├─ p still to do\n└─ b@3"), "{text}");
}

#[test]
fn a_cause_that_is_not_shown_makes_a_root() {
    let text = render_flow(&flow(vec![event(5, Some(2), "b", "gone", Vec::new())]), Style::default());
    assert!(text.contains("\nb@3  o-1"), "{text}");
}

#[test]
fn long_data_is_cut_at_the_width_of_the_tree() {
    let text = "é".repeat(WIDTH);
    for depth in [0, 3, 10] {
        assert_eq!(INDENT * (depth + 1) + cut(&text, depth).chars().count(), WIDTH);
    }
    assert_eq!(cut("short", 0), "short");
}

/// A command, or a message in the inbox of `place-order`.
fn post(position: u64, cause: u64, channel: &str, ty: &str, by: &str, data: Value) -> FlowEvent {
    let handler = channel.rsplit('.').next().unwrap().to_owned();
    let event = event(position, Some(cause), channel, by, vec![handling(&handler, HandlingStatus::Handled)]);
    let step = "/do/1/work/fork/branches/1/pay/do/0/apply-payment";
    let attributes = json!({"source": format!("/x/{by}"), "type": ty, "batonstep": step, "batonattempt": "2", "data": data});
    FlowEvent { event: attributes, ..event }
}

fn inbox(position: u64, cause: u64, ty: &str, by: &str, data: Value) -> FlowEvent {
    post(position, cause, "baton.inbox.place-order", ty, by, data)
}

fn acknowledged(outcome: Value) -> Value {
    json!({"run": {"acknowledged": {"task": "/do/0/a", "attempt": 2, "outcome": outcome}}})
}

/// The lines of an event of an inbox, without what hangs below it and what it hangs on.
fn words_of(ty: &str, data: Value) -> String {
    let event = inbox(4, 2, ty, "payment", data);
    let text = render_flow(&flow(vec![event]), Style::default());
    let lines = text.lines().skip(3).take_while(|line| !line.contains("place-order handled"));
    lines.map(|line| line.trim_start_matches(['│', ' '])).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_command_says_what_it_undoes() {
    let mut command = post(2, 0, "baton.queue.payment", "refund-wanted", "place-order", json!({}));
    command.event["batonundoes"] = json!("/do/0/pay");
    let text = render_flow(&flow(vec![command]), Style::default());
    assert!(text.contains("command to payment  apply-payment, attempt 2, undoes pay"), "{text}");
}

#[test]
fn commands_and_acknowledgements_are_said_in_words() {
    let wanted =
        event(0, None, "order-wanted", "shop", vec![handling("place-order", HandlingStatus::Handled)]);
    let command = post(2, 0, "baton.queue.payment", "order-created", "place-order", json!({"n": 7}));
    let given = json!({"done": {"events": [{"type": "payment-denied", "data": {"n": 8}}], "reply": null}});
    let text = render_flow(
        &flow(vec![wanted, command, inbox(4, 2, "baton.acknowledged", "payment", acknowledged(given))]),
        Style::default(),
    );
    let expected = "\
order-wanted@3  o-1  +0 ms
│  {\"n\":0}
└─ place-order handled  after 9 ms  by abababab
   └─ command to payment  apply-payment, attempt 2  +2 ms
      │  {\"n\":7}
      └─ payment handled  after 7 ms  by abababab
         └─ payment acknowledged  apply-payment, attempt 2  +4 ms
            │  told payment-denied {\"n\":8}
            └─ place-order handled  after 5 ms  by abababab
";
    assert!(text.ends_with(expected), "{text}");
}

#[test]
fn messages_to_a_run_are_said_in_words() {
    let error =
        json!({"type": "https://x/communication", "status": 500, "title": "reject", "detail": "no month"});
    let card = json!({"type": "card-updated", "id": "c-1", "data": {"n": 9}});
    let cases = [
        (
            "baton.failed",
            acknowledged(json!({"failed": error})),
            "not carried out  apply-payment, attempt 2  +4 ms\nreject: no month",
        ),
        ("baton.taken-back", acknowledged(json!("takenback")), "taken back  apply-payment, attempt 2  +4 ms"),
        (
            "baton.acknowledged",
            acknowledged(json!({"done": {"events": [], "reply": null}})),
            "payment acknowledged  apply-payment, attempt 2  +4 ms\n(told nothing)",
        ),
        ("baton.due", json!({"run": {"due": {"timer": 3}}}), "timer of apply-payment is due  +4 ms"),
        (
            "baton.taken",
            json!({"run": {"taken": {"task": "/do/0/new-card", "attempt": 1, "filter": 0, "event": card}}}),
            "took card-updated c-1  new-card  +4 ms\n{\"n\":9}",
        ),
        ("baton.resume", json!({"run": {"resume": {"from": null}}}), "resumed by an operator  +4 ms"),
        (
            "baton.resume",
            json!({"run": {"resume": {"from": "/do/0/pay", "input": {"n": 1}}}}),
            "resumed by an operator  pay  +4 ms\nwith {\"n\":1}",
        ),
        (
            "baton.skip",
            json!({"run": {"skip": {"task": "/do/0/pay", "output": 5}}}),
            "skipped by an operator  pay  +4 ms\nas if it gave 5",
        ),
        (
            "baton.signal",
            json!({"run": {"signal": {"ty": "card-updated", "event": card}}}),
            "signalled by an operator  card-updated c-1  +4 ms\n{\"n\":9}",
        ),
        ("baton.cancel", json!({"run": "cancel"}), "cancelled by an operator  +4 ms"),
    ];
    for (ty, data, expected) in cases {
        assert_eq!(words_of(ty, data), expected, "{ty}");
    }
}

#[test]
fn a_message_that_cannot_be_read_is_shown_as_it_is() {
    assert_eq!(words_of("baton.due", json!({"later": 1})), "baton.inbox.place-order@3  +4 ms\n{\"later\":1}");
}

#[test]
fn who_looks_for_whom_is_left_out_unless_something_follows_it_or_it_is_not_handled() {
    let listen = |position, status| {
        let data =
            json!({"listen": {"run": "r", "flow": "f", "task": "/do/0/ask", "attempt": 1, "filter": 0}});
        let event = inbox(position, 0, "baton.listen", "place-order", data);
        FlowEvent { handlings: vec![handling("place-order", status)], ..event }
    };
    let root =
        || event(0, None, "order-wanted", "shop", vec![handling("place-order", HandlingStatus::Handled)]);
    let shown = |events: Vec<FlowEvent>| {
        let text = render_flow(&flow(events), Style::default());
        text.contains("waits for an event  ask")
    };
    assert!(!shown(vec![root(), listen(4, HandlingStatus::Handled)]));
    assert!(shown(vec![root(), listen(4, HandlingStatus::Held)]));
    assert!(shown(vec![root(), listen(4, HandlingStatus::Pending)]));
    let card = json!({"type": "card-updated", "id": "c-1"});
    let taken = json!({"run": {"taken": {"task": "/do/0/ask", "attempt": 1, "filter": 0, "event": card}}});
    assert!(shown(vec![
        root(),
        listen(4, HandlingStatus::Handled),
        inbox(5, 4, "baton.taken", "place-order", taken),
    ]));
}
