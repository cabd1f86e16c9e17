//! `baton why`: why a processor did or did not get an event.

use clap::Args;

use super::Shared;
use super::client::query;
use super::failure::Failure;
use super::output::{Style, Tone, clean, fault_lines, short, wrap};
use crate::model::name::ProcessorName;
use crate::model::why::{Verdict, WhyReport};

/// How many emitted events are named.
const EMITTED_SHOWN_MAX: usize = 5;

/// `baton why`
#[derive(Args)]
#[command(after_long_help = "\
Examples:
  baton why order-created@17 payment
  baton why o-4711 order-placement

An event has the id that its publisher gave it; one that a processor emitted has a long one, which `baton tail --json` shows.")]
pub struct WhyArgs {
    /// The event: CHANNEL@OFFSET (or CHANNEL/OFFSET), or its id.
    event: String,
    /// The processor.
    processor: ProcessorName,
}

/// Says why.
pub fn run(args: WhyArgs, shared: &Shared) -> Result<(), Failure> {
    let params = [("event", Some(args.event)), ("processor", Some(args.processor.to_string()))];
    shared.out().show(&shared.client().get::<WhyReport>(format!("/v1/why{}", query(&params)))?, render)
}

fn render(why: &WhyReport, style: Style) -> String {
    let (word, tone) = word(why.verdict);
    let mut out = format!("{}: ", style.paint(tone, word));
    let mut lines = wrap(&why.text, word.chars().count() + 2).into_iter();
    out.push_str(&lines.next().unwrap_or_default());
    out.push('\n');
    lines.for_each(|line| out.push_str(&format!("  {line}\n")));
    let event = &why.event;
    let place = style.paint(Tone::Name, &format!("{}@{}", event.channel, event.offset));
    let subject = event.subject.as_ref().map(|subject| format!("  {}", clean(subject)));
    out.push_str(&format!("\n  event  {place}{}  {}\n", subject.unwrap_or_default(), event.recorded));
    out.push_str(&format!("  id     {}\n  flow   {}\n", clean(&event.id), event.flow));
    out.push_str(&facts(why));
    if let Some(fault) = &why.fault {
        let mut lines = fault_lines(fault, 9).into_iter();
        let since = why.time.as_deref().unwrap_or_default();
        out.push_str(&format!("  since  {since}\n"));
        let first = lines.next().unwrap_or_default();
        out.push_str(&format!("  fault  {}\n", style.paint(Tone::Bad, &first)));
        lines.for_each(|line| out.push_str(&format!("         {}\n", style.paint(Tone::Bad, &line))));
    }
    out.push_str(&format!("\nnext: {}\n", why.next));
    out
}

fn word(verdict: Verdict) -> (&'static str, Tone) {
    match verdict {
        Verdict::Handled => ("handled", Tone::Good),
        Verdict::NotSubscribed => ("not subscribed", Tone::Note),
        Verdict::BeforeStart => ("before its start", Tone::Note),
        Verdict::Filtered => ("filtered", Tone::Note),
        Verdict::Expired => ("expired", Tone::Note),
        Verdict::Parked => ("to be tried again", Tone::Note),
        Verdict::Held => ("HELD", Tone::Bad),
        Verdict::Dead => ("DEAD", Tone::Bad),
        Verdict::Discarded => ("discarded", Tone::Note),
        Verdict::Waiting => ("WAITING", Tone::Bad),
        Verdict::NotReached => ("not reached yet", Tone::Note),
        Verdict::Blocked => ("BLOCKED", Tone::Bad),
        Verdict::Paused => ("paused", Tone::Note),
        Verdict::Failed => ("FAILED", Tone::Bad),
        Verdict::Undeployed => ("undeployed", Tone::Note),
    }
}

fn facts(why: &WhyReport) -> String {
    let mut out = String::new();
    if let (Some(digest), Some(generation)) = (&why.digest, why.generation) {
        out.push_str(&format!("  by     digest {}, generation {generation}\n", short(digest)));
    }
    for place in why.emitted.iter().take(EMITTED_SHOWN_MAX) {
        out.push_str(&format!("  told   {}@{}\n", place.channel, place.offset));
    }
    if why.emitted.len() > EMITTED_SHOWN_MAX {
        out.push_str(&format!("         and {} more\n", why.emitted.len() - EMITTED_SHOWN_MAX));
    }
    if let (Verdict::Paused, Some(time)) = (why.verdict, &why.time) {
        out.push_str(&format!("  since  {time}\n"));
    }
    if let Some(key) = &why.key {
        out.push_str(&format!("  key    {}\n", clean(key)));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fault::{Fault, FaultKind};
    use crate::model::why::{EventPlace, WhyEvent};

    fn report(verdict: Verdict) -> WhyReport {
        let event = WhyEvent {
            channel: "order-created".into(),
            offset: 17,
            position: 40,
            id: "o-17".into(),
            source: "/shop".into(),
            subject: Some("order-17".into()),
            flow: "0199b3a4-7c1d-7e51-9f3a-2b8f6f0f6c11".into(),
            recorded: "2026-01-31T12:00:00Z".into(),
        };
        WhyReport {
            event,
            processor: "payment".into(),
            verdict,
            text: "it is so".into(),
            fault: None,
            time: Some("2026-01-31T12:00:01Z".into()),
            attempts: None,
            key: None,
            behind: None,
            before: None,
            digest: None,
            generation: None,
            emitted: Vec::new(),
            replied: false,
            next: "baton processor resume payment".into(),
        }
    }

    #[test]
    fn a_held_event_is_said_with_its_fault_and_the_mend() {
        let fault = Fault {
            kind: FaultKind::Trap,
            message: "panicked".into(),
            time_ms: 0,
            digest: "d".into(),
            frames: Vec::new(),
        };
        let why = WhyReport { fault: Some(fault), key: Some("k\u{7}".into()), ..report(Verdict::Held) };
        let text = render(&why, Style::default());
        assert!(text.starts_with("HELD: it is so\n\n  event  order-created@17  order-17"), "{text}");
        for part in ["fault  trap: panicked", "since  2026", "key    k\\u{7}", "next: baton processor resume"]
        {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
    }

    #[test]
    fn a_handled_event_names_the_version_and_what_it_told() {
        let place = EventPlace { channel: "paid".into(), offset: 3, id: "x".into() };
        let why = WhyReport {
            digest: Some("0123456789abcdef".into()),
            generation: Some(2),
            emitted: vec![place; EMITTED_SHOWN_MAX + 2],
            ..report(Verdict::Handled)
        };
        let text = render(&why, Style::default());
        assert!(text.contains("by     digest 0123456789ab, generation 2"), "{text}");
        assert!(text.contains("told   paid@3") && text.contains("and 2 more"), "{text}");
    }
}
