//! What became of a flow: its events, who handled which and when, and what is still to do. Made from the views and the
//! flow's frames alone; it reads no journal itself.

use std::collections::{BTreeMap, BTreeSet};

use hashbrown::HashMap;
use serde_json::Value;
use uuid::Uuid;

use crate::model::change::{Change, Changes, ChannelId, Control, ProcessorId, SubscriptionId};
use crate::model::record::{Identity, Malformed, Record};
use crate::model::report::{FlowEvent, FlowReport, FlowStatus, Handling, HandlingStatus};
use crate::model::time::rfc3339;
use crate::model::workflow::post::TAKEN;

use super::recorded::recorded;
use super::reports::is_read;
use super::wanted::is_filtered;
use super::world::{Subscription, World};

/// The most events of a flow that a report shows.
pub const FLOW_EVENTS_SHOWN_MAX: usize = 1000;

/// How much of a digest is enough to tell versions apart.
const DIGEST_SHOWN_CHARS: usize = 12;

/// A frame that may hold something of the flow.
#[derive(Clone, Copy, Debug)]
pub struct FlowFrame<'a> {
    /// Its position.
    pub position: u64,
    /// When it was made, in milliseconds since the Unix epoch.
    pub time_ms: u64,
    /// Its changes.
    pub body: &'a [u8],
}

/// Reports a flow, if the frames hold anything of it. `cut` says that it has more frames than these; `waiting` whether an event
/// waits behind a held one of its key.
pub fn flow_report(
    world: &World,
    flow: Uuid,
    frames: &[FlowFrame<'_>],
    cut: bool,
    waiting: impl Fn(SubscriptionId, u64) -> bool,
) -> Result<Option<FlowReport>, Malformed> {
    let mut seen = Seen { flow, ..Seen::default() };
    for frame in frames {
        seen.frame(frame)?;
    }
    let Some((started_ms, latest_ms)) = seen.times_ms else { return Ok(None) };
    let judge = Judge { world, seen: &seen, cut, waiting };
    let (mut events, mut status) = (Vec::new(), FlowStatus::Done);
    for event in &seen.events {
        let handlings = judge.handlings(event);
        status = handlings.iter().fold(status, |status, handling| worse(status, handling.status));
        if events.len() < FLOW_EVENTS_SHOWN_MAX {
            events.push(shown(world, event, handlings)?);
        }
    }
    let truncated = cut || events.len() < seen.events.len();
    let expired = seen.lacks_parts(world, &events);
    let (started, latest) = (rfc3339(started_ms), rfc3339(latest_ms));
    Ok(Some(FlowReport {
        flow: flow.to_string(),
        status,
        overdue: false,
        deadline: None,
        reason: None,
        started,
        latest,
        expired,
        events,
        truncated,
    }))
}

/// Whether retention has taken an event, or its channel would not show it any more.
fn is_expired(world: &World, event: &SeenEvent<'_>) -> bool {
    world.channels().get(event.channel as usize).is_some_and(|channel| event.offset < channel.first)
}

fn worse(flow: FlowStatus, handling: HandlingStatus) -> FlowStatus {
    match (flow, handling) {
        (FlowStatus::Stuck, _) | (_, HandlingStatus::Held | HandlingStatus::Dead) => FlowStatus::Stuck,
        (_, HandlingStatus::Pending | HandlingStatus::Waiting | HandlingStatus::Parked) => FlowStatus::Open,
        (flow, HandlingStatus::Handled | HandlingStatus::Expired | HandlingStatus::Discarded) => flow,
    }
}

fn shown(world: &World, event: &SeenEvent<'_>, handlings: Vec<Handling>) -> Result<FlowEvent, Malformed> {
    let record = Record::parse(event.record)?;
    let channel = world.channels().get(event.channel as usize);
    let outward = recorded(event.offset, event.position, event.time_ms, &record);
    Ok(FlowEvent {
        position: event.position,
        cause: record.stamp.cause,
        channel: channel.map(|channel| channel.name.to_string()).unwrap_or_default(),
        offset: event.offset,
        recorded: outward.recorded,
        event: outward.event,
        handlings,
    })
}

/// What the frames say of the flow.
#[derive(Default)]
struct Seen<'a> {
    flow: Uuid,
    /// Of the first and the latest frame.
    times_ms: Option<(u64, u64)>,
    events: Vec<SeenEvent<'a>>,
    /// When an offset was decided by a subscription.
    decided: BTreeMap<(u64, SubscriptionId), u64>,
    /// Which events an operator gave up for good.
    discarded: BTreeSet<(u64, SubscriptionId)>,
    /// What a processor answered to the event at a position.
    replies: HashMap<(ProcessorId, u64), &'a [u8]>,
}

struct SeenEvent<'a> {
    position: u64,
    time_ms: u64,
    channel: ChannelId,
    offset: u64,
    record: &'a [u8],
}

/// Whether the cause of an event lies in another flow: a run took an event that somebody published.
fn is_from_another(event: &FlowEvent) -> bool {
    event.event.get("type").and_then(Value::as_str) == Some(TAKEN)
}

impl<'a> Seen<'a> {
    /// Whether events of the flow are gone: no event is left, or one is expired, or lacks its cause.
    fn lacks_parts(&self, world: &World, shown: &[FlowEvent]) -> bool {
        let is_there = |position| self.events.binary_search_by_key(&position, |event| event.position).is_ok();
        self.events.is_empty()
            || self.events.iter().any(|event| is_expired(world, event))
            || shown
                .iter()
                .filter(|event| !is_from_another(event))
                .filter_map(|event| event.cause)
                .any(|cause| !is_there(cause))
    }

    fn frame(&mut self, frame: &FlowFrame<'a>) -> Result<(), Malformed> {
        let mut position = frame.position;
        for change in Changes::new(frame.body) {
            let change = change?;
            if self.change(position, frame.time_ms, &change)? {
                let (started, latest) = self.times_ms.unwrap_or((frame.time_ms, frame.time_ms));
                self.times_ms = Some((started, latest.max(frame.time_ms)));
            }
            position += u64::from(matches!(change, Change::Event { .. }));
        }
        Ok(())
    }

    /// Says whether the change is of the flow.
    fn change(&mut self, position: u64, time_ms: u64, change: &Change<'a>) -> Result<bool, Malformed> {
        let of = match change {
            Change::Event { record, .. } => Identity::of(record)?.flow,
            Change::Decided { flow, .. } | Change::Reply { flow, .. } => *flow,
            Change::Control(control) => match control.flow() {
                Some(flow) => flow,
                None => return Ok(false),
            },
            Change::StateSet { .. } | Change::StateDelete { .. } | Change::Skipped(_) => return Ok(false),
        };
        if of != self.flow {
            return Ok(false);
        }
        match *change {
            Change::Control(ref control) => {
                if let Control::Discarded { subscription, offset, .. } = **control {
                    self.discarded.insert((offset, subscription));
                }
            }
            Change::Event { channel, offset, record } => {
                self.events.push(SeenEvent { position, time_ms, channel, offset, record });
            }
            Change::Decided { subscription, offset, .. } => {
                self.decided.insert((offset, subscription), time_ms);
            }
            Change::Reply { processor, cause, data, .. } => {
                self.replies.insert((processor, cause), data);
            }
            _ => {}
        }
        Ok(true)
    }
}

/// Tells how far each handling is.
struct Judge<'a, W> {
    world: &'a World,
    seen: &'a Seen<'a>,
    cut: bool,
    waiting: W,
}

impl<W: Fn(SubscriptionId, u64) -> bool> Judge<'_, W> {
    /// Of those who read the channel now and whose filter passes the event, and of those who handled it and read no more.
    fn handlings(&self, event: &SeenEvent<'_>) -> Vec<Handling> {
        let reads = |id: &SubscriptionId| {
            self.world.subscriptions().get(*id as usize).is_some_and(|s| s.channel == event.channel)
        };
        let offset = event.offset;
        let decided = self.seen.decided.range((offset, 0)..=(offset, SubscriptionId::MAX));
        let mut ids: BTreeSet<SubscriptionId> = decided.map(|((_, id), _)| *id).filter(reads).collect();
        if let Some(channel) = self.world.channels().get(event.channel as usize) {
            ids.extend(&channel.subscriptions);
        }
        ids.into_iter().filter_map(|id| self.handling(id, event)).collect()
    }

    fn handling(&self, id: SubscriptionId, event: &SeenEvent<'_>) -> Option<Handling> {
        let subscription = self.world.subscriptions().get(id as usize)?;
        let processor = self.world.processors().get(subscription.processor as usize)?;
        let decided_ms = self.seen.decided.get(&(event.offset, id)).copied();
        let decided_ms = decided_ms.filter(|_| !self.comes_again(id, event.offset));
        let held = processor.held.get(&(id, event.offset));
        let dead = self.world.dead().get((id, event.offset));
        let status = match decided_ms {
            Some(_) => HandlingStatus::Handled,
            None if event.offset < subscription.start || !is_read(self.world, id) => return None,
            None if held.is_some_and(|held| held.again.is_some()) => HandlingStatus::Parked,
            None if held.is_some() => HandlingStatus::Held,
            None if dead.is_some_and(|dead| dead.redriven.is_none()) => HandlingStatus::Dead,
            None if dead.is_some() => HandlingStatus::Pending,
            None if self.seen.discarded.contains(&(event.offset, id)) => HandlingStatus::Discarded,
            None if Record::parse(event.record)
                .is_ok_and(|record| is_filtered(self.world, id, event.offset, &record)) =>
            {
                return None;
            }
            // The frame that decided it is past the cut. Without a cut it is younger than the frames: what it brought is not
            // among them either, so nobody may conclude that the flow is done.
            None if self.cut && subscription.decided.contains(event.offset) => HandlingStatus::Handled,
            None if is_expired(self.world, event) => HandlingStatus::Expired,
            None if (self.waiting)(id, event.offset) => HandlingStatus::Waiting,
            None => HandlingStatus::Pending,
        };
        let fault = held.map(|held| held.fault.clone());
        let fault = fault.or_else(|| dead?.attempts.last().cloned()).filter(|_| decided_ms.is_none());
        let reply = self.seen.replies.get(&(subscription.processor, event.position));
        Some(Handling {
            processor: processor.name.to_string(),
            status,
            time: decided_ms.map(rfc3339),
            digest: decided_ms.and_then(|time_ms| self.digest(subscription.processor, time_ms)),
            reply: reply.and_then(|data| serde_json::from_slice::<Value>(data).ok()),
            fault,
        })
    }

    /// Whether a reset of the subscription took it back before the event.
    fn comes_again(&self, id: SubscriptionId, offset: u64) -> bool {
        let open = |s: &Subscription| {
            offset >= s.start && (!s.decided.contains(offset) || self.world.is_revived((id, offset)))
        };
        self.world.subscriptions().get(id as usize).is_some_and(open) && is_read(self.world, id)
    }

    /// What ran at a time: of the deployments that were made by then, the last.
    fn digest(&self, processor: ProcessorId, time_ms: u64) -> Option<String> {
        let mut deployments = self.world.deployments().iter().rev();
        let ran = deployments.find(|d| d.processor == processor && d.time_ms <= time_ms)?;
        Some(ran.digest.chars().take(DIGEST_SHOWN_CHARS).collect())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests;
