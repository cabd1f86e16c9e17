//! Processors as tables and as one page.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::model::descriptor::Descriptor;
use crate::model::fault::{Fault, FaultKind};
use crate::model::operation::LanesFrom;
use crate::model::report::ScaleReport;
use serde_json::json;

/// A processor that holds one event, or none.
pub fn report(name: &str, status: ProcessorStatus) -> ProcessorReport {
    let held = if status == ProcessorStatus::Held { vec![held()] } else { Vec::new() };
    let descriptor = json!({"contract": "baton:processor@0.1.0", "name": name, "version": "0.1.0",
        "subscriptions": [{"channel": "order-created"}], "publishes": ["payment-applied"]});
    ProcessorReport {
        name: name.into(),
        status,
        reason: None,
        version: "0.1.0".into(),
        digest: "ab".repeat(32),
        generation: 1,
        lanes: 2,
        scale: ScaleReport { min: 2, max: 2, from: LanesFrom::Descriptor },
        paused: None,
        rate: None,
        handled: 40,
        failed: held.len() as u64,
        subscriptions: vec![SubscriptionReport {
            processor: name.into(),
            channel: "order-created".into(),
            start: 0,
            cursor: 17,
            decided: 40,
            expired: 0,
            lag: 4 * held.len() as u64,
            held: held.len() as u64,
            waiting: 3 * held.len() as u64,
            ..SubscriptionReport::default()
        }],
        held,
        dead: 0,
        waiting: None,
        descriptor: Descriptor::from_json(descriptor.to_string().as_bytes()).unwrap(),
    }
}

fn held() -> HeldReport {
    HeldReport {
        channel: "order-created".into(),
        offset: 17,
        flow: "f-1".into(),
        key: "card-4".into(),
        attempts: 1,
        waiting: 3,
        fault: Fault {
            kind: FaultKind::Trap,
            message: "panicked at src/lib.rs:41:18:\nattempt to subtract with overflow".into(),
            time_ms: 1_700_000_000_123,
            digest: "abababababab".into(),
            frames: Vec::new(),
        },
        next: None,
    }
}

#[test]
fn the_list_has_a_line_each_and_shouts_what_is_wrong() {
    let mut list = [report("inventory", ProcessorStatus::Running), report("payment", ProcessorStatus::Held)];
    list[1].scale = ScaleReport { min: 1, max: 4, from: LanesFrom::Command };
    let expected = "\
PROCESSOR  STATUS   LAG  HELD  WAITING  HANDLED  FAILED  LANES     VERSION  DIGEST
inventory  running    0     0        0       40       0  2         0.1.0    abababababab
payment    HELD       4     1        3       40       1  2 (1..4)  0.1.0    abababababab
";
    assert_eq!(render_list(&list, Style::default()), expected);
    assert!(render_list(&[], Style::default()).contains("baton deploy"));
}

#[test]
fn a_held_event_shows_its_fault_and_what_helps() {
    let text = render_processor(&report("payment", ProcessorStatus::Held), Style::default());
    for part in [
        "  order-created@17  key card-4  since 2023-11-14T22:13:20.123Z, 1 attempt, 3 more events behind it\n",
        "    trap: panicked at src/lib.rs:41:18:\n      attempt to subtract with overflow\n",
        "    look: baton flow show f-1\n",
        "baton processor resume payment",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    let well = render_processor(&report("payment", ProcessorStatus::Running), Style::default());
    assert!(!well.contains("resume"), "{well}");
}

#[test]
fn state_is_a_table_of_keys_names_and_values() {
    let entry = |key: &str, value| StateEntry {
        key: key.into(),
        name: "level".into(),
        value,
        value_base64: Some("AAE=".into()),
        expires: None,
    };
    let state = StateList {
        processor: "inventory".into(),
        entries: vec![entry("b-1", Some(5.into())), entry("b-22", None)],
    };
    let expected = "KEY   NAME   VALUE\nb-1   level  5\nb-22  level  base64 AAE=\n";
    assert_eq!(render_state(&state, Style::default()), expected);
}
