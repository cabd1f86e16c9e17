//! A run: one execution of a definition, as far as it has come. Small, because it is kept between any two steps.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::failure::Error;
use super::task::TaskRef;

/// The scope of the workflow itself, in which all others are.
pub const ROOT: u32 = 0;
/// The most tasks of a run that may wait to be undone.
pub const UNDO_MAX: usize = 1_000;
/// How deep a value of a run may be nested. What is kept of it is JSON, which is read to a depth of 128: a deeper run could never go on.
pub const VALUE_DEPTH_MAX: usize = 64;

/// Whether lists and objects stand in each other deeper than in a run.
pub fn is_too_deep(value: &Value) -> bool {
    is_deeper(value, VALUE_DEPTH_MAX)
}

fn is_deeper(value: &Value, most: usize) -> bool {
    match (value, most.checked_sub(1)) {
        (Value::Array(_) | Value::Object(_), None) => true,
        (Value::Array(items), Some(most)) => items.iter().any(|item| is_deeper(item, most)),
        (Value::Object(fields), Some(most)) => fields.values().any(|field| is_deeper(field, most)),
        _ => false,
    }
}

/// One execution of a definition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Its id.
    pub id: String,
    /// How it is.
    pub status: Status,
    /// When it began, in milliseconds since the Unix epoch.
    pub started_ms: u64,
    /// What it was started with.
    pub input: Value,
    /// What its tasks exported; absent, the workflow's input as it was made of what the run was started with.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "there")]
    pub context: Option<Value>,
    /// The tasks that are under way, by number: each is in the one that it names as its parent.
    pub scopes: BTreeMap<u32, Scope>,
    /// The number of the next scope.
    pub next_scope: u32,
    /// The number of the next timer.
    pub next_timer: u64,
    /// How often each task that calls or listens was begun.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attempts: BTreeMap<TaskRef, u32>,
    /// Tasks that are done and name one that undoes them, the latest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub undo: Vec<Undo>,
    /// Commands that nobody wants any more and of which is not known yet whether they were carried out. They stay when the run is over, for whoever
    /// takes them back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<Left>,
    /// How it ends once what is to be undone is undone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ending: Option<Ending>,
    /// What it gave, once it is completed.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "there")]
    pub output: Option<Value>,
}

impl Run {
    /// A run that has not begun.
    pub fn new(id: impl Into<String>, input: Value, at_ms: u64) -> Self {
        Self {
            id: id.into(),
            status: Status::Pending,
            started_ms: at_ms,
            input,
            context: None,
            scopes: BTreeMap::new(),
            next_scope: ROOT,
            next_timer: 1,
            attempts: BTreeMap::new(),
            undo: Vec::new(),
            left: Vec::new(),
            ending: None,
            output: None,
        }
    }

    /// Whether nothing can follow any more.
    pub fn is_over(&self) -> bool {
        self.status != Status::Pending && self.scopes.is_empty()
    }

    /// The tasks that failed and that nobody caught, each with its error.
    pub fn failures(&self) -> impl Iterator<Item = (&Scope, &Error)> {
        self.scopes.values().filter_map(|scope| match &scope.doing {
            Doing::Failed { error, .. } => Some((scope, error)),
            _ => None,
        })
    }
}

/// How a run is, in the DSL's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It has not begun.
    Pending,
    /// A processor is at work for it.
    Running,
    /// It waits for a time or an event, and for nothing else.
    Waiting,
    /// A task failed and nobody caught it. Unless it is over, it can be resumed.
    Faulted,
    /// It was cancelled.
    Cancelled,
    /// It is done.
    Completed,
}

impl Status {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Faulted => "faulted",
            Self::Cancelled => "cancelled",
            Self::Completed => "completed",
        }
    }
}

/// A task that is under way, or the workflow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scope {
    /// The scope in which it is; the workflow has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<u32>,
    /// The task; empty for the workflow.
    pub task: TaskRef,
    /// What it was given, where that is not its input.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "there")]
    pub raw: Option<Value>,
    /// Its input.
    pub input: Value,
    /// Variables for the tasks in it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, Value>,
    /// When it began.
    pub since_ms: u64,
    /// The timer that ends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<u64>,
    /// What it is at.
    pub doing: Doing,
}

impl Scope {
    /// A scope that has just begun.
    pub(super) fn new(parent: Option<u32>, task: TaskRef, input: Value, since_ms: u64) -> Self {
        let variables = BTreeMap::new();
        Self { parent, task, raw: None, input, variables, since_ms, timeout: None, doing: Doing::Tasks }
    }

    /// What it was given.
    pub fn given(&self) -> &Value {
        self.raw.as_ref().unwrap_or(&self.input)
    }
}

/// What a scope is at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Doing {
    /// Tasks one after another.
    Tasks,
    /// Tasks side by side, with what those gave that are done.
    Branches(BTreeMap<usize, Value>),
    /// Tasks for the item with this number.
    Items {
        /// All items.
        items: Vec<Value>,
        /// The number of the one at hand.
        number: usize,
    },
    /// The tasks of a `try`.
    Trying(Tries),
    /// Waiting to try them again.
    Pausing {
        /// What was tried.
        tries: Tries,
        /// The timer that ends it.
        timer: u64,
    },
    /// The tasks of a `catch`.
    Catching,
    /// Waiting for an acknowledgement of this attempt.
    Calling(u32),
    /// Waiting for this timer.
    Waiting(u64),
    /// Waiting for events.
    Listening {
        /// The attempt.
        attempt: u32,
        /// The events that came, by the number of the filter.
        taken: BTreeMap<usize, Value>,
    },
    /// It failed, and nobody caught it.
    Failed {
        /// Why.
        error: Error,
        /// What it gave, if that was not at fault but what was to be made of it: nothing is done twice.
        #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "there")]
        output: Option<Value>,
        /// The items of a `for` and the number of the one at whose `while` it failed: those before it are not done twice.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        round: Option<(Vec<Value>, usize)>,
    },
    /// The workflow: undoing what is done.
    Undoing,
}

/// How often the tasks of a `try` were tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tries {
    /// Retries so far.
    pub retries: u32,
    /// When the first attempt began.
    pub since_ms: u64,
    /// The timer that ends the attempt at hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timer: Option<u64>,
}

/// A task that is done and may have to be undone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Undo {
    /// The task.
    pub task: TaskRef,
    /// The scope in which it was done. Later ones have higher numbers.
    pub scope: u32,
    /// What it was given.
    pub input: Value,
    /// What it gave.
    pub output: Value,
    /// The variables that it could name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, Value>,
    /// Whether it is undone even if the run is completed, because nobody wanted any more what it did.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unwanted: bool,
}

/// A command that nobody wants any more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Left {
    /// The task that gave it.
    pub task: TaskRef,
    /// The attempt.
    pub attempt: u32,
    /// What is to be undone if it was carried out, but for its output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<Undo>,
}

/// How a run ends after what is done is undone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ending {
    /// It is completed, with this output.
    Completed(Value),
    /// It was cancelled.
    Cancelled,
    /// The definition raised an error that nobody caught, or its time was up.
    Failed(Error),
}

/// Reads a value that is there: `null` is one too, and not the same as none.
pub(super) fn there<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}
