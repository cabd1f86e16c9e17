//! An order's relay in short: a line for each event, under the one that caused it, with who told it and when. `baton flow show`
//! has everything.

use serde_json::Value;

use super::super::flow::{Tree, emitted_by};
use super::super::output::{Style, Tone};
use super::super::table::{Cell, table, text, toned};
use crate::model::report::{FlowEvent, FlowReport, Handling, HandlingStatus};
use crate::model::time::{between, whole};

type Row = [Cell; 4];

/// The relay of a flow.
pub fn render(flow: &FlowReport, style: Style) -> String {
    let tree = Tree::new(flow, style);
    let mut rows = Vec::new();
    for root in &tree.roots {
        Relay { flow, tree: &tree, rows: &mut rows }.event(root, "customer", ["", ""]);
    }
    table(["EVENT", "TOLD BY", "AFTER", ""], rows, style)
}

struct Relay<'a> {
    flow: &'a FlowReport,
    tree: &'a Tree<'a>,
    rows: &'a mut Vec<Row>,
}

impl Relay<'_> {
    /// A line of the event, and all that it caused below; `lead` is what stands before the first line and the others.
    fn event(&mut self, event: &FlowEvent, by: &str, lead: [&str; 2]) {
        let [first, rest] = lead;
        let after = between(&self.flow.started, &event.recorded).unwrap_or_default();
        let name = format!("{first}{}", event.channel);
        self.rows.push([text(name), text(by), text(whole(after)), toned(note(event), Tone::Quiet)]);
        let effects = self.tree.effects(event);
        let silent = |handling: &&Handling| !effects.iter().any(|e| emitted_by(e, &handling.processor));
        let silent: Vec<&Handling> = event.handlings.iter().filter(silent).collect();
        let mut left = effects.len() + silent.len();
        let mut next = || {
            left = left.saturating_sub(1);
            let (corner, bar) = if left == 0 { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            [format!("{rest}{corner}"), format!("{rest}{bar}")]
        };
        for handling in silent {
            let [first, _] = next();
            self.rows.push(silence(handling, &first));
        }
        for effect in effects {
            let [first, rest] = next();
            self.event(effect, teller(effect), [first.as_str(), rest.as_str()]);
        }
    }
}

/// The line of a processor that told nothing about an event.
fn silence(handling: &Handling, first: &str) -> Row {
    let (word, tone) = match handling.status {
        HandlingStatus::Handled => ("(told nothing)", Tone::Quiet),
        HandlingStatus::Pending => ("(still to do)", Tone::Note),
        HandlingStatus::Waiting => ("(waits)", Tone::Note),
        HandlingStatus::Expired => ("(expired)", Tone::Note),
        HandlingStatus::Parked => ("(to be tried again)", Tone::Note),
        HandlingStatus::Held => ("(HELD)", Tone::Bad),
        HandlingStatus::Dead => ("(DEAD)", Tone::Bad),
        HandlingStatus::Discarded => ("(discarded)", Tone::Note),
    };
    [toned(format!("{first}{word}"), tone), text(&handling.processor), text(""), text("")]
}

fn teller(event: &FlowEvent) -> &str {
    let source = event.event.get("source").and_then(Value::as_str).unwrap_or_default();
    source.rsplit('/').next().unwrap_or_default()
}

/// What is worth knowing about an event of the bookshop, in a few words.
fn note(event: &FlowEvent) -> String {
    let data = event.event.get("data").unwrap_or(&Value::Null);
    let word = |path: &str| data.pointer(path).and_then(Value::as_str).unwrap_or("?");
    let number = |path: &str| data.pointer(path).and_then(Value::as_i64).unwrap_or_default();
    match event.channel.as_str() {
        "place-order" => format!("{} x {}", number("/quantity"), word("/sku")),
        "order-created" => money(number("/total_minor"), word("/currency")),
        "payment-applied" => format!("card ending in {}", word("/card_last_four")),
        "payment-denied" => word("/reason").to_owned(),
        "inventory-updated" => format!("{} to sell", number("/available")),
        "stock-replenished" => format!("{} more", number("/quantity")),
        "order-fulfilled" => format!("parcels: {}", parcels(data)),
        "order-shipped" => word("/carrier").to_owned(),
        "email-sent" => format!("about {}", word("/about/event")),
        _ => String::new(),
    }
}

fn money(minor: i64, currency: &str) -> String {
    format!("{}.{:02} {currency}", minor / 100, minor % 100)
}

fn parcels(data: &Value) -> usize {
    data.get("parcels").and_then(Value::as_array).map_or(0, Vec::len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::report::FlowStatus;
    use serde_json::json;

    fn event(position: u64, cause: Option<u64>, channel: &str, by: &str, handlers: &[&str]) -> FlowEvent {
        let handling = |processor: &&str| Handling {
            processor: (*processor).to_owned(),
            status: HandlingStatus::Handled,
            time: None,
            digest: None,
            reply: None,
            fault: None,
        };
        FlowEvent {
            position,
            cause,
            channel: channel.to_owned(),
            offset: 0,
            recorded: format!("2026-01-31T12:00:00.{position:03}Z"),
            event: json!({"source": format!("/baton/default/{by}"), "data": {"available": 38}}),
            handlings: handlers.iter().map(handling).collect(),
        }
    }

    #[test]
    fn each_event_stands_under_its_cause_with_who_told_it() {
        let flow = FlowReport {
            flow: "f-1".into(),
            status: FlowStatus::Done,
            overdue: false,
            deadline: None,
            reason: None,
            started: "2026-01-31T12:00:00.000Z".into(),
            latest: "2026-01-31T12:00:00.004Z".into(),
            expired: false,
            events: vec![
                event(0, None, "a", "shop", &["p", "q"]),
                event(2, Some(0), "inventory-updated", "p", &["warehouse"]),
                event(3, Some(0), "c", "q", &[]),
            ],
            truncated: false,
        };
        let expected = "\
EVENT                 TOLD BY    AFTER
a                     customer   0 ms
├─ inventory-updated  p          2 ms   38 to sell
│  └─ (told nothing)  warehouse
└─ c                  q          3 ms
";
        assert_eq!(render(&flow, Style::default()), expected);
    }

    #[test]
    fn money_has_two_places() {
        assert_eq!(money(2905, "EUR"), "29.05 EUR");
    }
}
