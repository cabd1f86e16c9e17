//! `baton flow show`: everything that one event caused, as a tree, and what is still to do.

mod words;

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Subcommand;
use serde_json::Value;
use uuid::Uuid;

use super::client::Ask;
use super::failure::{Exit, Failure};
use super::output::{Style, Tone, clean, counted, fault_lines};
use super::progress;
use super::tail::data;
use super::{Shared, flow_list, flow_live};
use crate::model::dead::DeadDone;
use crate::model::report::{FlowEvent, FlowReport, FlowStatus, Handling, HandlingStatus};
use crate::model::time::{between, parse_duration, whole};
use words::{Words, is_housekeeping, words};

pub use words::name_of;

/// How wide the tree is: an event's data and replies are cut there.
const WIDTH: usize = 100;
/// How long somebody waits unless he says.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);
/// How far an effect stands in from its cause.
const INDENT: usize = 3;

/// `baton flow`
#[derive(Subcommand)]
pub enum FlowCommand {
    /// Show what an event caused: a publish prints the flow's id.
    Show {
        /// The flow's id, the `correlationid` of its events.
        #[arg(value_parser = parse_flow)]
        id: Uuid,
        /// Wait until it is done or stuck; exit code 5 if it is neither in time.
        #[arg(long)]
        wait: bool,
        /// How long to wait, such as 5s or PT5S [default: 30s].
        #[arg(long, value_parser = parse_duration, requires = "wait")]
        timeout: Option<Duration>,
        /// Show each thing as it happens, until the flow is done or stuck.
        #[arg(short, long, conflicts_with = "wait")]
        follow: bool,
    },
    /// Let a flow go on that is stuck: have its dead letters handled again, and try at once what of it is held.
    Resume {
        /// The flow's id.
        #[arg(value_parser = parse_flow)]
        id: Uuid,
    },
    /// List the flows that are not done, oldest first; with --state done those that are, newest first.
    Ls(flow_list::LsArgs),
}

fn parse_flow(text: &str) -> Result<Uuid, &'static str> {
    text.parse().map_err(|_| "a flow's id is a UUID, such as 0199b3a4-7c1d-7e51-9f3a-2b8f6f0f6c11")
}

/// Shows a flow.
pub fn run(command: FlowCommand, shared: &Shared) -> Result<(), Failure> {
    match command {
        FlowCommand::Ls(args) => flow_list::run(&args, shared),
        FlowCommand::Resume { id } => resume(id, shared),
        FlowCommand::Show { id, follow: true, .. } => flow_live::run(id, shared),
        FlowCommand::Show { id, wait: false, .. } => {
            shared.out().show(&shared.client().get::<FlowReport>(format!("/v1/flows/{id}"))?, render_flow)
        }
        FlowCommand::Show { id, timeout, .. } => wait(id, timeout.unwrap_or(TIMEOUT_DEFAULT), shared),
    }
}

fn resume(id: Uuid, shared: &Shared) -> Result<(), Failure> {
    let ask = Ask { method: "POST", ..Ask::get(format!("/v1/flows/{id}/resume")) };
    let done: DeadDone = shared.client().ask(ask)?.read()?;
    shared.out().show(&done, |done, _| {
        let DeadDone { count, released, .. } = done;
        format!("{} redriven, {released} tried again at once", counted(*count, "dead letter"))
    })
}

/// Waits until a flow is done or stuck, and shows it.
fn wait(id: Uuid, timeout: Duration, shared: &Shared) -> Result<(), Failure> {
    let path = format!("/v1/flows/{id}?wait=done&timeout={}ms", timeout.as_millis());
    let ask = Ask { wait: timeout, ..Ask::get(path) };
    let client = shared.client();
    let reply = progress::during("waiting until the flow is done".to_owned(), || client.ask(ask))?;
    shared.out().show(&reply.read::<FlowReport>()?, render_flow)?;
    match reply.status {
        200 => Ok(()),
        _ => Err(Failure::new(Exit::Timeout, "the flow is neither done nor stuck; it goes on without you")),
    }
}

/// The flow as people read it.
pub fn render_flow(flow: &FlowReport, style: Style) -> String {
    let (word, tone) = match flow.status {
        FlowStatus::Done => ("done", Tone::Good),
        FlowStatus::Open if flow.reason.is_some() => ("open: it has not come to its end", Tone::Note),
        FlowStatus::Open => ("open: something is still to be handled", Tone::Note),
        FlowStatus::Stuck => ("STUCK: an event failed, and nobody tries it again by himself", Tone::Bad),
        FlowStatus::Overdue => ("OVERDUE: it is not done", Tone::Bad),
    };
    let events = counted(flow.events.len() as u64, "event");
    let took = gap(&flow.started, &flow.latest);
    let mut text = format!("flow {}  {}\n", flow.flow, style.paint(tone, word));
    text.push_str(&format!("started {}, {events}, the latest {took}\n", flow.started));
    if let Some(reason) = &flow.reason {
        text.push_str(&format!("{}\n", clean(reason)));
    }
    if let Some(deadline) = &flow.deadline {
        let late = if flow.overdue {
            style.paint(Tone::Bad, "past its deadline")
        } else {
            "to be done by".to_owned()
        };
        text.push_str(&format!("{late} {deadline}\n"));
    }
    text.push('\n');
    for root in Tree::new(flow, style).roots() {
        text.push_str(&root.draw());
    }
    if flow.truncated {
        text.push_str("\nThe flow has more events than are shown; `baton tail CHANNEL` has them all.\n");
    }
    text
}

fn gap(from: &str, to: &str) -> String {
    format!("+{}", whole(between(from, to).unwrap_or(Duration::ZERO)))
}

/// What of a text fits beside the tree's lines at a depth.
fn cut(text: &str, depth: usize) -> String {
    let room = WIDTH.saturating_sub(INDENT * (depth + 1));
    if text.chars().count() <= room {
        return text.to_owned();
    }
    let kept: String = text.chars().take(room.saturating_sub(3)).collect();
    format!("{kept}...")
}

/// Lines with what hangs below them.
struct Branch {
    lines: Vec<String>,
    below: Vec<Branch>,
}

impl Branch {
    fn draw(&self) -> String {
        let mut text = String::new();
        self.draw_into(&mut text, "", "");
        text
    }

    fn draw_into(&self, text: &mut String, first: &str, rest: &str) {
        let bar = if self.below.is_empty() { "   " } else { "│  " };
        for (at, line) in self.lines.iter().enumerate() {
            let lead = if at == 0 { first.to_owned() } else { format!("{rest}{bar}") };
            text.push_str(format!("{lead}{line}").trim_end());
            text.push('\n');
        }
        for (at, branch) in self.below.iter().enumerate() {
            let (corner, bar) =
                if at + 1 == self.below.len() { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            branch.draw_into(text, &format!("{rest}{corner}"), &format!("{rest}{bar}"));
        }
    }
}

/// A flow by causes.
pub struct Tree<'a> {
    flow: &'a FlowReport,
    style: Style,
    caused: BTreeMap<u64, Vec<&'a FlowEvent>>,
    /// The events whose cause is not in the flow.
    pub roots: Vec<&'a FlowEvent>,
}

impl<'a> Tree<'a> {
    /// The tree of a flow.
    pub fn new(flow: &'a FlowReport, style: Style) -> Self {
        let mut tree = Self { flow, style, caused: BTreeMap::new(), roots: Vec::new() };
        let known: Vec<u64> = flow.events.iter().map(|event| event.position).collect();
        // From the last on, so that it is known of each whether anything follows it.
        for event in flow.events.iter().rev() {
            if is_housekeeping(event) && !tree.caused.contains_key(&event.position) {
                continue;
            }
            // A cause stands before its effects; anything else would go round.
            let cause = event.cause.filter(|cause| *cause < event.position && known.contains(cause));
            match cause {
                Some(cause) => tree.caused.entry(cause).or_default().push(event),
                None => tree.roots.push(event),
            }
        }
        tree.caused.values_mut().for_each(|effects| effects.reverse());
        tree.roots.reverse();
        tree
    }

    /// What an event caused directly.
    pub fn effects(&self, event: &FlowEvent) -> &[&'a FlowEvent] {
        self.caused.get(&event.position).map(Vec::as_slice).unwrap_or_default()
    }

    fn roots(&self) -> Vec<Branch> {
        self.roots.iter().map(|event| self.event(event, 0)).collect()
    }

    fn event(&self, event: &FlowEvent, depth: usize) -> Branch {
        let mut left: Vec<&FlowEvent> = self.effects(event).to_vec();
        let mut below = Vec::new();
        for handling in &event.handlings {
            let (own, others) = left.into_iter().partition(|effect| emitted_by(effect, &handling.processor));
            left = others;
            below.push(self.handling(event, handling, own, depth + 1));
        }
        below.extend(left.into_iter().map(|effect| self.event(effect, depth + 1)));
        let mut lines = self.event_lines(event, depth);
        if below.is_empty() {
            lines.push(self.style.paint(Tone::Quiet, "(nobody subscribes)"));
        }
        Branch { lines, below }
    }

    /// What it is, and what it says.
    fn event_lines(&self, event: &FlowEvent, depth: usize) -> Vec<String> {
        let words = words(event);
        let head = match &words {
            Some(words) => self.words_line(event, words),
            None => self.event_line(event),
        };
        let own = || Some(data(&event.event)).filter(|data| !data.is_empty()).map(|data| (Tone::Quiet, data));
        let said = words.and_then(|words| words.lines).unwrap_or_else(|| own().into_iter().collect());
        let said = said.iter().map(|(tone, line)| self.style.paint(*tone, &cut(line, depth)));
        std::iter::once(head).chain(said).collect()
    }

    fn words_line(&self, event: &FlowEvent, words: &Words) -> String {
        let what = self.style.paint(Tone::Name, &words.what);
        let about = if words.about.is_empty() { String::new() } else { format!("  {}", words.about) };
        format!("{what}{about}  {}", gap(&self.flow.started, &event.recorded))
    }

    fn event_line(&self, event: &FlowEvent) -> String {
        let place = self.style.paint(Tone::Name, &format!("{}@{}", event.channel, event.offset));
        let subject = event.event.get("subject").and_then(Value::as_str).map(clean);
        let subject = subject.map_or(String::new(), |subject| format!("  {subject}"));
        format!("{place}{subject}  {}", gap(&self.flow.started, &event.recorded))
    }

    fn handling(
        &self,
        event: &FlowEvent,
        handling: &Handling,
        effects: Vec<&FlowEvent>,
        depth: usize,
    ) -> Branch {
        let processor = &handling.processor;
        let (word, tone) = match handling.status {
            HandlingStatus::Handled => ("handled", Tone::Good),
            HandlingStatus::Pending => ("still to do", Tone::Note),
            HandlingStatus::Held => ("HELD", Tone::Bad),
            HandlingStatus::Parked => ("failed, and is tried again by itself", Tone::Note),
            HandlingStatus::Dead => ("DEAD", Tone::Bad),
            HandlingStatus::Discarded => ("failed, and was discarded", Tone::Note),
            HandlingStatus::Waiting => ("waits behind an event of its key that failed", Tone::Note),
            HandlingStatus::Expired => ("expired before it was handled", Tone::Note),
        };
        let after = handling
            .time
            .as_ref()
            .map(|time| format!("  after {}", gap(&event.recorded, time).replace('+', "")));
        let version = handling.digest.as_ref().map(|digest| format!("  by {}", clean(digest)));
        let tail = self.style.paint(Tone::Quiet, &(after.unwrap_or_default() + &version.unwrap_or_default()));
        let mut lines = vec![format!("{processor} {}{tail}", self.style.paint(tone, word))];
        let reply = handling.reply.as_ref().map(|reply| format!("replied {}", clean(&reply.to_string())));
        lines.extend(reply.map(|reply| cut(&reply, depth)));
        lines.extend(self.fault_lines(event, handling));
        Branch { lines, below: effects.into_iter().map(|effect| self.event(effect, depth + 1)).collect() }
    }

    fn fault_lines(&self, event: &FlowEvent, handling: &Handling) -> Vec<String> {
        let processor = &handling.processor;
        let mut lines = Vec::new();
        if let Some(fault) = &handling.fault {
            lines.extend(fault_lines(fault, 16).iter().map(|line| self.style.paint(Tone::Bad, line)));
        }
        match handling.status {
            HandlingStatus::Held => lines.extend([
                format!("why:  baton why {}@{} {processor}", event.channel, event.offset),
                "mend: deploy a fixed version, or try again as it is:".to_owned(),
                format!("      baton processor resume {processor}"),
            ]),
            HandlingStatus::Dead => lines.extend([
                format!("why:  baton why {}@{} {processor}", event.channel, event.offset),
                "mend: deploy a fixed version, then have it handled again:".to_owned(),
                format!("      baton dead redrive {processor} {}@{}", event.channel, event.offset),
            ]),
            HandlingStatus::Waiting | HandlingStatus::Parked => {
                lines.push(format!("why:  baton why {}@{} {processor}", event.channel, event.offset));
            }
            HandlingStatus::Handled
            | HandlingStatus::Pending
            | HandlingStatus::Expired
            | HandlingStatus::Discarded => {}
        }
        lines
    }
}

/// The source of an emitted event ends with the name of the processor that emitted it.
pub fn emitted_by(event: &FlowEvent, processor: &str) -> bool {
    let source = event.event.get("source").and_then(Value::as_str);
    source.and_then(|source| source.rsplit('/').next()) == Some(processor)
}

#[cfg(test)]
#[path = "flow_tests.rs"]
mod tests;
