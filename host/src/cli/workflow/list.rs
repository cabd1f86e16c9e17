//! `baton workflow ls`: what is deployed, and how its runs are.

use crate::cli::Shared;
use crate::cli::failure::Failure;
use crate::cli::output::{Style, Tone, counted};
use crate::cli::status::file_trouble;
use crate::cli::table::{Cell, table, text, toned};
use crate::model::workflow::report::{WorkflowList, WorkflowReport};

/// Lists workflows.
pub fn run(shared: &Shared) -> Result<(), Failure> {
    shared.out().show(&shared.client().get::<WorkflowList>("/v1/workflows")?, render)
}

fn render(list: &WorkflowList, style: Style) -> String {
    let mut out = match list.workflows.as_slice() {
        [] => "No workflow is deployed: `baton workflow deploy FILE`.\n".to_owned(),
        workflows => {
            let rows = workflows.iter().map(row).collect();
            table(["WORKFLOW", "VERSION", "STARTS WITH", "RUNS", "FILE"], rows, style)
        }
    };
    for problem in &list.problems {
        out.push_str(&format!("\n{}", file_trouble(problem, style)));
    }
    if list.workflows.iter().any(|workflow| workflow.runs.contains_key("faulted")) {
        out.push_str("\nthose that are faulted: baton run ls --status faulted\n");
    }
    out
}

fn row(workflow: &WorkflowReport) -> [Cell; 5] {
    let WorkflowReport { name, version, deployed, queue, file, .. } = workflow;
    let file = if *deployed { text(file) } else { toned("removed", Tone::Note) };
    [
        toned(name.as_str(), Tone::Name),
        text(version),
        text(queue.as_deref().unwrap_or_default()),
        text(runs(workflow)),
        file,
    ]
}

/// How many runs are how; what is wrong first, what is over last.
pub(super) fn runs(workflow: &WorkflowReport) -> String {
    let order = ["faulted", "pending", "running", "waiting", "cancelled", "completed"];
    let counts = order.into_iter().filter_map(|status| Some((workflow.runs.get(status)?, status)));
    let counts: Vec<String> = counts.map(|(count, status)| format!("{count} {status}")).collect();
    if counts.is_empty() { "none".to_owned() } else { counts.join(", ") }
}

/// What a removal leaves behind.
pub(super) fn left_behind(workflow: &WorkflowReport) -> String {
    let count = workflow.versions.values().sum::<usize>() as u64;
    let verb = if count == 1 { "stands" } else { "stand" };
    let runs = counted(count, "run");
    format!("{runs} in progress {verb} still until a definition of the name is deployed again: baton run ls")
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
