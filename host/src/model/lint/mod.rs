//! What looks wrong in a topology before any event shows it. Each finding has a stable code, says where it is, and what to
//! do. It judges what descriptors say and nothing else: a finding is true of them, and no finding is no proof.

mod rings;
mod schemas;

use serde::{Deserialize, Serialize};

use super::name::RESERVED;
use super::topology::{Topology, TopologyChannel, TopologyProcessor};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// It cannot work as described.
    Error,
    /// It is probably not meant.
    Warning,
    /// Good to know; it may be meant.
    Note,
}

impl Severity {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The stable code.
    pub code: String,
    /// What is found, and what to do.
    pub message: String,
    /// The processors that it is about.
    pub processors: Vec<String>,
    /// The channels that it is about.
    pub channels: Vec<String>,
}

impl Finding {
    /// A finding about some processors and channels.
    pub fn new<P: ToString, C: ToString>(
        (severity, code): (Severity, &str),
        message: String,
        processors: impl IntoIterator<Item = P>,
        channels: impl IntoIterator<Item = C>,
    ) -> Self {
        Self {
            severity,
            code: code.to_owned(),
            message,
            processors: processors.into_iter().map(|name| name.to_string()).collect(),
            channels: channels.into_iter().map(|name| name.to_string()).collect(),
        }
    }
}

/// All that was found, the worst first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LintReport {
    /// The findings.
    pub findings: Vec<Finding>,
    /// How many of them are errors.
    pub errors: u64,
    /// How many are warnings.
    pub warnings: u64,
    /// How many are notes.
    pub notes: u64,
}

impl LintReport {
    /// Sorts and counts.
    pub fn of(mut findings: Vec<Finding>) -> Self {
        findings.sort_by(|a, b| (a.severity, &a.code, &a.channels).cmp(&(b.severity, &b.code, &b.channels)));
        let count = |severity| findings.iter().filter(|finding| finding.severity == severity).count() as u64;
        let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
        Self { errors, warnings, notes: count(Severity::Note), findings }
    }
}

/// Looks through a topology.
pub fn lint(topology: &Topology) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    findings.extend(topology.channels.iter().filter_map(unread));
    findings.extend(topology.channels.iter().filter_map(unfed));
    findings.extend(topology.processors.iter().filter_map(silent));
    findings.extend(rings::rings(topology));
    findings.extend(schemas::clashes(topology));
    findings
}

/// That nobody hears a fact yet is how the style grows: good to know, no fault.
fn unread(channel: &TopologyChannel) -> Option<Finding> {
    if channel.senders.is_empty() || !channel.readers.is_empty() {
        return None;
    }
    let (name, senders) = (&channel.name, channel.senders.join(", "));
    let message = format!("nobody reads '{name}', which {senders} sends on");
    Some(Finding::new((Severity::Note, "lint-unread-channel"), message, &channel.senders, [name]))
}

/// Channels that are fed from outside have no sender either: what is known of a host tells these from misspelt names.
fn unfed(channel: &TopologyChannel) -> Option<Finding> {
    let by_host = channel.name.starts_with(RESERVED);
    if by_host
        || channel.readers.is_empty()
        || !channel.senders.is_empty()
        || channel.events.is_some_and(|events| events > 0)
    {
        return None;
    }
    let (name, readers) = (&channel.name, channel.readers.join(", "));
    let (severity, rest) = match channel.events {
        Some(_) => {
            (Severity::Warning, "and nothing was ever published on it: check the spelling, or publish")
        }
        None => (Severity::Note, "so its events have to come from outside"),
    };
    let message = format!("{readers} reads '{name}', which no processor sends on, {rest}");
    Some(Finding::new((severity, "lint-unfed-channel"), message, &channel.readers, [name]))
}

fn silent(processor: &TopologyProcessor) -> Option<Finding> {
    if !processor.sends.is_empty() {
        return None;
    }
    let name = &processor.name;
    let message =
        format!("{name} tells nobody what it did: no processor can go on from it, and no flow shows more");
    Some(Finding::new((Severity::Note, "lint-silent-processor"), message, [name], &processor.reads))
}

#[cfg(test)]
mod tests {
    use super::super::topology::fixture::topology;
    use super::*;

    fn codes(findings: &[Finding]) -> Vec<(Severity, &str, &str)> {
        let shown = findings.iter().map(|finding| {
            let channel = finding.channels.first().map_or("", String::as_str);
            (finding.severity, finding.code.as_str(), channel)
        });
        shown.collect()
    }

    #[test]
    fn ends_that_hang_loose_are_found() {
        let found = topology(
            &[("a", &["in", "typo"], &["out", "heard"]), ("b", &["heard"], &[])],
            &[("in", 1), ("typo", 0)],
        );
        let report = LintReport::of(lint(&found));
        let expected = [
            (Severity::Warning, "lint-unfed-channel", "typo"),
            (Severity::Note, "lint-silent-processor", "heard"),
            (Severity::Note, "lint-unread-channel", "out"),
        ];
        assert_eq!(codes(&report.findings), expected);
        assert_eq!((report.errors, report.warnings, report.notes), (0, 1, 2));
    }

    #[test]
    fn files_alone_cannot_say_that_nothing_is_published() {
        let found = lint(&topology(
            &[("a", &["in"], &["out"]), ("b", &["out"], &["in2"]), ("c", &["in2", "baton.flows"], &["z"])],
            &[],
        ));
        assert_eq!(codes(&found)[0], (Severity::Note, "lint-unread-channel", "z"));
        assert_eq!(codes(&found)[1], (Severity::Note, "lint-unfed-channel", "in"));
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn nothing_is_found_in_nothing() {
        assert_eq!(LintReport::of(lint(&Topology::default())), LintReport::default());
    }
}
