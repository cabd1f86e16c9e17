//! `baton processor`: which processors there are, how they are, what they hold and what they keep.

use clap::Subcommand;

use super::Shared;
use super::approve::render_waiting;
use super::client::query;
use super::failure::Failure;
use super::inspect::render_descriptor;
use super::operate::{self, PauseArgs, ResumeArgs, ScaleArgs};
use super::output::{Style, Tone, clean, counted, fault_lines, short, wrap};
use super::status::file_trouble;
use super::table::{number, table, text, toned, trouble};
use crate::model::name::ProcessorName;
use crate::model::operation::LanesFrom;
use crate::model::report::{
    HeldReport, ProcessorList, ProcessorReport, ProcessorStatus, StateEntry, StateList, SubscriptionReport,
};
use crate::model::time::rfc3339;

/// `baton processor`
#[derive(Subcommand)]
pub enum ProcessorCommand {
    /// List all processors.
    Ls,
    /// Show one processor: its channels, what it holds and why.
    Show {
        /// The processor.
        name: ProcessorName,
    },
    /// Let no batch of a processor begin until it is resumed; its positions, state and what it holds stay.
    Pause(PauseArgs),
    /// End a pause, or try again what a processor holds after faults.
    Resume(ResumeArgs),
    /// Say how many lanes a processor has: how many events of different keys it handles at one time.
    Scale(ScaleArgs),
    /// Show what a processor keeps as state.
    State {
        /// The processor.
        name: ProcessorName,
        /// Only this key.
        #[arg(long)]
        key: Option<String>,
        /// At most so many entries.
        #[arg(long, default_value_t = 1000)]
        limit: usize,
    },
}

/// Shows processors, or says how one goes on.
pub fn run(command: ProcessorCommand, shared: &Shared) -> Result<(), Failure> {
    let (client, out) = (shared.client(), shared.out());
    let path = |name: &ProcessorName| format!("/v1/processors/{name}");
    match command {
        ProcessorCommand::Ls => out.show(&client.get::<ProcessorList>("/v1/processors")?, |list, style| {
            let problems = list.problems.iter().map(|problem| format!("\n{}", file_trouble(problem, style)));
            render_list(&list.processors, style) + &problems.collect::<String>()
        }),
        ProcessorCommand::Show { name } => {
            out.show(&client.get::<ProcessorReport>(path(&name))?, render_processor)
        }
        ProcessorCommand::Pause(args) => operate::pause(&args, shared),
        ProcessorCommand::Resume(args) => operate::resume(&args, shared),
        ProcessorCommand::Scale(args) => operate::scale(&args, shared),
        ProcessorCommand::State { name, key, limit } => {
            let query = query(&[("key", key), ("limit", Some(limit.to_string()))]);
            out.show(&client.get::<StateList>(path(&name) + "/state" + &query)?, render_state)
        }
    }
}

/// A table of processors.
pub fn render_list(processors: &[ProcessorReport], style: Style) -> String {
    if processors.is_empty() {
        return "There is no processor yet: `baton deploy FILE`.\n".to_owned();
    }
    let sum = |report: &ProcessorReport, of: fn(&SubscriptionReport) -> u64| {
        report.subscriptions.iter().map(of).sum::<u64>()
    };
    let row = |report: &ProcessorReport| {
        [
            toned(report.name.as_str(), Tone::Name),
            toned(status_word(report.status), status_tone(report.status)),
            number(sum(report, |one| one.lag)),
            trouble(sum(report, |one| one.held)),
            trouble(sum(report, |one| one.waiting)),
            number(report.handled),
            trouble(report.failed),
            text(lanes_cell(report)),
            text(&report.version),
            text(short(&report.digest)),
        ]
    };
    let heads =
        ["PROCESSOR", "STATUS", "LAG", "HELD", "WAITING", "HANDLED", "FAILED", "LANES", "VERSION", "DIGEST"];
    table(heads, processors.iter().map(row).collect(), style)
}

fn status_word(status: ProcessorStatus) -> &'static str {
    match status {
        ProcessorStatus::Running => "running",
        ProcessorStatus::Retrying => "retrying",
        ProcessorStatus::Held => "HELD",
        ProcessorStatus::Blocked => "BLOCKED",
        ProcessorStatus::Undeployed => "undeployed",
        ProcessorStatus::Failed => "FAILED",
        ProcessorStatus::Paused => "PAUSED",
    }
}

fn status_tone(status: ProcessorStatus) -> Tone {
    match status {
        ProcessorStatus::Running => Tone::Good,
        ProcessorStatus::Undeployed => Tone::Quiet,
        ProcessorStatus::Paused | ProcessorStatus::Retrying => Tone::Note,
        ProcessorStatus::Held | ProcessorStatus::Blocked | ProcessorStatus::Failed => Tone::Bad,
    }
}

/// A table of positions.
pub fn render_subscriptions(subscriptions: &[SubscriptionReport], style: Style) -> String {
    let row = |one: &SubscriptionReport| {
        [
            toned(one.processor.as_str(), Tone::Name),
            text(&one.channel),
            number(one.start),
            number(one.cursor),
            number(one.decided),
            number(one.filtered),
            number(one.lag),
            trouble(one.held),
            trouble(one.waiting),
        ]
    };
    let heads = ["PROCESSOR", "CHANNEL", "START", "CURSOR", "DECIDED", "FILTERED", "LAG", "HELD", "WAITING"];
    let missed = subscriptions.iter().filter(|one| one.expired > 0).map(|one| {
        let (processor, channel) = (clean(&one.processor), clean(&one.channel));
        format!("{processor} missed {} of {channel}: expired\n", counted(one.expired, "event"))
    });
    table(heads, subscriptions.iter().map(row).collect(), style) + &missed.collect::<String>()
}

/// One processor on one page.
pub fn render_processor(report: &ProcessorReport, style: Style) -> String {
    let status = style.paint(status_tone(report.status), status_word(report.status));
    let mut text = render_descriptor(&report.descriptor, style);
    text.push_str(&format!("  digest      {}, generation {}\n", report.digest, report.generation));
    text.push_str(&format!(
        "  status      {status}: {} handled, {} failed since the host started\n",
        report.handled, report.failed
    ));
    for line in report.reason.iter().flat_map(|reason| wrap(reason, 14)) {
        text.push_str(&format!("              {line}\n"));
    }
    text.push_str(&format!("  scale       {}\n", scale_line(report)));
    if let Some(rate) = &report.rate {
        text.push_str(&format!("  rate        at most {rate}\n"));
    }
    if let Some(waiting) = &report.waiting {
        text.push_str(&format!("\n{}", render_waiting(&report.name, waiting, style)));
    }
    text.push_str(&format!("\n{}", render_subscriptions(&report.subscriptions, style)));
    if !report.held.is_empty() {
        text.push_str(&format!("\nFailed, oldest first:\n{}", render_held(&report.held, style)));
        text.push_str(&format!("{}\n", mend(&report.name)));
    }
    if report.dead > 0 {
        let letters = counted(report.dead, "dead letter");
        text.push_str(&format!("\n{letters}: baton dead ls {}\n", report.name));
    }
    text
}

/// How many lanes it has, and who says so.
pub fn scale_line(report: &ProcessorReport) -> String {
    let from = match report.scale.from {
        LanesFrom::Descriptor => "its descriptor",
        LanesFrom::Config => "baton.toml",
        LanesFrom::Command => "`baton processor scale`",
    };
    let lanes = counted(u64::from(report.lanes), "lane");
    format!("{lanes} now, {} by {from}", lanes_bounds(report))
}

/// How many now; and where that may change, within which bounds.
fn lanes_cell(report: &ProcessorReport) -> String {
    match report.scale.min == report.scale.max {
        true => report.lanes.to_string(),
        false => format!("{} ({})", report.lanes, lanes_bounds(report)),
    }
}

fn lanes_bounds(report: &ProcessorReport) -> String {
    match (report.scale.min, report.scale.max) {
        (min, max) if min == max => min.to_string(),
        (min, max) => format!("{min}..{max}"),
    }
}

/// What helps when a processor holds events.
pub fn mend(processor: &str) -> String {
    format!("mend: deploy a fixed version, or try again as it is: baton processor resume {processor}")
}

/// The held events, each with its fault.
pub fn render_held(held: &[HeldReport], style: Style) -> String {
    let mut text = String::new();
    for one in held {
        let place = style.paint(Tone::Name, &format!("{}@{}", one.channel, one.offset));
        let since = rfc3339(one.fault.time_ms);
        let waiting = counted(one.waiting, "more event");
        let attempts = counted(u64::from(one.attempts), "attempt");
        let key = clean(&one.key);
        text.push_str(&format!("  {place}  key {key}  since {since}, {attempts}, {waiting} behind it\n"));
        for line in fault_lines(&one.fault, 4) {
            text.push_str(&format!("    {}\n", style.paint(Tone::Bad, &line)));
        }
        if let Some(next) = &one.next {
            text.push_str(&format!("    next: tried again by itself at {next}\n"));
        }
        text.push_str(&format!("    look: baton flow show {}\n", one.flow));
    }
    text
}

fn render_state(state: &StateList, style: Style) -> String {
    if state.entries.is_empty() {
        return format!("{} keeps no state here.", state.processor);
    }
    let row = |entry: &StateEntry| {
        let value = match (&entry.value, &entry.value_base64) {
            (Some(value), _) => value.to_string(),
            (None, Some(base64)) => format!("base64 {base64}"),
            (None, None) => String::new(),
        };
        let expires = entry.expires.as_ref().map_or(String::new(), |time| format!("  (expires {time})"));
        [toned(&entry.key, Tone::Name), text(&entry.name), text(value + &expires)]
    };
    table(["KEY", "NAME", "VALUE"], state.entries.iter().map(row).collect(), style)
}

#[cfg(test)]
#[path = "processor_tests.rs"]
pub(super) mod tests;
