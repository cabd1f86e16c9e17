//! `baton run resume`, `skip`, `cancel` and `signal`: what an operator says to a run.

use serde_json::{Map, Value, json};

use super::show::head;
use super::{ResumeArgs, SignalArgs, SkipArgs, path};
use crate::cli::Shared;
use crate::cli::client::Ask;
use crate::cli::failure::{Exit, Failure};
use crate::cli::output::{Style, Tone, clean};
use crate::model::workflow::report::RunDone;
use crate::model::workflow::run::Status;

/// Lets a run go on.
pub fn resume(args: &ResumeArgs, shared: &Shared) -> Result<(), Failure> {
    let mut body = Map::new();
    body.extend(args.from.as_ref().map(|from| ("from".to_owned(), json!(from))));
    body.extend(args.input.clone().map(|input| ("input".to_owned(), input)));
    let at = args.from.as_ref().map_or_else(String::new, |from| format!(" at {}", clean(from)));
    let done = tell(&args.id, "resume", body, shared)?;
    said(&done, format!("{} goes on{at}.", done.run.run.id), shared)
}

/// Counts a task as done.
pub fn skip(args: &SkipArgs, shared: &Shared) -> Result<(), Failure> {
    let SkipArgs { id, step, output } = args;
    let body = [("task".to_owned(), json!(step)), ("output".to_owned(), output.clone())];
    let done = tell(id, "skip", body.into_iter().collect(), shared)?;
    said(&done, format!("{} of {} counts as done.", clean(step), done.run.run.id), shared)
}

/// Ends a run.
pub fn cancel(id: &str, shared: &Shared) -> Result<(), Failure> {
    let done = tell(id, "cancel", Map::new(), shared)?;
    let run = &done.run.run;
    let what = match (run.status, run.over) {
        (Status::Cancelled, true) => format!("{} is cancelled.", run.id),
        _ => format!("{} is being cancelled: what is done is undone first.", run.id),
    };
    said(&done, what, shared)
}

/// Gives a run an event.
pub fn signal(args: &SignalArgs, shared: &Shared) -> Result<(), Failure> {
    let SignalArgs { id, ty, data } = args;
    let body = [("type".to_owned(), json!(ty)), ("data".to_owned(), data.clone())];
    let done = tell(id, "signal", body.into_iter().collect(), shared)?;
    said(&done, format!("{} has its {}.", done.run.run.id, clean(ty)), shared)
}

fn tell(id: &str, word: &str, mut body: Map<String, Value>, shared: &Shared) -> Result<RunDone, Failure> {
    body.insert("by".to_owned(), json!("cli"));
    let body = Value::Object(body).to_string().into_bytes();
    let path = path(id, &format!("/{word}"));
    let ask = Ask { method: "POST", content_type: "application/json", body, ..Ask::get(path) };
    shared.client().ask(ask)?.read()
}

fn said(done: &RunDone, what: String, shared: &Shared) -> Result<(), Failure> {
    shared.out().show(done, |done, style| render(done, &what, style))?;
    match done.handled {
        true => Ok(()),
        false => {
            let why = "its mediator has not come to it yet; it is recorded, and goes on without you";
            Err(Failure::new(Exit::Timeout, why))
        }
    }
}

pub(super) fn render(done: &RunDone, what: &str, style: Style) -> String {
    match done.handled {
        true => format!("{}\n\n{}", style.paint(Tone::Good, what), head(&done.run, style)),
        false => head(&done.run, style),
    }
}
