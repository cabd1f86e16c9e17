//! `baton test`: plays scenarios on real components in memory, and shows what is not as expected.

use std::path::PathBuf;

use clap::Args;

use super::Shared;
use super::failure::{Exit, Failure};
use super::output::{Style, Tone, clean, counted};
use crate::testkit::scenario::{Difference, Places, ScenarioReport, play};

/// `baton test`
#[derive(Args)]
#[command(after_long_help = "\
Examples:
  baton test scenarios/*.yaml
  baton test scenarios/*.yaml --wasm target/wasm32-wasip2/release

A scenario names its processors (files, folders, or names that are looked up in the folders of --wasm), gives events, and says
what is expected: events, state, faults, a reply. The journal is in memory, time stands still unless a step lets it pass, and no
host is asked. Exit code 1 if anything is not as expected. sdk/README.md describes the format.")]
pub struct TestArgs {
    /// The scenario files.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// A folder with components; may be given more than once.
    #[arg(long, value_name = "DIR")]
    wasm: Vec<PathBuf>,
}

/// Plays all of them, in order.
pub fn run(args: TestArgs, shared: &Shared) -> Result<(), Failure> {
    let places = Places { folders: args.wasm };
    let out = shared.out();
    let mut failed = 0;
    for file in &args.files {
        let report = play(file, &places);
        failed += usize::from(!report.passed);
        out.item(&report, render)?;
    }
    let all = counted(args.files.len() as u64, "scenario");
    match failed {
        0 => Ok(()),
        _ => Err(Failure::new(Exit::Failed, format!("{failed} of {all} not as expected"))),
    }
}

fn render(report: &ScenarioReport, style: Style) -> String {
    let (word, tone) = if report.passed { ("ok", Tone::Good) } else { ("FAILED", Tone::Bad) };
    let events = counted(report.events as u64, "event");
    let steps = counted(report.steps as u64, "step");
    let name = style.paint(Tone::Name, &clean(&report.name));
    let mut text = format!("{}  {name}", style.paint(tone, &format!("{word:<6}")));
    if report.passed {
        return text + &format!("  ({steps}, {events})");
    }
    if let Some(error) = &report.error {
        clean(error).lines().for_each(|line| text.push_str(&format!("\n        {line}")));
    }
    if let Some(step) = report.failed_step {
        let title = report.step_name.as_ref().map_or_else(String::new, |name| format!(": {}", clean(name)));
        text.push_str(&format!("\n        {}, step {step}{title}", report.file));
    }
    report.differences.iter().for_each(|difference| text.push_str(&render_difference(difference, style)));
    text
}

fn render_difference(difference: &Difference, style: Style) -> String {
    let line = difference.line.map_or_else(String::new, |line| format!("line {line}: "));
    let mut text = format!("\n        - {line}{}", style.paint(Tone::Bad, &clean(&difference.what)));
    for detail in &difference.details {
        clean(detail).lines().for_each(|line| text.push_str(&format!("\n            {line}")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(passed: bool) -> ScenarioReport {
        ScenarioReport {
            file: "s.yaml".to_owned(),
            name: "a denied card".to_owned(),
            passed,
            steps: 1,
            events: 5,
            failed_step: (!passed).then_some(2),
            step_name: (!passed).then(|| "the card".to_owned()),
            differences: Vec::new(),
            error: None,
        }
    }

    #[test]
    fn a_scenario_that_passed_is_one_line() {
        assert_eq!(render(&report(true), Style::default()), "ok      a denied card  (1 step, 5 events)");
    }

    #[test]
    fn a_scenario_that_failed_says_where_and_what() {
        let details = vec!["data/reason: expected \"declined\", found \"expired\"".to_owned()];
        let what = "an event on 'payment-denied' is another, published by payment".to_owned();
        let differences = vec![Difference { line: Some(14), what, details }];
        let text = render(&ScenarioReport { differences, ..report(false) }, Style::default());
        let expected = "FAILED  a denied card\n        s.yaml, step 2: the card\n        \
                        - line 14: an event on 'payment-denied' is another, published by payment\n            \
                        data/reason: expected \"declined\", found \"expired\"";
        assert_eq!(text, expected);
    }
}
