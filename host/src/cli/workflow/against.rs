//! `baton workflow check --against-runs`: what a new definition would have done with the runs in progress.

use std::path::Path;

use serde::Serialize;

use super::definition_in;
use super::deploy::YAML;
use crate::cli::client::{Ask, Client};
use crate::cli::failure::Failure;
use crate::cli::output::{Style, Tone, clean, counted, wrap};
use crate::model::workflow::report::{RunDiffers, RunsAgainst};

/// What the host says of a file.
#[derive(Serialize)]
pub(super) struct Against {
    file: String,
    /// Absent if the host does not have the workflow.
    runs: Option<RunsAgainst>,
}

/// Asks the host about a file.
pub(super) fn ask(file: &Path, client: &Client) -> Result<Against, Failure> {
    let (name, text) = definition_in(file)?;
    let path = format!("/v1/workflows/{name}/check-runs");
    let ask = Ask { method: "POST", content_type: YAML, body: text.into_bytes(), ..Ask::get(path) };
    let runs = match client.ask(ask) {
        Ok(reply) => Some(reply.read()?),
        Err(failure) if failure.code.as_deref() == Some("unknown-workflow") => None,
        Err(failure) => return Err(failure),
    };
    Ok(Against { file: file.display().to_string(), runs })
}

/// What is said of a file, for people.
pub(super) fn render(against: &Against, style: Style) -> String {
    let file = clean(&against.file);
    let Some(RunsAgainst { workflow, same, others }) = &against.runs else {
        return format!("{file}: new to the host; no run is on it\n");
    };
    if *same == 0 && others.is_empty() {
        return format!("{file}: {workflow} has no run in progress\n");
    }
    let mut out =
        format!("{file}: {} of {workflow} would be the same so far\n", counted(*same as u64, "run"));
    if !others.is_empty() {
        let count = counted(others.len() as u64, "run");
        let head =
            format!("{count} would not; in progress, they stay on the definition that they began with:");
        out.push_str(&format!("{}\n", style.paint(Tone::Note, &head)));
    }
    others.iter().for_each(|other| out.push_str(&differs(other, style)));
    out
}

fn differs(other: &RunDiffers, style: Style) -> String {
    let RunDiffers { run, task, did, would } = other;
    let run = style.paint(Tone::Name, &clean(run));
    let at = if task.is_empty() { String::new() } else { format!(" at {}", clean(task)) };
    let mut out = format!("  {run}{at}\n");
    for (what, said) in [("did", did), ("would", would)] {
        let lines = wrap(said, 11).into_iter().enumerate();
        let lead = |line| if line == 0 { format!("    {what:<7}") } else { " ".repeat(11) };
        lines.for_each(|(number, line)| out.push_str(&format!("{}{line}\n", lead(number))));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(runs: Option<RunsAgainst>) -> String {
        render(&Against { file: "order.yaml".into(), runs }, Style::default())
    }

    #[test]
    fn the_runs_that_differ_say_where_and_what() {
        let differs = RunDiffers {
            run: "order-7".into(),
            task: "/do/0/pay".into(),
            did: "calls payment".into(),
            would: "nothing".into(),
        };
        let workflow = || "order".to_owned();
        let expected = "\
order.yaml: 2 runs of order would be the same so far
1 run would not; in progress, they stay on the definition that they began with:
  order-7 at /do/0/pay
    did    calls payment
    would  nothing
";
        let against = RunsAgainst { workflow: workflow(), same: 2, others: vec![differs] };
        assert_eq!(shown(Some(against)), expected);
        assert_eq!(shown(None), "order.yaml: new to the host; no run is on it\n");
        let none = RunsAgainst { workflow: workflow(), same: 0, others: Vec::new() };
        assert_eq!(shown(Some(none)), "order.yaml: order has no run in progress\n");
    }
}
