//! What comes in to a run, and what a step makes others do.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::expression::Expression;
use super::failure::Error;
use super::run::VALUE_DEPTH_MAX;
use super::task::{Read, TaskRef};
use crate::model::event::{Event, EventError, Extension};

/// Something that happened, for a run to go on with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Input {
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// Chance, the same whenever the same thing is stepped again.
    pub chance: u64,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum What {
    /// The run begins.
    Start,
    /// A processor has carried a command out, or has not.
    Acknowledged {
        /// The task that gave it.
        task: TaskRef,
        /// The attempt.
        attempt: u32,
        /// What came of it.
        outcome: Outcome,
    },
    /// A timer is due.
    Due {
        /// Its number.
        timer: u64,
    },
    /// An event came that a task listens to.
    Taken {
        /// The task.
        task: TaskRef,
        /// The attempt.
        attempt: u32,
        /// The number of the filter that it passed.
        filter: usize,
        /// The event, in the form of CloudEvents in JSON.
        event: Value,
    },
    /// An operator says that what failed is to be tried again.
    Resume {
        /// Where to go on; absent, at each task that failed.
        from: Option<TaskRef>,
        /// What the task is given; absent, what it was given before.
        #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "super::run::there")]
        input: Option<Value>,
    },
    /// An operator says that a task counts as done.
    Skip {
        /// The task.
        task: TaskRef,
        /// What it gave.
        output: Value,
    },
    /// An operator gives an event to a task that listens to its type, whatever else it asks of events.
    Signal {
        /// The type.
        ty: String,
        /// The event, in the form of CloudEvents in JSON.
        event: Value,
    },
    /// An operator ends the run: what is done is undone.
    Cancel,
}

/// What came of a command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It was carried out, and gave this.
    Done(Value),
    /// It was not, even when it was tried again.
    Failed(Error),
    /// It was taken back before anybody began.
    TakenBack,
}

/// What a step makes others do, in this order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Command {
    /// Give a processor an event. It is acknowledged once, by task and attempt.
    Call {
        /// The task.
        task: TaskRef,
        /// The attempt.
        attempt: u32,
        /// The processor.
        processor: String,
        /// The event.
        event: MadeEvent,
    },
    /// Take a command back if nobody has begun. Either way, the command is acknowledged.
    TakeBack {
        /// The task.
        task: TaskRef,
        /// The attempt.
        attempt: u32,
    },
    /// Say when a time has passed.
    Timer {
        /// Its number.
        timer: u64,
        /// After how many milliseconds.
        after_ms: u64,
        /// The task that it is for; empty for the workflow.
        task: TaskRef,
    },
    /// Forget a timer.
    TimerOff {
        /// Its number.
        timer: u64,
    },
    /// Say when an event comes that passes a filter: for each filter the first.
    Listen {
        /// The task.
        task: TaskRef,
        /// The attempt.
        attempt: u32,
        /// The filters.
        filters: Vec<Awaited>,
        /// Whether one event of each filter is waited for, or the first of any.
        all: bool,
        /// What of an event the task asked for.
        read: Read,
    },
    /// Listen no longer.
    ListenOff {
        /// The task.
        task: TaskRef,
        /// The attempt.
        attempt: u32,
    },
    /// Publish an event.
    Emit {
        /// The task.
        task: TaskRef,
        /// The event.
        event: MadeEvent,
    },
    /// Write into the run's history.
    Note {
        /// The task; empty for the workflow.
        task: TaskRef,
        /// What became of it.
        note: Note,
    },
    /// The run is over.
    Ended,
}

/// What became of a task, for the history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Note {
    /// It began.
    Began,
    /// It was left out, because its condition did not hold.
    LeftOut,
    /// It is done.
    Done,
    /// It was broken off.
    BrokenOff,
    /// It failed with this error.
    Failed(Error),
    /// An error in it was caught, and its tasks are tried again after so many milliseconds.
    Again(u64),
    /// An error in it was caught.
    Caught(Error),
    /// An operator said that it counts as done.
    Skipped,
    /// An operator had it tried again.
    Resumed,
    /// It is undone.
    Undone,
}

/// An event that a task has made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MadeEvent {
    /// Its type.
    #[serde(rename = "type")]
    pub ty: String,
    /// Its data.
    pub data: Value,
    /// Its other attributes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
}

impl MadeEvent {
    /// Whether a channel takes it.
    pub fn check(&self) -> Result<(), EventError> {
        let mut attributes = self.attributes.clone();
        let mut core = |name: &str| attributes.remove(name);
        let whole = Event {
            id: core("id").unwrap_or_else(|| "given by the host".to_owned()),
            source: core("source").unwrap_or_else(|| "/".to_owned()),
            ty: self.ty.clone(),
            subject: core("subject"),
            time: None,
            datacontenttype: core("datacontenttype"),
            dataschema: core("dataschema"),
            data: Some(self.data.to_string().into()),
            extensions: attributes.into_iter().map(|(name, value)| (name, Extension::Text(value))).collect(),
        };
        whole.check()
    }
}

/// Which events a task listens to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Awaited {
    /// The type, which is the channel too.
    #[serde(rename = "type")]
    pub ty: String,
    /// Attributes that must have these values.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub attributes: Map<String, Value>,
    /// What must give true of the event's data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Expression>,
    /// What links an event to the run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub correlate: Vec<Link>,
}

/// What links an event to a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Link {
    /// Its name.
    pub name: String,
    /// What gives the value, of the event.
    pub from: Expression,
    /// The value that is expected. A definition that is read without mistakes always says it.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "super::run::there")]
    pub expect: Option<Value>,
}

/// Why something changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ignored {
    /// The run is over.
    #[error("the run is over")]
    Over,
    /// It has begun already.
    #[error("the run has begun already")]
    Begun,
    /// It is being cancelled or undone already.
    #[error("the run is being undone; nothing but its end can follow")]
    Undoing,
    /// Nobody waits for it.
    #[error("nobody waits for it{}", .task.as_ref().map(|task| format!(" at {task}")).unwrap_or_default())]
    NotAwaited {
        /// The task that it names.
        task: Option<TaskRef>,
    },
    /// No task failed.
    #[error("the run is not faulted; only a run that is faulted is resumed")]
    NotFaulted,
    /// Input for several tasks.
    #[error("several tasks failed; say by its place for which the input is")]
    Several,
    /// The definition has no such task.
    #[error("the workflow has no task at {task}")]
    NoTask {
        /// The task that was asked for.
        task: TaskRef,
    },
    /// The task is not in a list that is under way.
    #[error("the run is not in the list of {task}; name a task of the list that failed, or of one round it")]
    NotInReach {
        /// The task that was asked for.
        task: TaskRef,
    },
    /// A value is nested too deep.
    #[error("the value is nested deeper than {VALUE_DEPTH_MAX}, and no run keeps that")]
    TooDeep,
    /// The task is not under way.
    #[error("{task} is not under way; only a task that is, is skipped")]
    NotUnderWay {
        /// The task that was asked for.
        task: TaskRef,
    },
}

impl Ignored {
    /// A word for it that stays.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Over => "run-over",
            Self::Begun => "run-begun",
            Self::Undoing => "run-undoing",
            Self::NotAwaited { .. } => "not-awaited",
            Self::NotFaulted => "run-not-faulted",
            Self::Several => "several-failures",
            Self::NoTask { .. } => "unknown-task",
            Self::NotInReach { .. } => "task-not-in-reach",
            Self::TooDeep => "value-too-deep",
            Self::NotUnderWay { .. } => "task-not-under-way",
        }
    }
}
