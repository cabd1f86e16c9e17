//! What follows a step, for others: commands of the step machine as emits and writes of state.

use serde_json::Value;

use super::kept::{ABOUT, Kept, LEFT, Meets, RUN, Unwanted};
use super::{Mediator, Moment};
use crate::model::workflow::command::{Awaited, Command, MadeEvent, Note};
use crate::model::workflow::post::{Marks, Message, UNDOES, inbox_of, meeting, queue_of};
use crate::model::workflow::run::Doing;
use crate::model::workflow::task::TaskRef;
use crate::model::workflow::timer::Timer;

/// What came of an event.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// The events that are published.
    pub emits: Vec<Emit>,
    /// The names of the key's state that change.
    pub writes: Vec<Write>,
    /// Why nothing follows.
    pub note: Option<String>,
    /// The earliest timer that was set: when it is due, in milliseconds since the Unix epoch.
    pub due_ms: Option<u64>,
    /// How long a step took that was acknowledged, in milliseconds.
    pub step_ms: Option<u64>,
    /// How many tasks are tried again.
    pub retries: u64,
}

/// An event that is published.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Emit {
    /// Where.
    pub channel: String,
    /// Its type.
    pub ty: String,
    /// Its subject.
    pub subject: Option<String>,
    /// Its partition key.
    pub partitionkey: Option<String>,
    /// What its data is; absent, it is JSON.
    pub datacontenttype: Option<String>,
    /// Its data.
    pub data: Vec<u8>,
    /// Its other attributes and extensions.
    pub attributes: Vec<(String, String)>,
}

/// A name of the key's state that changes.
#[derive(Clone, Debug, PartialEq)]
pub struct Write {
    /// The name.
    pub name: String,
    /// Its value; none deletes it.
    pub value: Option<Vec<u8>>,
    /// When it ends, in milliseconds since the Unix epoch; 0 for never.
    pub expires_ms: u64,
}

impl Outcome {
    /// Nothing follows, for a reason.
    pub fn noted(why: &str) -> Self {
        Self { note: Some(why.to_owned()), ..Self::default() }
    }

    /// Sets a name.
    pub fn set(&mut self, name: impl Into<String>, value: Vec<u8>, expires_ms: u64) {
        self.writes.push(Write { name: name.into(), value: Some(value), expires_ms });
    }

    /// Deletes a name.
    pub fn delete(&mut self, name: impl Into<String>) {
        self.writes.push(Write { name: name.into(), value: None, expires_ms: 0 });
    }

    /// Sends a message to a key of a mediator's inbox, in a flow.
    pub fn post(&mut self, mediator: &str, key: &str, flow: &str, message: &Message) {
        self.emits.push(Emit {
            channel: inbox_of(mediator),
            ty: message.ty().to_owned(),
            partitionkey: Some(key.to_owned()),
            data: message.to_json(),
            attributes: in_flow(flow),
            ..Emit::default()
        });
    }
}

/// An attribute that puts an event into a flow, where that is not its cause's.
fn in_flow(flow: &str) -> Vec<(String, String)> {
    vec![("correlationid".to_owned(), flow.to_owned())]
}

/// What a step of a run makes others do, and what is kept of the run.
pub(super) fn outcome(
    mediator: &Mediator,
    mut kept: Kept,
    commands: Vec<Command>,
    moment: &Moment,
) -> Outcome {
    let mut out = Outcome { step_ms: moment.step_ms, ..Outcome::default() };
    for command in commands {
        told(mediator, &mut kept, command, moment, &mut out);
    }
    end_meetings(mediator, &mut kept, &mut out);
    keep(mediator, &kept, moment, &mut out);
    out
}

fn told(mediator: &Mediator, kept: &mut Kept, command: Command, moment: &Moment, out: &mut Outcome) {
    match command {
        Command::Call { task, attempt, processor, event } => {
            let undone = mediator.definition(&kept.definition).and_then(|all| all.undone_by(&task));
            let undoes = undone.map(|undone| (UNDOES.to_owned(), undone.at.0.clone()));
            let marks =
                Marks { mediator: mediator.name.clone(), run: kept.run.id.clone(), step: task, attempt };
            let mut emit = made(kept, event, queue_of(&processor));
            if emit.subject.is_none() {
                // Without a key of their own, the commands of a run have one together: what one leaves in a state, the next finds.
                emit.partitionkey.get_or_insert_with(|| kept.run.id.clone());
            }
            emit.attributes.extend(undoes);
            emit.attributes.extend(marks.attributes().map(|(name, value)| (name.to_owned(), value)));
            out.emits.push(emit);
        }
        Command::Emit { event, .. } => {
            let channel = event.ty.clone();
            out.emits.push(made(kept, event, channel));
        }
        Command::Timer { timer, after_ms, task } => {
            let (channel, offset) = moment.cause.clone();
            let flow = kept.flow.clone();
            let timer =
                Timer { number: timer, task, flow, set_ms: moment.time_ms, after_ms, channel, offset };
            out.due_ms = Some(out.due_ms.map_or(timer.due_ms(), |due| due.min(timer.due_ms())));
            // Writing values to memory cannot fail.
            let value = serde_json::to_vec(&timer).unwrap_or_default();
            out.set(Timer::name(timer.number), value, timer.due_ms());
        }
        Command::TimerOff { timer } => out.delete(Timer::name(timer)),
        Command::Listen { task, attempt, filters, .. } => {
            meet(mediator, kept, (task, attempt), &filters, out)
        }
        Command::Note { note: Note::Again(_), .. } => out.retries += 1,
        // What the run wants no more is said by what is kept of it; its history is made of its messages.
        Command::TakeBack { .. } | Command::ListenOff { .. } | Command::Note { .. } | Command::Ended => {}
    }
}

/// An event that a task has made, with what it has of the one that started the run.
fn made(kept: &Kept, event: MadeEvent, channel: String) -> Emit {
    let MadeEvent { ty, data, mut attributes } = event;
    let subject = attributes.remove("subject").or_else(|| kept.subject.clone());
    let partitionkey = attributes.remove("partitionkey").or_else(|| kept.partitionkey.clone());
    let datacontenttype = attributes.remove("datacontenttype");
    let mut all = in_flow(&kept.flow);
    all.extend(attributes);
    let data = data.to_string().into_bytes();
    Emit { channel, ty, subject, partitionkey, datacontenttype, data, attributes: all }
}

/// Has a task wait where its events come.
fn meet(
    mediator: &Mediator,
    kept: &mut Kept,
    (task, attempt): (TaskRef, u32),
    filters: &[Awaited],
    out: &mut Outcome,
) {
    let mut places = Vec::with_capacity(filters.len());
    for (filter, awaited) in filters.iter().enumerate() {
        let values: Vec<Value> =
            awaited.correlate.iter().map(|link| link.expect.clone().unwrap_or_default()).collect();
        let place = meeting(&task, filter, &values);
        let (run, flow) = (kept.run.id.clone(), kept.flow.clone());
        let listen = Message::Listen { run, flow, task: task.clone(), attempt, filter };
        out.post(&mediator.name, &place, &kept.flow, &listen);
        places.push(place);
    }
    kept.meets.insert(task, Meets { attempt, places });
}

/// Takes the run away from where its tasks wait no more.
fn end_meetings(mediator: &Mediator, kept: &mut Kept, out: &mut Outcome) {
    let Kept { meets, run, flow, .. } = kept;
    meets.retain(|task, Meets { attempt, places }| {
        let waits = run.scopes.values().any(|scope| {
            scope.task == *task
                && matches!(&scope.doing, Doing::Listening { attempt: at, .. } if at == attempt)
        });
        if !waits {
            let off = Message::ListenOff { run: run.id.clone(), attempt: *attempt };
            places.iter().for_each(|place| out.post(&mediator.name, place, flow, &off));
        }
        waits
    });
}

fn keep(mediator: &Mediator, kept: &Kept, moment: &Moment, out: &mut Outcome) {
    let expires_ms = match kept.run.is_over() {
        true => moment.time_ms.saturating_add(mediator.rules.keep_ended_ms),
        false => 0,
    };
    // Writing values to memory cannot fail.
    out.set(RUN, serde_json::to_vec(kept).unwrap_or_default(), expires_ms);
    if let Some(definition) = mediator.definition(&kept.definition) {
        let about = kept.about(definition, moment.time_ms);
        out.set(ABOUT, serde_json::to_vec(&about).unwrap_or_default(), expires_ms);
    }
    match Unwanted::of(&kept.run.left) {
        left if left.is_empty() && !moment.had_left => {}
        left if left.is_empty() => out.delete(LEFT),
        left => out.set(LEFT, serde_json::to_vec(&left).unwrap_or_default(), expires_ms),
    }
}
