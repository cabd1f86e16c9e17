//! `baton tail`: the events of a channel, a line each.

use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::Shared;
use super::client::{Ask, Client, query};
use super::failure::Failure;
use super::output::{Style, Tone, clean, counted};
use crate::model::name::ChannelName;
use crate::model::report::{ChannelReport, EventPage, Recorded};

/// How many events are shown when nobody says where to begin.
const LAST: u64 = 10;
/// How long one request waits for the next event.
const POLL: Duration = Duration::from_secs(30);
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
    let end = (!args.follow).then_some(channel.next);
    let mut from =
        args.from.unwrap_or_else(|| channel.next.saturating_sub(LAST).max(channel.first).to_string());
    loop {
        let page = page(&client, &args.channel, &from, end)?;
        if page.expired > 0 {
            eprintln!("{} expired; it goes on behind them", counted(page.expired, "event"));
        }
        let events = page.events.iter().filter(|event| end.is_none_or(|end| event.offset < end));
        for event in events {
            shared.out().item(event, render_event)?;
        }
        if end.is_some_and(|end| page.next >= end || page.events.is_empty()) {
            return Ok(());
        }
        from = page.next.to_string();
    }
}

fn page(client: &Client, channel: &ChannelName, from: &str, end: Option<u64>) -> Result<EventPage, Failure> {
    let wait = if end.is_none() { POLL } else { Duration::ZERO };
    let params = [
        ("from", Some(from.to_owned())),
        ("limit", Some(PAGE_EVENTS.to_string())),
        ("wait", Some(format!("{}s", wait.as_secs()))),
    ];
    let path = format!("/v1/channels/{channel}/events{}", query(&params));
    client.ask(Ask { wait, ..Ask::get(path) })?.read()
}

fn render_event(event: &Recorded, style: Style) -> String {
    let attribute = |name: &str| event.event.get(name).and_then(Value::as_str).map(clean);
    let mut line = format!("{:>6}  {}", event.offset, style.paint(Tone::Quiet, &event.recorded));
    line.push_str(&format!("  {}", style.paint(Tone::Name, &attribute("type").unwrap_or_default())));
    if let Some(subject) = attribute("subject") {
        line.push_str(&format!("  {subject}"));
    }
    line.push_str(&format!("  {}", data(&event.event)));
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
    use serde_json::json;

    fn recorded(event: Value) -> Recorded {
        Recorded { offset: 3, position: 7, recorded: "2026-01-31T12:00:00Z".into(), event }
    }

    #[test]
    fn an_event_is_one_line() {
        let event = recorded(json!({"type": "order", "subject": "o-1", "data": {"text": "a\nb\u{9b}"}}));
        let expected = "     3  2026-01-31T12:00:00Z  order  o-1  {\"text\":\"a\\nb\\u{9b}\"}";
        assert_eq!(render_event(&event, Style::default()), expected);
        let bare = recorded(json!({"type": "tick"}));
        assert_eq!(render_event(&bare, Style::default()), "     3  2026-01-31T12:00:00Z  tick");
    }

    #[test]
    fn places_to_begin_are_checked() {
        for good in ["earliest", "latest", "17"] {
            assert!(parse_from(good).is_ok());
        }
        assert!(parse_from("-1").is_err());
    }
}
