//! What mediators, processors and operators say to each other on queues and in inboxes, in words for the tree of a flow. It knows messages, and no
//! definitions: a step is its name.

use serde::Deserialize;
use serde_json::Value;

use super::super::output::{Tone, clean};
use crate::model::report::{FlowEvent, HandlingStatus};
use crate::model::workflow::command::{Outcome, What};
use crate::model::workflow::failure::Error;
use crate::model::workflow::post::{ATTEMPT, Message, STEP, UNDOES, mediator_of, processor_of};

/// A command or a message, in words.
#[derive(Debug, Default, PartialEq)]
pub struct Words {
    /// What it is.
    pub what: String,
    /// The step and the attempt, or what else it is about.
    pub about: String,
    /// What it says, a line each; none for the event's own data.
    pub lines: Option<Vec<(Tone, String)>>,
}

/// An event of a queue or an inbox in words; nothing for any other.
pub fn words(event: &FlowEvent) -> Option<Words> {
    if let Some(processor) = processor_of(&event.channel) {
        let what = format!("command to {processor}");
        let undoes = match text(&event.event, UNDOES) {
            "" => String::new(),
            step => format!(", undoes {}", name_of(step)),
        };
        return Some(Words { what, about: step_and_attempt(event)? + &undoes, lines: None });
    }
    mediator_of(&event.channel)?;
    Some(match message(event)? {
        Message::Run(what) => happened(event, what),
        Message::Listen { task, .. } => said("waits for an event", name_of(&task.0)),
        Message::ListenOff { .. } => said("waits for an event no longer", String::new()),
        Message::Offer { event, .. } => said("offers an event to runs", identity(&event)),
    })
}

/// Whether an event is of no interest as long as nothing follows it: runs and events that look for each other. One that is not handled yet, or that
/// failed, is of interest.
pub fn is_housekeeping(event: &FlowEvent) -> bool {
    let ty = event.event.get("type").and_then(Value::as_str).unwrap_or_default();
    mediator_of(&event.channel).is_some()
        && matches!(ty, "baton.listen" | "baton.listen-off" | "baton.offer")
        && event.handlings.iter().all(|handling| handling.status == HandlingStatus::Handled)
}

fn message(event: &FlowEvent) -> Option<Message> {
    Message::deserialize(event.event.get("data")?).ok()
}

fn happened(event: &FlowEvent, what: What) -> Words {
    let step = step_and_attempt(event).unwrap_or_default();
    match what {
        What::Start => said("begins", String::new()),
        What::Acknowledged { outcome: Outcome::Done(given), .. } => Words {
            what: format!("{} acknowledged", teller(event)),
            about: step,
            lines: Some(given_lines(&given)),
        },
        What::Acknowledged { outcome: Outcome::Failed(error), .. } => {
            Words { lines: Some(vec![(Tone::Bad, why(&error))]), ..said("not carried out", step) }
        }
        What::Acknowledged { outcome: Outcome::TakenBack, .. } => said("taken back", step),
        What::Due { .. } => said(&format!("timer of {} is due", step_of(event)), String::new()),
        What::Taken { task, event: taken, .. } => {
            let what = format!("took {}", identity(&taken));
            Words { lines: Some(data_lines(&taken)), ..said(&what, name_of(&task.0)) }
        }
        What::Resume { from, input } => {
            let at = from.map(|task| name_of(&task.0)).unwrap_or_default();
            let lines = input.map(|input| (Tone::Quiet, format!("with {}", clean(&input.to_string()))));
            Words { lines: Some(lines.into_iter().collect()), ..said("resumed by an operator", at) }
        }
        What::Skip { task, output } => {
            let lines = vec![(Tone::Quiet, format!("as if it gave {}", clean(&output.to_string())))];
            Words { lines: Some(lines), ..said("skipped by an operator", name_of(&task.0)) }
        }
        What::Signal { event: signal, .. } => {
            let lines = Some(data_lines(&signal));
            Words { lines, ..said("signalled by an operator", identity(&signal)) }
        }
        What::Cancel => said("cancelled by an operator", String::new()),
    }
}

fn said(what: &str, about: String) -> Words {
    Words { what: what.to_owned(), about, lines: Some(Vec::new()) }
}

/// What a processor gave: what it told, and what it replied.
fn given_lines(given: &Value) -> Vec<(Tone, String)> {
    let told = given.get("events").and_then(Value::as_array).into_iter().flatten();
    let told = told.map(|event| {
        let data = event.get("data").map(Value::to_string).unwrap_or_default();
        format!("told {} {data}", text(event, "type"))
    });
    let replied = given.get("reply").filter(|reply| !reply.is_null()).map(|reply| format!("replied {reply}"));
    let mut lines: Vec<String> = told.chain(replied).collect();
    if lines.is_empty() {
        lines.push("(told nothing)".to_owned());
    }
    lines.iter().map(|line| (Tone::Quiet, clean(line))).collect()
}

fn data_lines(event: &Value) -> Vec<(Tone, String)> {
    let data = event.get("data").filter(|data| !data.is_null());
    data.map(|data| (Tone::Quiet, clean(&data.to_string()))).into_iter().collect()
}

/// The type and the id of an event.
fn identity(event: &Value) -> String {
    clean(format!("{} {}", text(event, "type"), text(event, "id")).trim())
}

fn why(error: &Error) -> String {
    let said = error.detail.as_ref().unwrap_or(&error.ty);
    clean(&error.title.as_ref().map_or_else(|| said.clone(), |kind| format!("{kind}: {said}")))
}

/// The name at the end of an emitted event's source.
fn teller(event: &FlowEvent) -> String {
    clean(text(&event.event, "source").rsplit('/').next().unwrap_or_default())
}

fn step_of(event: &FlowEvent) -> String {
    name_of(text(&event.event, STEP))
}

fn step_and_attempt(event: &FlowEvent) -> Option<String> {
    let attempt = event.event.get(ATTEMPT)?.as_str()?;
    Some(format!("{}, attempt {}", step_of(event), clean(attempt)))
}

/// The name of a task: the end of its place.
pub fn name_of(task: &str) -> String {
    match task.rsplit('/').next().filter(|name| !name.is_empty()) {
        Some(name) => clean(&name.replace("~1", "/").replace("~0", "~")),
        None => "the workflow".to_owned(),
    }
}

fn text<'a>(event: &'a Value, name: &str) -> &'a str {
    event.get(name).and_then(Value::as_str).unwrap_or_default()
}
