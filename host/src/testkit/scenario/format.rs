//! A scenario file: its keys, and the only place that names the YAML library. Errors say the line, the column and the keys that there are.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;
use serde_saphyr::Spanned;

/// The largest scenario file.
pub const FILE_BYTES_MAX: u64 = 1 << 20;

/// A scenario.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// What it shows, in a few words.
    pub name: String,
    /// Component files, folders of them, or names that are looked up; absent, all that the caller has.
    #[serde(default)]
    pub processors: Vec<String>,
    /// Settings by processor.
    #[serde(default)]
    pub config: BTreeMap<String, BTreeMap<String, String>>,
    /// When the clock begins, RFC 3339.
    #[serde(default)]
    pub clock: Option<String>,
    /// What happens, one after another.
    pub steps: Vec<Step>,
}

/// One step: time passes, events are given, everything runs until it is quiet, and what came of it is compared.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// What it is, for people.
    #[serde(default)]
    pub name: Option<String>,
    /// How long time passes before, such as `5s` or `PT5S`.
    #[serde(default)]
    pub advance: Option<Placed<String>>,
    /// What is published, in this order.
    #[serde(default)]
    pub given: Vec<Placed<GivenEvent>>,
    /// What is to come of it; absent, only that nothing fails.
    #[serde(default)]
    pub expect: Option<Placed<Expect>>,
}

/// An event to publish.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GivenEvent {
    /// Where to.
    pub channel: String,
    /// Its id.
    #[serde(default)]
    pub id: Option<String>,
    /// Its source.
    #[serde(default)]
    pub source: Option<String>,
    /// Its type.
    #[serde(default, rename = "type")]
    pub ty: Option<String>,
    /// What it is about.
    #[serde(default)]
    pub subject: Option<String>,
    /// Other attributes.
    #[serde(default)]
    pub extensions: BTreeMap<String, String>,
    /// Its data, as JSON.
    #[serde(default)]
    pub data: Option<Value>,
    /// Its data, as text that is no JSON.
    #[serde(default)]
    pub text: Option<String>,
}

/// What is to come of a step.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Expect {
    /// The events that processors publish.
    pub emits: Vec<Placed<ExpectedEmit>>,
    /// Whether those of a channel come as they stand here, or in any order.
    pub order: Order,
    /// Whether there may be other events and faults.
    pub allow_other: bool,
    /// Values of keyed state.
    pub state: Vec<Placed<ExpectedState>>,
    /// Events that fail.
    pub faults: Vec<Placed<ExpectedFault>>,
    /// The reply to the step's last event, in part.
    pub reply: Option<Placed<Value>>,
}

/// In which order events are expected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// Those of one channel as they are written.
    #[default]
    Channel,
    /// Any.
    Any,
}

/// An event that is expected. What is not said may be anything.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedEmit {
    /// Its channel.
    pub channel: String,
    /// Its processor.
    #[serde(default)]
    pub by: Option<String>,
    /// Its type.
    #[serde(default, rename = "type")]
    pub ty: Option<String>,
    /// Its subject.
    #[serde(default)]
    pub subject: Option<String>,
    /// Other attributes.
    #[serde(default)]
    pub extensions: BTreeMap<String, String>,
    /// Its data, in part.
    #[serde(default)]
    pub data: Option<Value>,
    /// How many such events.
    #[serde(default = "one")]
    pub count: usize,
}

/// A value of state that is expected.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedState {
    /// The processor.
    pub processor: String,
    /// The key.
    pub key: String,
    /// The name within the key.
    pub name: String,
    /// The value, in part.
    #[serde(default)]
    pub value: Value,
    /// That there is no such value.
    #[serde(default)]
    pub absent: bool,
}

/// A fault that is expected. What is not said may be anything.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedFault {
    /// The processor.
    pub processor: String,
    /// The event's channel.
    #[serde(default)]
    pub channel: Option<String>,
    /// The key that is held.
    #[serde(default)]
    pub key: Option<String>,
    /// `reject`, `retry`, `trap`, `deadline`, ...
    #[serde(default)]
    pub kind: Option<String>,
    /// A part of its message.
    #[serde(default)]
    pub message: Option<String>,
}

fn one() -> usize {
    1
}

/// Something and the line on which it begins.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "Spanned<T>", bound(deserialize = "T: Deserialize<'de>"))]
pub struct Placed<T> {
    /// What it is.
    pub what: T,
    /// Counted from 1.
    pub line: u64,
}

impl<T> From<Spanned<T>> for Placed<T> {
    fn from(spanned: Spanned<T>) -> Self {
        Self { line: spanned.referenced.line(), what: spanned.value }
    }
}

/// Why a file is no scenario.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{}: {why}", file.display(), place(*at))]
pub struct FormatError {
    /// The file.
    pub file: PathBuf,
    /// Line and column, counted from 1, where they are known.
    pub at: Option<(u64, u64)>,
    /// What is wrong and what was expected.
    pub why: String,
}

fn place(at: Option<(u64, u64)>) -> String {
    at.map_or_else(String::new, |(line, column)| format!(":{line}:{column}"))
}

/// Reads a scenario file.
pub fn read(file: &Path) -> Result<Scenario, FormatError> {
    let wrong = |why: String| FormatError { file: file.to_owned(), at: None, why };
    let bytes = file.metadata().map_err(|error| wrong(error.to_string()))?.len();
    if bytes > FILE_BYTES_MAX {
        return Err(wrong(format!("it has {bytes} bytes; at most {FILE_BYTES_MAX}")));
    }
    let text = std::fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?;
    parse(file, &text)
}

fn parse(file: &Path, text: &str) -> Result<Scenario, FormatError> {
    let parsed: Result<Scenario, _> = serde_saphyr::from_str(text);
    let scenario = parsed.map_err(|error| {
        let at = error.location().map(|location| (location.line(), location.column()));
        FormatError { file: file.to_owned(), at, why: words(&error) }
    })?;
    match scenario.steps.is_empty() {
        true => Err(FormatError { file: file.to_owned(), at: None, why: "it has no steps".to_owned() }),
        false => Ok(scenario),
    }
}

/// The message alone: file and place are said once, in front.
fn words(error: &serde_saphyr::Error) -> String {
    let text = error.without_snippet().to_string();
    let end = text.find(" at line ").unwrap_or(text.len());
    text.get(..end).unwrap_or(&text).to_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn why(text: &str) -> String {
        parse(Path::new("s.yaml"), text).unwrap_err().to_string()
    }

    #[test]
    fn a_scenario_is_read_with_its_lines() {
        let text = "name: n\nsteps:\n  - given:\n      - channel: a\n        data: {n: 1.5, t: [x, null]}\n    \
                    expect:\n      emits:\n        - {channel: b, count: 2}\n      reply: {ok: true}\n";
        let scenario = parse(Path::new("s.yaml"), text).unwrap();
        let step = &scenario.steps[0];
        assert_eq!(step.given[0].what.data, Some(serde_json::json!({"n": 1.5, "t": ["x", null]})));
        let expect = &step.expect.as_ref().unwrap().what;
        assert_eq!((expect.emits[0].line, expect.emits[0].what.count, expect.order), (8, 2, Order::Channel));
        assert_eq!(expect.reply.as_ref().unwrap().what, serde_json::json!({"ok": true}));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place_and_the_keys_that_there_are() {
        let unknown = why("name: n\nsteps:\n  - expects: {}\n");
        assert!(unknown.starts_with("s.yaml:3:"), "{unknown}");
        assert!(unknown.contains("expects") && unknown.contains("given"), "{unknown}");
        let missing = why("name: n\nsteps:\n  - given:\n      - {data: 1}\n");
        assert!(missing.starts_with("s.yaml:4:") && missing.contains("channel"), "{missing}");
        let typed = why("name: n\nsteps:\n  - expect: {order: sometimes}\n");
        assert!(typed.contains("sometimes") && typed.contains("any"), "{typed}");
        assert!(why("name: n\nsteps: []\n").contains("no steps"));
        assert!(why("name: [n\n").starts_with("s.yaml:"));
    }

    #[test]
    fn a_file_that_is_too_large_is_not_read() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(FILE_BYTES_MAX + 1).unwrap();
        assert!(read(file.path()).unwrap_err().to_string().contains("at most"));
    }
}
