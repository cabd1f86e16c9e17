//! `baton workflow`: definitions of workflows, as files and on a host.

mod against;
mod check;
mod deploy;
mod graph;
mod list;
mod show;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::Shared;
use super::failure::{Exit, Failure};
use crate::model::name::ProcessorName;
use crate::model::workflow::read::{DEFINITION_BYTES_MAX, read};

/// `baton workflow`
#[derive(Subcommand)]
pub enum WorkflowCommand {
    /// List the workflows of a host, and how their runs are.
    Ls,
    /// Show one workflow of a host.
    Show(show::ShowArgs),
    /// Put a definition into the running host: runs that begin from then on are on it.
    Deploy(DeployArgs),
    /// Take a workflow out of the running host; what is kept of its runs stays.
    Rm {
        /// The workflow.
        name: ProcessorName,
    },
    /// Say all that is wrong with definitions, each with its place and what to use instead.
    Check(CheckArgs),
    /// Draw a definition as a flowchart in Mermaid.
    Graph(GraphArgs),
}

/// `baton workflow check`
#[derive(Args)]
#[command(after_long_help = "\
Examples:
  baton workflow check place-order.yaml
  baton workflow check mediators/*.yaml --json
  baton workflow check place-order.yaml --against-runs

Definitions are YAML or JSON in the Serverless Workflow DSL, 1.0.0 to 1.0.3.
Exit code 0: a host would take them all; 1: it would not.")]
pub struct CheckArgs {
    /// The files.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Ask the host too: which runs in progress would be the same so far, and where the others differ.
    #[arg(long)]
    against_runs: bool,
}

/// `baton workflow deploy`
#[derive(Args)]
#[command(after_long_help = "\
Example:
  baton workflow deploy place-order.yaml

A file copied into the folder of mediators is the same. Runs in progress stay on the definition that they began with.")]
pub struct DeployArgs {
    /// The file; the workflow's name is in it.
    file: PathBuf,
}

/// `baton workflow graph`
#[derive(Args)]
#[command(after_long_help = "\
Example:
  baton workflow graph place-order.yaml > place-order.mmd

Mermaid is drawn by many hosts of code, in a block ```mermaid of Markdown, and by https://mermaid.live.")]
pub struct GraphArgs {
    /// The file.
    file: PathBuf,
}

/// Carries a command out.
pub fn run(command: WorkflowCommand, shared: &Shared) -> Result<(), Failure> {
    match command {
        WorkflowCommand::Ls => list::run(shared),
        WorkflowCommand::Show(args) => show::run(&args, shared),
        WorkflowCommand::Deploy(args) => deploy::deploy(&args.file, shared),
        WorkflowCommand::Rm { name } => deploy::remove(&name, shared),
        WorkflowCommand::Check(args) => check::run(&args.files, args.against_runs, shared),
        WorkflowCommand::Graph(args) => graph::run(&args.file, shared),
    }
}

/// A workflow's name and definition, of a file that can run.
fn definition_in(file: &Path) -> Result<(ProcessorName, String), Failure> {
    let text = text_of(file)?;
    let reading = read(&text);
    let found = reading.definition.as_ref().map(|definition| definition.document.name.as_str());
    let name = found.and_then(|name| ProcessorName::new(name).ok()).filter(|_| reading.mistakes.is_empty());
    let name = name.ok_or_else(|| {
        let file = file.display();
        let why = format!("{file} is no definition that can run; see `baton workflow check {file}`");
        Failure { code: Some("definition-invalid".to_owned()), ..Failure::failed(why) }
    })?;
    Ok((name, text))
}

/// The text of a definition. One that is too large is told so by its reader, and is not read to its end.
fn text_of(file: &Path) -> Result<String, Failure> {
    use std::io::Read;

    let cannot = |error: std::io::Error| {
        let exit = if error.kind() == std::io::ErrorKind::NotFound { Exit::NotFound } else { Exit::Failed };
        Failure::new(exit, format!("cannot read {}: {error}", file.display()))
    };
    let mut bytes = Vec::new();
    let opened = std::fs::File::open(file).map_err(cannot)?;
    opened.take(DEFINITION_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(cannot)?;
    let not_text = |_| Failure::failed(format!("{} is no text in UTF-8", file.display()));
    String::from_utf8(bytes).map_err(not_text)
}
