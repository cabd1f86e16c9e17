//! A step of a workflow.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::definition::{EventFilter, Input, Output};
use super::expression::{Expression, Template};
use super::failure::{Catch, ErrorTemplate};

/// Where a task stands in its definition: a JSON pointer, such as `/do/0/pay`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TaskRef(pub String);

impl TaskRef {
    /// The pointer.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The task with this number and name in the list at this place.
    pub fn within(list: &str, number: usize, name: &str) -> Self {
        Self(format!("{list}/{number}/{}", name.replace('~', "~0").replace('/', "~1")))
    }

    /// Whether it is that task, or a task in it.
    pub fn is_at_or_within(&self, outer: &TaskRef) -> bool {
        self.0.strip_prefix(&outer.0).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl fmt::Display for TaskRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A step: what every step may have, and what it does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// Where it stands.
    pub at: TaskRef,
    /// Its name, unique in its list.
    pub name: String,
    /// It is left out unless this gives true.
    #[serde(rename = "if", default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<Expression>,
    /// What becomes of its input.
    #[serde(default)]
    pub input: Input,
    /// What becomes of its output.
    #[serde(default)]
    pub output: Output,
    /// What of its output becomes the run's context.
    #[serde(default)]
    pub export: Output,
    /// How long it may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Timeout>,
    /// What follows it.
    #[serde(default)]
    pub then: Then,
    /// The name of the task of the same list that undoes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compensate: Option<String>,
    /// Whether it is such a task: on the way it is left out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub compensates: bool,
    /// What it does.
    pub action: Action,
}

impl Task {
    /// The lists of tasks in it.
    pub fn lists(&self) -> Vec<&[Task]> {
        match &self.action {
            Action::Do(tasks) => vec![tasks],
            Action::Fork(fork) => vec![&fork.branches],
            Action::For(each) => vec![&each.tasks],
            Action::Try(attempt) => {
                let caught = attempt.catch.tasks.as_deref();
                std::iter::once(&attempt.tasks[..]).chain(caught).collect()
            }
            _ => Vec::new(),
        }
    }

    pub(super) fn walk<'a>(&'a self, found: &mut Vec<&'a Task>) {
        found.push(self);
        for list in self.lists() {
            list.iter().for_each(|task| task.walk(found));
        }
    }
}

/// What follows a task.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Then {
    /// The next task of the list.
    #[default]
    Continue,
    /// What follows the list.
    Exit,
    /// The end of the run.
    End,
    /// The task of the list with this name.
    Task(String),
}

/// The longest duration: ten years.
pub const DURATION_MS_MAX: u64 = 10 * 366 * 24 * 3_600_000;

/// How long something takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Length {
    /// So many milliseconds.
    Ms(u64),
    /// What this gives: a duration of ISO 8601.
    Asked(Expression),
}

/// How long a task or a workflow may take.
pub type Timeout = Length;

/// What a task does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Tasks one after another.
    Do(Vec<Task>),
    /// Tells a processor to do something, and waits for it.
    Call(Call),
    /// Tasks side by side.
    Fork(Fork),
    /// Goes on where a condition says.
    Switch(Vec<Case>),
    /// Tasks for each item of a list.
    For(Box<For>),
    /// Makes data.
    Set(Template),
    /// Tasks, and what is done about their errors.
    Try(Box<Try>),
    /// Raises an error.
    Raise(Box<ErrorTemplate>),
    /// Waits a while.
    Wait(Length),
    /// Waits for events.
    Listen(Listen),
    /// Publishes an event.
    Emit(NewEvent),
}

/// A command to a processor, through its queue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// The processor.
    pub processor: String,
    /// The event that it is given.
    pub event: NewEvent,
    /// The JSON Schema that the event's data must match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
}

/// An event that a task makes: a command or an emit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NewEvent {
    /// Its type; an emit's is the channel too.
    #[serde(rename = "type")]
    pub ty: Template,
    /// Its data; absent, the task's input.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "super::run::there")]
    pub data: Option<Template>,
    /// Its other attributes: `subject`, extensions.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, Template>,
}

/// Tasks side by side.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fork {
    /// The tasks.
    pub branches: Vec<Task>,
    /// Whether the first that ends is the only one that counts.
    #[serde(default)]
    pub compete: bool,
}

impl Fork {
    /// The branches that are begun, in their order. Those that only undo others wait until they are wanted.
    pub fn begun(&self) -> impl DoubleEndedIterator<Item = &Task> {
        self.branches.iter().filter(|branch| !branch.compensates)
    }
}

/// A case of a `switch`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Case {
    /// Its name.
    pub name: String,
    /// The condition; the case without one is taken if no other is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<Expression>,
    /// What follows.
    pub then: Then,
}

/// Tasks for each item of a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct For {
    /// The variable that holds the item.
    pub each: String,
    /// What gives the list.
    #[serde(rename = "in")]
    pub items: Expression,
    /// The variable that holds the item's number, from 0.
    pub at: String,
    /// It ends before the first item for which this does not give true.
    #[serde(rename = "while", default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<Expression>,
    /// The tasks.
    #[serde(rename = "do")]
    pub tasks: Vec<Task>,
}

/// Tasks, and what is done about their errors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Try {
    /// The tasks.
    #[serde(rename = "try")]
    pub tasks: Vec<Task>,
    /// What is caught, and what follows.
    pub catch: Catch,
}

/// Waiting for events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Listen {
    /// The events.
    pub filters: Vec<EventFilter>,
    /// Whether one event of each filter is waited for, or the first of any.
    pub all: bool,
    /// What of an event becomes the output.
    pub read: Read,
}

/// What of an event becomes the output of a `listen`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Read {
    /// Its data.
    #[default]
    Data,
    /// The event with all its attributes.
    Envelope,
    /// The same as the envelope: Baton keeps events in no other form.
    Raw,
}
