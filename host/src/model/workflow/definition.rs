//! A workflow as it was defined, with everything that it names under `use` put in its place.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::expression::{Expression, Template};
use super::task::{Task, TaskRef, Timeout};

/// A workflow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Definition {
    /// What it is called.
    pub document: Document,
    /// What becomes of its input before the first task.
    #[serde(default)]
    pub input: Input,
    /// What becomes of the last task's output.
    #[serde(default)]
    pub output: Output,
    /// The events that start a run: `schedule.on`. Without, a run is started by hand or by another mediator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<EventFilter>,
    /// How long a run may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Timeout>,
    /// What is done.
    #[serde(rename = "do")]
    pub tasks: Vec<Task>,
}

impl Definition {
    /// The task at a place.
    pub fn task(&self, at: &TaskRef) -> Option<&Task> {
        find(&self.tasks, at)
    }

    /// All tasks, each before those in it.
    pub fn all(&self) -> Vec<&Task> {
        let mut found = Vec::new();
        self.tasks.iter().for_each(|task| task.walk(&mut found));
        found
    }

    /// The task that a task undoes, or that the one round it does.
    pub fn undone_by(&self, at: &TaskRef) -> Option<&Task> {
        undone(&self.tasks, at)
    }
}

fn undone<'a>(tasks: &'a [Task], by: &TaskRef) -> Option<&'a Task> {
    let outer = tasks.iter().find(|task| by.is_at_or_within(&task.at))?;
    let found = tasks.iter().find(|task| task.compensate.as_ref() == Some(&outer.name));
    found.or_else(|| outer.lists().into_iter().find_map(|list| undone(list, by)))
}

fn find<'a>(tasks: &'a [Task], at: &TaskRef) -> Option<&'a Task> {
    let outer = tasks.iter().find(|task| at.is_at_or_within(&task.at))?;
    match outer.at == *at {
        true => Some(outer),
        false => outer.lists().into_iter().find_map(|list| find(list, at)),
    }
}

/// What a workflow is called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// The version of the DSL.
    pub dsl: String,
    /// The group of workflows that it belongs to.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its title, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What it is for, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
}

/// What becomes of data before a task or workflow begins.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Input {
    /// The JSON Schema that it must match.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
    /// What is made of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Template>,
}

/// What becomes of data after a task or workflow ends: of its output, or of the context.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Output {
    /// What is made of it.
    #[serde(rename = "as", skip_serializing_if = "Option::is_none")]
    pub form: Option<Template>,
    /// The JSON Schema that the result must match.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
}

/// Which events a workflow or a `listen` takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventFilter {
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
    pub correlate: Vec<Correlation>,
}

/// A link between an event and a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Correlation {
    /// Its name.
    pub name: String,
    /// What gives the value, of the event.
    pub from: Expression,
    /// What gives the value that is expected, of the run. A definition that is read without mistakes always says it.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "super::run::there")]
    pub expect: Option<Template>,
}
