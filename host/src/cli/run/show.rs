//! `baton run show`: what a run is at and since when, what went wrong and what to do, and what happened.

use clap::Args;
use serde_json::Value;

use super::{cut, name_of, needs_somebody, path, quoted, waits_for, watch, why};
use crate::cli::Shared;
use crate::cli::failure::Failure;
use crate::cli::output::{Style, Tone, clean, counted, wrap};
use crate::cli::table::{Cell, table, text, toned};
use crate::model::time::{between, whole};
use crate::model::workflow::report::{RunDetail, RunNote, RunReport, WaitsFor};
use crate::model::workflow::run::Status;

/// How wide a line with JSON is.
const WIDTH: usize = 100;
/// How much of a detail stands in a cell.
const DETAIL_CHARS_MAX: usize = 54;
/// The most lines of the history; JSON has all.
const LINES_MAX: usize = 200;

/// `baton run show`
#[derive(Args)]
#[command(after_long_help = "\
Examples:
  baton run show place-order-17
  baton run show place-order-17 --watch     until it is over or faulted; exit code 1 unless it is completed
  baton run show place-order-17 --json      nothing is cut")]
pub struct ShowArgs {
    /// The run.
    id: String,
    /// Show what happens as it happens, until the run is over or waits for you.
    #[arg(short, long)]
    watch: bool,
}

/// Shows a run.
pub fn run(args: &ShowArgs, shared: &Shared) -> Result<(), Failure> {
    match args.watch {
        true => watch::run(&args.id, shared),
        false => {
            let detail = shared.client().get::<RunDetail>(path(&args.id, ""))?;
            shared.out().show(&detail, render)
        }
    }
}

fn render(detail: &RunDetail, style: Style) -> String {
    let mut out = head(detail, style);
    let values = [
        ("input", Some(&detail.input)),
        ("context", detail.context.as_ref()),
        ("output", detail.output.as_ref()),
    ];
    out.push('\n');
    for (name, value) in values {
        if let Some(value) = value {
            out.push_str(&format!("{name:<8}{}\n", json(value)));
        }
    }
    out + "\n" + &history(detail, style)
}

fn json(value: &Value) -> String {
    cut(&value.to_string(), WIDTH - 8)
}

/// All but its values and what happened.
pub(super) fn head(detail: &RunDetail, style: Style) -> String {
    let run = &detail.run;
    let (word, tone) = said(run);
    let mut out = format!("run {}  {}\n", style.paint(Tone::Name, &run.id), style.paint(tone, word));
    out.push_str(&format!(
        "{} {}, started {}, the latest +{}\n",
        run.workflow,
        clean(&run.version),
        run.started,
        since(run, &run.latest)
    ));
    out.push_str(&format!("flow {}\n", clean(&run.flow)));
    out.push_str(&at(run, style));
    out.push_str(&wrong(run, style));
    out + &next(run)
}

fn said(run: &RunReport) -> (&'static str, Tone) {
    match (run.status, run.over) {
        (Status::Faulted, false) => ("FAULTED: a task failed, and the run waits for you", Tone::Bad),
        (Status::Faulted, true) => ("faulted: it failed, and is over", Tone::Bad),
        (Status::Completed, _) => ("completed", Tone::Good),
        (Status::Cancelled, _) => ("cancelled", Tone::Note),
        (_, false) if run.undoing => ("undoing: what is done is being undone", Tone::Note),
        (Status::Pending, _) => ("pending: its mediator has not begun it", Tone::Note),
        (Status::Waiting, _) => ("waiting", Tone::Note),
        (Status::Running, _) => ("running", Tone::Note),
    }
}

fn since(run: &RunReport, time: &str) -> String {
    whole(between(&run.started, time).unwrap_or_default())
}

/// What it is at.
fn at(run: &RunReport, style: Style) -> String {
    let mut out = String::new();
    for point in &run.at {
        let tone = if point.waits_for == WaitsFor::Operator { Tone::Bad } else { Tone::Plain };
        let line = format!("waits for {}", waits_for(point));
        let place = style.paint(Tone::Quiet, &clean(&point.task));
        out.push_str(&format!("\n{}, since {}\n  {place}\n", style.paint(tone, &line), clean(&point.since)));
        if point.waits_for == WaitsFor::Operator {
            wrap(&point.detail, 2).iter().for_each(|line| out.push_str(&format!("  {line}\n")));
        }
    }
    out
}

/// What went wrong, where no task tells it.
fn wrong(run: &RunReport, style: Style) -> String {
    let told = run.at.iter().any(|point| point.waits_for == WaitsFor::Operator);
    match run.error.as_ref().filter(|_| !told) {
        Some(error) => {
            let lines = wrap(&why(error), 2).into_iter();
            let lines = lines.map(|line| format!("  {}\n", style.paint(Tone::Bad, &line)));
            format!("\nwhy:\n{}", lines.collect::<String>())
        }
        None => String::new(),
    }
}

/// What an operator can do, in commands to copy.
fn next(run: &RunReport) -> String {
    let id = &run.id;
    let mut ways = Vec::new();
    if needs_somebody(run) {
        let failed = run.at.iter().find(|point| point.waits_for == WaitsFor::Operator);
        let step = failed.map_or_else(|| "STEP".to_owned(), |point| quoted(&name_of(&point.task)));
        ways.push(("mend what is wrong, then go on there", format!("baton run resume {id}")));
        let from = format!("baton run resume {id} --from {step} --input JSON");
        ways.push(("go on there with another input", from));
        ways.push(("count it as done", format!("baton run skip {id} {step} --output JSON")));
    }
    for point in run.at.iter().filter(|point| point.waits_for == WaitsFor::Event) {
        for ty in point.detail.split(", ") {
            let signal = format!("baton run signal {id} {} --data JSON", quoted(ty));
            ways.push(("give it the event by hand", signal));
        }
    }
    if !run.over && !run.undoing {
        ways.push(("end it, and undo what is done", format!("baton run cancel {id}")));
    }
    if ways.is_empty() {
        return String::new();
    }
    let lines = ways.iter().map(|(what, how)| format!("  {what:<37} {how}\n"));
    format!("\nnext:\n{}", lines.collect::<String>())
}

fn history(detail: &RunDetail, style: Style) -> String {
    let RunDetail { run, history, history_lacks, .. } = detail;
    let left_out = history.len().saturating_sub(LINES_MAX);
    let row = |note: &RunNote| {
        let task = if note.task.is_empty() { String::new() } else { name_of(&note.task) };
        [Cell::right(since(run, &note.time)), toned(task, Tone::Name), what(note), detail_of(note)]
    };
    let mut out = String::new();
    if let Some(why) = history_lacks {
        out.push_str(&format!("What happened is not known in full: {}.\n", clean(why)));
    }
    if left_out > 0 {
        let lines = counted(left_out as u64, "line");
        out.push_str(&format!("{lines} before these are left out; --json has them.\n"));
    }
    if history.is_empty() {
        return out;
    }
    let rows = history.iter().skip(left_out).map(row).collect();
    out + &table(["AFTER", "TASK", "WHAT", "DETAIL"], rows, style)
}

fn what(note: &RunNote) -> Cell {
    let tone = match note.what.as_str() {
        "failed" | "not carried out" => Tone::Bad,
        "done" => Tone::Good,
        "began" | "acknowledged" | "left out" => Tone::Quiet,
        _ => Tone::Plain,
    };
    toned(note.what.as_str(), tone)
}

fn detail_of(note: &RunNote) -> Cell {
    text(cut(note.detail.as_deref().unwrap_or_default(), DETAIL_CHARS_MAX))
}

/// A line of the history by itself.
pub(super) fn line(run: &RunReport, note: &RunNote, style: Style) -> String {
    let task = if note.task.is_empty() { "the workflow".to_owned() } else { name_of(&note.task) };
    let detail = note.detail.as_deref().map(|detail| format!(": {}", cut(detail, DETAIL_CHARS_MAX)));
    let time = style.paint(Tone::Quiet, &format!("{:>9}", format!("+{}", since(run, &note.time))));
    format!("{time}  {} {}{}", style.paint(Tone::Name, &task), clean(&note.what), detail.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{detail, faulted, over, waiting};
    use super::*;

    #[test]
    fn a_faulted_run_says_what_failed_and_how_to_go_on() {
        let text = render(&detail(faulted()), Style::default());
        let expected = "\
run place-order-17  FAULTED: a task failed, and the run waits for you
place-order 1.0.0, started 2026-01-31T12:00:00.000Z, the latest +3.0 s
flow f-1

waits for inventory, attempt 1, at reserve, since 2026-01-31T12:00:01.000Z
  /do/1/work/fork/branches/1/reserve

waits for you, at charge, since 2026-01-31T12:00:01.000Z
  /do/1/work/fork/branches/0/charge
  the card has expired

next:
  mend what is wrong, then go on there  baton run resume place-order-17
  go on there with another input        baton run resume place-order-17 --from charge --input JSON
  count it as done                      baton run skip place-order-17 charge --output JSON
  end it, and undo what is done         baton run cancel place-order-17

";
        assert!(text.starts_with(expected), "{text}");
        let values = text.lines().find(|line| line.starts_with("input")).unwrap_or_default();
        assert!(values.len() == WIDTH && values.ends_with("xxx..."), "{values}");
        let history = "\
 AFTER  TASK    WHAT                      DETAIL
  0 ms  create  calls order-placement     attempt 1
 3.0 s  charge  failed                    the card has expired
 3.0 s          cancelled by an operator
";
        assert!(text.ends_with(&history.replace("\n ", "\n").replace(" AFTER", "AFTER")), "{text}");
    }

    #[test]
    fn a_run_that_waits_for_an_event_says_how_to_give_it() {
        let text = render(&detail(waiting()), Style::default());
        for part in [
            "waits for order-approved, at ask, until 2026-01-31T12:00:59.000Z, since",
            "give it the event by hand             baton run signal place-order-17 order-approved --data JSON",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
        assert!(!text.contains("resume"), "{text}");
    }

    #[test]
    fn a_run_that_failed_and_is_over_says_why_and_offers_nothing() {
        let text = render(&detail(over("faulted")), Style::default());
        assert!(text.contains("why:\n  communication (500) at charge: the card has expired\n"), "{text}");
        assert!(!text.contains("next:"), "{text}");
    }

    #[test]
    fn a_long_history_is_cut_at_its_beginning_and_says_so() {
        let mut long = detail(over("completed"));
        long.history = vec![long.history.remove(0); LINES_MAX + 1];
        long.history_lacks = Some("some of its events are not kept any more".into());
        let text = render(&long, Style::default());
        assert!(text.contains("1 line before these are left out; --json has them."), "{text}");
        assert!(text.contains("not known in full: some of its events"), "{text}");
        assert_eq!(text.matches("calls order-placement").count(), LINES_MAX);
    }

    #[test]
    fn a_line_by_itself_has_its_time_and_task() {
        let detail = detail(faulted());
        let lines = detail.history.iter().map(|note| line(&detail.run, note, Style::default()));
        let expected = [
            "    +0 ms  create calls order-placement: attempt 1",
            "   +3.0 s  charge failed: the card has expired",
            "   +3.0 s  the workflow cancelled by an operator",
        ];
        assert_eq!(lines.collect::<Vec<_>>(), expected);
    }
}
