//! Where events and the runs that wait for them meet: a key of the inbox for each task, filter and set of linking values. Whoever comes first
//! waits there in the key's state; all of it goes one after another, because it is one key.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::told::Outcome;
use super::{Mediator, Moment, Trouble};
use crate::model::workflow::command::What;
use crate::model::workflow::post::{Message, is_meeting, meeting};
use crate::model::workflow::task::TaskRef;
use crate::view::state::ProcessorState;

/// What the names of events begin with that wait for a run; they stand before all runs that wait.
const EARLY: &str = "early ";
/// What the names of runs begin with that wait for an event.
const WAIT: &str = "wait ";
/// The most events that wait at one place.
const EARLY_MAX: usize = 100;
/// The most runs that one message gives an event to.
const GIVEN_MAX: usize = 500;

/// A run that waits for an event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Wait {
    pub run: String,
    pub flow: String,
    pub task: TaskRef,
    pub attempt: u32,
    pub filter: usize,
}

impl Wait {
    fn name(run: &str, attempt: u32) -> String {
        format!("{WAIT}{run} {attempt}")
    }

    fn take(&self, mediator: &Mediator, event: Value, out: &mut Outcome) {
        let Self { task, attempt, filter, .. } = self.clone();
        let taken = Message::Run(What::Taken { task, attempt, filter, event });
        out.post(mediator.name(), &self.run, &self.flow, &taken);
    }
}

/// Tells all places of an event where runs may wait for it.
pub(super) fn offer(mediator: &Mediator, event: &Value, places: &[(TaskRef, usize, Vec<Value>)]) -> Outcome {
    let mut out = Outcome::default();
    let flow = event.get("correlationid").and_then(Value::as_str).unwrap_or_default();
    for (task, filter, values) in places {
        let offer = Message::Offer { event: event.clone(), again: false };
        out.post(mediator.name(), &meeting(task, *filter, values), flow, &offer);
    }
    if places.is_empty() {
        return Outcome::noted("no run can wait for it");
    }
    out
}

/// A run comes to wait: it takes the oldest event that is there.
pub(super) fn listen(
    mediator: &Mediator,
    state: &ProcessorState,
    moment: &Moment,
    wait: &Wait,
) -> Result<Outcome, Trouble> {
    let mut out = Outcome::default();
    let first = state.rows(Some(&moment.key), moment.time_ms, 1).into_iter().next();
    match first.filter(|(_, name, _)| name.starts_with(EARLY)) {
        Some((_, name, value)) => {
            let event = serde_json::from_slice(&value.bytes).map_err(unreadable)?;
            wait.take(mediator, event, &mut out);
            out.delete(&*name);
        }
        None => {
            let value = serde_json::to_vec(wait).map_err(unreadable)?;
            out.set(Wait::name(&wait.run, wait.attempt), value, 0);
        }
    }
    Ok(out)
}

/// A run waits no longer.
pub(super) fn listen_off(run: &str, attempt: u32) -> Outcome {
    let mut out = Outcome::default();
    out.delete(Wait::name(run, attempt));
    out
}

/// An event comes: all runs that wait get it; without any, it waits itself for a time.
pub(super) fn offered(
    mediator: &Mediator,
    state: &ProcessorState,
    moment: &Moment,
    event: Value,
    again: bool,
) -> Result<Outcome, Trouble> {
    let mut out = Outcome::default();
    let rows = state.rows(Some(&moment.key), moment.time_ms, EARLY_MAX + GIVEN_MAX + 1);
    let (early, waits): (Vec<_>, Vec<_>) = rows.iter().partition(|(_, name, _)| name.starts_with(EARLY));
    for (_, name, value) in waits.iter().take(GIVEN_MAX) {
        let wait: Wait = serde_json::from_slice(&value.bytes).map_err(unreadable)?;
        wait.take(mediator, event.clone(), &mut out);
        out.delete(&**name);
    }
    let flow = event.get("correlationid").and_then(Value::as_str).unwrap_or_default().to_owned();
    if waits.len() > GIVEN_MAX {
        out.post(mediator.name(), &moment.key, &flow, &Message::Offer { event, again: true });
    } else if waits.is_empty() && !again {
        if let Some((_, oldest, _)) = early.first().filter(|_| early.len() >= EARLY_MAX) {
            out.delete(&**oldest);
            out.note =
                Some(format!("more than {EARLY_MAX} events wait here for a run: the oldest is dropped"));
        }
        let value = serde_json::to_vec(&event).map_err(unreadable)?;
        let name = format!("{EARLY}{:020}", moment.cause.1);
        out.set(name, value, moment.time_ms.saturating_add(mediator.rules.keep_early_ms));
    }
    Ok(out)
}

fn unreadable(error: serde_json::Error) -> Trouble {
    Trouble(format!("what waits at a meeting place cannot be read: {error}"))
}

/// An event that waits for a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Early {
    /// The place.
    pub key: String,
    /// The event, in the form of CloudEvents in JSON.
    pub event: Value,
    /// Until when it waits, in milliseconds since the Unix epoch.
    pub until_ms: u64,
}

/// The events that wait for a run, at most so many.
pub fn early(state: &ProcessorState, now_ms: u64, limit: usize) -> Vec<Early> {
    let is_early = |key: &str, name: &str| name.starts_with(EARLY) && is_meeting(key);
    let mut rows = state.rows_of(is_early, now_ms);
    rows.sort_unstable_by(|(key, name, _), (other, after, _)| (key, name).cmp(&(other, after)));
    let read = rows.into_iter().filter_map(|(key, _, value)| {
        let event = serde_json::from_slice(&value.bytes).ok()?;
        Some(Early { key: key.to_string(), event, until_ms: value.expires_ms })
    });
    read.take(limit).collect()
}
