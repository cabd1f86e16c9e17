//! `baton run`: runs of workflows: which there are, what each waits for, and what an operator says to one.

mod list;
mod show;
mod watch;
mod word;

use clap::{Args, Subcommand};
use serde_json::Value;

use super::Shared;
use super::client::part;
use super::failure::Failure;
use super::flow::name_of;
use super::output::clean;
use crate::model::workflow::failure::Error;
use crate::model::workflow::report::{RunPoint, RunReport, WaitsFor};
use crate::model::workflow::run::Status;

/// `baton run`
#[derive(Subcommand)]
pub enum RunCommand {
    /// List the runs that are not over, those first that wait for you; with --status others.
    Ls(list::LsArgs),
    /// Show a run: what it is at, what went wrong, what to do, and what happened.
    Show(show::ShowArgs),
    /// Let a run go on that is faulted: what failed is tried again, and what is done stays done.
    Resume(ResumeArgs),
    /// Count a task as done that failed or is under way, with what it would have given.
    Skip(SkipArgs),
    /// End a run, and undo what is done.
    Cancel {
        /// The run.
        id: String,
    },
    /// Give an event to a task that waits for one: an approval, a new card.
    Signal(SignalArgs),
}

/// `baton run resume`
#[derive(Args)]
#[command(after_long_help = "\
Examples:
  baton run resume place-order-17                       at each task that failed
  baton run resume place-order-17 --from charge --input '{\"card\": \"4242\"}'

A task is its name, or its place (such as /do/2/charge) where several have the name.")]
pub struct ResumeArgs {
    /// The run.
    id: String,
    /// Go on at this task instead of where it failed.
    #[arg(long, value_name = "STEP")]
    from: Option<String>,
    /// What the task is given, instead of what it was given before.
    #[arg(long, value_name = "JSON", value_parser = parse_json)]
    input: Option<Value>,
}

/// `baton run skip`
#[derive(Args)]
#[command(after_long_help = "\
Example:
  baton run skip place-order-17 charge --output '{\"paid\": true}'")]
pub struct SkipArgs {
    /// The run.
    id: String,
    /// The task: its name, or its place.
    step: String,
    /// What counts as given by it; null for nothing.
    #[arg(long, value_name = "JSON", value_parser = parse_json)]
    output: Value,
}

/// `baton run signal`
#[derive(Args)]
#[command(after_long_help = "\
Example:
  baton run signal approve-order-17 order-approved --data '{\"by\": \"Ada\"}'

`baton run show ID` says for which types it waits.")]
pub struct SignalArgs {
    /// The run.
    id: String,
    /// The event's type.
    #[arg(value_name = "TYPE")]
    ty: String,
    /// The event's data.
    #[arg(long, value_name = "JSON", value_parser = parse_json, default_value = "null")]
    data: Value,
}

/// Carries a command out.
pub fn run(command: RunCommand, shared: &Shared) -> Result<(), Failure> {
    match command {
        RunCommand::Ls(args) => list::run(&args, shared),
        RunCommand::Show(args) => show::run(&args, shared),
        RunCommand::Resume(args) => word::resume(&args, shared),
        RunCommand::Skip(args) => word::skip(&args, shared),
        RunCommand::Cancel { id } => word::cancel(&id, shared),
        RunCommand::Signal(args) => word::signal(&args, shared),
    }
}

fn parse_json(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("it is no JSON ({error}); a text is '\"...\"'"))
}

/// The path of a run, for HTTP.
fn path(id: &str, rest: &str) -> String {
    format!("/v1/runs/{}{rest}", part(id))
}

/// Whether it is faulted and can go on: somebody has to do something.
fn needs_somebody(run: &RunReport) -> bool {
    run.status == Status::Faulted && !run.over
}

/// What a task waits for, in words.
fn waits_for(point: &RunPoint) -> String {
    let (task, detail) = (name_of(&point.task), clean(&point.detail));
    let until = point.until.as_ref().map(|until| format!(", until {}", clean(until))).unwrap_or_default();
    match point.waits_for {
        WaitsFor::Operator => format!("you, at {task}"),
        WaitsFor::Processor => format!("{detail}, at {task}"),
        WaitsFor::Event => format!("{detail}, at {task}{until}"),
        WaitsFor::Time => format!("its time, at {task}{until}"),
    }
}

/// An error in a line: its kind, where it came up, and why.
fn why(error: &Error) -> String {
    let kind = error.ty.rsplit('/').next().unwrap_or_default();
    let said = error.detail.as_ref().or(error.title.as_ref()).map(|said| format!(": {said}"));
    clean(&format!("{kind} ({}) at {}{}", error.status, name_of(&error.instance), said.unwrap_or_default()))
}

/// What of a text fits into a width.
fn cut(text: &str, chars_max: usize) -> String {
    let line = clean(text).replace('\n', " ");
    if line.chars().count() <= chars_max {
        return line;
    }
    let kept: String = line.chars().take(chars_max.saturating_sub(3)).collect();
    format!("{kept}...")
}

/// An argument as a shell takes it.
fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@".contains(c);
    match !text.is_empty() && text.chars().all(is_plain) {
        true => text.to_owned(),
        false => format!("'{}'", clean(text).replace('\'', "'\\''")),
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
