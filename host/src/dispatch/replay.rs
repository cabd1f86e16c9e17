//! History through what runs of a processor: one event after the other on an instance of its own, with state of its own. What is published and answered
//! is shown or counted, and reaches nobody; no lane is taken or held up, and no flow is touched.

use std::collections::HashSet;
use std::sync::Arc;

use uuid::Uuid;

use crate::channel::{Item, ReadError, Reader};
use crate::model::change::{Change, ChannelId, Control, Draft, ProcessorId, Skip, SubscriptionId};
use crate::model::fault::{Fault, FaultKind};
use crate::model::filter::Filter;
use crate::model::record::Record;
use crate::model::rehearsal::Rehearsal;
use crate::model::time::rfc3339;
use crate::runtime::{Batch, Executor};
use crate::view::state::{ProcessorState, StateValue};

use super::calls::ProcessorCalls;
use super::effects::{Cause, Refusal};
use super::handling::refusal_of;
use super::logs::LogBook;
use super::rehearsal::{RehearsalError, fail};
use super::running::Running;
use super::work::{Key, Work};
use super::{Dispatcher, Shared};

/// So many events go into one frame.
const FRAME_EVENTS_MAX: usize = 256;

/// Which events go through which processor.
#[derive(Clone, Debug)]
pub struct Replay {
    /// The processor.
    pub processor: ProcessorId,
    /// One of its channels, and its name.
    pub channel: (ChannelId, Arc<str>),
    /// The first offset.
    pub from: u64,
    /// The offset behind the last.
    pub to: u64,
    /// Whose state is written, and whose position moves; without it nothing is kept.
    pub into: Option<(ProcessorId, SubscriptionId)>,
    /// Whether it may act outside of its sandbox.
    pub outside: bool,
    /// How many events are shown: all without `into`, those that failed with it.
    pub shown_max: usize,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Replayed {
    /// The offset behind the last event that was looked at.
    pub next: u64,
    /// Events that were handled.
    pub handled: u64,
    /// Events that the filter did not pass.
    pub filtered: u64,
    /// Events that failed, at the one attempt that each had.
    pub failed: u64,
    /// Events that would have been published.
    pub emits: u64,
    /// What is shown.
    pub shown: Vec<Rehearsal>,
}

impl Dispatcher {
    /// Has events of the past handled as by a new subscription.
    pub fn replay(&self, replay: &Replay) -> Result<Replayed, RehearsalError> {
        let slot = self.0.processors.read().get(replay.processor as usize).cloned();
        let running = slot.and_then(|slot| slot.running).ok_or(RehearsalError::NotRunning)?;
        if running.is_at_the_edge() && !replay.outside {
            return Err(RehearsalError::ActsOutside);
        }
        Run::new(&self.0, running, replay)?.all()
    }
}

/// A replay under way.
struct Run<'a> {
    shared: &'a Shared,
    replay: &'a Replay,
    running: Arc<Running>,
    source: usize,
    subscription: SubscriptionId,
    filter: Option<Filter>,
    state: Arc<ProcessorState>,
    calls: Arc<ProcessorCalls>,
    executor: Option<Executor>,
    draft: Draft,
    /// The keys whose state is in the draft.
    keys: HashSet<String>,
    events: usize,
    done: Replayed,
}

impl<'a> Run<'a> {
    fn new(shared: &'a Shared, running: Arc<Running>, replay: &'a Replay) -> Result<Self, RehearsalError> {
        let (source, subscription) =
            running.source_of(&replay.channel.1).ok_or(RehearsalError::NotRunning)?;
        let asks = &running.version().descriptor().subscriptions;
        let ask = asks.iter().find(|ask| ask.channel.as_str() == &*replay.channel.1);
        let kept = |(id, _): (ProcessorId, SubscriptionId)| {
            shared.domain.look(|world| Some(world.processors().get(id as usize)?.state.clone()))
        };
        let state = replay.into.and_then(kept).unwrap_or_default();
        let calls = ProcessorCalls {
            logs: Arc::new(LogBook::default()),
            state: state.clone(),
            ..ProcessorCalls::clone(running.calls())
        };
        Ok(Self {
            filter: ask.and_then(|ask| ask.filter.clone()),
            shared,
            replay,
            source,
            subscription,
            state,
            calls: Arc::new(calls),
            executor: None,
            draft: Draft::default(),
            keys: HashSet::new(),
            events: 0,
            done: Replayed { next: replay.from, ..Replayed::default() },
            running,
        })
    }

    fn all(mut self) -> Result<Replayed, RehearsalError> {
        let durable = self.shared.domain.durable().current().0;
        let mut reader = Reader::new(self.shared.domain.clone(), self.replay.channel.0, self.replay.from);
        while let Some(item) = reader.take()? {
            if item.offset >= self.replay.to || item.position >= durable {
                break;
            }
            self.done.next = item.offset + 1;
            self.one(item)?;
            if self.events >= FRAME_EVENTS_MAX {
                self.commit()?;
            }
        }
        self.commit()?;
        Ok(self.done)
    }

    fn one(&mut self, item: Item) -> Result<(), RehearsalError> {
        let record = Record::parse(&item.record);
        let record = record.map_err(|error| ReadError::Journal { why: error.to_string() })?;
        if self.filter.as_ref().is_some_and(|filter| !filter.passes(&record)) {
            self.done.filtered += 1;
            self.events += 1;
            if let Some((_, subscription)) = self.replay.into {
                self.draft.skipped(Skip { subscription, from: item.offset, to: item.offset + 1 });
            }
            return Ok(());
        }
        let key = Key::of(&self.running.choice_of(self.source), &item)?;
        let order = item.position;
        let (source, item_again) = (self.source, item.clone());
        let work = Work { source, item: item_again, order, attempt: 1, parked: false, hash: 0, key };
        // What an earlier event of the key wrote has to be there before the next one reads it.
        if self.keys.contains(work.key()) {
            self.commit()?;
        }
        let (subscription, replays) = (self.subscription, 0);
        let cause = Cause { work: &work, record, subscription, replays, marks: None };
        let mut rehearsal = Rehearsal {
            channel: self.replay.channel.1.to_string(),
            offset: item.offset,
            key: work.key().to_owned(),
            attempt: 1,
            digest: self.running.deployment().digest.clone(),
            ..Rehearsal::default()
        };
        match self.handle(&cause, item.time_ms)? {
            Ok(draft) => self.keep(&cause, &draft, &mut rehearsal),
            Err(refusal) => self.fault(&cause, refusal, &mut rehearsal),
        }
        self.events += 1;
        let is_shown = self.replay.into.is_none() || rehearsal.fault.is_some();
        if is_shown && self.done.shown.len() < self.replay.shown_max {
            self.done.shown.push(rehearsal);
        }
        Ok(())
    }

    fn handle(
        &mut self,
        cause: &Cause<'_>,
        event_time_ms: u64,
    ) -> Result<Result<Draft, Refusal>, RehearsalError> {
        let time_ms = self.shared.domain.now_ms();
        let mut batch = Batch::new(time_ms, cause.work.item.position);
        let work = cause.work;
        batch.push(&self.replay.channel.1, work.key(), work.item.offset, 1, event_time_ms, &cause.record);
        let executor = match self.executor.take().filter(|executor| !executor.is_spent()) {
            Some(executor) => self.executor.insert(executor),
            None => self.executor.insert(self.running.version().executor(self.calls.clone())?),
        };
        Ok(match executor.call(&batch) {
            Ok(outcomes) => self.running.effects(cause, &rfc3339(time_ms), &outcomes),
            Err(error) => Err(refusal_of(&error)),
        })
    }

    /// Takes over what the event wrote, into a frame or into the state that goes with the replay.
    fn keep(&mut self, cause: &Cause<'_>, effects: &Draft, rehearsal: &mut Rehearsal) {
        let (key, offset) = (cause.work.key().to_owned(), cause.work.item.offset);
        for change in effects.changes().map_while(Result::ok) {
            self.shared.show(&change, rehearsal);
            match (&change, self.replay.into) {
                (Change::StateSet { name, value, expires_ms, .. }, Some((processor, _))) => {
                    self.draft.state_set(processor, &key, name, *expires_ms, value);
                }
                (Change::StateDelete { name, .. }, Some((processor, _))) => {
                    self.draft.state_delete(processor, &key, name);
                }
                (Change::StateSet { name, value, expires_ms, .. }, None) => {
                    let value = StateValue { bytes: value.to_vec().into(), expires_ms: *expires_ms };
                    self.state.set(&key, name, Some(value));
                }
                (Change::StateDelete { name, .. }, None) => self.state.set(&key, name, None),
                _ => {}
            }
        }
        if let Some((_, subscription)) = self.replay.into {
            self.draft.decided(subscription, offset, Uuid::nil());
            self.keys.insert(key);
        }
        self.done.handled += 1;
        self.done.emits += rehearsal.emits.len() as u64;
    }

    /// One attempt is all that an event has: what it fails on is a dead letter of the replay, and of no flow.
    fn fault(&mut self, cause: &Cause<'_>, refusal: Refusal, rehearsal: &mut Rehearsal) {
        self.done.failed += 1;
        if let Some((_, subscription)) = self.replay.into {
            let (offset, position) = (cause.work.item.offset, cause.work.item.position);
            let (key, time_ms) = (cause.work.key().to_owned(), self.shared.domain.now_ms());
            let (kind, message): (FaultKind, String) =
                (refusal.kind, refusal.message.chars().take(2_000).collect());
            let digest = rehearsal.digest.chars().take(12).collect();
            let fault = Fault { kind, message, time_ms, digest, frames: refusal.frames.clone() };
            let flow = Uuid::nil();
            self.draft.died(&Control::Died { subscription, offset, position, flow, key, fault });
        }
        fail(refusal, rehearsal);
    }

    fn commit(&mut self) -> Result<(), RehearsalError> {
        let draft = std::mem::take(&mut self.draft);
        self.keys.clear();
        self.events = 0;
        if !draft.is_empty() {
            self.shared.domain.commit_as_host(draft)?;
        }
        Ok(())
    }
}
