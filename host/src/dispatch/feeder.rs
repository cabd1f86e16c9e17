//! What a processor handles next: merges its channels by journal position, hands out events to lanes, keeps the events of
//! a parked key back in order. What a subscription's filter does not pass is decided here, in runs, and meets no guest. It holds a
//! bounded number of events and runs nothing.

use std::collections::{BTreeMap, VecDeque};
use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::DefaultHashBuilder;

use crate::channel::{Domain, Item, Places, ReadError, Reader};
use crate::model::change::{Again, ProcessorId, SubscriptionId};
use crate::model::descriptor::{Descriptor, SubscriptionAsk};
use crate::model::filter::Filter;
use crate::model::record::Record;
use crate::model::retry::{Order, RetryCaps, RetryPolicy};
use crate::view::decided::{AHEAD_FILTERED_MAX, AHEAD_MAX, Decided};
use crate::view::failed::EventRef;
use crate::view::world::World;

use super::keys::Keys;
use super::parked::Parked;
use super::skipped::Skipped;
use super::standing::Standing;
use super::work::{BATCH_EVENTS_MAX, Picked, Work};

/// The most events that stand before one lane.
const LANE_EVENTS_MAX: usize = 512;
/// The most bytes of events that stand before one lane.
const LANE_BYTES_MAX: usize = 1 << 20;
/// The most events of one processor that failed and are not given up before it reads no more.
pub const HELD_MAX: usize = 1_000;
/// The most events that wait behind those before it reads no more.
pub const WAITING_MAX: usize = 10_000;
/// The most dead letters of one processor before it reads no more.
pub const DEAD_MAX: usize = 100_000;

/// A channel that the processor reads.
pub struct Source {
    /// The subscription.
    pub subscription: SubscriptionId,
    /// How often its events may have been handled before.
    pub replays: u32,
    /// The channel's name.
    pub channel: Arc<str>,
    /// How the keys of its events are found.
    pub keys: Keys,
    /// How it tries events again that failed.
    pub policy: RetryPolicy,
    filter: Option<Filter>,
    reader: Reader,
    /// Reads events again that failed.
    again: Places,
    /// What is decided, as far as this processor's lanes know.
    decided: Decided,
}

/// What a processor handles next.
pub struct Feeder {
    domain: Domain,
    processor: ProcessorId,
    /// Its sources.
    pub sources: Vec<Source>,
    standing: Standing,
    /// How many lanes share what stands there.
    lanes: usize,
    parked: Parked,
    /// Attempts so far at events that failed, those that were redriven included.
    failed: BTreeMap<EventRef, u32>,
    /// Dead letters that are to be handled again, by their place in the order of their keys; those of one place by their own position.
    redriven: VecDeque<(u64, u64, EventRef)>,
    /// What was redriven before this position is taken over, once: it may be in a lane, or dead again.
    redriven_to: u64,
    /// How many dead letters there are.
    dead: usize,
    /// Whether the bounds of what may be held, wait or be decided ahead let nothing more be read.
    blocked: bool,
    /// Whether everything was read that there was at the last look.
    has_read_all: bool,
    /// Whether what was read with events that failed is kept.
    has_read_again: bool,
    /// Whether only what is durable is read.
    durable_only: bool,
    hasher: DefaultHashBuilder,
    skipped: Skipped,
}

/// Where reading stands still, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fed {
    All,
    Full,
    SkippedFull,
    Blocked,
}

impl Feeder {
    /// Begins where the subscriptions of a deployed processor are.
    pub fn new(domain: &Domain, processor: ProcessorId, descriptor: &Descriptor, caps: &RetryCaps) -> Self {
        let place = |ask: &SubscriptionAsk| {
            domain.look(|world| {
                let channel = world.channel_id(ask.channel.as_str())?;
                let subscription = world.subscription_of(processor, channel)?;
                let known = world.subscriptions().get(subscription as usize)?;
                Some((subscription, channel, known.replays, known.decided.clone()))
            })
        };
        let queue = descriptor.queue();
        let asked = descriptor.subscriptions.iter().map(|ask| (ask, Keys::asked(descriptor, ask)));
        let asked = asked.chain(queue.as_ref().map(|queue| (queue, Keys::commands(descriptor))));
        let sources = asked.filter_map(|(ask, keys)| {
            let (subscription, channel, replays, decided) = place(ask)?;
            let reader = Reader::new(domain.clone(), channel, decided.cursor());
            let again = domain.places(channel);
            Some(Source {
                subscription,
                replays,
                channel: ask.channel.as_str().into(),
                keys,
                policy: RetryPolicy::new(&ask.retry, ask.then, ask.order, caps),
                filter: ask.filter.clone(),
                reader,
                again,
                decided,
            })
        });
        let mut feeder = Self {
            domain: domain.clone(),
            processor,
            sources: sources.collect(),
            standing: Standing::default(),
            lanes: 1,
            parked: Parked::default(),
            failed: BTreeMap::new(),
            redriven: VecDeque::new(),
            redriven_to: 0,
            dead: 0,
            blocked: false,
            has_read_all: false,
            has_read_again: false,
            durable_only: false,
            hasher: DefaultHashBuilder::default(),
            skipped: Skipped::default(),
        };
        feeder.take_failed();
        feeder
    }

    /// Takes over what failed before: what is parked or held, and what was redriven.
    fn take_failed(&mut self) {
        let known = self.domain.look(|world| Known::of(world, self));
        let now_ms = self.domain.now_ms();
        self.failed.extend(known.held.iter().map(|held| (held.event, held.attempts)));
        for Failing { event, again, key, .. } in known.held {
            // What cannot be read now is found unreadable when its turn comes.
            let key = self.revive(event).map_or(key, |work| work.key().to_owned());
            match self.source_of(event.0).map(|source| source.policy.order) {
                Some(Order::Pass) => self.parked.park_loose(event, again, now_ms),
                _ => self.parked.park(&key, event, again, now_ms),
            }
        }
        self.dead = known.dead;
        self.take_redriven(known.redriven);
    }

    /// Something was redriven, released or discarded: takes that over.
    pub fn look_again(&mut self) -> Result<(), ReadError> {
        let (known, gone) = self.domain.look(|world| {
            let gone = self.failed.keys().filter(|event| !world.is_revived(**event)).copied();
            (Known::of(world, self), gone.collect::<Vec<_>>())
        });
        for event in gone {
            self.failed.remove(&event);
        }
        let again: BTreeMap<EventRef, Option<Again>> =
            known.held.iter().map(|held| (held.event, held.again)).collect();
        let loose = self.parked.look_again(self.domain.now_ms(), |event| again.get(&event).copied());
        self.dead = known.dead;
        self.take_redriven(known.redriven);
        self.stand(loose)
    }

    fn take_redriven(&mut self, redriven: Vec<Redriven>) {
        for Redriven { at, position, event, attempts } in redriven {
            self.failed.insert(event, attempts);
            self.redriven.push_back((at, position, event));
            self.redriven_to = self.redriven_to.max(at + 1);
        }
        self.redriven.make_contiguous().sort_unstable();
    }

    fn source_of(&self, subscription: SubscriptionId) -> Option<&Source> {
        self.sources.iter().find(|source| source.subscription == subscription)
    }

    /// Reads from now on only what is durable.
    pub fn read_durable_only(&mut self) {
        self.durable_only = true;
    }

    /// Shares what comes among so many lanes. Between one and several it changes only while no batch is `in_flight`, and says
    /// whether it is so.
    pub fn share(&mut self, lanes: usize, several: bool, in_flight: usize) -> bool {
        self.lanes = lanes.max(1);
        if several != self.standing.is_by_key() {
            if in_flight > 0 {
                return false;
            }
            self.standing.set_by_key(several);
        }
        several || in_flight == 0
    }

    /// Reads on, and takes the next batch into `batch`: no key twice, no key that is in another lane, and at most so many
    /// events.
    pub fn next_batch(&mut self, batch: &mut Picked, events_max: usize) -> Result<(), ReadError> {
        batch.clear(events_max);
        loop {
            self.has_read_all = false;
            if self.standing.free() < BATCH_EVENTS_MAX * self.lanes {
                let fed = self.feed()?;
                self.blocked = fed == Fed::Blocked;
                self.has_read_all = fed == Fed::All;
            }
            if self.lanes > 1 {
                batch.limit(self.standing.free().div_ceil(self.lanes).max(1));
            }
            self.take_parked(batch)?;
            let (waiting, behind) = (self.parked.waiting(), self.standing.behind());
            while self.take(batch) {}
            // Where all that was read went behind parked keys or other lanes' keys, what comes after it may be free.
            let moved = (self.parked.waiting(), self.standing.behind()) != (waiting, behind);
            if !batch.works.is_empty() || self.skipped.is_full() || !moved {
                self.skipped.take(&mut batch.skips);
                return Ok(());
            }
        }
    }

    /// How many events there are to handle, those in lanes included and those behind held keys left out.
    pub fn backlog(&self) -> u64 {
        let lag = self.domain.look(|world| {
            let lag = |source: &Source| {
                let subscription = world.subscriptions().get(source.subscription as usize)?;
                let next = world.channels().get(subscription.channel as usize)?.next;
                let decided = &subscription.decided;
                Some(next.saturating_sub(decided.cursor()).saturating_sub(decided.ahead()))
            };
            self.sources.iter().filter_map(lag).sum::<u64>()
        });
        lag.saturating_sub((self.parked.len() + self.parked.waiting()) as u64) + self.redriven.len() as u64
    }

    /// Whether there may be something for another lane.
    pub fn has_more(&self) -> bool {
        self.standing.free() > 0
    }

    /// Whether there may be something for a lane that has done its batch, but for what came after the last look.
    pub fn has_left(&self) -> bool {
        self.has_more() || !self.has_read_all || self.parked.peek_ready().is_some()
    }

    fn feed(&mut self) -> Result<Fed, ReadError> {
        // Everything below the horizon is visible in every channel, so the lowest position there is the lowest.
        let visible = self.domain.visible();
        let horizon =
            if self.durable_only { visible.min(self.domain.durable().current().0) } else { visible };
        loop {
            if self.parked.waiting() >= WAITING_MAX || self.parked.len() >= HELD_MAX || self.dead >= DEAD_MAX
            {
                return Ok(Fed::Blocked);
            }
            if self.skipped.is_full() {
                return Ok(Fed::SkippedFull);
            }
            let lowest = self.lowest(horizon)?;
            let redriven = self.redriven.front().map(|(at, ..)| *at).filter(|at| *at < horizon);
            let fed = match (lowest, redriven) {
                (None, None) => return Ok(Fed::All),
                (Some((position, source)), at) if at.is_none_or(|at| position < at) => self.deal(source)?,
                _ => self.deal_redriven()?,
            };
            if fed != Fed::All {
                return Ok(fed);
            }
        }
    }

    /// The lowest position that a source has to offer.
    fn lowest(&mut self, horizon: u64) -> Result<Option<(u64, usize)>, ReadError> {
        let mut lowest: Option<(u64, usize)> = None;
        for (index, source) in self.sources.iter_mut().enumerate() {
            let Some(item) = source.reader.peek()? else { continue };
            if item.position < horizon && lowest.is_none_or(|(position, _)| item.position < position) {
                lowest = Some((item.position, index));
            }
        }
        Ok(lowest)
    }

    /// Takes the next event of a source in.
    fn deal(&mut self, index: usize) -> Result<Fed, ReadError> {
        let Some(source) = self.sources.get_mut(index) else { return Ok(Fed::All) };
        let Some(item) = source.reader.peek()? else { return Ok(Fed::All) };
        let event = (source.subscription, item.offset);
        if source.decided.contains(item.offset) || self.failed.contains_key(&event) {
            source.reader.take()?;
            return Ok(Fed::All);
        }
        let ahead_max = if source.filter.is_none() { AHEAD_MAX } else { AHEAD_FILTERED_MAX };
        if item.offset - source.decided.cursor() >= ahead_max {
            return Ok(Fed::Blocked);
        }
        if let Some(filter) = &source.filter
            && !filter.passes(&parse(item)?)
        {
            source.decided.insert(item.offset);
            self.skipped.push(source.subscription, item.offset);
            source.reader.take()?;
            return Ok(Fed::All);
        }
        if is_full(&self.standing, self.lanes) {
            return Ok(Fed::Full);
        }
        let key = source.keys.of(item)?;
        let hash = self.hasher.hash_one(key.bytes(item));
        let Some(item) = source.reader.take()? else { return Ok(Fed::All) };
        let order = item.position;
        self.standing.push(Work { source: index, item, order, attempt: 1, parked: false, hash, key });
        Ok(Fed::All)
    }

    /// Takes the next dead letter in that is to be handled again.
    fn deal_redriven(&mut self) -> Result<Fed, ReadError> {
        if is_full(&self.standing, self.lanes) {
            return Ok(Fed::Full);
        }
        if let Some((at, _, event)) = self.redriven.pop_front() {
            let work = self.revive(event)?;
            self.standing.push(Work { order: at, ..work });
        }
        Ok(Fed::All)
    }

    /// An event that failed, as work; it is read again, and keeps nothing but its own bytes of what was read with it.
    pub fn revive(&mut self, event: EventRef) -> Result<Work, ReadError> {
        let gone =
            || ReadError::Journal { why: format!("the event at offset {} that failed is gone", event.1) };
        let mut sources = self.sources.iter_mut().enumerate();
        let (index, source) = sources.find(|(_, source)| source.subscription == event.0).ok_or_else(gone)?;
        let item = source.again.at(event.1)?.ok_or_else(gone)?.owned();
        self.has_read_again = true;
        let key = source.keys.of(&item)?;
        let hash = self.hasher.hash_one(key.bytes(&item));
        let attempt = 1 + self.failed.get(&event).copied().unwrap_or(0);
        let order = item.position;
        Ok(Work { source: index, item, order, attempt, parked: false, hash, key })
    }

    /// Events whose keys do not wait for them stand at the end.
    fn stand(&mut self, loose: Vec<EventRef>) -> Result<(), ReadError> {
        for event in loose {
            let work = self.revive(event)?;
            self.standing.push(work);
        }
        Ok(())
    }

    /// Moves the next events of parked keys into the batch whose time has come.
    fn take_parked(&mut self, batch: &mut Picked) -> Result<(), ReadError> {
        if self.parked.len() == 0 {
            if self.has_read_again && self.redriven.is_empty() {
                self.sources.iter_mut().for_each(|source| source.again.forget());
                self.has_read_again = false;
            }
            return Ok(());
        }
        let loose = self.parked.wake(self.domain.now_ms());
        self.stand(loose)?;
        while let Some(event) = self.parked.peek_ready() {
            let work = self.revive(event)?;
            if !batch.has_room_for(&work) {
                break;
            }
            self.parked.take_ready();
            batch.push(Work { parked: true, ..work });
        }
        Ok(())
    }

    /// When the next event is to be tried again.
    pub fn next_due(&self) -> Option<u64> {
        self.parked.next_due()
    }

    /// Moves the next event into the batch, or behind its parked key; says whether there may be another.
    fn take(&mut self, batch: &mut Picked) -> bool {
        let Self { standing, parked, .. } = self;
        let Some(work) = standing.take(|work| batch.has_room_for(work) || parked.has_key(work.key())) else {
            return false;
        };
        if self.parked.has_key(work.key()) {
            self.keep_back(&work);
            self.give_back(&work);
        } else {
            batch.push(work);
        }
        true
    }

    /// Puts an event behind its parked key; says whether the key is parked.
    fn keep_back(&mut self, work: &Work) -> bool {
        keep_back(&mut self.parked, &self.sources, work)
    }

    /// A lane has the key of this event no more.
    fn give_back(&mut self, work: &Work) {
        let Self { standing, parked, sources, .. } = self;
        if standing.is_by_key() && !work.parked {
            standing.give_back(work.hash, |next| keep_back(parked, sources, next));
        }
    }

    /// Notes that an event is done with.
    pub fn decided(&mut self, work: &Work) {
        let Some(source) = self.sources.get_mut(work.source) else { return };
        source.decided.insert(work.item.offset);
        let event = (source.subscription, work.item.offset);
        // What is redriven already, the moment that it died, goes on being one that failed.
        if self.failed.get(&event).is_some_and(|attempts| *attempts < work.attempt) {
            self.failed.remove(&event);
        }
        if work.parked {
            self.parked.done(work.key(), event);
        }
        self.give_back(work);
    }

    /// Notes that an event is a dead letter.
    pub fn died(&mut self, work: &Work) {
        self.dead += 1;
        self.decided(work);
    }

    /// Notes that an event failed and is not given up: its key waits, unless its subscription needs no order.
    pub fn park(&mut self, work: &Work, again: Option<Again>) {
        let Some(source) = self.sources.get(work.source) else { return };
        let event = (source.subscription, work.item.offset);
        let now_ms = self.domain.now_ms();
        self.failed.insert(event, work.attempt);
        match source.policy.order {
            Order::Key => self.parked.park(work.key(), event, again, now_ms),
            Order::Pass => {
                self.parked.park_loose(event, again, now_ms);
                if work.parked {
                    self.parked.done(work.key(), event);
                }
            }
        }
        self.give_back(work);
    }

    /// Whether so much failed, waits behind it or is decided ahead of it that nothing more is read.
    pub fn is_blocked(&self) -> bool {
        self.blocked
    }

    /// The events that wait behind ones that failed: key, subscription and offset.
    pub fn waiting(&self) -> impl Iterator<Item = (&str, EventRef)> {
        self.parked.behind()
    }
}

/// What the world knows of a processor's events that failed.
struct Known {
    held: Vec<Failing>,
    redriven: Vec<Redriven>,
    dead: usize,
}

/// An event that failed and is not given up.
struct Failing {
    event: EventRef,
    again: Option<Again>,
    attempts: u32,
    key: String,
}

/// A dead letter that is to be handled again.
struct Redriven {
    at: u64,
    position: u64,
    event: EventRef,
    attempts: u32,
}

impl Known {
    /// Those of a feeder's sources, and what of them was redriven that it has not taken over: what a version does not read any more
    /// waits for one that does.
    fn of(world: &World, feeder: &Feeder) -> Self {
        let sources = &feeder.sources;
        let read = |id: SubscriptionId| sources.iter().any(|source| source.subscription == id);
        let all = world.processors().get(feeder.processor as usize).map(|processor| &processor.held);
        let held = all.into_iter().flatten().filter(|((id, _), _)| read(*id));
        let mut held: Vec<_> = held.collect();
        held.sort_unstable_by_key(|(_, held)| held.position);
        let failing = held.into_iter().map(|(event, held)| {
            let (again, attempts, key) = (held.again, held.attempts, held.key.clone());
            Failing { event: *event, again, attempts, key }
        });
        let letters = || {
            sources
                .iter()
                .flat_map(|s| world.dead().of(s.subscription, 0).map(|(o, d)| ((s.subscription, o), d)))
        };
        let redriven = letters().filter_map(|(event, dead)| {
            let at = dead.redriven.filter(|at| *at >= feeder.redriven_to)?;
            Some(Redriven { at, position: dead.position, event, attempts: dead.count })
        });
        Self {
            held: failing.collect(),
            redriven: redriven.collect(),
            dead: letters().filter(|(_, d)| d.redriven.is_none()).count(),
        }
    }
}

fn is_full(standing: &Standing, lanes: usize) -> bool {
    standing.len() >= LANE_EVENTS_MAX * lanes || standing.bytes() >= LANE_BYTES_MAX * lanes
}

fn parse(item: &Item) -> Result<Record<'_>, ReadError> {
    Record::parse(&item.record).map_err(|error| ReadError::Journal { why: error.to_string() })
}

fn keep_back(parked: &mut Parked, sources: &[Source], work: &Work) -> bool {
    let subscription = sources.get(work.source).map_or(0, |source| source.subscription);
    parked.keep_back(work.key(), (subscription, work.item.offset))
}
