//! `baton workflow show`: one workflow, or its text.

use std::io::{IsTerminal, Write};

use clap::Args;

use super::list::runs;
use crate::cli::Shared;
use crate::cli::failure::Failure;
use crate::cli::output::{Style, Tone, clean, short, wrap};
use crate::model::name::ProcessorName;
use crate::model::workflow::report::{WorkflowDetail, WorkflowReport};

/// `baton workflow show`
#[derive(Args)]
#[command(after_long_help = "\
Examples:
  baton workflow show place-order
  baton workflow show place-order --text > place-order.yaml")]
pub struct ShowArgs {
    /// The workflow.
    name: ProcessorName,
    /// Print its definition, and nothing else.
    #[arg(long)]
    text: bool,
}

/// Shows a workflow.
pub fn run(args: &ShowArgs, shared: &Shared) -> Result<(), Failure> {
    let detail: WorkflowDetail = shared.client().get(format!("/v1/workflows/{}", args.name))?;
    match args.text && !shared.json {
        true => print(&detail.text),
        false => shared.out().show(&detail, render),
    }
}

/// To a file as it is; a terminal is not steered by it.
fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    let shown = if stdout.is_terminal() { clean(text) } else { text.to_owned() };
    let written = stdout.write_all(shown.as_bytes()).and_then(|()| stdout.flush());
    written.map_err(|error| Failure::output(&error))
}

fn render(detail: &WorkflowDetail, style: Style) -> String {
    let workflow = &detail.workflow;
    let head = format!("{} {}", workflow.name, clean(&workflow.version));
    let mut out = format!("{}\n", style.paint(Tone::Name, &head));
    for line in wrap(&workflow.description, 2).iter().filter(|line| !line.is_empty()) {
        out.push_str(&format!("  {line}\n"));
    }
    for (what, value) in facts(workflow) {
        out.push_str(&format!("  {what:<12}{}\n", clean(&value)));
    }
    out + &format!("\nits text: baton workflow show {} --text\n", workflow.name)
}

fn facts(workflow: &WorkflowReport) -> Vec<(&'static str, String)> {
    let deployed = match workflow.deployed {
        true => workflow.file.clone(),
        false => "removed: nothing begins, and its runs stand still".to_owned(),
    };
    let mut facts = vec![("file", deployed), ("definition", short(&workflow.definition).to_owned())];
    facts.extend(workflow.queue.clone().map(|queue| ("starts with", queue)));
    facts.push(("calls", workflow.calls.join(", ")));
    facts.extend(workflow.warnings.iter().map(|warning| ("warning", warning.clone())));
    facts.push(("runs", runs(workflow)));
    let versions: Vec<String> =
        workflow.versions.iter().map(|(version, count)| format!("{count} on {version}")).collect();
    facts.push(("in progress", versions.join(", ")));
    facts.retain(|(_, value)| !value.is_empty());
    facts
}
