//! `baton flow show --follow`: a flow as it goes on, a line for each thing.

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use uuid::Uuid;

use super::Shared;
use super::failure::{Exit, Failure};
use super::messages::Message;
use super::output::{Out, Style, Tone, clean, fault_lines};
use super::tail::data;
use crate::model::report::{FlowEnd, FlowEvent, FlowHandling, FlowStatus, Handling, HandlingStatus};

/// How much of an event's data is shown.
const DATA_CHARS_SHOWN: usize = 50;

/// Shows what happens until the flow has ended; a stuck flow is a failure.
pub fn run(id: Uuid, shared: &Shared) -> Result<(), Failure> {
    let mut messages = shared.client().live(&format!("/v1/flows/{id}"), "")?;
    while let Some(message) = messages.next()? {
        if let Some(end) = show(&message, shared.out())? {
            return ended(&end);
        }
    }
    Err(Failure::new(Exit::Unreachable, "the host stopped before the flow ended; ask again when it is back"))
}

fn ended(end: &FlowEnd) -> Result<(), Failure> {
    match end.status {
        FlowStatus::Stuck => {
            Err(Failure::failed(format!("the flow is stuck; `baton flow show {}` says where", end.flow)))
        }
        _ => Ok(()),
    }
}

/// Shows one message, and gives the end if it is that.
fn show(message: &Message, out: Out) -> Result<Option<FlowEnd>, Failure> {
    match message.kind.as_str() {
        "event" => item(message, out, event_lines)?,
        "handling" => item(message, out, |handling: &FlowHandling, style| {
            handling_line(&place(&handling.channel, handling.offset), &handling.handling, style)
        })?,
        "end" => {
            item(message, out, end_line)?;
            return message.read().map(Some);
        }
        _ => {}
    }
    Ok(None)
}

fn item<T: DeserializeOwned>(
    message: &Message,
    out: Out,
    render: impl FnOnce(&T, Style) -> String,
) -> Result<(), Failure> {
    let (report, kind): (T, _) = (message.read()?, message.kind.as_str());
    let document: Value = message.read()?;
    out.item(&json!({ kind: document }), |_, style| render(&report, style))
}

fn place(channel: &str, offset: u64) -> String {
    format!("{channel}@{offset}")
}

fn event_lines(event: &FlowEvent, style: Style) -> String {
    let place = place(&event.channel, event.offset);
    let data = shortened(&data(&event.event));
    let head = format!("{}  {}  {data}", clean(&event.recorded), style.paint(Tone::Name, &place));
    let handlings = event.handlings.iter().filter(|handling| handling.status != HandlingStatus::Pending);
    let lines = std::iter::once(head.trim_end().to_owned());
    lines
        .chain(handlings.map(|handling| handling_line(&place, handling, style)))
        .collect::<Vec<_>>()
        .join("\n")
}

/// The data's beginning, as far as a line has room for it.
fn shortened(data: &str) -> String {
    match data.char_indices().nth(DATA_CHARS_SHOWN) {
        Some((end, _)) => format!("{}...", data.get(..end).unwrap_or(data)),
        None => data.to_owned(),
    }
}

fn handling_line(place: &str, handling: &Handling, style: Style) -> String {
    let (word, tone) = match handling.status {
        HandlingStatus::Handled => ("handled", Tone::Good),
        HandlingStatus::Held => ("HELD", Tone::Bad),
        HandlingStatus::Parked => ("failed, and tries again by itself:", Tone::Note),
        HandlingStatus::Dead => ("gave up (DEAD):", Tone::Bad),
        HandlingStatus::Discarded => ("failed, and it was discarded:", Tone::Note),
        HandlingStatus::Waiting => ("waits behind an event of its key that failed:", Tone::Note),
        HandlingStatus::Expired => ("expired before it was handled", Tone::Note),
        HandlingStatus::Pending => ("is still to handle", Tone::Note),
    };
    let time = handling.time.as_deref().map(|time| format!("{}  ", clean(time))).unwrap_or_default();
    let mut line = format!("{time}{} {} {place}", clean(&handling.processor), style.paint(tone, word));
    for fault in handling.fault.iter().flat_map(|fault| fault_lines(fault, 2)) {
        line.push_str(&format!("\n  {}", style.paint(Tone::Bad, &fault)));
    }
    line
}

fn end_line(end: &FlowEnd, style: Style) -> String {
    let (word, tone) = match end.status {
        FlowStatus::Stuck => ("stuck", Tone::Bad),
        _ => ("done", Tone::Good),
    };
    format!("{}  {}", clean(&end.latest), style.paint(tone, word))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_happens_is_a_line_each() {
        let event: FlowEvent = serde_json::from_value(json!({
            "position": 3, "channel": "orders", "offset": 1, "recorded": "T1", "event": {"data": {"n": 1}},
            "handlings": [{"processor": "a", "status": "pending"}, {"processor": "b", "status": "handled", "time": "T2"}],
        }))
        .unwrap();
        let expected = "T1  orders@1  {\"n\":1}\nT2  b handled orders@1";
        assert_eq!(event_lines(&event, Style::default()), expected);
        assert_eq!(shortened(&"x".repeat(51)), format!("{}...", "x".repeat(50)));
        let end = FlowEnd {
            flow: "f".into(),
            status: FlowStatus::Stuck,
            started: "T1".into(),
            latest: "T9".into(),
            truncated: false,
        };
        assert_eq!(end_line(&end, Style::default()), "T9  stuck");
        assert_eq!(ended(&end).unwrap_err().exit, Exit::Failed);
    }
}
