//! `baton run ls`: which runs wait for whom, those first that wait for an operator.

use clap::{Args, ValueEnum};
use uuid::Uuid;

use super::{cut, name_of, needs_somebody, waits_for, why};
use crate::cli::Shared;
use crate::cli::client::{Client, query};
use crate::cli::failure::Failure;
use crate::cli::output::{Style, Tone, counted};
use crate::cli::table::{Cell, table, text, toned};
use crate::model::name::ProcessorName;
use crate::model::time::age;
use crate::model::workflow::report::{EarlyEvent, RunPage, RunReport};
use crate::model::workflow::run::Status;

/// How much of what a run waits for stands in a cell.
const WAITS_CHARS_MAX: usize = 58;
/// How much of an error stands below its run.
const ERROR_CHARS_MAX: usize = 96;
/// How much of a place stands in a cell.
const PLACE_CHARS_MAX: usize = 40;

/// `baton run ls`
#[derive(Args)]
#[command(after_long_help = "\
Examples:
  baton run ls                                  what is not over, and what waits for you
  baton run ls --workflow place-order --status faulted
  baton run ls --status completed --limit 5")]
pub struct LsArgs {
    /// Only runs of this workflow.
    #[arg(long, value_name = "NAME")]
    workflow: Option<ProcessorName>,
    /// Only runs that are so, over or not [default: all that are not over].
    #[arg(long)]
    status: Option<StatusArg>,
    /// The runs of this flow, over or not.
    #[arg(long, value_name = "ID")]
    flow: Option<Uuid>,
    /// At most so many.
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
    /// Go on behind this run.
    #[arg(long, value_name = "RUN")]
    after: Option<String>,
}

/// How a run is.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum StatusArg {
    Pending,
    Running,
    Waiting,
    Faulted,
    Cancelled,
    Completed,
}

impl StatusArg {
    fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Faulted => "faulted",
            Self::Cancelled => "cancelled",
            Self::Completed => "completed",
        }
    }
}

/// Lists runs.
pub fn run(args: &LsArgs, shared: &Shared) -> Result<(), Failure> {
    let page = page(args, &shared.client())?;
    shared.out().show(&page, |page, style| render(page, args, style))
}

/// What is not over is asked for in two parts: however many runs began later, those that wait for somebody are not missed.
fn page(args: &LsArgs, client: &Client) -> Result<RunPage, Failure> {
    if args.status.is_some() || args.flow.is_some() {
        return ask(args, args.status, None, client);
    }
    let mut all = ask(args, None, Some(false), client)?;
    if args.after.is_none() {
        let mut first = ask(args, Some(StatusArg::Faulted), Some(false), client)?;
        all.runs.retain(|run| !needs_somebody(run));
        first.runs.append(&mut all.runs);
        all.runs = first.runs;
    }
    Ok(all)
}

fn ask(
    args: &LsArgs,
    status: Option<StatusArg>,
    over: Option<bool>,
    client: &Client,
) -> Result<RunPage, Failure> {
    let params = [
        ("workflow", args.workflow.as_ref().map(ToString::to_string)),
        ("status", status.map(|status| status.as_str().to_owned())),
        ("over", over.map(|over| over.to_string())),
        ("flow", args.flow.map(|flow| flow.to_string())),
        ("limit", Some(args.limit.to_string())),
        ("after", args.after.clone()),
    ];
    client.get(format!("/v1/runs{}", query(&params)))
}

fn render(page: &RunPage, args: &LsArgs, style: Style) -> String {
    let mut out = match page.runs.as_slice() {
        [] => none(page, args, style),
        runs => table(
            ["RUN", "STATUS", "AGE", "WAITS FOR"],
            runs.iter().map(|run| row(run, &page.asked)).collect(),
            style,
        ),
    };
    let waiting: Vec<&RunReport> = page.runs.iter().filter(|run| needs_somebody(run)).collect();
    if !waiting.is_empty() {
        let (verb, count) = (if waiting.len() == 1 { "waits" } else { "wait" }, waiting.len() as u64);
        let head = format!("{} {verb} for you:", counted(count, "run"));
        out.push_str(&format!("\n{}\n", style.paint(Tone::Bad, &head)));
        waiting.iter().for_each(|run| out.push_str(&trouble(run, style)));
    }
    out.push_str(&early(&page.early, style));
    if let Some(after) = &page.after {
        let (shown, count) = (page.runs.len(), page.count);
        out.push_str(&format!("\n{shown} of {count} runs; the next: --after {after}\n"));
    }
    if let Some(run) = page.runs.first().filter(|_| waiting.is_empty()) {
        out.push_str(&format!("\nlook: baton run show {}\n", run.id));
    }
    out
}

fn none(page: &RunPage, args: &LsArgs, style: Style) -> String {
    let whose = args.workflow.as_ref().map(|name| format!(" of {name}")).unwrap_or_default();
    match (args.status, args.flow, &args.after) {
        (_, _, Some(_)) => "No more runs.\n".to_owned(),
        (Some(status), ..) => format!("No run{whose} is {}.\n", status.as_str()),
        (None, Some(_), _) => format!("No run{whose} belongs to this flow.\n"),
        (None, None, None) if page.count == 0 => {
            let line = format!("Every run{whose} is over: nothing is left to do.");
            format!("{}\n", style.paint(Tone::Good, &line))
        }
        (None, None, None) => "No runs.\n".to_owned(),
    }
}

fn row(run: &RunReport, asked: &str) -> [Cell; 4] {
    [
        toned(run.id.as_str(), Tone::Name),
        status(run),
        text(age(&run.started, asked)),
        text(cut(&waits(run), WAITS_CHARS_MAX)),
    ]
}

fn status(run: &RunReport) -> Cell {
    match run.status {
        Status::Faulted if !run.over => toned("FAULTED", Tone::Bad),
        Status::Faulted => toned("faulted, over", Tone::Bad),
        _ if run.undoing => toned("undoing", Tone::Note),
        Status::Completed => toned("completed", Tone::Good),
        other => text(other.as_str()),
    }
}

fn waits(run: &RunReport) -> String {
    let mut points: Vec<_> = run.at.iter().collect();
    points.sort_by_key(|point| point.waits_for != crate::model::workflow::report::WaitsFor::Operator);
    match points.as_slice() {
        [] if run.over => String::new(),
        [] => "its mediator".to_owned(),
        [one] => waits_for(one),
        [first, rest @ ..] => format!("{} +{}", waits_for(first), rest.len()),
    }
}

/// Why a run is faulted, and what helps.
fn trouble(run: &RunReport, style: Style) -> String {
    let mut out = format!("{}\n", style.paint(Tone::Name, &run.id));
    if let Some(error) = &run.error {
        out.push_str(&format!("  {}\n", style.paint(Tone::Bad, &cut(&why(error), ERROR_CHARS_MAX))));
    }
    out.push_str(&format!("  look: baton run show {}\n", run.id));
    out + &format!("  mend, then go on there: baton run resume {}\n", run.id)
}

/// Events that came before a run waits for them.
fn early(events: &[EarlyEvent], style: Style) -> String {
    if events.is_empty() {
        return String::new();
    }
    let (count, verb) = (events.len() as u64, if events.len() == 1 { "waits" } else { "wait" });
    let row = |event: &EarlyEvent| {
        [
            toned(event.ty.as_str(), Tone::Name),
            text(&event.workflow),
            text(cut(&place(&event.place), PLACE_CHARS_MAX)),
            text(&event.until),
        ]
    };
    let rows = events.iter().map(row).collect();
    let head = format!("{} {verb} for a run to take them:", counted(count, "event"));
    format!("\n{head}\n{}", table(["TYPE", "WORKFLOW", "TAKEN BY", "KEPT UNTIL"], rows, style))
}

/// The task that an event waits at, and what links the event to a run.
fn place(place: &str) -> String {
    let mut parts = place.splitn(3, ' ');
    let task = name_of(parts.next().unwrap_or_default());
    match parts.nth(1).filter(|values| *values != "[]") {
        Some(values) => format!("{task} {values}"),
        None => task,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::tests::{faulted, over, run, waiting};
    use super::*;

    const NOTHING: LsArgs = LsArgs { workflow: None, status: None, flow: None, limit: 50, after: None };

    fn page(runs: Vec<RunReport>) -> RunPage {
        let (count, asked) = (runs.len(), "2026-02-02T15:30:00Z".into());
        RunPage { runs, count, early: Vec::new(), after: None, asked }
    }

    #[test]
    fn a_run_that_waits_for_somebody_says_why_and_what_to_do() {
        let text = render(
            &page(vec![run(faulted()), run(waiting()), run(over("faulted"))]),
            &NOTHING,
            Style::default(),
        );
        let expected = "\
RUN             STATUS         AGE     WAITS FOR
place-order-17  FAULTED        2d 03h  you, at charge +1
place-order-17  waiting        2d 03h  order-approved, at ask, until 2026-01-31T12:00:59.000Z
place-order-17  faulted, over  2d 03h

1 run waits for you:
place-order-17
  communication (500) at charge: the card has expired
  look: baton run show place-order-17
  mend, then go on there: baton run resume place-order-17
";
        assert_eq!(text, expected);
    }

    #[test]
    fn when_nothing_is_left_to_do_one_line_says_so() {
        let shown = |args: &LsArgs| render(&page(Vec::new()), args, Style::default());
        assert_eq!(shown(&NOTHING), "Every run is over: nothing is left to do.\n");
        let args = LsArgs { workflow: Some("pay".parse().unwrap()), ..NOTHING };
        assert_eq!(shown(&args), "Every run of pay is over: nothing is left to do.\n");
        assert_eq!(shown(&LsArgs { status: Some(StatusArg::Faulted), ..NOTHING }), "No run is faulted.\n");
    }

    #[test]
    fn events_without_a_run_and_the_next_page_stand_below() {
        let early = EarlyEvent {
            workflow: "approve-order".into(),
            place: "/do/0/approval/try/0/ask 0 [\"o-1\"]".into(),
            ty: "order-approved".into(),
            flow: "f-1".into(),
            until: "2026-02-01T12:00:00Z".into(),
        };
        let (early, after) = (vec![early], Some("place-order-17".to_owned()));
        let text =
            render(&RunPage { early, after, ..page(vec![run(waiting())]) }, &NOTHING, Style::default());
        for part in [
            "1 event waits for a run to take them:",
            "order-approved  approve-order  ask [\"o-1\"]  2026-02-01T12:00:00Z",
            "the next: --after place-order-17",
            "look: baton run show place-order-17",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
    }
}
