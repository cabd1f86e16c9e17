//! What the host answers when it is asked for workflows and runs: the JSON of HTTP, of `--json`, and what the client reads. Times are RFC 3339
//! UTC.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::failure::Error;
use super::run::Status;
use crate::model::report::FileProblem;

/// A run, as lists have it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunReport {
    /// Its id: the workflow, and the position of the event that started it.
    pub id: String,
    /// The workflow.
    pub workflow: String,
    /// The version of the definition that it is on.
    pub version: String,
    /// How it is.
    pub status: Status,
    /// Whether nothing follows any more.
    pub over: bool,
    /// Whether what is done is being undone.
    pub undoing: bool,
    /// Its flow.
    pub flow: String,
    /// When it began.
    pub started: String,
    /// When something happened to it last.
    pub latest: String,
    /// The tasks that it is at.
    pub at: Vec<RunPoint>,
    /// Why it is faulted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Error>,
}

/// A task that a run is at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunPoint {
    /// The task: a JSON pointer into the definition.
    pub task: String,
    /// Since when.
    pub since: String,
    /// What it waits for.
    pub waits_for: WaitsFor,
    /// The processor, the types of events, or what went wrong.
    pub detail: String,
    /// When that is over by itself, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}

/// What a task waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WaitsFor {
    /// A processor's acknowledgement.
    Processor,
    /// An event.
    Event,
    /// A time.
    Time,
    /// An operator: it failed.
    Operator,
}

/// A page of runs, the latest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunPage {
    /// The runs.
    pub runs: Vec<RunReport>,
    /// How many there are in all of those that were asked for.
    pub count: usize,
    /// Events that wait for a run to take them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub early: Vec<EarlyEvent>,
    /// What the next page begins after, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// When it was asked, by the host's clock.
    pub asked: String,
}

/// An event that came before the run that waits for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EarlyEvent {
    /// The workflow.
    pub workflow: String,
    /// Where it waits: the task, the number of its filter, and the values that link the event to a run.
    pub place: String,
    /// Its type.
    #[serde(rename = "type")]
    pub ty: String,
    /// Its flow.
    pub flow: String,
    /// Until when it waits.
    pub until: String,
}

/// A run with everything that is known of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunDetail {
    /// As lists have it.
    #[serde(flatten)]
    pub run: RunReport,
    /// The digest of the definition that it is on.
    pub definition: String,
    /// What it was started with.
    pub input: Value,
    /// What its tasks exported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<Value>,
    /// What it gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Value>,
    /// What happened, in order.
    pub history: Vec<RunNote>,
    /// Why its history is not whole, if it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history_lacks: Option<String>,
}

/// A line of a run's history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunNote {
    /// When.
    pub time: String,
    /// The task; empty for the workflow.
    pub task: String,
    /// What happened.
    pub what: String,
    /// What there is to say of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// What came of an operator's word.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunDone {
    /// The run after it.
    pub run: RunDetail,
    /// Whether the mediator has come to it; if not, it is recorded and waits in the mediator's inbox.
    pub handled: bool,
}

/// A workflow that is deployed, or was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkflowReport {
    /// Its name, which is that of its mediator.
    pub name: String,
    /// Its namespace, title and summary, if its definition is still there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The version that new runs are on.
    pub version: String,
    /// The digest of its definition.
    pub definition: String,
    /// The file that it came from.
    pub file: String,
    /// Whether it is deployed.
    pub deployed: bool,
    /// Its event queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// The processors that it calls.
    pub calls: Vec<String>,
    /// What may be wrong although it runs: events that it waits for and that no deployed processor publishes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// How many runs there are of each status, those that are over and still kept included.
    pub runs: BTreeMap<String, usize>,
    /// How many runs in progress are on which version.
    pub versions: BTreeMap<String, usize>,
}

/// All workflows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkflowList {
    /// The workflows, by name.
    pub workflows: Vec<WorkflowReport>,
    /// Files that do not run, and what to do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<FileProblem>,
}

/// A workflow with its definition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkflowDetail {
    /// As lists have it.
    #[serde(flatten)]
    pub workflow: WorkflowReport,
    /// Its text.
    pub text: String,
}

/// What a new definition would have done with the runs in progress.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunsAgainst {
    /// The workflow.
    pub workflow: String,
    /// How many runs would be the same so far.
    pub same: usize,
    /// Those that would not.
    pub others: Vec<RunDiffers>,
}

/// A run that would be another on another definition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunDiffers {
    /// The run.
    pub run: String,
    /// The first task that differs; empty if the history cannot be read.
    pub task: String,
    /// What it did.
    pub did: String,
    /// What it would do.
    pub would: String,
}
