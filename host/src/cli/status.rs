//! `baton status`: one screen, what is wrong now first.

use super::Shared;
use super::failure::Failure;
use super::output::{Style, Tone, clean, counted, wrap};
use super::processor::{mend, render_held, render_list};
use super::trim::held_back;
use crate::model::ledger::LedgerAlarm;
use crate::model::operation::Operator;
use crate::model::report::{FileProblem, ProcessorReport, ProcessorStatus, StatusReport};

/// The most held events of one processor that the screen shows.
const HELD_SHOWN_MAX: usize = 3;

/// Shows the screen.
pub fn run(shared: &Shared) -> Result<(), Failure> {
    shared.out().show(&shared.client().get::<StatusReport>("/v1/status")?, render_status)
}

fn render_status(status: &StatusReport, style: Style) -> String {
    let troubles = troubles(status, style);
    let mut text = match troubles.len() as u64 {
        0 => all_is_well(status, style),
        count => {
            let verb = if count == 1 { "is" } else { "are" };
            let head = format!("{} {verb} wrong", counted(count, "thing"));
            format!("{}\n\n{}", style.paint(Tone::Bad, &head), troubles.join("\n"))
        }
    };
    for held in &status.held_back {
        text.push_str(&format!("{}\n", held_back(held)));
    }
    let paused = status.processors.iter().filter_map(|one| paused(one, style));
    paused.for_each(|paused| text.push_str(&format!("\n{paused}")));
    text.push_str(&format!("\n{}\n{}\n", render_list(&status.processors, style), about(status)));
    text
}

fn all_is_well(status: &StatusReport, style: Style) -> String {
    let of = |wanted| status.processors.iter().filter(move |one| one.status == wanted);
    let count = of(ProcessorStatus::Running).count() as u64;
    let all = of(ProcessorStatus::Running).chain(of(ProcessorStatus::Paused));
    let subscriptions = all.flat_map(|one| &one.subscriptions);
    let behind = match subscriptions.map(|one| one.lag).sum() {
        0 => "nothing is left to handle".to_owned(),
        lag => format!("{} left to handle", counted(lag, "event")),
    };
    let verb = if count == 1 { "runs" } else { "run" };
    let runs = format!("{} {verb}", counted(count, "processor"));
    let line = match of(ProcessorStatus::Paused).count() {
        0 => format!("All is well: {runs}, {behind}."),
        paused => format!("Nothing is wrong: {runs}, {paused} paused, {behind}."),
    };
    format!("{}\n", style.paint(Tone::Good, &line))
}

/// What is wrong, each with what helps.
fn troubles(status: &StatusReport, style: Style) -> Vec<String> {
    let mut troubles = Vec::new();
    if !status.ready {
        let reason = status.reason.as_deref().unwrap_or("it is starting or stopping");
        troubles.push(block("NOT READY", "the host takes no events", reason, style));
    }
    troubles.extend(status.processors.iter().filter_map(|one| processor_trouble(one, style)));
    troubles.extend(status.processors.iter().filter(|one| one.dead > 0).map(|one| dead_letters(one, style)));
    troubles.extend(status.faulted_runs.iter().map(|(workflow, count)| runs(workflow, *count, style)));
    troubles.extend(status.problems.iter().map(|one| file_trouble(one, style)));
    troubles.extend(status.alarms.iter().map(|one| alarm(one, style)));
    troubles
}

fn processor_trouble(report: &ProcessorReport, style: Style) -> Option<String> {
    let (word, what) = match report.status {
        ProcessorStatus::Paused if is_by_host(report) => ("PAUSED", "passes its limits and handles nothing"),
        ProcessorStatus::Running | ProcessorStatus::Undeployed | ProcessorStatus::Paused => return None,
        ProcessorStatus::Retrying => {
            ("RETRY", "some events failed and are tried again by themselves; other keys flow")
        }
        ProcessorStatus::Held => ("HELD", "some events failed and hold their keys; other keys flow"),
        ProcessorStatus::Blocked => ("BLOCKED", "reads nothing more"),
        ProcessorStatus::Failed => ("FAILED", "is deployed and could not be started"),
    };
    let head = format!("{} {}: {what}", report.name, clean(&report.version));
    let mut text = block(word, &head, report.reason.as_deref().unwrap_or_default(), style);
    let shown = report.held.get(..HELD_SHOWN_MAX).unwrap_or(&report.held);
    text.push_str(&render_held(shown, style));
    if shown.len() < report.held.len() {
        text.push_str(&format!("  all of them: baton processor show {}\n", report.name));
    }
    text.push_str(&match report.status {
        ProcessorStatus::Failed => {
            format!("  mend: deploy a version that runs; log: baton logs {}\n", report.name)
        }
        ProcessorStatus::Retrying => format!("  at once: baton processor resume {}\n", report.name),
        _ => format!("  {}\n  flows that stand still: baton flow ls --state stuck\n", mend(&report.name)),
    });
    Some(text)
}

fn alarm(alarm: &LedgerAlarm, style: Style) -> String {
    let LedgerAlarm { processor, channel, difference } = alarm;
    let head = format!("the book of {processor} on {channel} misses {difference}");
    let detail = "This is a fault of Baton: keep the data folder, and tell its makers. `baton channel show --ledger` has the rest.";
    block("LEDGER", &head, detail, style)
}

fn runs(workflow: &str, count: u64, style: Style) -> String {
    let verb = if count == 1 { "waits" } else { "wait" };
    let head = format!("{workflow}: {} {verb} for you where a step failed", counted(count, "run"));
    let which = format!("  which, and what helps: baton run ls --workflow {workflow} --status faulted\n");
    block("FAULTED", &head, "", style) + &which
}

fn dead_letters(report: &ProcessorReport, style: Style) -> String {
    let head = format!("{} {}: {}", report.name, clean(&report.version), counted(report.dead, "dead letter"));
    let by_cause = format!("  by cause: baton dead ls {}\n", report.name);
    block("DEAD", &head, "", style) + &by_cause
}

/// Nobody meant this pause.
fn is_by_host(report: &ProcessorReport) -> bool {
    report.paused.as_ref().is_some_and(|paused| paused.by == Operator::Host)
}

/// A pause is meant, and easily forgotten.
fn paused(report: &ProcessorReport, style: Style) -> Option<String> {
    if is_by_host(report) {
        return None;
    }
    let since = &report.paused.as_ref().filter(|_| report.status == ProcessorStatus::Paused)?.since;
    let head = format!("{} {}: handles nothing since {since}", report.name, clean(&report.version));
    let mut text = format!("{} {head}\n", style.paint(Tone::Note, "PAUSED"));
    for line in wrap(report.reason.as_deref().unwrap_or_default(), 2) {
        text.push_str(&format!("  {line}\n"));
    }
    Some(format!("{text}  go on: baton processor resume {}\n", report.name))
}

/// A file that does not run.
pub fn file_trouble(problem: &FileProblem, style: Style) -> String {
    let (word, what) = match problem.code.starts_with("config-") {
        true => ("CONFIG", "is not in force as it stands"),
        false => ("FILE", "does not run"),
    };
    let head = format!("{} ({}) {what}, since {}", clean(&problem.file), problem.code, problem.since);
    block(word, &head, &problem.message, style)
}

fn block(word: &str, head: &str, detail: &str, style: Style) -> String {
    let mut text = format!("{} {head}\n", style.paint(Tone::Bad, word));
    for line in wrap(detail, 2) {
        text.push_str(&format!("  {line}\n"));
    }
    text
}

fn about(status: &StatusReport) -> String {
    let undurable = status.next_position.saturating_sub(status.durable_position);
    let disk = match undurable {
        0 => "all durable".to_owned(),
        count => format!("{count} not yet durable"),
    };
    format!(
        "baton {}, domain {}, up since {}\n{}, journal at {} ({}, {disk})",
        status.version,
        status.domain,
        status.started,
        counted(status.channels, "channel"),
        status.next_position,
        status.durability
    )
}

#[cfg(test)]
mod tests {
    use super::super::processor::tests::report;
    use super::*;
    use crate::model::report::PauseReport;

    fn status(processors: Vec<ProcessorReport>) -> StatusReport {
        StatusReport {
            version: "0.1.0".into(),
            domain: "default".into(),
            ready: true,
            reason: None,
            started: "2026-01-31T12:00:00Z".into(),
            durability: "fsync".into(),
            next_position: 120,
            durable_position: 118,
            channels: 12,
            processors,
            problems: Vec::new(),
            alarms: Vec::new(),
            held_back: Vec::new(),
            faulted_runs: Default::default(),
        }
    }

    #[test]
    fn when_nothing_is_wrong_one_line_says_so() {
        let status = status(vec![
            report("payment", ProcessorStatus::Running),
            report("old", ProcessorStatus::Undeployed),
        ]);
        let text = render_status(&status, Style::default());
        assert!(text.starts_with("All is well: 1 processor runs, nothing is left to handle.\n"), "{text}");
        assert!(text.contains("12 channels, journal at 120 (fsync, 2 not yet durable)"), "{text}");
    }

    #[test]
    fn runs_that_wait_for_an_operator_are_wrong() {
        let mut status = status(Vec::new());
        status.faulted_runs.insert("place-order".to_owned(), 2);
        let text = render_status(&status, Style::default());
        assert!(
            text.starts_with(
                "1 thing is wrong\n\nFAULTED place-order: 2 runs wait for you where a step failed\n"
            ),
            "{text}"
        );
        assert!(text.contains("baton run ls --workflow place-order --status faulted"), "{text}");
    }

    #[test]
    fn a_paused_processor_is_not_passed_over() {
        let status = status(vec![report("payment", ProcessorStatus::Paused)]);
        let text = render_status(&status, Style::default());
        assert!(text.starts_with("Nothing is wrong: 0 processors run, 1 paused, nothing is left"), "{text}");
    }

    #[test]
    fn a_processor_that_the_host_paused_is_wrong() {
        let mut paused = report("payment", ProcessorStatus::Paused);
        let (reason, since) = ("16 events in a row".to_owned(), "2026-01-31T12:00:00Z".to_owned());
        paused.paused = Some(PauseReport { reason, by: Operator::Host, since });
        let text = render_status(&status(vec![paused]), Style::default());
        assert!(text.starts_with("1 thing is wrong\n\nPAUSED payment"), "{text}");
    }

    #[test]
    fn what_is_wrong_comes_first_with_what_helps() {
        let mut status = status(vec![
            report("inventory", ProcessorStatus::Running),
            report("payment", ProcessorStatus::Held),
        ]);
        status.problems.push(FileProblem {
            file: "broken.wasm".into(),
            code: "not-wasm".into(),
            message: "it is text".into(),
            since: "2026-01-31T12:00:00Z".into(),
        });
        let text = render_status(&status, Style::default());
        assert!(text.starts_with("2 things are wrong\n\nHELD payment 0.1.0: "), "{text}");
        for part in [
            "baton processor resume payment",
            "baton flow ls --state stuck",
            "FILE broken.wasm (not-wasm) does not run",
            "  it is text\n",
            "trap: panicked",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
    }

    #[test]
    fn a_host_that_takes_no_events_is_wrong() {
        let mut status = status(Vec::new());
        (status.ready, status.reason) = (false, Some("the disk is full".into()));
        let text = render_status(&status, Style::default());
        assert!(
            text.starts_with("1 thing is wrong\n\nNOT READY the host takes no events\n  the disk is full\n")
        );
    }

    #[test]
    fn many_held_events_are_cut_with_the_way_to_see_them() {
        let mut processor = report("payment", ProcessorStatus::Held);
        processor.held = vec![processor.held.remove(0); HELD_SHOWN_MAX + 1];
        let text = render_status(&status(vec![processor]), Style::default());
        assert_eq!(text.matches("look: baton flow show").count(), HELD_SHOWN_MAX);
        assert!(text.contains("all of them: baton processor show payment"), "{text}");
    }
}
