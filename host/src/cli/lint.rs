//! `baton lint`: what looks wrong in a topology, of a running host or of files.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::Shared;
use super::components::Components;
use super::failure::Failure;
use super::output::{Style, Tone, counted, wrap};
use crate::model::lint::{Finding, LintReport, Severity, lint};
use crate::model::topology::Topology;

/// `baton lint`
#[derive(Args)]
#[command(after_long_help = "\
Examples:
  baton lint                      the host that runs
  baton lint shop                 the components of a folder, without a host
  baton lint --deny warnings      fail on warnings too, as in a build

Findings: lint-schema-reader, lint-not-a-processor, lint-name-twice (errors);
lint-schema-senders, lint-own-channel, lint-unfed-channel (warnings; the last is a
note for files); lint-ring, lint-unread-channel, lint-silent-processor (notes).")]
pub struct LintArgs {
    /// A folder with components, or with a folder `processors` of them; the running host unless given.
    dir: Option<PathBuf>,
    /// What besides errors makes the command fail.
    #[arg(long, value_name = "WHAT")]
    deny: Option<Deny>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Deny {
    /// Warnings.
    Warnings,
}

/// Shows the findings; exit code 1 if there are such as must not be.
pub fn run(args: LintArgs, shared: &Shared) -> Result<(), Failure> {
    let report = match &args.dir {
        Some(dir) => {
            let Components { descriptors, mut findings } = Components::read(dir)?;
            findings.extend(lint(&Topology::new(&descriptors, [])));
            LintReport::of(findings)
        }
        None => LintReport::of(lint(&shared.client().get::<Topology>("/v1/topology")?)),
    };
    shared.out().show(&report, render_report)?;
    let denied = args.deny.map_or(0, |_| report.warnings);
    match (report.errors, denied) {
        (0, 0) => Ok(()),
        (0, warnings) => Err(Failure::failed(format!("{}, which are denied", counted(warnings, "warning")))),
        (errors, _) => Err(Failure::failed(counted(errors, "error"))),
    }
}

fn render_report(report: &LintReport, style: Style) -> String {
    if report.findings.is_empty() {
        return style.paint(Tone::Good, "Nothing was found.");
    }
    let mut text: String = report.findings.iter().map(|finding| render_finding(finding, style)).collect();
    let counts = [(report.errors, "error"), (report.warnings, "warning"), (report.notes, "note")];
    let counts: Vec<_> = counts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| counted(*n, what)).collect();
    text.push_str(&counts.join(", "));
    text
}

fn render_finding(finding: &Finding, style: Style) -> String {
    let tone = match finding.severity {
        Severity::Error => Tone::Bad,
        Severity::Warning => Tone::Note,
        Severity::Note => Tone::Quiet,
    };
    let head = style.paint(tone, &format!("{}[{}]", finding.severity.as_str(), finding.code));
    let lines = wrap(&finding.message, 2).into_iter().map(|line| format!("  {line}\n"));
    format!("{head}\n{}", lines.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_told_with_their_codes_and_counted() {
        let finding = Finding::new((Severity::Warning, "lint-x"), "it is so".to_owned(), ["p"], ["c"]);
        let text = render_report(&LintReport::of(vec![finding]), Style::default());
        assert_eq!(text, "warning[lint-x]\n  it is so\n1 warning");
        assert_eq!(render_report(&LintReport::default(), Style::default()), "Nothing was found.");
    }
}
