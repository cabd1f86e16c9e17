//! `baton channel`: which channels there are, who publishes on them and who reads them how far.

use clap::Subcommand;

use super::Shared;
use super::failure::Failure;
use super::output::{Style, Tone, clean, counted};
use super::processor::render_subscriptions;
use super::table::{number, table, text, toned, trouble};
use crate::model::ledger::Ledger;
use crate::model::name::ChannelName;
use crate::model::report::{ChannelList, ChannelReport, SubscriptionReport};

/// `baton channel`
#[derive(Subcommand)]
pub enum ChannelCommand {
    /// List all channels.
    Ls,
    /// Show who publishes on a channel, who reads it, and how far.
    Show {
        /// The channel.
        name: ChannelName,
        /// Show where every event is that each subscription accepted.
        #[arg(long)]
        ledger: bool,
    },
}

/// Shows channels.
pub fn run(command: ChannelCommand, shared: &Shared) -> Result<(), Failure> {
    let client = shared.client();
    match command {
        ChannelCommand::Ls => shared.out().show(&client.get::<ChannelList>("/v1/channels")?, render_list),
        ChannelCommand::Show { name, ledger } => {
            let render = if ledger { render_ledger } else { render_channel };
            shared.out().show(&client.get::<ChannelReport>(format!("/v1/channels/{name}"))?, render)
        }
    }
}

fn render_list(list: &ChannelList, style: Style) -> String {
    if list.channels.is_empty() {
        return "There is no channel yet: one exists as soon as someone publishes or subscribes.".to_owned();
    }
    let row = |channel: &ChannelReport| {
        let readers: Vec<_> = channel.subscriptions.iter().map(|one| one.processor.as_str()).collect();
        [
            toned(channel.name.as_str(), Tone::Name),
            number(channel.next.saturating_sub(channel.first)),
            number(channel.subscriptions.iter().map(|one| one.lag).max().unwrap_or_default()),
            trouble(channel.subscriptions.iter().map(|one| one.held).sum()),
            text(readers.join(", ")),
        ]
    };
    let heads = ["CHANNEL", "EVENTS", "LAG", "HELD", "SUBSCRIBERS"];
    table(heads, list.channels.iter().map(row).collect(), style)
}

fn render_channel(channel: &ChannelReport, style: Style) -> String {
    let name = style.paint(Tone::Name, &clean(&channel.name));
    let events = counted(channel.next - channel.first.min(channel.next), "event");
    let publishers = match channel.publishers.as_slice() {
        [] => "nobody among the processors".to_owned(),
        names => clean(&names.join(", ")),
    };
    let mut text = format!("{name} ({}): {events}, next offset {}\n", clean(&channel.kind), channel.next);
    if channel.first > 0 {
        text.push_str(&format!(
            "{} expired; the oldest is at offset {}\n",
            counted(channel.first, "event"),
            channel.first
        ));
    }
    text.push_str(&format!("published by {publishers}\n\n"));
    match channel.subscriptions.as_slice() {
        [] => text.push_str("Nobody subscribes; the events are kept for those who will.\n"),
        subscriptions => text.push_str(&render_subscriptions(subscriptions, style)),
    }
    text
}

/// The books of all subscriptions: each row adds up to what was accepted.
fn render_ledger(channel: &ChannelReport, style: Style) -> String {
    let row = |one: &SubscriptionReport| {
        let Ledger { accepted, acked, filtered, to_do, parked, held, dead, discarded, expired } = one.ledger;
        let name = toned(one.processor.as_str(), Tone::Name);
        let counts = [accepted, acked, filtered, to_do, parked + held, dead, discarded, expired];
        let difference = one.ledger.difference();
        let verdict = match difference {
            0 => toned("balances", Tone::Good),
            _ => toned(format!("MISSES {difference}"), Tone::Bad),
        };
        let [accepted, acked, filtered, to_do, failed, dead, discarded, expired] = counts.map(number);
        [name, accepted, acked, filtered, to_do, failed, dead, discarded, expired, verdict]
    };
    let heads = [
        "PROCESSOR",
        "ACCEPTED",
        "ACKED",
        "FILTERED",
        "TO DO",
        "PARKED",
        "DEAD",
        "DISCARDED",
        "EXPIRED",
        "BOOK",
    ];
    table(heads, channel.subscriptions.iter().map(row).collect(), style)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel() -> ChannelReport {
        let subscription = |processor: &str, lag, held| SubscriptionReport {
            processor: processor.into(),
            channel: "orders".into(),
            start: 0,
            cursor: 12 - lag,
            decided: 12 - lag,
            expired: 0,
            lag,
            held,
            ..SubscriptionReport::default()
        };
        ChannelReport {
            name: "orders".into(),
            kind: "topic".into(),
            first: 0,
            next: 12,
            publishers: vec!["order-placement".into()],
            subscriptions: vec![subscription("payment", 2, 1), subscription("inventory", 0, 0)],
        }
    }

    #[test]
    fn the_list_shows_the_slowest_and_what_is_held() {
        let expected = "CHANNEL  EVENTS  LAG  HELD  SUBSCRIBERS\n\
                        orders       12    2     1  payment, inventory\n";
        assert_eq!(render_list(&ChannelList { channels: vec![channel()] }, Style::default()), expected);
    }

    #[test]
    fn a_channel_shows_who_reads_it_how_far() {
        let text = render_channel(&channel(), Style::default());
        assert!(
            text.starts_with("orders (topic): 12 events, next offset 12\npublished by order-placement\n")
        );
        assert!(text.contains("payment") && text.contains("inventory"), "{text}");
        let alone = ChannelReport { subscriptions: Vec::new(), ..channel() };
        assert!(render_channel(&alone, Style::default()).contains("Nobody subscribes"));
    }
}
