//! The history of a run: its messages, taken through its definition once more. Nothing is done; what was done is told.

use std::time::Duration;

use serde_json::Value;

use crate::model::time::{in_days, rfc3339};
use crate::model::workflow::command::{Command, Input, Note, Outcome, What};
use crate::model::workflow::definition::Definition;
use crate::model::workflow::report::RunNote;
use crate::model::workflow::run::Run;
use crate::model::workflow::step::{Evaluated, Evaluation, Step, step};
use crate::model::workflow::task::TaskRef;

/// What happened to a run, and what followed.
#[derive(Clone, Debug, PartialEq)]
pub struct Happened {
    /// What came in.
    pub input: Input,
    /// What followed, or why nothing did.
    pub followed: Result<Vec<Command>, String>,
}

/// Takes a run through what happened to it, from its beginning on.
pub fn replay(
    definition: &Definition,
    mut run: Run,
    inputs: Vec<Input>,
    evaluate: &mut dyn FnMut(&Evaluation) -> Evaluated,
) -> Vec<Happened> {
    let mut history = Vec::with_capacity(inputs.len());
    for input in inputs {
        let mut stepped = step(definition, run.clone(), input.clone());
        let followed = loop {
            stepped = match stepped {
                Step::Evaluate(paused) => {
                    let evaluated = evaluate(paused.evaluation());
                    paused.go_on(evaluated)
                }
                Step::Done(done) => {
                    run = done.run;
                    break Ok(done.commands);
                }
                Step::Ignored(ignored) => break Err(ignored.to_string()),
            };
        };
        history.push(Happened { input, followed });
    }
    history
}

/// The first command that one history has and another has not, notes left out: the task, what was done and what would be.
pub fn difference(was: &[Happened], would: &[Happened]) -> Option<(TaskRef, String, String)> {
    for (was, would) in was.iter().zip(would) {
        let (was, would) = (deeds(was), deeds(would));
        let mut pairs = 0..was.len().max(would.len());
        let differs = pairs.find(|at| was.get(*at) != would.get(*at));
        if let Some(at) = differs {
            let said = |deed: Option<&&Command>| {
                deed.map_or_else(
                    || "nothing".to_owned(),
                    |command| said(command).map_or_else(String::new, |(_, what, _)| what),
                )
            };
            let task = was.get(at).or(would.get(at)).and_then(|command| said_of(command)).unwrap_or_default();
            return Some((task, said(was.get(at)), said(would.get(at))));
        }
    }
    None
}

fn deeds(happened: &Happened) -> Vec<&Command> {
    let commands = happened.followed.as_deref().unwrap_or_default().iter();
    commands.filter(|command| !matches!(command, Command::Note { .. })).collect()
}

fn said_of(command: &Command) -> Option<TaskRef> {
    said(command).map(|(task, ..)| task)
}

/// A history as lines for people.
pub fn lines(history: &[Happened]) -> Vec<RunNote> {
    let mut lines = Vec::new();
    for Happened { input, followed } in history {
        let time = rfc3339(input.at_ms);
        let mut line = |(task, what, detail): (TaskRef, String, Option<String>)| {
            lines.push(RunNote { time: time.clone(), task: task.0, what, detail });
        };
        came(&input.what).into_iter().for_each(&mut line);
        match followed {
            Ok(commands) => commands.iter().filter_map(said).for_each(&mut line),
            Err(why) => line((TaskRef::default(), "changes nothing".to_owned(), Some(why.clone()))),
        }
    }
    lines
}

type Said = (TaskRef, String, Option<String>);

/// What is told of what came in.
fn came(what: &What) -> Option<Said> {
    let said =
        |task: &TaskRef, what: &str, detail: Option<String>| Some((task.clone(), what.to_owned(), detail));
    match what {
        What::Start | What::Due { .. } => None,
        What::Acknowledged { task, attempt, outcome } => {
            let attempt = format!("attempt {attempt}");
            match outcome {
                Outcome::Done(_) => said(task, "acknowledged", Some(attempt)),
                Outcome::Failed(error) => {
                    let why = error.detail.as_deref().unwrap_or(&error.ty);
                    said(task, "not carried out", Some(format!("{attempt}: {why}")))
                }
                Outcome::TakenBack => said(task, "taken back", Some(attempt)),
            }
        }
        What::Taken { task, event, .. } => said(task, "took an event", Some(identity(event))),
        What::Resume { from, .. } => said(&from.clone().unwrap_or_default(), "resumed by an operator", None),
        What::Skip { task, .. } => said(task, "skipped by an operator", None),
        What::Signal { event, .. } => {
            said(&TaskRef::default(), "signalled by an operator", Some(identity(event)))
        }
        What::Cancel => said(&TaskRef::default(), "cancelled by an operator", None),
    }
}

fn identity(event: &Value) -> String {
    let text = |name: &str| event.get(name).and_then(Value::as_str).unwrap_or_default();
    format!("{} {}", text("type"), text("id")).trim().to_owned()
}

/// What is told of a command.
fn said(command: &Command) -> Option<Said> {
    let said = |task: &TaskRef, what: String, detail: Option<String>| Some((task.clone(), what, detail));
    match command {
        Command::Call { task, attempt, processor, .. } => {
            said(task, format!("calls {processor}"), Some(format!("attempt {attempt}")))
        }
        Command::TakeBack { task, attempt } => {
            said(task, "takes its command back".to_owned(), Some(format!("attempt {attempt}")))
        }
        Command::Timer { task, after_ms, .. } => {
            said(task, format!("sets a timer of {}", long(*after_ms)), None)
        }
        Command::Listen { task, filters, .. } => {
            let types: Vec<&str> = filters.iter().map(|filter| filter.ty.as_str()).collect();
            said(task, format!("waits for {}", types.join(", ")), None)
        }
        Command::Emit { task, event } => said(task, format!("publishes {}", event.ty), None),
        Command::Note { task, note } => noted(note).and_then(|(what, detail)| said(task, what, detail)),
        Command::TimerOff { .. } | Command::ListenOff { .. } | Command::Ended => None,
    }
}

/// How long a time is, for people.
fn long(ms: u64) -> String {
    in_days(Duration::from_millis(ms))
}

fn noted(note: &Note) -> Option<(String, Option<String>)> {
    let why = |error: &crate::model::workflow::failure::Error| {
        Some(error.detail.clone().unwrap_or_else(|| error.ty.clone()))
    };
    let (what, detail) = match note {
        Note::Began => ("began", None),
        Note::LeftOut => ("left out", None),
        Note::Done => ("done", None),
        Note::BrokenOff => ("broken off", None),
        Note::Failed(error) => ("failed", why(error)),
        Note::Again(after_ms) => ("tried again", Some(format!("after {}", long(*after_ms)))),
        Note::Caught(error) => ("caught", why(error)),
        Note::Skipped => return None,
        Note::Resumed => ("goes on", None),
        Note::Undone => ("undone", None),
    };
    Some((what.to_owned(), detail))
}
