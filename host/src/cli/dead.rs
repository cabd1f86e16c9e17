//! `baton dead`: events that processors gave up on, and the way back.

use std::thread;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use uuid::Uuid;

use super::Shared;
use super::client::{Ask, Client, query};
use super::failure::{Exit, Failure};
use super::output::{Style, Tone, clean, counted, fault_lines};
use super::table::{number, table, text, toned};
use crate::model::dead::{DeadDone, DeadGroup, DeadPage, DeadReport};
use crate::model::fault::FaultKind;
use crate::model::name::{ChannelName, ProcessorName};
use crate::model::operation::Rate;
use crate::model::rehearsal::Rehearsal;
use crate::model::time::rfc3339;

/// How many letters are redriven with one request where there is no rate.
const AT_ONCE: u64 = 1_000;

/// `baton dead`
#[derive(Subcommand)]
pub enum DeadCommand {
    /// List dead letters by their cause, or one by one.
    Ls(LsArgs),
    /// Show dead letters with every attempt.
    Show(Which),
    /// Have dead letters handled again by the version that runs, each at the end of its key.
    Redrive(RedriveArgs),
    /// Give dead letters up for good, or an event that holds its key.
    Discard(Which),
}

/// Which dead letters are meant.
#[derive(Args)]
pub struct Which {
    /// The processor that gave them up.
    processor: Option<ProcessorName>,
    /// One event, as CHANNEL@OFFSET.
    #[arg(value_name = "EVENT", value_parser = parse_place)]
    event: Option<(ChannelName, u64)>,
    /// Those of events of this channel.
    #[arg(long, value_name = "CHANNEL", conflicts_with = "event")]
    channel: Option<ChannelName>,
    /// Those of one flow.
    #[arg(long, value_name = "ID")]
    flow: Option<Uuid>,
    /// Those with this kind of fault: retry, reject, trap, deadline, ...
    #[arg(long, value_name = "KIND", value_parser = parse_kind)]
    kind: Option<FaultKind>,
    /// Those of one cause, as `baton dead ls` names it.
    #[arg(long, value_name = "GROUP")]
    group: Option<String>,
    /// All that there are.
    #[arg(long)]
    all: bool,
}

/// `baton dead ls`
#[derive(Args)]
pub struct LsArgs {
    #[command(flatten)]
    which: Which,
    /// One by one instead of by cause.
    #[arg(long)]
    each: bool,
    /// How many letters, up to 1000.
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,
    /// Those behind the last one of the page before.
    #[arg(long, value_name = "PLACE")]
    after: Option<String>,
}

/// `baton dead redrive`
#[derive(Args)]
#[command(after_long_help = "\
Examples:
  baton dead redrive payment order-created@17
  baton dead redrive --group 4f1c09ab22de --dry-run    what the version that runs would do
  baton dead redrive payment --all --rate 100/s")]
pub struct RedriveArgs {
    #[command(flatten)]
    which: Which,
    /// So many at most, such as 100/s, 30/m or 5/h. What is not redriven when you end it stays a dead letter.
    #[arg(long, value_name = "RATE")]
    rate: Option<Rate>,
    /// Show what the version that runs would do with the first 100; nothing is changed and nothing called.
    #[arg(long, conflicts_with = "rate")]
    dry_run: bool,
}

fn parse_place(text: &str) -> Result<(ChannelName, u64), String> {
    let why = || format!("'{text}' is no event; write CHANNEL@OFFSET, such as order-created@17");
    let (channel, offset) = text.rsplit_once('@').ok_or_else(why)?;
    Ok((channel.parse().map_err(|_| why())?, offset.parse().map_err(|_| why())?))
}

fn parse_kind(text: &str) -> Result<FaultKind, String> {
    let names = FaultKind::ALL.map(FaultKind::as_str).join(", ");
    let kind = FaultKind::ALL.into_iter().find(|kind| kind.as_str() == text);
    kind.ok_or_else(|| format!("'{text}' is no kind of fault; there are {names}"))
}

impl Which {
    fn params(&self) -> Vec<(&'static str, Option<String>)> {
        let place = self.event.as_ref();
        let channel = place.map(|(channel, _)| channel).or(self.channel.as_ref());
        vec![
            ("processor", self.processor.as_ref().map(ToString::to_string)),
            ("channel", channel.map(ToString::to_string)),
            ("offset", place.map(|(_, offset)| offset.to_string())),
            ("flow", self.flow.map(|flow| flow.to_string())),
            ("kind", self.kind.map(|kind| kind.as_str().to_owned())),
            ("group", self.group.clone()),
        ]
    }

    /// The body that says which ones are meant; nothing at all means nothing.
    fn body(&self) -> Result<Value, Failure> {
        let mut body = serde_json::Map::new();
        for (name, value) in self.params() {
            if let Some(value) = value {
                let number = value.parse::<u64>().ok().filter(|_| name == "offset");
                body.insert(name.to_owned(), number.map_or_else(|| json!(value), |number| json!(number)));
            }
        }
        match (body.is_empty(), self.all) {
            (true, false) => {
                let why = "say which dead letters are meant: a processor, an event, --group, --flow, --kind, --channel, or --all";
                return Err(Failure::new(Exit::Usage, why));
            }
            (true, true) => drop(body.insert("all".to_owned(), json!(true))),
            _ => {}
        }
        body.insert("by".to_owned(), json!("cli"));
        Ok(Value::Object(body))
    }
}

/// Lists, shows, redrives or discards.
pub fn run(command: DeadCommand, shared: &Shared) -> Result<(), Failure> {
    match command {
        DeadCommand::Ls(args) => {
            let page = page(&shared.client(), &args.which, args.limit, args.after.as_deref())?;
            shared.out().show(&page, |page, style| render_page(page, args.each, style))
        }
        DeadCommand::Show(which) => {
            let page = page(&shared.client(), &which, 100, None)?;
            if page.letters.is_empty() {
                return Err(Failure::new(
                    Exit::NotFound,
                    "there is no such dead letter; `baton dead ls` shows those that there are",
                ));
            }
            shared.out().show(&page.letters, |letters, style| {
                letters.iter().map(|letter| render_letter(letter, style)).collect::<Vec<_>>().join("\n")
            })
        }
        DeadCommand::Redrive(args) if args.dry_run => {
            let rehearsals: Vec<Rehearsal> = tell(&shared.client(), "rehearse", &args.which.body()?)?;
            shared.out().show(&rehearsals, |all, style| {
                all.iter().map(|one| render_rehearsal(one, style)).collect::<Vec<_>>().join("\n")
            })
        }
        DeadCommand::Redrive(args) => {
            let done = redrive(&shared.client(), args.which.body()?, args.rate)?;
            shared.out().show(&done, |done, _| {
                format!("{} to be handled again, each at the end of its key", counted(done.count, "event"))
            })
        }
        DeadCommand::Discard(which) => {
            let done: DeadDone = tell(&shared.client(), "discard", &which.body()?)?;
            shared.out().show(&done, |done, _| format!("{} given up for good", counted(done.count, "event")))
        }
    }
}

fn page(client: &Client, which: &Which, limit: usize, after: Option<&str>) -> Result<DeadPage, Failure> {
    let mut params = which.params();
    params.extend([("limit", Some(limit.to_string())), ("after", after.map(str::to_owned))]);
    client.get(format!("/v1/dead{}", query(&params)))
}

fn tell<T: serde::de::DeserializeOwned>(client: &Client, what: &str, body: &Value) -> Result<T, Failure> {
    let body = body.to_string().into_bytes();
    let path = format!("/v1/dead/{what}");
    client.ask(Ask { method: "POST", content_type: "application/json", body, ..Ask::get(path) })?.read()
}

/// In parts: so that a rate is kept, and that each part is over soon.
fn redrive(client: &Client, mut body: Value, rate: Option<Rate>) -> Result<DeadDone, Failure> {
    let interval = rate.map(|rate| Duration::from_nanos(rate.interval_ns()));
    let at_once = interval.map_or(AT_ONCE, |interval| {
        u64::try_from(Duration::from_secs(1).as_nanos() / interval.as_nanos().max(1))
            .unwrap_or(1)
            .clamp(1, AT_ONCE)
    });
    let mut done = DeadDone::default();
    if let Some(body) = body.as_object_mut() {
        body.insert("limit".to_owned(), json!(at_once));
    }
    loop {
        let part = match tell::<DeadDone>(client, "redrive", &body) {
            Err(failure) if done.count > 0 && failure.exit == Exit::NotFound => return Ok(done),
            part => part?,
        };
        done.count += part.count;
        let Some(next) = part.next else { return Ok(done) };
        if let Some(body) = body.as_object_mut() {
            body.insert("after".to_owned(), json!(next));
        }
        if let Some(interval) = interval {
            thread::sleep(interval * u32::try_from(at_once).unwrap_or(u32::MAX));
        }
    }
}

fn render_page(page: &DeadPage, each: bool, style: Style) -> String {
    if page.count == 0 {
        return "No dead letters.".to_owned();
    }
    let head =
        format!("{}, {}\n", counted(page.count, "dead letter"), counted(page.groups.len() as u64, "cause"));
    if each {
        let row = |letter: &DeadReport| {
            [
                text(&letter.died),
                toned(letter.processor.as_str(), Tone::Name),
                text(format!("{}@{}", letter.channel, letter.offset)),
                text(&letter.key),
                number(letter.attempts_count.into()),
                text(&letter.group),
            ]
        };
        let heads = ["DIED", "PROCESSOR", "EVENT", "KEY", "TRIED", "GROUP"];
        let more = page.next.as_ref().map(|next| format!("more: --after {next}\n")).unwrap_or_default();
        return head + &table(heads, page.letters.iter().map(row).collect(), style) + &more;
    }
    page.groups.iter().fold(head, |text, group| text + "\n" + &render_group(group, style))
}

fn render_group(group: &DeadGroup, style: Style) -> String {
    let DeadGroup { group: id, processor, count, fault, first, last, example } = group;
    let mut out = format!(
        "{} {processor}, version {}\n",
        style.paint(Tone::Bad, &format!("{count} x")),
        clean(&fault.digest)
    );
    for line in fault_lines(fault, 2) {
        out.push_str(&format!("  {}\n", style.paint(Tone::Bad, &line)));
    }
    for frame in fault.frames.iter().take(3) {
        out.push_str(&format!("    at {}\n", clean(frame)));
    }
    let times = if first == last { first.clone() } else { format!("{first} to {last}") };
    out.push_str(&format!("  {times}; one of them: {}@{}\n", example.channel, example.offset));
    out.push_str(&format!("  try:  baton dead redrive {processor} --group {id} --dry-run\n"));
    out
}

fn render_letter(letter: &DeadReport, style: Style) -> String {
    let head =
        format!("{}@{}, given up by {} at {}", letter.channel, letter.offset, letter.processor, letter.died);
    let mut out = format!("{}\n", style.paint(Tone::Bad, &head));
    out.push_str(&format!(
        "  key    {}\n  flow   {}\n  group  {}\n",
        clean(&letter.key),
        letter.flow,
        letter.group
    ));
    let before = letter.attempts_count.saturating_sub(letter.attempts.len() as u32);
    if before > 0 {
        out.push_str(&format!("  {} before these are not kept\n", counted(before.into(), "attempt")));
    }
    for (number, fault) in (before + 1..).zip(&letter.attempts) {
        out.push_str(&format!(
            "  attempt {number}, {}, version {}\n",
            rfc3339(fault.time_ms),
            clean(&fault.digest)
        ));
        for line in fault_lines(fault, 4) {
            out.push_str(&format!("    {line}\n"));
        }
        for frame in &fault.frames {
            out.push_str(&format!("      at {}\n", clean(frame)));
        }
    }
    out
}

/// What would come of events, one after the other.
pub fn render_rehearsals(all: &[Rehearsal], style: Style) -> String {
    all.iter().map(|one| render_rehearsal(one, style)).collect()
}

fn render_rehearsal(one: &Rehearsal, style: Style) -> String {
    let head = format!("{}@{}, key {}, attempt {}", one.channel, one.offset, clean(&one.key), one.attempt);
    let mut out = match &one.fault {
        Some(fault) => format!("{head}: {}\n", style.paint(Tone::Bad, &format!("would fail, {fault}"))),
        None => format!("{head}: {}\n", style.paint(Tone::Good, "would be handled")),
    };
    for emit in &one.emits {
        let data = emit.data.as_ref().map(ToString::to_string).unwrap_or_default();
        out.push_str(&format!("  would publish {} {}\n", emit.channel, clean(&data)));
    }
    for write in &one.writes {
        let value = write.value.as_ref().map_or_else(|| "nothing".to_owned(), ToString::to_string);
        out.push_str(&format!("  would set {} to {}\n", clean(&write.name), clean(&value)));
    }
    if let Some(reply) = &one.reply {
        out.push_str(&format!("  would reply {}\n", clean(&reply.to_string())));
    }
    for line in &one.log {
        out.push_str(&format!("  log: {}\n", clean(line)));
    }
    out
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn fault(message: &str, time_ms: u64) -> crate::model::fault::Fault {
        let frames = vec!["charge".to_owned()];
        crate::model::fault::Fault {
            kind: FaultKind::Trap,
            message: message.into(),
            time_ms,
            digest: "abababababab".into(),
            frames,
        }
    }

    #[test]
    fn ten_thousand_letters_of_one_cause_are_a_few_lines() {
        let group = DeadGroup {
            group: "4f1c09ab22de".into(),
            processor: "payment".into(),
            count: 10_000,
            fault: fault("it trapped: divide by zero", 0),
            first: "2026-01-31T12:00:00Z".into(),
            last: "2026-01-31T13:00:00Z".into(),
            example: crate::model::dead::DeadPlace { channel: "order-created".into(), offset: 17 },
        };
        let page = DeadPage { count: 10_000, groups: vec![group], letters: Vec::new(), next: None };
        let expected = "\
10000 dead letters, 1 cause

10000 x payment, version abababababab
  trap: it trapped: divide by zero
    at charge
  2026-01-31T12:00:00Z to 2026-01-31T13:00:00Z; one of them: order-created@17
  try:  baton dead redrive payment --group 4f1c09ab22de --dry-run
";
        assert_eq!(render_page(&page, false, Style::default()), expected);
        let none = DeadPage { count: 0, groups: Vec::new(), letters: Vec::new(), next: None };
        assert_eq!(render_page(&none, true, Style::default()), "No dead letters.");
    }

    #[test]
    fn a_letter_shows_every_attempt() {
        let letter = DeadReport {
            processor: "payment".into(),
            channel: "order-created".into(),
            offset: 17,
            flow: "f-1".into(),
            key: "ada".into(),
            died: "2026-01-31T12:00:00Z".into(),
            group: "4f1c09ab22de".into(),
            attempts_count: 4,
            attempts: vec![fault("first", 0), fault("second", 1_000)],
        };
        let text = render_letter(&letter, Style::default());
        for part in [
            "2 attempts before these are not kept",
            "attempt 3, 1970-01-01T00:00:00.000Z",
            "attempt 4,",
            "trap: second",
            "at charge",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn an_event_is_a_channel_and_an_offset_and_a_kind_is_one_that_there_is() {
        assert_eq!(parse_place("order-created@17").unwrap(), ("order-created".parse().unwrap(), 17));
        assert!(parse_place("order-created").unwrap_err().contains("CHANNEL@OFFSET"));
        assert_eq!(parse_kind("trap"), Ok(FaultKind::Trap));
        assert!(parse_kind("sad").unwrap_err().contains("retry, reject, trap"));
    }
}
