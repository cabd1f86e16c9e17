//! `baton journal show` and `baton journal trim`: what the journal of a running host holds, and what may go.

use clap::Args;

use super::Shared;
use super::client::Ask;
use super::failure::Failure;
use super::output::{Style, Tone, clean, counted};
use super::table::{number, table, text, toned};
use crate::model::retention::size_for_people;
use crate::model::upkeep::{ExpiryReport, HeldBack, JournalReport, SegmentFate, SegmentSummary, TrimReport};

/// How many reasons of a segment are shown.
const REASONS_SHOWN_MAX: usize = 3;

/// `baton journal trim`
#[derive(Args)]
#[command(after_long_help = "\
Examples:
  baton journal trim --dry-run
  baton journal trim

What is kept stands in baton.toml: [retention] age = \"30d\", bytes = \"10GiB\" for all channels, and
[channel.NAME.retention] for one. Without it nothing expires. The host trims by itself once a minute.")]
pub struct TrimArgs {
    /// Say what would go and what keeps the rest; change nothing.
    #[arg(long)]
    dry_run: bool,
}

/// Shows the journal.
pub fn show(shared: &Shared) -> Result<(), Failure> {
    shared.out().show(&shared.client().get::<JournalReport>("/v1/journal")?, render_journal)
}

/// Trims, or says what a trim would do.
pub fn trim(args: &TrimArgs, shared: &Shared) -> Result<(), Failure> {
    let ask = Ask { method: "POST", ..Ask::get(format!("/v1/journal/trim?dry_run={}", args.dry_run)) };
    shared.out().show(&shared.client().ask(ask)?.read::<TrimReport>()?, render_trim)
}

fn render_journal(report: &JournalReport, style: Style) -> String {
    let segments = counted(report.segments.len() as u64, "segment");
    let mut out = format!(
        "positions {} to {}, {segments}, {}\n",
        report.first_position,
        report.next_position,
        size_for_people(report.bytes)
    );
    for checkpoint in &report.checkpoints {
        let size = size_for_people(checkpoint.bytes);
        out.push_str(&format!("checkpoint at position {}, {size}\n", checkpoint.position));
    }
    let row = |one: &SegmentSummary| {
        let state = if one.sealed { "sealed" } else { "open" };
        [
            number(one.from),
            number(one.to),
            text(size_for_people(one.bytes)),
            text(state),
            text(&one.first),
            text(&one.last),
        ]
    };
    let heads = ["FROM", "TO", "SIZE", "STATE", "FIRST", "LAST"];
    out + "\n" + &table(heads, report.segments.iter().map(row).collect(), style)
}

fn render_trim(report: &TrimReport, style: Style) -> String {
    let mut out = String::new();
    match report.channels.as_slice() {
        [] => out.push_str("Nothing is due to expire.\n"),
        channels => out.push_str(&render_channels(channels, style)),
    }
    for channel in &report.channels {
        for held in &channel.held_back {
            out.push_str(&format!("{}\n", held_back(held)));
        }
    }
    let goes = report.segments.iter().filter(|segment| segment.goes).count() as u64;
    let (went, freed) = (counted(goes, "segment"), size_for_people(report.freed_bytes));
    let verb = if report.dry_run { "would go" } else { "went" };
    out.push_str(&format!("\n{went} {verb}, {freed} of the disk\n"));
    out + &render_fates(&report.segments, style)
}

/// Who holds events back, in a line.
pub fn held_back(held: &HeldBack) -> String {
    let (processor, channel) = (clean(&held.processor), clean(&held.channel));
    let events = counted(held.events, "event");
    format!("{processor} holds {events} of {channel} back from expiring: it is at offset {}", held.cursor)
}

fn render_channels(channels: &[ExpiryReport], style: Style) -> String {
    let row = |one: &ExpiryReport| {
        [
            toned(one.channel.as_str(), Tone::Name),
            text(&one.age),
            text(&one.bytes_max),
            number(one.events),
            text(size_for_people(one.bytes)),
            number(one.to),
            text(one.until.clone().unwrap_or_default()),
        ]
    };
    let heads = ["CHANNEL", "AGE", "BYTES", "EXPIRES", "SIZE", "FIRST", "UNTIL"];
    table(heads, channels.iter().map(row).collect(), style)
}

/// What keeps the segments that stay; the oldest ones say the most.
fn render_fates(segments: &[SegmentFate], style: Style) -> String {
    let stays: Vec<_> = segments.iter().filter(|segment| !segment.goes).collect();
    let row = |one: &&SegmentFate| {
        let mut why = one.kept_by.iter().take(REASONS_SHOWN_MAX).cloned().collect::<Vec<_>>().join("; ");
        if one.kept_by.len() > REASONS_SHOWN_MAX {
            why.push_str(&format!("; {} more", one.kept_by.len() - REASONS_SHOWN_MAX));
        }
        [number(one.from), number(one.to), text(size_for_people(one.bytes)), text(why)]
    };
    table(["STAYS", "TO", "SIZE", "WHY"], stays.iter().map(row).collect(), style)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trim_says_what_goes_and_what_keeps_the_rest() {
        let held = HeldBack { processor: "mail".into(), channel: "orders".into(), cursor: 40, events: 60 };
        let channel = ExpiryReport {
            channel: "orders".into(),
            age: "30d".into(),
            bytes_max: "off".into(),
            first: 0,
            to: 40,
            events: 40,
            bytes: 4096,
            until: Some("2026-01-31T12:00:00.000Z".into()),
            held_back: vec![held],
        };
        let fate = |from, kept_by: &[&str]| SegmentFate {
            from,
            to: from + 10,
            bytes: 1 << 20,
            goes: kept_by.is_empty(),
            kept_by: kept_by.iter().map(|why| (*why).to_owned()).collect(),
        };
        let segments =
            vec![fate(0, &[]), fate(10, &["orders: held back by mail from offset 40 on", "b", "c", "d"])];
        let report = TrimReport { dry_run: true, channels: vec![channel], segments, freed_bytes: 1 << 20 };
        let shown = render_trim(&report, Style::default());
        for part in [
            "orders   30d  off         40  4.0 KiB     40  2026-01-31T12:00:00.000Z\n",
            "mail holds 60 events of orders back from expiring: it is at offset 40\n",
            "1 segment would go, 1.0 MiB of the disk\n",
            "   10  20  1.0 MiB  orders: held back by mail from offset 40 on; b; c; 1 more\n",
        ] {
            assert!(shown.contains(part), "{shown}");
        }
    }
}
