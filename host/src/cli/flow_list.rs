//! `baton flow ls`: which flows are not done, what each waits for, and where to look next.

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::Shared;
use super::client::query;
use super::failure::Failure;
use super::output::{Style, Tone, clean};
use super::table::{number, table, text, toned};
use crate::model::flow::{FlowPage, FlowSummary, WaitsFor};
use crate::model::name::ChannelName;
use crate::model::report::{FlowStatus, HandlingStatus};
use crate::model::time::{age, parse_duration};

/// How much of a text stands in a cell.
const CELL_CHARS_MAX: usize = 24;
/// How much of a fault stands below its flow.
const FAULT_CHARS_MAX: usize = 76;

/// `baton flow ls`
#[derive(Args)]
#[command(after_long_help = "\
Examples:
  baton flow ls --state stuck
  baton flow ls --older-than 10m --channel place-order
  baton flow ls --state done --limit 5")]
pub struct LsArgs {
    /// Only flows that stand so [default: all that are not done].
    #[arg(long)]
    state: Option<State>,
    /// Only flows that began so long ago, such as 10m or 2d.
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    older_than: Option<Duration>,
    /// Only flows that began on this channel.
    #[arg(long)]
    channel: Option<ChannelName>,
    /// At most so many.
    #[arg(long, default_value_t = 50)]
    limit: usize,
    /// Go on behind the page that ended with this.
    #[arg(long, value_name = "NEXT")]
    after: Option<String>,
}

/// How a flow stands.
#[derive(Clone, Copy, ValueEnum)]
enum State {
    Open,
    Stuck,
    Overdue,
    Done,
}

impl State {
    fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Stuck => "stuck",
            Self::Overdue => "overdue",
            Self::Done => "done",
        }
    }
}

/// Lists flows.
pub fn run(args: &LsArgs, shared: &Shared) -> Result<(), Failure> {
    let params = [
        ("state", args.state.map(|state| state.as_str().to_owned())),
        ("older-than", args.older_than.map(|age| format!("{}ms", age.as_millis()))),
        ("channel", args.channel.as_ref().map(ToString::to_string)),
        ("limit", Some(args.limit.to_string())),
        ("after", args.after.clone()),
    ];
    let page: FlowPage = shared.client().get(format!("/v1/flows{}", query(&params)))?;
    shared.out().show(&page, |page, style| render(page, args.state, style))
}

fn render(page: &FlowPage, state: Option<State>, style: Style) -> String {
    let mut out = match page.flows.as_slice() {
        [] => none(page, state),
        flows => table(
            ["FLOW", "STATE", "BEGAN WITH", "SUBJECT", "AGE", "EVENTS", "WAITS FOR"],
            flows.iter().map(|flow| row(flow, &page.asked)).collect(),
            style,
        ),
    };
    for flow in &page.flows {
        out.push_str(&notes(flow, style));
    }
    if page.incomplete {
        out.push_str(
            "\nMore events are undecided than are looked at for one answer: flows may be missing here.\n",
        );
    }
    if let Some(next) = &page.next {
        out.push_str(&format!("\nThere may be more: add --after {next}\n"));
    }
    if let Some(flow) = page.flows.first() {
        out.push_str(&format!("\nlook: baton flow show {}\n", flow.flow));
    }
    out
}

fn none(page: &FlowPage, state: Option<State>) -> String {
    let searched = if page.next.is_some() { " so far" } else { "" };
    match state {
        None => format!("Every flow is done{searched}.\n"),
        Some(state) => format!("No flow is {}{searched}.\n", state.as_str()),
    }
}

fn row(flow: &FlowSummary, asked: &str) -> [super::table::Cell; 7] {
    let (word, tone) = match flow.status {
        FlowStatus::Done => ("done", Tone::Good),
        FlowStatus::Open => ("open", Tone::Plain),
        FlowStatus::Stuck if flow.overdue => ("STUCK, overdue", Tone::Bad),
        FlowStatus::Stuck => ("STUCK", Tone::Bad),
        FlowStatus::Overdue => ("OVERDUE", Tone::Bad),
    };
    [
        toned(flow.flow.as_str(), Tone::Name),
        toned(word, tone),
        text(format!("{}@{}", flow.channel, flow.offset)),
        text(cut(flow.subject.as_deref().unwrap_or(&flow.id), CELL_CHARS_MAX)),
        text(age(&flow.started, asked)),
        number(flow.events),
        text(waits_for(flow)),
    ]
}

fn waits_for(flow: &FlowSummary) -> String {
    let Some(first) = flow.waits_for.first() else { return String::new() };
    let place = format!("{} on {}@{}", first.processor, first.channel, first.offset);
    match flow.waits_for_count {
        0 | 1 => place,
        count => format!("{place} +{}", count - 1),
    }
}

/// What cannot stand in a row: why a flow is held or open.
fn notes(flow: &FlowSummary, style: Style) -> String {
    let mut out = String::new();
    let stuck = |one: &&WaitsFor| matches!(one.status, HandlingStatus::Held | HandlingStatus::Dead);
    if let Some(one) = flow.waits_for.iter().find(stuck) {
        let fault = one.fault.as_ref().map_or_else(
            || "held after a fault".to_owned(),
            |fault| format!("{}: {}", fault.kind.as_str(), fault.message),
        );
        let word = if one.status == HandlingStatus::Dead { "gave up" } else { "holds" };
        let line = format!("{} {word} {}@{}: ", one.processor, one.channel, one.offset) + &fault;
        let line = style.paint(Tone::Bad, &cut(&line, FAULT_CHARS_MAX));
        out.push_str(&format!("\n{}\n  {line}\n", flow.flow));
        out.push_str(&format!("  why:  baton why {}@{} {}\n", one.channel, one.offset, one.processor));
    }
    if let Some(reason) = &flow.reason {
        out.push_str(&format!("\n{}\n  {}\n", flow.flow, clean(reason)));
    }
    out
}

fn cut(text: &str, chars_max: usize) -> String {
    let line = clean(text).replace('\n', " ");
    match line.char_indices().nth(chars_max) {
        Some((end, _)) => format!("{}...", line.get(..end).unwrap_or_default()),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fault::{Fault, FaultKind};

    fn flow(number: u8, status: FlowStatus) -> FlowSummary {
        FlowSummary {
            flow: format!("0199b3a4-7c1d-7e51-9f3a-2b8f6f0f6c1{number}"),
            status,
            overdue: false,
            deadline: None,
            reason: None,
            channel: "place-order".into(),
            offset: 7,
            id: "o-7".into(),
            subject: None,
            started: "2026-01-31T12:00:00Z".into(),
            latest: "2026-01-31T12:00:00Z".into(),
            events: 3,
            waits_for: Vec::new(),
            waits_for_count: 0,
        }
    }

    fn page(flows: Vec<FlowSummary>) -> FlowPage {
        let asked = "2026-02-02T15:30:00Z".into();
        FlowPage { flows, next: None, incomplete: false, asked, position: 9 }
    }

    #[test]
    fn what_is_held_is_said_with_the_next_command() {
        let mut stuck = flow(1, FlowStatus::Stuck);
        let message = format!("panicked{}", " and on".repeat(30));
        let fault =
            Fault { kind: FaultKind::Trap, message, time_ms: 0, digest: "d".into(), frames: Vec::new() };
        stuck.waits_for = vec![WaitsFor {
            processor: "payment".into(),
            channel: "order-created".into(),
            offset: 17,
            status: HandlingStatus::Held,
            fault: Some(fault),
        }];
        stuck.waits_for_count = 2;
        let text = render(&page(vec![stuck, flow(2, FlowStatus::Open)]), None, Style::default());
        for part in [
            "2d 03h",
            "payment on order-created@17 +1",
            "payment holds order-created@17: trap: panicked",
            "baton why order-created@17 payment",
            "look: baton flow show 0199b3a4-7c1d-7e51-9f3a-2b8f6f0f6c11",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
        assert!(!text.contains("There may be more"), "{text}");
    }

    #[test]
    fn an_empty_page_and_a_cut_one_say_so() {
        assert_eq!(render(&page(Vec::new()), None, Style::default()), "Every flow is done.\n");
        let cut = FlowPage { next: Some("x".into()), incomplete: true, ..page(Vec::new()) };
        let text = render(&cut, Some(State::Overdue), Style::default());
        assert!(text.starts_with("No flow is overdue so far.\n"), "{text}");
        assert!(text.contains("flows may be missing") && text.contains("--after x"), "{text}");
    }
}
