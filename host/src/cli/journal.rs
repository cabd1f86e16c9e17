//! `baton journal`: asks a running host, or reads the files of one that does not run.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::Shared;
use super::failure::{Exit, Failure};
use super::output::{Style, Tone, counted, wrap};
use super::progress;
use super::table::{number, table, text, toned};
use super::trim::{self, TrimArgs};
use crate::config::{Config, Sources};
use crate::journal::storage::Files;
use crate::journal::{CheckpointReport, Report, SegmentReport, verify};

/// `baton journal`
#[derive(Subcommand)]
pub enum JournalCommand {
    /// Show the segments and checkpoints of a running host.
    Show,
    /// Let a running host expire what is due and free the disk; or say what would go and what keeps the rest.
    Trim(TrimArgs),
    /// Read every byte of the journal and name what is damaged; changes nothing.
    Verify(VerifyArgs),
}

/// `baton journal verify`
#[derive(Args)]
#[command(after_long_help = "\
Examples:
  baton journal verify
  baton journal verify shop --json

The host on that folder must be stopped. Damage is exit code 1.")]
pub struct VerifyArgs {
    /// The folder of the host, as for `baton serve`.
    #[arg(value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// The folder for data, when it is not DIR/.baton.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// Runs a command.
pub fn run(command: JournalCommand, shared: &Shared) -> Result<(), Failure> {
    match command {
        JournalCommand::Show => trim::show(shared),
        JournalCommand::Trim(args) => trim::trim(&args, shared),
        JournalCommand::Verify(args) => check(args, shared),
    }
}

fn check(args: VerifyArgs, shared: &Shared) -> Result<(), Failure> {
    let config = Config::load_with(&args.dir, Sources::of_process());
    let mut config = config.map_err(|error| Failure::config(&error))?;
    config.data_dir = args.data.unwrap_or(config.data_dir);
    let folder = config.journal_dir();
    if !folder.is_dir() {
        let folder = folder.display();
        return Err(Failure::new(Exit::NotFound, format!("there is no journal in {folder}")));
    }
    let files = Files::open(&folder)
        .map_err(|error| Failure::failed(format!("cannot open {}: {error}", folder.display())))?;
    let report = verify(Arc::new(files), progress::bytes()).map_err(|error| refused(&error))?;
    shared.out().show(&to_json(&report), |_, style| render_report(&report, style))?;
    match report.is_whole() {
        true => Ok(()),
        false => Err(damaged()),
    }
}

fn refused(error: &crate::journal::Error) -> Failure {
    Failure { code: Some(error.code().to_owned()), ..Failure::failed(error.to_string()) }
}

fn damaged() -> Failure {
    let message =
        "the journal is damaged: put the segments named above back from a copy before you start the host";
    Failure { code: Some("journal-damaged".to_owned()), ..Failure::failed(message) }
}

fn to_json(report: &Report) -> Value {
    let segment = |one: &SegmentReport| {
        let damages: Vec<_> =
            one.damages.iter().map(|damage| json!({"offset": damage.offset, "why": damage.why})).collect();
        json!({
            "name": one.name, "base": one.base, "end": one.end, "frames": one.frames, "bytes": one.bytes,
            "sealed": one.sealed, "torn_bytes": one.torn_bytes, "damages": damages,
        })
    };
    let checkpoint =
        |one: &CheckpointReport| json!({"name": one.name, "position": one.position, "problem": one.problem});
    json!({
        "whole": report.is_whole(),
        "segments": report.segments.iter().map(segment).collect::<Vec<_>>(),
        "checkpoints": report.checkpoints.iter().map(checkpoint).collect::<Vec<_>>(),
    })
}

fn render_report(report: &Report, style: Style) -> String {
    let frames = counted(report.segments.iter().map(|one| one.frames).sum(), "frame");
    let segments = counted(report.segments.len() as u64, "segment");
    let (word, tone) = if report.is_whole() { ("whole", Tone::Good) } else { ("DAMAGED", Tone::Bad) };
    let mut text = format!("The journal is {}: {frames} in {segments}.\n\n", style.paint(tone, word));
    for segment in &report.segments {
        for damage in &segment.damages {
            let place = format!("{} at byte {}", segment.name, damage.offset);
            text.push_str(&format!("{}\n", style.paint(Tone::Bad, &place)));
            for line in wrap(&damage.why, 2) {
                text.push_str(&format!("  {line}\n"));
            }
        }
        if segment.torn_bytes > 0 {
            text.push_str(&format!(
                "{}: {} behind the last frame were never durable (a crash); the next start cuts them off\n",
                segment.name,
                counted(segment.torn_bytes, "byte")
            ));
        }
    }
    text.push_str(&render_checkpoints(report, style));
    text.push_str(&render_segments(&report.segments, style));
    text
}

fn render_checkpoints(report: &Report, style: Style) -> String {
    let mut text = String::new();
    for one in report.checkpoints.iter().filter(|one| one.problem.is_some()) {
        let why = one.problem.as_deref().unwrap_or_default();
        text.push_str(&format!("{}: {why}\n", style.paint(Tone::Note, &one.name)));
    }
    let usable = report.checkpoints.iter().filter(|one| one.problem.is_none());
    match (report.is_backed(), usable.map(|one| one.position).max()) {
        (true, None) => {}
        (true, Some(position)) => {
            text.push_str(&format!("The newest checkpoint is at position {position}.\n"))
        }
        (false, _) => {
            let what = "The journal was trimmed, and no checkpoint can be used: put one back from a copy";
            text.push_str(&format!("{}\n", style.paint(Tone::Bad, what)));
        }
    }
    text
}

fn render_segments(segments: &[SegmentReport], style: Style) -> String {
    let row = |one: &SegmentReport| {
        let (word, tone) = match (one.damages.is_empty(), one.sealed) {
            (false, _) => ("DAMAGED", Tone::Bad),
            (true, true) => ("sealed", Tone::Plain),
            (true, false) => ("open", Tone::Plain),
        };
        let (base, end) = (one.base.0, one.end.0);
        [text(&one.name), number(base), number(end), number(one.frames), number(one.bytes), toned(word, tone)]
    };
    let heads = ["SEGMENT", "FROM", "TO", "FRAMES", "BYTES", "STATE"];
    table(heads, segments.iter().map(row).collect(), style)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{Damage, Position};

    fn segment(damages: Vec<Damage>) -> SegmentReport {
        SegmentReport {
            name: "0.seg".into(),
            base: Position(0),
            end: Position(12),
            frames: 4,
            bytes: 4096,
            sealed: false,
            torn_bytes: 17,
            damages,
        }
    }

    #[test]
    fn a_whole_journal_is_said_to_be_whole() {
        let text = render_report(
            &Report { segments: vec![segment(Vec::new())], checkpoints: Vec::new() },
            Style::default(),
        );
        assert!(text.starts_with("The journal is whole: 4 frames in 1 segment.\n"), "{text}");
        assert!(text.contains("17 bytes behind the last frame were never durable"), "{text}");
        assert!(text.ends_with("0.seg       0  12       4   4096  open\n"), "{text}");
    }

    #[test]
    fn damage_is_named_by_segment_and_byte() {
        let damage = Damage { offset: 512, why: "the checksum differs".into() };
        let report = Report { segments: vec![segment(vec![damage])], checkpoints: Vec::new() };
        let text = render_report(&report, Style::default());
        assert!(
            text.contains("DAMAGED: 4 frames") && text.contains("0.seg at byte 512\n  the checksum"),
            "{text}"
        );
        assert_eq!(to_json(&report).get("whole"), Some(&Value::from(false)));
    }
}
