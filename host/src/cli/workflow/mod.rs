//! `baton workflow`: definitions of workflows as files, before any host has them.

mod check;
mod graph;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::Shared;
use super::failure::{Exit, Failure};
use crate::model::workflow::read::DEFINITION_BYTES_MAX;

/// `baton workflow`
#[derive(Subcommand)]
pub enum WorkflowCommand {
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

Definitions are YAML or JSON in the Serverless Workflow DSL, 1.0.0 to 1.0.3.
Exit code 0: a host would take them all; 1: it would not.")]
pub struct CheckArgs {
    /// The files.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
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
        WorkflowCommand::Check(args) => check::run(&args.files, shared),
        WorkflowCommand::Graph(args) => graph::run(&args.file, shared),
    }
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
