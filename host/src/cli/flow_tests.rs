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
