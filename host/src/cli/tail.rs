//! `baton tail`: the events of a channel, a line each.

use clap::Args;
use serde::Serialize;
use serde_json::{Value, json};

use super::Shared;
use super::client::{Client, query};
use super::failure::Failure;
use super::messages::Message;
use super::output::{Style, Tone, clean, counted};
use crate::model::name::ChannelName;
use crate::model::report::{ChannelReport, EventPage, Gap};

/// How many events are shown when nobody says where to begin.
const LAST: u64 = 10;
const PAGE_EVENTS: u64 = 500;

/// `baton tail`
#[derive(Args)]
#[command(after_long_help = "\
Examples:
  baton tail email-sent                       the last 10 events
  baton tail email-sent --follow              and what comes
  baton tail email-sent --from earliest --json > emails.jsonl")]
pub struct TailArgs {
    /// The channel.
    channel: ChannelName,
    /// Where to begin: earliest, latest (with what comes next) or an offset [default: the last 10].
    #[arg(long, value_name = "earliest|latest|OFFSET", value_parser = parse_from)]
    from: Option<String>,
    /// Go on with what comes.
    #[arg(short, long)]
    follow: bool,
}

fn parse_from(text: &str) -> Result<String, String> {
    match text {
        "earliest" | "latest" => Ok(text.to_owned()),
        offset if offset.parse::<u64>().is_ok() => Ok(text.to_owned()),
        _ => Err("use earliest, latest or an offset".to_owned()),
    }
}

/// Shows the events.
pub fn run(args: TailArgs, shared: &Shared) -> Result<(), Failure> {
    let client = shared.client();
    let channel: ChannelReport = client.get(format!("/v1/channels/{}", args.channel))?;
    let from = args.from.unwrap_or_else(|| channel.next.saturating_sub(LAST).max(channel.first).to_string());
    match args.follow {
        true => follow(&client, &args.channel, &from, shared),
        false => show(&client, &channel, from, shared),
    }
}

fn show(client: &Client, channel: &ChannelReport, mut from: String, shared: &Shared) -> Result<(), Failure> {
    loop {
        let params = [("from", Some(from)), ("limit", Some(PAGE_EVENTS.to_string()))];
        let page: EventPage =
            client.get(format!("/v1/channels/{}/events{}", channel.name, query(&params)))?;
        if page.expired > 0 {
            eprintln!("{} expired; it goes on behind them", counted(page.expired, "event"));
        }
        for event in page.events.iter().filter(|event| event.offset < channel.next) {
            shared.out().item(event, |event, style| {
                render_event(event.offset, &event.recorded, &event.event, style)
            })?;
        }
        if page.next >= channel.next || page.events.is_empty() {
            return Ok(());
        }
        from = page.next.to_string();
    }
}

/// A read that ends is begun again where it ended: the host may be back already. If it is not, that is the end.
fn follow(client: &Client, channel: &ChannelName, from: &str, shared: &Shared) -> Result<(), Failure> {
    let path = format!("/v1/channels/{channel}/events{}", query(&[("from", Some(from.to_owned()))]));
    let mut last = String::new();
    loop {
        let mut messages = client.live(&path, &last)?;
        while let Some(message) = messages.next()? {
            show_message(&message, shared)?;
            last = message.id;
        }
    }
}

/// An event as the host sends it while it comes.
#[derive(Serialize)]
struct Told {
    offset: u64,
    recorded: String,
    event: Value,
}

fn show_message(message: &Message, shared: &Shared) -> Result<(), Failure> {
    if message.kind == "gap" {
        return shared.out().item(&json!({"gap": message.read::<Gap>()?}), |line, style| {
            style.paint(Tone::Bad, &render_gap(line))
        });
    }
    let event: Value = message.read()?;
    let recorded = event.get("recordedtime").and_then(Value::as_str).unwrap_or_default().to_owned();
    let told = Told { offset: message.number()?, recorded, event };
    shared.out().item(&told, |told, style| render_event(told.offset, &told.recorded, &told.event, style))
}

fn render_gap(line: &Value) -> String {
    let number = |name: &str| line.pointer(&format!("/gap/{name}")).and_then(Value::as_u64).unwrap_or(0);
    let events = counted(number("count"), "event");
    format!("        {events} from offset {} to {}: no longer there", number("from"), number("to"))
}

fn render_event(offset: u64, recorded: &str, event: &Value, style: Style) -> String {
    let attribute = |name: &str| event.get(name).and_then(Value::as_str).map(clean);
    let mut line = format!("{offset:>6}  {}", style.paint(Tone::Quiet, &clean(recorded)));
    line.push_str(&format!("  {}", style.paint(Tone::Name, &attribute("type").unwrap_or_default())));
    if let Some(subject) = attribute("subject") {
        line.push_str(&format!("  {subject}"));
    }
    line.push_str(&format!("  {}", data(event)));
    line.trim_end().to_owned()
}

/// The data of an event in one line.
pub fn data(event: &Value) -> String {
    match (event.get("data"), event.get("data_base64").and_then(Value::as_str)) {
        (Some(data), _) => clean(&data.to_string()),
        (None, Some(base64)) => format!("({} characters of base64)", base64.len()),
        (None, None) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::report::GapReason;

    fn rendered(event: Value) -> String {
        render_event(3, "2026-01-31T12:00:00Z", &event, Style::default())
    }

    #[test]
    fn an_event_is_one_line() {
        let event = json!({"type": "order", "subject": "o-1", "data": {"text": "a\nb\u{9b}"}});
        let expected = "     3  2026-01-31T12:00:00Z  order  o-1  {\"text\":\"a\\nb\\u{9b}\"}";
        assert_eq!(rendered(event), expected);
        assert_eq!(rendered(json!({"type": "tick"})), "     3  2026-01-31T12:00:00Z  tick");
    }

    #[test]
    fn a_gap_says_what_is_missing() {
        let gap = Gap { channel: "c".into(), from: 3, to: 9, count: 7, reason: GapReason::Expired };
        let line = render_gap(&json!({ "gap": gap }));
        assert_eq!(line, "        7 events from offset 3 to 9: no longer there");
    }

    #[test]
    fn places_to_begin_are_checked() {
        for good in ["earliest", "latest", "17"] {
            assert!(parse_from(good).is_ok());
        }
        assert!(parse_from("-1").is_err());
    }
}
