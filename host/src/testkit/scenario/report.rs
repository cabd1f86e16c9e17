//! What came of a scenario, as values: the command line prints them, `--json` is them.

use serde::Serialize;

/// What came of one scenario.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ScenarioReport {
    /// The file.
    pub file: String,
    /// What it shows; the file's name if it could not be read.
    pub name: String,
    /// Whether all was as expected.
    pub passed: bool,
    /// How many steps were played to their end.
    pub steps: usize,
    /// How many events processors published.
    pub events: usize,
    /// The step that was not as expected, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed_step: Option<usize>,
    /// What that step is called, if it has a name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step_name: Option<String>,
    /// What is different there.
    pub differences: Vec<Difference>,
    /// Why it could not be played at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// One thing that is not as expected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The line of the file that expects it, if one does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// What is not as expected.
    pub what: String,
    /// Where exactly: expected and found.
    pub details: Vec<String>,
}

impl Difference {
    pub(super) fn at(line: u64, what: impl Into<String>, details: Vec<String>) -> Self {
        Self { line: Some(line), what: what.into(), details }
    }
}
