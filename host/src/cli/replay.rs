//! `baton replay`: history through a processor, into state of its own or into nothing.

use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::Shared;
use super::client::Ask;
use super::dead::render_rehearsals;
use super::failure::Failure;
use super::output::{Style, Tone, counted};
use super::progress;
use crate::model::descriptor::Start;
use crate::model::name::{ChannelName, ProcessorName};
use crate::model::report::ReplayReport;

/// How long one part may take.
const PART_TIME_MAX: Duration = Duration::from_secs(600);

/// `baton replay`
#[derive(Args)]
#[command(after_long_help = "\
Examples:
  baton replay email-analysis --from earliest --dry-run
  baton replay inventory --channel order-created --from 2026-01-31T12:00:00Z --into inventory-again
  baton processor state inventory-again
  baton undeploy inventory-again --forget

The version that runs handles events of the past once more, in order, one attempt each. With --into its state is kept
under another name, beside its position: the same command again goes on where it was. With --dry-run nothing is kept,
and what it would publish, write and answer is shown. Neither reaches anybody: no event is published, no answer given,
no flow changes. A processor that acts outside of its sandbox is refused without --outside.")]
pub struct ReplayArgs {
    /// The processor.
    processor: ProcessorName,
    /// The first event: earliest, an offset, or a time.
    #[arg(long, value_name = "PLACE")]
    from: Start,
    /// The event behind the last: latest, an offset, or a time.
    #[arg(long, value_name = "PLACE", default_value = "latest")]
    to: Start,
    /// The channel; it need not be said of a processor that reads one.
    #[arg(long)]
    channel: Option<ChannelName>,
    /// Keep state and position under this name.
    #[arg(long, value_name = "NAME", required_unless_present = "dry_run", conflicts_with = "dry_run")]
    into: Option<ProcessorName>,
    /// Keep nothing, and show what would come of it.
    #[arg(long)]
    dry_run: bool,
    /// Let it act outside of its sandbox, as it does when it handles new events.
    #[arg(long)]
    outside: bool,
}

/// Replays, part after part.
pub fn run(args: &ReplayArgs, shared: &Shared) -> Result<(), Failure> {
    let ReplayArgs { processor, from, to, channel, into, dry_run, outside } = args;
    let client = shared.client();
    let mut whole: Option<ReplayReport> = None;
    let mut to = to.to_string();
    loop {
        let body = json!({
            "channel": channel, "from": from.to_string(), "to": to, "into": into, "dry_run": dry_run, "outside": outside,
        });
        let ask = Ask {
            method: "POST",
            content_type: "application/json",
            body: body.to_string().into_bytes(),
            wait: PART_TIME_MAX,
            ..Ask::get(format!("/v1/processors/{processor}/replay"))
        };
        let at = whole
            .as_ref()
            .and_then(|whole| whole.next)
            .map_or_else(String::new, |next| format!(", at {next}"));
        let reply = progress::during(format!("replaying {processor}{at}"), || client.ask(ask))?;
        let part: ReplayReport = reply.read()?;
        // What is published meanwhile is not chased.
        to = part.to.to_string();
        let goes_on = part.next.is_some();
        whole = Some(match whole {
            None => part,
            Some(whole) => joined(whole, part),
        });
        if !goes_on {
            break;
        }
    }
    match whole {
        Some(whole) => shared.out().show(&whole, render),
        None => Ok(()),
    }
}

fn joined(whole: ReplayReport, part: ReplayReport) -> ReplayReport {
    let mut shown = whole.shown;
    shown.extend(part.shown);
    ReplayReport {
        from: whole.from,
        handled: whole.handled + part.handled,
        filtered: whole.filtered + part.filtered,
        failed: whole.failed + part.failed,
        emits: whole.emits + part.emits,
        shown,
        ..part
    }
}

fn render(report: &ReplayReport, style: Style) -> String {
    let ReplayReport { processor, channel, into, from, to, handled, filtered, failed, emits, shown, .. } =
        report;
    let mut text = String::new();
    if !shown.is_empty() {
        text.push_str(&render_rehearsals(shown, style));
        text.push('\n');
    }
    let tone = if *failed == 0 { Tone::Good } else { Tone::Bad };
    let head = format!(
        "{processor} handled {} of '{channel}' ({from} to {to}), {} filtered, {} failed; {} not published.",
        counted(*handled, "event"),
        filtered,
        failed,
        counted(*emits, "event")
    );
    text.push_str(&format!("{}\n", style.paint(tone, &head)));
    if let Some(into) = into {
        text.push_str(&format!(
            "Its state: baton processor state {into}. To remove it: baton undeploy {into} --forget\n"
        ));
        if *failed > 0 {
            text.push_str(&format!("What failed: baton dead ls {into}\n"));
        }
    }
    text
}
