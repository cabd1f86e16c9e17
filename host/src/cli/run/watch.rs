//! `baton run show --watch`: a run as it goes on, a line for each thing that happens.

use super::show::{head, line};
use super::{needs_somebody, path};
use crate::cli::Shared;
use crate::cli::failure::{Exit, Failure};
use crate::cli::output::Out;
use crate::model::workflow::report::{RunDetail, RunReport};
use crate::model::workflow::run::Status;

/// Shows what happens until the run is over or faulted; anything but a completed run is a failure.
pub fn run(id: &str, shared: &Shared) -> Result<(), Failure> {
    let mut messages = shared.client().live(&path(id, "/events"), "")?;
    let mut shown = 0;
    while let Some(message) = messages.next()? {
        let detail: RunDetail = message.read()?;
        shown = show(&detail, shown, shared.out())?;
        if detail.run.over || needs_somebody(&detail.run) {
            return ended(&detail.run);
        }
    }
    Err(Failure::new(Exit::Unreachable, "the host stopped before the run ended; ask again when it is back"))
}

/// Shows what is new, and gives how many lines of the history are shown by now.
fn show(detail: &RunDetail, shown: usize, out: Out) -> Result<usize, Failure> {
    let RunDetail { run, history, .. } = detail;
    let is_last = run.over || needs_somebody(run);
    if out.json {
        out.item(detail, |_, _| String::new())?;
        return Ok(history.len());
    }
    for note in history.iter().skip(shown) {
        out.item(note, |note, style| line(run, note, style))?;
    }
    if is_last {
        out.show(detail, |detail, style| format!("\n{}", head(detail, style)))?;
    }
    Ok(history.len().max(shown))
}

fn ended(run: &RunReport) -> Result<(), Failure> {
    match run.status {
        Status::Completed => Ok(()),
        Status::Cancelled => Err(Failure::failed("the run was cancelled")),
        _ if run.over => Err(Failure::failed("the run failed")),
        _ => Err(Failure::failed("the run is faulted, and waits for you")),
    }
}
