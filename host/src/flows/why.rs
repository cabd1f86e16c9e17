//! Why a processor did or did not get an event: one verdict from positions, held events, the lanes' own knowledge and the frames of the
//! event's flow. It decides nothing; it says what is so.

use crate::channel::{Domain, ReadError};
use crate::model::change::{Change, Changes, Control, ProcessorId, SubscriptionId};
use crate::model::deployment::Deployment;
use crate::model::filter::Ruling;
use crate::model::record::Record;
use crate::model::time::rfc3339;
use crate::model::why::{EventPlace, Verdict, WhyReport};
use crate::view::failed::{Dead, Held};
use crate::view::reports::is_read;
use crate::view::wanted::refusing;
use crate::view::world::{Processor, World};

use super::Flows;
use super::find::{EventAsk, FindError, Found, find};

/// The most emitted events that are named.
const EMITTED_SHOWN_MAX: usize = 100;

/// What the lanes of a processor know.
#[derive(Clone, Debug, Default)]
pub struct Lanes {
    /// Whether there are any.
    pub running: bool,
    /// Why they read nothing more.
    pub failure: Option<String>,
    /// Whether too much waits behind held keys.
    pub blocked: bool,
    /// The events that wait behind held keys: key, subscription, offset.
    pub waiting: Vec<(String, SubscriptionId, u64)>,
}

/// Why there is no verdict.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WhyError {
    /// There is no one such event.
    #[error(transparent)]
    Event(#[from] FindError),
    /// There is no such processor.
    #[error("there is no processor '{0}'; `baton processor ls` shows those that there are")]
    UnknownProcessor(String),
}

impl WhyError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Event(FindError::Unknown(_)) => "unknown-event",
            Self::Event(FindError::Ambiguous(_)) => "ambiguous-event",
            Self::Event(FindError::Read(error)) => error.code(),
            Self::UnknownProcessor(_) => "unknown-processor",
        }
    }
}

impl Flows {
    /// Says why a processor did or did not get an event; `lanes` is asked for what its lanes know.
    pub fn why(
        &self,
        ask: &EventAsk,
        processor: &str,
        lanes: impl FnOnce(ProcessorId) -> Lanes,
    ) -> Result<WhyReport, WhyError> {
        let domain = &self.0.domain;
        let known = domain
            .look(|world| world.processor_id(processor))
            .filter(|_| !processor.starts_with(super::FOLLOWER));
        let id = known.ok_or_else(|| WhyError::UnknownProcessor(processor.to_owned()))?;
        let found = find(domain, ask)?;
        let lanes = lanes(id);
        let mut report = domain.look(|world| judge(world, id, &found, &lanes));
        let handled = report.verdict == Verdict::Handled && add_handling(domain, id, &found, &mut report)?;
        let open = matches!(report.verdict, Verdict::Handled | Verdict::NotReached | Verdict::Blocked);
        if open
            && !handled
            && let Some(ruling) = refusal(domain, id, &found).map_err(FindError::from)?
        {
            report.verdict = Verdict::Filtered;
            let rules: Vec<_> = ruling.rules.iter().map(ToString::to_string).collect();
            report.text = format!("the filter of {processor} does not pass it: {}", rules.join("; "));
        } else if report.verdict == Verdict::Handled
            && !handled
            && let first = domain.channel_first(found.channel)
            && found.event.offset < first
        {
            report.verdict = Verdict::Expired;
            report.text = format!(
                "it expired before {processor} handled it: the oldest that {} keeps is at offset {first}",
                found.event.channel
            );
        }
        Ok(report)
    }
}

fn judge(world: &World, id: ProcessorId, found: &Found, lanes: &Lanes) -> WhyReport {
    let case = Case { world, id, found, lanes };
    let Some(processor) = world.processors().get(id as usize) else { return case.not_subscribed(&[]) };
    match world.subscription_of(id, found.channel) {
        Some(subscription) => case.subscribed(processor, subscription),
        None => {
            let asks = processor.deployment.as_ref().map(|d| d.descriptor.subscriptions.as_slice());
            let reads: Vec<&str> = asks.unwrap_or_default().iter().map(|ask| ask.channel.as_str()).collect();
            case.not_subscribed(&reads)
        }
    }
}

/// One event and one processor.
struct Case<'a> {
    world: &'a World,
    id: ProcessorId,
    found: &'a Found,
    lanes: &'a Lanes,
}

impl Case<'_> {
    fn name(&self) -> &str {
        self.world.processors().get(self.id as usize).map_or("", |processor| processor.name.as_str())
    }

    fn report(&self, verdict: Verdict, text: String) -> WhyReport {
        let next = match verdict {
            Verdict::Handled | Verdict::NotReached => format!("baton flow show {}", self.found.event.flow),
            Verdict::Held | Verdict::Waiting => format!("baton processor resume {}", self.name()),
            Verdict::Dead => {
                let place = &self.found.event;
                format!("baton dead redrive {} {}@{}", self.name(), place.channel, place.offset)
            }
            Verdict::Failed => format!("baton logs {}", self.name()),
            _ => format!("baton processor show {}", self.name()),
        };
        WhyReport {
            event: self.found.event.clone(),
            processor: self.name().to_owned(),
            verdict,
            text,
            fault: None,
            time: None,
            attempts: None,
            key: None,
            behind: None,
            before: None,
            digest: None,
            generation: None,
            emitted: Vec::new(),
            replied: false,
            next,
        }
    }

    fn not_subscribed(&self, reads: &[&str]) -> WhyReport {
        let reads = if reads.is_empty() { "nothing".to_owned() } else { reads.join(", ") };
        let (name, channel) = (self.name(), &self.found.event.channel);
        self.report(
            Verdict::NotSubscribed,
            format!("{name} does not subscribe to {channel}; it reads {reads}"),
        )
    }

    fn subscribed(&self, processor: &Processor, id: SubscriptionId) -> WhyReport {
        let name = self.name();
        let offset = self.found.event.offset;
        let Some(subscription) = self.world.subscriptions().get(id as usize) else {
            return self.not_subscribed(&[]);
        };
        if offset < subscription.start {
            let start = subscription.start;
            let text = format!("{name} began to read the channel at offset {start}, behind the event");
            return self.report(Verdict::BeforeStart, text);
        }
        if let Some(dead) = self.world.dead().get((id, offset)).filter(|dead| dead.redriven.is_none()) {
            return self.dead(dead);
        }
        if self.world.is_decided((id, offset)) {
            return self.report(Verdict::Handled, format!("{name} is done with the event"));
        }
        if !processor.deployed {
            let text = format!("{name} is not deployed; its position is kept, and the event waits for it");
            return self.report(Verdict::Undeployed, text);
        }
        if !is_read(self.world, id) {
            let text =
                format!("the version of {name} that runs reads the channel no more; its position is kept");
            return self.report(Verdict::NotSubscribed, text);
        }
        if let Some(held) = processor.held.get(&(id, offset)) {
            return self.held(held);
        }
        let cursor = subscription.decided.cursor();
        let ahead = subscription.decided.ahead_offsets().take_while(|ahead| *ahead < offset).count() as u64;
        self.to_come(processor, id, offset.saturating_sub(cursor).saturating_sub(ahead))
    }

    fn held(&self, held: &Held) -> WhyReport {
        let (name, kind, attempts) = (self.name(), held.fault.kind.as_str(), held.attempts);
        let times = if attempts == 1 { "once".to_owned() } else { format!("{attempts} times") };
        let text = format!("{name} tried it {times} and failed ({kind}); it holds the key '{}'", held.key);
        let again = held
            .again
            .map(|again| format!(", and is tried again at {}", rfc3339(again.at_ms.max(held.fault.time_ms))));
        let verdict = if again.is_some() { Verdict::Parked } else { Verdict::Held };
        let text = text + &again.unwrap_or_default();
        WhyReport {
            fault: Some(held.fault.clone()),
            time: Some(rfc3339(held.fault.time_ms)),
            attempts: Some(attempts),
            key: Some(held.key.clone()),
            ..self.report(verdict, text)
        }
    }

    fn dead(&self, dead: &Dead) -> WhyReport {
        let (name, attempts) = (self.name(), dead.count);
        let times = if attempts == 1 { "once".to_owned() } else { format!("{attempts} times") };
        let text = format!("{name} tried it {times} and gave it up: it is a dead letter");
        WhyReport {
            fault: dead.attempts.last().cloned(),
            time: Some(rfc3339(dead.died_ms())),
            attempts: Some(attempts),
            key: Some(dead.key.clone()),
            ..self.report(Verdict::Dead, text)
        }
    }

    /// Of an event that nothing is wrong with: `before` undecided ones stand before it.
    fn to_come(&self, processor: &Processor, id: SubscriptionId, before: u64) -> WhyReport {
        let (name, offset) = (self.name(), self.found.event.offset);
        if let Some(why) = &self.lanes.failure {
            return self.report(Verdict::Failed, format!("{name} reads nothing more: {why}"));
        }
        if !self.lanes.running {
            let text = format!("{name} is deployed and was not started; `baton status` says why");
            return self.report(Verdict::Failed, text);
        }
        let waiting = self.lanes.waiting.iter().find(|(_, s, o)| (*s, *o) == (id, offset));
        if let Some((key, ..)) = waiting {
            return self.behind(processor, key);
        }
        let before = Some(before);
        if let Some(paused) = &processor.operation.paused {
            let text = format!("{name} is paused: {}", paused.reason);
            let time = Some(rfc3339(paused.time_ms));
            let next = format!("baton processor resume {name}");
            return WhyReport { before, time, next, ..self.report(Verdict::Paused, text) };
        }
        if self.lanes.blocked {
            let held = processor.held.len();
            let text =
                format!("{name} reads nothing more: too much is held or waits behind {held} held keys");
            return WhyReport { before, ..self.report(Verdict::Blocked, text) };
        }
        let text = match before {
            Some(0) | None => {
                format!("it is the next that {name} handles of this channel, or is being handled")
            }
            Some(before) => format!("{name} has {before} undecided before it in this channel"),
        };
        WhyReport { before, ..self.report(Verdict::NotReached, text) }
    }

    fn behind(&self, processor: &Processor, key: &str) -> WhyReport {
        let first =
            processor.held.iter().filter(|(_, held)| held.key == key).min_by_key(|(_, held)| held.position);
        let place = first.and_then(|((id, offset), _)| {
            let channel = self.world.subscriptions().get(*id as usize)?.channel;
            let channel = self.world.channels().get(channel as usize)?.name.to_string();
            Some(EventPlace { channel, offset: *offset, id: String::new() })
        });
        let whom = place
            .as_ref()
            .map_or("an event".to_owned(), |place| format!("{}@{}", place.channel, place.offset));
        let text =
            format!("it waits behind {whom}, which failed and holds the key '{key}' of {}", self.name());
        WhyReport {
            fault: first.map(|(_, held)| held.fault.clone()),
            time: first.map(|(_, held)| rfc3339(held.fault.time_ms)),
            attempts: first.map(|(_, held)| held.attempts),
            key: Some(key.to_owned()),
            behind: place,
            ..self.report(Verdict::Waiting, text)
        }
    }
}

/// Why the filter of the subscription does not pass the event, if so.
fn refusal(domain: &Domain, id: ProcessorId, found: &Found) -> Result<Option<Ruling>, ReadError> {
    let offset = found.event.offset;
    let Some(item) = domain.event_at(found.channel, offset)? else { return Ok(None) };
    let Ok(record) = Record::parse(&item.record) else { return Ok(None) };
    Ok(domain.look(|world| {
        let subscription = world.subscription_of(id, found.channel)?;
        refusing(world, subscription, offset, &record).map(|filter| filter.ruling(&record))
    }))
}

/// Finds the frame that decided the event, and what else stands in it; says whether there is one.
fn add_handling(
    domain: &Domain,
    id: ProcessorId,
    found: &Found,
    report: &mut WhyReport,
) -> Result<bool, FindError> {
    let Some(subscription) = domain.look(|world| world.subscription_of(id, found.channel)) else {
        return Ok(false);
    };
    let frames = domain.frames_of(&[found.flow])?;
    let end = domain.durable().current().0;
    let (mut handling, mut discarded) = (None, None);
    domain.visit(&frames, end, |frame| {
        let mut one = Handling { time_ms: frame.time_ms, ..Handling::default() };
        Changes::new(&frame.body)
            .map_while(Result::ok)
            .for_each(|change| one.note(&change, id, subscription, found));
        if one.discarded {
            discarded = Some(frame.time_ms);
        }
        if one.decided {
            handling = Some(one);
        }
    })?;
    let told = handling.is_some() || discarded.is_some();
    match handling {
        Some(handling) => tell(domain, id, handling, report),
        None if let Some(time_ms) = discarded => {
            let time = rfc3339(time_ms);
            report.verdict = Verdict::Discarded;
            report.text =
                format!("{} failed on it, and an operator discarded it at {time}", report.processor);
            report.time = Some(time);
        }
        None => {
            report.text =
                format!("{} is done with the event, without a handling of its own", report.processor)
        }
    }
    Ok(told)
}

/// What a frame holds of the handling of one event.
#[derive(Default)]
struct Handling {
    time_ms: u64,
    decided: bool,
    discarded: bool,
    replied: bool,
    emitted: Vec<(u32, u64, String)>,
}

impl Handling {
    fn note(&mut self, change: &Change<'_>, id: ProcessorId, by: SubscriptionId, found: &Found) {
        match change {
            Change::Decided { subscription, offset, .. } => {
                self.decided |= (*subscription, *offset) == (by, found.event.offset);
            }
            Change::Reply { processor, cause, .. } => {
                self.replied |= (*processor, *cause) == (id, found.event.position);
            }
            Change::Event { channel, offset, record } => {
                let Ok(record) = Record::parse(record) else { return };
                if record.stamp.cause == Some(found.event.position) && self.emitted.len() < EMITTED_SHOWN_MAX
                {
                    self.emitted.push((*channel, *offset, record.parts.id.to_owned()));
                }
            }
            Change::Control(control) => {
                if let Control::Discarded { subscription, offset, .. } = **control {
                    self.discarded |= (subscription, offset) == (by, found.event.offset);
                }
            }
            _ => {}
        }
    }
}

fn tell(domain: &Domain, id: ProcessorId, handling: Handling, report: &mut WhyReport) {
    let time = rfc3339(handling.time_ms);
    domain.look(|world| {
        let ran = |d: &&std::sync::Arc<Deployment>| d.processor == id && d.time_ms <= handling.time_ms;
        let ran = world.deployments().iter().rev().find(ran);
        (report.digest, report.generation) = (ran.map(|d| d.digest.clone()), ran.map(|d| d.generation));
        let place = |(channel, offset, id): (u32, u64, String)| {
            let channel = world.channels().get(channel as usize)?.name.to_string();
            Some(EventPlace { channel, offset, id })
        };
        report.emitted = handling.emitted.into_iter().filter_map(place).collect();
    });
    report.replied = handling.replied;
    let emitted = match report.emitted.len() {
        0 => "nothing".to_owned(),
        1 => "1 event".to_owned(),
        count => format!("{count} events"),
    };
    let replied = if report.replied { " and replied" } else { "" };
    report.text = format!("{} handled it at {time}: it emitted {emitted}{replied}", report.processor);
    report.time = Some(time);
}

impl From<ReadError> for WhyError {
    fn from(error: ReadError) -> Self {
        Self::Event(FindError::Read(error))
    }
}
