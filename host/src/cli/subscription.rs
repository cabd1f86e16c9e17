//! `baton subscription`: where processors stand in the channels that they read, and taking one to another place.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::Shared;
use super::client::{Ask, query};
use super::failure::Failure;
use super::output::{Style, Tone, counted, wrap};
use super::table::{number, table, text, toned, trouble};
use crate::model::descriptor::Start;
use crate::model::name::{ChannelName, ProcessorName};
use crate::model::report::{ResetReport, StateFate, SubscriptionList, SubscriptionReport};

/// How long a reset may wait for batches in flight.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(120);

/// `baton subscription`
#[derive(Subcommand)]
pub enum SubscriptionCommand {
    /// List subscriptions: how far each is, what is left, what its filter kept out.
    Ls {
        /// Only those of this processor.
        processor: Option<ProcessorName>,
    },
    /// Take a subscription to another place, so that events come again or are passed over.
    Reset(ResetArgs),
}

/// `baton subscription reset`
#[derive(Args)]
#[command(after_long_help = RESET_HELP)]
pub struct ResetArgs {
    /// The processor.
    processor: ProcessorName,
    /// The channel that it reads.
    channel: ChannelName,
    /// earliest, latest, an offset, or a time such as 2026-01-31T12:00:00Z.
    #[arg(long, value_name = "PLACE")]
    to: Start,
    /// Keep the processor's state, though events come again that are counted in it.
    #[arg(long, conflicts_with = "clear_state")]
    keep_state: bool,
    /// Delete the processor's state, that of its other subscriptions too.
    #[arg(long)]
    clear_state: bool,
    /// Only tell how many events would come.
    #[arg(long)]
    dry_run: bool,
}

const RESET_HELP: &str = "\
Events that come again are handled again, and what they cause are new events with new ids. What the
subscription held, and its dead letters, are dropped. Where the processor keeps state, say whether it is kept or cleared.

Examples:
  baton subscription reset loyalty payment-applied --to earliest --clear-state
  baton subscription reset loyalty payment-applied --to 2026-01-31T12:00:00Z --dry-run";

/// Shows subscriptions, or resets one.
pub fn run(command: SubscriptionCommand, shared: &Shared) -> Result<(), Failure> {
    let (client, out) = (shared.client(), shared.out());
    match command {
        SubscriptionCommand::Ls { processor } => {
            let query = query(&[("processor", processor.map(String::from))]);
            out.show(&client.get::<SubscriptionList>(format!("/v1/subscriptions{query}"))?, render_list)
        }
        SubscriptionCommand::Reset(args) => {
            let ask = Ask { method: "POST", wait: DRAIN_TIME_MAX, ..Ask::get(args.path()) };
            out.show(&client.ask(ask)?.read::<ResetReport>()?, render_reset)
        }
    }
}

impl ResetArgs {
    fn path(&self) -> String {
        let state = match (self.keep_state, self.clear_state) {
            (true, _) => Some("keep".to_owned()),
            (_, true) => Some("clear".to_owned()),
            _ => None,
        };
        let query = query(&[
            ("to", Some(self.to.to_string())),
            ("state", state),
            ("dry_run", Some(self.dry_run.to_string())),
        ]);
        format!("/v1/processors/{}/subscriptions/{}/reset{query}", self.processor, self.channel)
    }
}

fn render_list(list: &SubscriptionList, style: Style) -> String {
    if list.subscriptions.is_empty() {
        return "There is no subscription yet: a deployed processor has one for each channel that it reads."
            .to_owned();
    }
    let row = |one: &SubscriptionReport| {
        [
            toned(one.processor.as_str(), Tone::Name),
            text(&one.channel),
            number(one.start),
            number(one.cursor),
            number(one.lag),
            number(one.ahead),
            number(one.filtered),
            trouble(one.held),
            trouble(one.waiting),
        ]
    };
    let heads = ["PROCESSOR", "CHANNEL", "START", "POSITION", "LAG", "AHEAD", "FILTERED", "HELD", "WAITING"];
    table(heads, list.subscriptions.iter().map(row).collect(), style) + &render_filters(list)
}

fn render_filters(list: &SubscriptionList) -> String {
    let mut text = String::new();
    for one in &list.subscriptions {
        let Some(filter) = &one.filter else { continue };
        text.push_str(if text.is_empty() { "\nOnly what a filter passes:\n" } else { "" });
        text.push_str(&format!("  {} {}\n", one.processor, one.channel));
        wrap(&filter.to_string(), 4).iter().for_each(|line| text.push_str(&format!("    {line}\n")));
    }
    text
}

fn render_reset(report: &ResetReport, style: Style) -> String {
    let (begins, come) = match report.dry_run {
        true => ("would begin", "would come"),
        false => ("begins", "come"),
    };
    let (processor, channel) = (style.paint(Tone::Name, &report.processor), &report.channel);
    let mut lines = vec![format!(
        "{processor} {begins} at offset {} of {channel}; its position was {}.",
        report.to, report.from
    )];
    let comes = counted(report.comes, "event");
    lines.push(format!("  {comes} of the channel {come}, {} of them again", report.again));
    if report.passed_over > 0 {
        let passed = counted(report.passed_over, "event");
        lines.push(style.paint(Tone::Note, &format!("  {passed} still to be handled: passed over")));
    }
    if report.held > 0 {
        lines.push(format!(
            "  {} held after a fault: dropped from the held ones",
            counted(report.held, "event")
        ));
    }
    if report.dead > 0 {
        let dead = counted(report.dead, "dead letter");
        lines.push(
            style.paint(Tone::Note, &format!("  {dead} dropped: what lies before the new place is given up")),
        );
    }
    lines.push(match report.state {
        StateFate::None => "  it keeps no state".to_owned(),
        StateFate::Kept => "  its state is kept".to_owned(),
        StateFate::Cleared => "  its state is cleared".to_owned(),
        StateFate::Undecided => "  it keeps state: say --keep-state or --clear-state".to_owned(),
    });
    if report.dry_run {
        lines.push("Nothing was changed.".to_owned());
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_says_how_far_each_is_and_what_it_wants() {
        let filter = serde_json::from_str(r#"{"exact":{"type":"a"}}"#).ok();
        let one = SubscriptionReport {
            processor: "mail".into(),
            channel: "orders".into(),
            cursor: 12,
            lag: 3,
            filtered: 7,
            filter,
            ..SubscriptionReport::default()
        };
        let expected = "\
PROCESSOR  CHANNEL  START  POSITION  LAG  AHEAD  FILTERED  HELD  WAITING
mail       orders       0        12    3      0         7     0        0

Only what a filter passes:
  mail orders
    exact(type = \"a\")
";
        let list = SubscriptionList { subscriptions: vec![one] };
        assert_eq!(render_list(&list, Style::default()), expected);
        assert!(
            render_list(&SubscriptionList { subscriptions: vec![] }, Style::default())
                .contains("no subscription")
        );
    }

    #[test]
    fn a_reset_says_what_comes_and_what_does_not() {
        let report = ResetReport {
            processor: "mail".into(),
            channel: "orders".into(),
            from: 5,
            to: 9,
            comes: 1,
            again: 0,
            passed_over: 3,
            held: 1,
            dead: 2,
            state: StateFate::Kept,
            dry_run: true,
            generation: None,
        };
        let expected = "mail would begin at offset 9 of orders; its position was 5.\n  \
                        1 event of the channel would come, 0 of them again\n  \
                        3 events still to be handled: passed over\n  \
                        1 event held after a fault: dropped from the held ones\n  \
                        2 dead letters dropped: what lies before the new place is given up\n  \
                        its state is kept\nNothing was changed.";
        assert_eq!(render_reset(&report, Style::default()), expected);
    }
}
