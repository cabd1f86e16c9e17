//! Mediators: runs of workflows over queues. A mediator is a handler like any other, made of a definition: an event comes in, and what follows
//! goes out as emits and writes of state, in one frame. This module is pure: who evaluates expressions and who commits is outside.
//!
//! An event's way: [`Mediator::begin`] finds out what it says -> the step machine of the model, or a place where events and runs meet
//! (`meeting`) -> [`Work::Evaluate`] as often as values are needed -> an [`Outcome`] (`told`). What is kept of a run between two events is in
//! `kept`; `history` tells what happened to it.

mod descriptor;
pub mod history;
mod incoming;
mod kept;
mod meeting;
mod told;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::model::retry::chance;
use crate::model::workflow::command::{Input, What};
use crate::model::workflow::definition::{Definition, EventFilter};
use crate::model::workflow::expression::Expression;
use crate::model::workflow::post::Message;
use crate::model::workflow::run::Run;
use crate::model::workflow::step::{self, Done, Evaluated, Evaluation, Paused, Step};
use crate::model::workflow::task::{Action, TaskRef};
use crate::view::state::ProcessorState;

pub use descriptor::{calls_of, descriptor};
pub use incoming::{Incoming, Place};
pub use kept::{
    ABOUT, About, Brief, Kept, LEFT, Point, RUN, Unwanted, WaitingFor, faulted, look_through, timers_of,
};
pub use meeting::{Early, early};
pub use told::{Emit, Outcome, Write};

/// How long a mediator keeps what nobody waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// A run that is over, in milliseconds.
    pub keep_ended_ms: u64,
    /// An event that no run waits for yet, in milliseconds.
    pub keep_early_ms: u64,
}

/// A mediator: its definitions, of which the latest is for new runs.
#[derive(Clone, Debug)]
pub struct Mediator {
    name: String,
    /// Those that runs in progress are on, by digest.
    definitions: BTreeMap<String, Arc<Definition>>,
    latest: String,
    /// The filters of all tasks that listen, each once.
    listens: Vec<Listens>,
    rules: Rules,
}

/// A filter of a task that listens.
#[derive(Clone, Debug, PartialEq)]
struct Listens {
    task: TaskRef,
    /// Its number among those of the task.
    number: usize,
    filter: EventFilter,
}

/// How far the handling of an event is.
pub enum Work<'a> {
    /// Values are needed: one answer for each evaluation.
    Evaluate(Box<Pending<'a>>),
    /// It is done.
    Ready(Outcome),
}

/// The handling of an event that needs values.
pub struct Pending<'a> {
    mediator: &'a Mediator,
    moment: Moment,
    what: Needs<'a>,
    evaluations: Vec<Evaluation>,
}

/// When and for whom something happens.
#[derive(Clone, Debug)]
struct Moment {
    /// The key: the run, or a meeting place.
    key: String,
    time_ms: u64,
    chance: u64,
    /// The event that causes it: its channel and its number there.
    cause: (String, u64),
    /// How long the step took that it acknowledges.
    step_ms: Option<u64>,
    /// Whether the run wanted commands no more before it.
    had_left: bool,
}

/// Who needs values.
enum Needs<'a> {
    /// The step machine.
    Step { paused: Box<Paused<'a>>, kept: Box<Kept> },
    /// Whether an event starts a run at all.
    Start { kept: Box<Kept> },
    /// Where runs may wait for an event.
    Offer { event: Value, asked: Vec<Asked> },
}

/// A filter of a task that listens, and how many links it has.
struct Asked {
    task: TaskRef,
    filter: usize,
    has_condition: bool,
}

/// Why an event cannot be handled now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Trouble(pub String);

impl Mediator {
    /// Of these definitions, of which one is for new runs.
    pub fn new(
        name: impl Into<String>,
        latest: (String, Arc<Definition>),
        others: BTreeMap<String, Arc<Definition>>,
        rules: Rules,
    ) -> Self {
        let (digest, definition) = latest;
        let mut definitions = others;
        definitions.insert(digest.clone(), definition);
        let listens = listens(definitions.values());
        Self { name: name.into(), definitions, latest: digest, listens, rules }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A definition that it has.
    pub fn definition(&self, digest: &str) -> Option<&Arc<Definition>> {
        self.definitions.get(digest)
    }

    /// Takes an event in.
    pub fn begin(&self, state: &ProcessorState, incoming: &Incoming<'_>) -> Result<Work<'_>, Trouble> {
        let moment = Moment {
            key: incoming.key.to_owned(),
            time_ms: incoming.time_ms,
            chance: chance(incoming.offset, 1),
            cause: (incoming.channel.to_owned(), incoming.offset),
            step_ms: None,
            had_left: false,
        };
        match incoming.place {
            Place::Queue => self.start(state, incoming, moment),
            Place::Topic => Ok(self.offer(incoming, moment)),
            Place::Inbox => match incoming.message()? {
                Message::Run(what) => self.happened(state, moment, what),
                Message::Listen { run, flow, task, attempt, filter } => {
                    let wait = meeting::Wait { run, flow, task, attempt, filter };
                    meeting::listen(self, state, &moment, &wait).map(Work::Ready)
                }
                Message::ListenOff { run, attempt } => Ok(Work::Ready(meeting::listen_off(&run, attempt))),
                Message::Offer { event, again } => {
                    meeting::offered(self, state, &moment, event, again).map(Work::Ready)
                }
            },
        }
    }

    fn start(
        &self,
        state: &ProcessorState,
        incoming: &Incoming<'_>,
        moment: Moment,
    ) -> Result<Work<'_>, Trouble> {
        if state.get(&moment.key, RUN, 0).is_some() {
            return Ok(Work::Ready(Outcome::noted("its run has begun already")));
        }
        let definition = self.definition(&self.latest).ok_or_else(|| self.lacks(&self.latest))?;
        let input = incoming.data();
        let run = Run::new(moment.key.clone(), input, moment.time_ms);
        let kept = Kept {
            definition: self.latest.clone(),
            flow: incoming.attribute("correlationid").unwrap_or_default().to_owned(),
            subject: incoming.attribute("subject").map(str::to_owned),
            partitionkey: incoming.attribute("partitionkey").map(str::to_owned),
            meets: BTreeMap::new(),
            run,
        };
        let filter = definition.on.as_ref();
        if filter.is_some_and(|filter| !has_attributes(filter, incoming)) {
            return Ok(Work::Ready(Outcome::noted("it starts no run: its attributes are others")));
        }
        match filter.and_then(|filter| filter.data.clone()) {
            Some(condition) => {
                let evaluations = vec![asked_of(vec![condition], kept.run.input.clone())];
                let pending = Pending {
                    mediator: self,
                    moment,
                    what: Needs::Start { kept: Box::new(kept) },
                    evaluations,
                };
                Ok(Work::Evaluate(Box::new(pending)))
            }
            None => self.step(kept, What::Start, moment),
        }
    }

    fn happened(&self, state: &ProcessorState, moment: Moment, what: What) -> Result<Work<'_>, Trouble> {
        match state.get(&moment.key, RUN, 0) {
            Some(kept) => {
                let kept = Kept::read(&kept.bytes)?;
                let step_ms =
                    kept.called_since(&what).map(|since_ms| moment.time_ms.saturating_sub(since_ms));
                let had_left = !kept.run.left.is_empty();
                self.step(kept, what, Moment { step_ms, had_left, ..moment })
            }
            None => Ok(Work::Ready(Outcome::noted("there is no such run, or it is not kept any more"))),
        }
    }

    fn step(&self, mut kept: Kept, what: What, moment: Moment) -> Result<Work<'_>, Trouble> {
        let definition = self.definition(&kept.definition).ok_or_else(|| self.lacks(&kept.definition))?;
        let run = std::mem::replace(&mut kept.run, Run::new("", Value::Null, 0));
        let input = Input { at_ms: moment.time_ms, chance: moment.chance, what };
        Ok(self.stepped(step::step(definition, run, input), kept, moment))
    }

    fn lacks(&self, digest: &str) -> Trouble {
        Trouble(format!(
            "the definition {digest} of '{}' is not loaded; put it back into the folder",
            self.name
        ))
    }

    /// What a step came to.
    fn stepped<'a>(&'a self, step: Step<'a>, kept: Kept, moment: Moment) -> Work<'a> {
        match step {
            Step::Evaluate(paused) => {
                let evaluations = vec![paused.evaluation().clone()];
                let what = Needs::Step { paused: Box::new(paused), kept: Box::new(kept) };
                Work::Evaluate(Box::new(Pending { mediator: self, moment, what, evaluations }))
            }
            Step::Ignored(ignored) => Work::Ready(Outcome::noted(&ignored.to_string())),
            Step::Done(Done { run, commands }) => {
                Work::Ready(told::outcome(self, Kept { run, ..kept }, commands, &moment))
            }
        }
    }

    /// Finds the places where runs may wait for an event, of all definitions that it has.
    fn offer(&self, incoming: &Incoming<'_>, moment: Moment) -> Work<'_> {
        let event = incoming.to_json();
        let (mut asked, mut evaluations) = (Vec::new(), Vec::new());
        let is_of = |one: &&Listens| one.filter.ty == incoming.ty() && has_attributes(&one.filter, incoming);
        for Listens { task, number, filter } in self.listens.iter().filter(is_of) {
            let condition = filter.data.clone();
            let has_condition = condition.is_some();
            let links = filter.correlate.iter().map(|link| link.from.clone()).collect();
            if let Some(condition) = condition {
                evaluations.push(asked_of(vec![condition], event.get("data").cloned().unwrap_or_default()));
            }
            evaluations.push(asked_of(links, event.clone()));
            asked.push(Asked { task: task.clone(), filter: *number, has_condition });
        }
        let what = Needs::Offer { event, asked };
        let pending = Pending { mediator: self, moment, what, evaluations };
        Work::Evaluate(Box::new(pending))
    }
}

/// The filters of all tasks of these definitions that listen. Most definitions of one mediator have the same.
fn listens<'d>(definitions: impl Iterator<Item = &'d Arc<Definition>>) -> Vec<Listens> {
    let mut found: Vec<Listens> = Vec::new();
    for task in definitions.flat_map(|definition| definition.all()) {
        let Action::Listen(listen) = &task.action else { continue };
        for (number, filter) in listen.filters.iter().enumerate() {
            let one = Listens { task: task.at.clone(), number, filter: filter.clone() };
            if !found.contains(&one) {
                found.push(one);
            }
        }
    }
    found
}

/// Expressions on an input, without variables.
fn asked_of(expressions: Vec<Expression>, input: Value) -> Evaluation {
    Evaluation { expressions, input, variables: Map::new() }
}

fn has_attributes(filter: &EventFilter, incoming: &Incoming<'_>) -> bool {
    let is = |name: &String, value: &Value| {
        let wanted = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        incoming.attribute(name) == Some(wanted.as_str())
    };
    filter.attributes.iter().all(|(name, value)| is(name, value))
}

impl<'a> Pending<'a> {
    /// What is to be evaluated.
    pub fn evaluations(&self) -> &[Evaluation] {
        &self.evaluations
    }

    /// Goes on with what came of each evaluation.
    pub fn go_on(self, evaluated: Vec<Evaluated>) -> Result<Work<'a>, Trouble> {
        let Self { mediator, moment, what, .. } = self;
        let mut evaluated = evaluated.into_iter();
        let lost = || Trouble("an expression was not evaluated".to_owned());
        match what {
            Needs::Step { paused, kept } => {
                let step = paused.go_on(evaluated.next().ok_or_else(lost)?);
                Ok(mediator.stepped(step, *kept, moment))
            }
            Needs::Start { kept } => match evaluated.next().ok_or_else(lost)? {
                Ok(values) if holds(&values) => mediator.step(*kept, What::Start, moment),
                Ok(_) => Ok(Work::Ready(Outcome::noted("it starts no run: its data is not as asked"))),
                Err(why) => Ok(Work::Ready(Outcome::noted(&format!("it starts no run: {why}")))),
            },
            Needs::Offer { event, asked } => {
                let mut places = Vec::new();
                for Asked { task, filter, has_condition } in asked {
                    let passes =
                        !has_condition || evaluated.next().ok_or_else(lost)?.is_ok_and(|v| holds(&v));
                    // An event that has not what links it to a run is for no run.
                    if let (true, Ok(values)) = (passes, evaluated.next().ok_or_else(lost)?) {
                        places.push((task, filter, values));
                    }
                }
                Ok(Work::Ready(meeting::offer(mediator, &event, &places)))
            }
        }
    }
}

fn holds(values: &[Value]) -> bool {
    !matches!(values.first(), None | Some(Value::Null | Value::Bool(false)))
}
