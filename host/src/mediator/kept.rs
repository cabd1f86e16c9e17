//! What is kept of a run between two events: names in the mediator's state under the run's id.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Trouble;
use crate::model::workflow::command::What;
use crate::model::workflow::definition::Definition;
use crate::model::workflow::failure::Error;
use crate::model::workflow::run::{Doing, Ending, Left, Run, Status};
use crate::model::workflow::task::{Action, TaskRef};
use crate::model::workflow::timer::{TIMER, Timer};
use crate::view::state::ProcessorState;

/// The name of the run itself.
pub const RUN: &str = "run";
/// The name of what lists say of it.
pub const ABOUT: &str = "about";
/// The name of the commands that it wants no more; absent if there are none.
pub const LEFT: &str = "left";

/// A run and what it needs to go on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// The digest of the definition that it is on.
    pub definition: String,
    /// Its flow.
    pub flow: String,
    /// The subject of the event that started it: its commands have it too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// That event's partition key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partitionkey: Option<String>,
    /// Where it waits for events, by task.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub meets: BTreeMap<TaskRef, Meets>,
    /// The run.
    pub run: Run,
}

/// Where a task waits for events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Meets {
    /// The attempt at the task.
    pub attempt: u32,
    /// The keys of the places.
    pub places: Vec<String>,
}

impl Kept {
    /// Reads what was written.
    pub fn read(bytes: &[u8]) -> Result<Self, Trouble> {
        serde_json::from_slice(bytes)
            .map_err(|error| Trouble(format!("what is kept of a run cannot be read: {error}")))
    }

    /// Since when the command was under way that an acknowledgement is of.
    pub fn called_since(&self, what: &What) -> Option<u64> {
        let What::Acknowledged { task, attempt, .. } = what else { return None };
        let mut scopes = self.run.scopes.values();
        let scope = scopes.find(|one| one.task == *task && one.doing == Doing::Calling(*attempt))?;
        Some(scope.since_ms)
    }

    /// What lists say of it.
    pub fn about(&self, definition: &Definition, now_ms: u64) -> About {
        let run = &self.run;
        let points = run
            .scopes
            .values()
            .filter_map(|scope| point(definition, &scope.task, &scope.doing, scope.since_ms));
        let error = match &run.ending {
            Some(Ending::Failed(error)) => Some(error.clone()),
            _ => run.failures().next().map(|(_, error)| error.clone()),
        };
        About {
            status: run.status,
            over: run.is_over(),
            undoing: run.ending.is_some() && !run.is_over(),
            version: definition.document.version.clone(),
            definition: self.definition.clone(),
            flow: self.flow.clone(),
            started_ms: run.started_ms,
            latest_ms: now_ms,
            at: points.collect(),
            error,
        }
    }
}

/// What lists say of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct About {
    /// How it is.
    pub status: Status,
    /// Whether nothing follows any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub over: bool,
    /// Whether what is done is being undone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub undoing: bool,
    /// The version of the definition that it is on.
    pub version: String,
    /// The digest of that definition.
    pub definition: String,
    /// Its flow.
    pub flow: String,
    /// When it began, in milliseconds since the Unix epoch.
    pub started_ms: u64,
    /// When something happened to it last.
    pub latest_ms: u64,
    /// What it is at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub at: Vec<Point>,
    /// Why it is faulted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Error>,
}

/// What is looked for in [`About`] when many runs are looked through: the rest is passed over and nothing is copied.
#[derive(Deserialize)]
pub struct Brief<'a> {
    /// How it is.
    pub status: Status,
    /// Whether nothing follows any more.
    #[serde(default)]
    pub over: bool,
    /// The version of the definition that it is on.
    #[serde(borrow)]
    pub version: Cow<'a, str>,
    /// The digest of that definition.
    #[serde(borrow)]
    pub definition: Cow<'a, str>,
    /// Its flow.
    #[serde(borrow)]
    pub flow: Cow<'a, str>,
    /// When it began, in milliseconds since the Unix epoch.
    pub started_ms: u64,
}

/// Looks through all runs of a mediator, in no order: the id, in brief, and all that lists say of it, as it is kept.
pub fn look_through(
    state: &ProcessorState,
    now_ms: u64,
    mut look: impl FnMut(&Arc<str>, Brief<'_>, &Arc<[u8]>),
) {
    for (run, value) in state.named(ABOUT, now_ms) {
        if let Ok(brief) = serde_json::from_slice(&value.bytes) {
            look(&run, brief, &value.bytes);
        }
    }
}

/// How many runs wait for an operator.
pub fn faulted(state: &ProcessorState, now_ms: u64) -> u64 {
    let mut count = 0;
    look_through(state, now_ms, |_, run, _| count += u64::from(run.status == Status::Faulted && !run.over));
    count
}

/// A task that a run is at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// The task.
    pub task: TaskRef,
    /// Since when, in milliseconds since the Unix epoch.
    pub since_ms: u64,
    /// What for.
    #[serde(rename = "for")]
    pub waits: WaitingFor,
}

/// What a task waits for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WaitingFor {
    /// A processor's acknowledgement.
    Processor {
        /// Which.
        name: String,
        /// Which attempt at the task it is.
        attempt: u32,
    },
    /// Events of these types.
    Events(Vec<String>),
    /// A timer: of `wait`, or of the pause before the tasks of a `try` are tried again.
    Timer(u64),
    /// An operator: it failed.
    Operator(Error),
}

/// What a scope waits for; none, if it is others in it that wait.
fn point(definition: &Definition, task: &TaskRef, doing: &Doing, since_ms: u64) -> Option<Point> {
    let action = definition.task(task).map(|task| &task.action);
    let waits = match (doing, action) {
        (Doing::Calling(attempt), Some(Action::Call(call))) => {
            WaitingFor::Processor { name: call.processor.clone(), attempt: *attempt }
        }
        (Doing::Listening { taken, .. }, Some(Action::Listen(listen))) => {
            let filters = listen.filters.iter().enumerate().filter(|(number, _)| !taken.contains_key(number));
            WaitingFor::Events(filters.map(|(_, filter)| filter.ty.clone()).collect())
        }
        (Doing::Waiting(timer) | Doing::Pausing { timer, .. }, _) => WaitingFor::Timer(*timer),
        (Doing::Failed { error, .. }, _) => WaitingFor::Operator(error.clone()),
        _ => return None,
    };
    Some(Point { task: task.clone(), since_ms, waits })
}

/// The commands that a run wants no more.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Unwanted(Vec<(TaskRef, u32)>);

impl Unwanted {
    /// Those of a run.
    pub fn of(left: &[Left]) -> Self {
        Self(left.iter().map(|left| (left.task.clone(), left.attempt)).collect())
    }

    /// Reads what was written; what cannot be read is none.
    pub fn read(bytes: &[u8]) -> Self {
        serde_json::from_slice(bytes).unwrap_or_default()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a command is one of them.
    pub fn has(&self, task: &TaskRef, attempt: u32) -> bool {
        self.0.iter().any(|(at, number)| at == task && *number == attempt)
    }
}

/// The timers of a run: each with when it is due.
pub fn timers_of(state: &ProcessorState, run: &str) -> Vec<(Timer, u64)> {
    let rows = state.rows(Some(run), 0, usize::MAX).into_iter();
    let timers = rows.filter(|(_, name, _)| name.starts_with(TIMER));
    timers.filter_map(|(_, _, value)| Some((Timer::read(&value.bytes)?, value.expires_ms))).collect()
}
