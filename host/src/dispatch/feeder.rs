//! What a processor handles next: merges its channels by journal position, deals events to lanes by key, keeps the
//! events of a held key back in order. What a subscription's filter does not pass is decided here, in runs, and meets no
//! guest. It holds a bounded number of events and runs nothing.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashMap};

use crate::channel::{Domain, Item, ReadError, Reader};
use crate::model::change::{ProcessorId, Skip, SubscriptionId};
use crate::model::descriptor::{Descriptor, KeyChoice, SubscriptionAsk};
use crate::model::filter::Filter;
use crate::model::key::key_of;
use crate::model::record::{Record, default_key_place};
use crate::view::decided::{AHEAD_FILTERED_MAX, AHEAD_MAX, Decided};

/// The most events of one call.
pub const BATCH_EVENTS_MAX: usize = 64;
/// The most bytes of one call, unless one event alone has more.
pub const BATCH_BYTES_MAX: usize = 256 << 10;
/// The most events that stand before one lane.
const LANE_EVENTS_MAX: usize = 512;
/// The most bytes of events that stand before one lane.
const LANE_BYTES_MAX: usize = 1 << 20;
/// The most keys that one processor holds before it reads no more.
pub const HELD_MAX: usize = 1_000;
/// The most events that wait behind held keys of one processor before it reads no more.
pub const WAITING_MAX: usize = 10_000;

/// The most events that are filtered before what was decided on them is recorded.
const SKIPPED_EVENTS_MAX: u64 = 16_384;
/// The most runs of filtered events in one frame.
const SKIPS_MAX: usize = 1024;

/// An event that a lane is to handle.
#[derive(Clone, Debug)]
pub struct Work {
    /// Which of the feeder's sources it comes from.
    pub source: usize,
    /// The event.
    pub item: Item,
    key: Key,
    hash: u64,
}

/// The events of one call: no key twice.
#[derive(Default)]
pub struct Picked {
    /// The events, in order.
    pub works: Vec<Work>,
    /// What was filtered on the way to them; it goes into their frame, or into one of its own when there are none.
    pub skips: Vec<Skip>,
    bytes: usize,
    /// A bit for each key that is in it, by hash: most keys are told apart at once.
    bits: u128,
}

impl Picked {
    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.works.is_empty() && self.skips.is_empty()
    }

    fn clear(&mut self) {
        self.works.clear();
        self.skips.clear();
        self.bytes = 0;
        self.bits = 0;
    }

    fn has_room_for(&self, work: &Work) -> bool {
        let bytes = self.bytes + work.item.record.len();
        self.works.is_empty()
            || (self.works.len() < BATCH_EVENTS_MAX && bytes <= BATCH_BYTES_MAX && !self.has_key_of(work))
    }

    /// Two keys with one hash count as the same: the batch ends a little early.
    fn has_key_of(&self, work: &Work) -> bool {
        self.bits & bit(work.hash) != 0 && self.works.iter().any(|other| other.hash == work.hash)
    }

    fn push(&mut self, work: Work) {
        self.bytes += work.item.record.len();
        self.bits |= bit(work.hash);
        self.works.push(work);
    }
}

fn bit(hash: u64) -> u128 {
    1 << (hash & 127)
}

/// A key, mostly a part of the record.
#[derive(Clone, Debug)]
enum Key {
    InRecord { start: usize, len: usize },
    Owned(Box<str>),
}

impl Work {
    /// The key of the event.
    pub fn key(&self) -> &str {
        std::str::from_utf8(self.key.bytes(&self.item)).unwrap_or_default()
    }
}

impl Key {
    fn bytes<'a>(&'a self, item: &'a Item) -> &'a [u8] {
        match self {
            Key::Owned(text) => text.as_bytes(),
            Key::InRecord { start, len } => item.record.get(*start..start + len).unwrap_or_default(),
        }
    }
}

/// A channel that the processor reads.
pub struct Source {
    /// The subscription.
    pub subscription: SubscriptionId,
    /// How often its events may have been handled before.
    pub replays: u32,
    /// The channel's name.
    pub channel: Arc<str>,
    choice: KeyChoice,
    filter: Option<Filter>,
    reader: Reader,
    /// What is decided, as far as this processor's lanes know.
    decided: Decided,
}

/// A key that waits, with the events of it that came later.
#[derive(Default)]
struct HeldKey {
    waiting: Vec<(SubscriptionId, u64)>,
}

/// What a processor handles next.
pub struct Feeder {
    domain: Domain,
    /// Its sources.
    pub sources: Vec<Source>,
    lanes: Vec<Lane>,
    held: HashMap<Box<str>, HeldKey>,
    waiting: usize,
    /// Whether the bounds of what may be held, wait or be decided ahead let nothing more be read.
    blocked: bool,
    /// Attempts so far of events that failed before.
    attempts: BTreeMap<(SubscriptionId, u64), u32>,
    hasher: DefaultHashBuilder,
    skipped: Skipped,
}

/// Filtered events that no frame says yet.
#[derive(Default)]
struct Skipped {
    runs: Vec<Skip>,
    events: u64,
}

impl Skipped {
    fn push(&mut self, subscription: SubscriptionId, offset: u64) {
        self.events += 1;
        let mut latest = self.runs.iter_mut().rev();
        match latest.find(|run| run.subscription == subscription).filter(|run| run.to == offset) {
            Some(run) => run.to += 1,
            None => self.runs.push(Skip { subscription, from: offset, to: offset + 1 }),
        }
    }

    fn is_full(&self) -> bool {
        self.events >= SKIPPED_EVENTS_MAX || self.runs.len() >= SKIPS_MAX
    }

    /// Moves the runs into `to`, which is empty.
    fn take(&mut self, to: &mut Vec<Skip>) {
        std::mem::swap(&mut self.runs, to);
        self.events = 0;
    }
}

#[derive(Default)]
struct Lane {
    queue: VecDeque<Work>,
    bytes: usize,
}

/// Where reading stands still, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fed {
    All,
    LaneFull,
    SkippedFull,
    Blocked,
}

impl Feeder {
    /// Begins where the subscriptions of a deployed processor are.
    pub fn new(domain: &Domain, processor: ProcessorId, descriptor: &Descriptor) -> Self {
        let place = |ask: &SubscriptionAsk| {
            domain.look(|world| {
                let channel = world.channel_id(ask.channel.as_str())?;
                let subscription = world.subscription_of(processor, channel)?;
                let known = world.subscriptions().get(subscription as usize)?;
                Some((subscription, channel, known.replays, known.decided.clone()))
            })
        };
        let sources = descriptor.subscriptions.iter().filter_map(|ask| {
            let (subscription, channel, replays, decided) = place(ask)?;
            let reader = Reader::new(domain.clone(), channel, decided.cursor());
            Some(Source {
                subscription,
                replays,
                channel: ask.channel.as_str().into(),
                choice: ask.key.clone(),
                filter: ask.filter.clone(),
                reader,
                decided,
            })
        });
        Self {
            domain: domain.clone(),
            sources: sources.collect(),
            lanes: (0..descriptor.concurrency).map(|_| Lane::default()).collect(),
            held: HashMap::new(),
            waiting: 0,
            blocked: false,
            attempts: domain.look(|world| {
                world.processors().get(processor as usize).map(|p| p.released.clone()).unwrap_or_default()
            }),
            hasher: DefaultHashBuilder::default(),
            skipped: Skipped::default(),
        }
    }

    /// Reads on, and takes the next batch of a lane into `batch`: no key twice.
    pub fn next_batch(&mut self, lane: usize, batch: &mut Picked) -> Result<(), ReadError> {
        batch.clear();
        loop {
            if self.lanes.get(lane).is_some_and(|lane| lane.queue.len() < BATCH_EVENTS_MAX) {
                self.blocked = self.feed()? == Fed::Blocked;
            }
            let waiting = self.waiting;
            while self.take(lane, batch) {}
            // Where all that was dealt went behind held keys, what comes after it may be free.
            if !batch.works.is_empty() || self.skipped.is_full() || self.waiting == waiting {
                self.skipped.take(&mut batch.skips);
                return Ok(());
            }
        }
    }

    /// The lanes that have something to do.
    pub fn lanes_with_work(&self) -> impl Iterator<Item = usize> {
        self.lanes.iter().enumerate().filter(|(_, lane)| !lane.queue.is_empty()).map(|(index, _)| index)
    }

    fn feed(&mut self) -> Result<Fed, ReadError> {
        // Everything below the horizon is visible in every channel, so the lowest position there is the lowest.
        let horizon = self.domain.visible();
        loop {
            if self.waiting >= WAITING_MAX || self.held.len() >= HELD_MAX {
                return Ok(Fed::Blocked);
            }
            if self.skipped.is_full() {
                return Ok(Fed::SkippedFull);
            }
            let Some(source) = self.lowest(horizon)? else { return Ok(Fed::All) };
            let fed = self.deal(source)?;
            if fed != Fed::All {
                return Ok(fed);
            }
        }
    }

    fn lowest(&mut self, horizon: u64) -> Result<Option<usize>, ReadError> {
        let mut lowest: Option<(u64, usize)> = None;
        for (index, source) in self.sources.iter_mut().enumerate() {
            let Some(item) = source.reader.peek()? else { continue };
            if item.position < horizon && lowest.is_none_or(|(position, _)| item.position < position) {
                lowest = Some((item.position, index));
            }
        }
        Ok(lowest.map(|(_, index)| index))
    }

    /// Deals the next event of a source to its lane.
    fn deal(&mut self, index: usize) -> Result<Fed, ReadError> {
        let Some(source) = self.sources.get_mut(index) else { return Ok(Fed::All) };
        let Some(item) = source.reader.peek()? else { return Ok(Fed::All) };
        if source.decided.contains(item.offset) {
            source.reader.take()?;
            return Ok(Fed::All);
        }
        let ahead_max = if source.filter.is_none() { AHEAD_MAX } else { AHEAD_FILTERED_MAX };
        if item.offset - source.decided.cursor() >= ahead_max {
            return Ok(Fed::Blocked);
        }
        if let Some(filter) = &source.filter
            && !self.attempts.contains_key(&(source.subscription, item.offset))
            && !filter.passes(&parse(item)?)
        {
            source.decided.insert(item.offset);
            self.skipped.push(source.subscription, item.offset);
            source.reader.take()?;
            return Ok(Fed::All);
        }
        let key = key_in(&source.choice, item)?;
        let hash = self.hasher.hash_one(key.bytes(item));
        let lane = (hash >> 32) as usize % self.lanes.len().max(1);
        let Some(lane) = self.lanes.get_mut(lane) else { return Ok(Fed::All) };
        if lane.queue.len() >= LANE_EVENTS_MAX || lane.bytes >= LANE_BYTES_MAX {
            return Ok(Fed::LaneFull);
        }
        let Some(item) = source.reader.take()? else { return Ok(Fed::All) };
        lane.bytes += item.record.len();
        lane.queue.push_back(Work { source: index, item, key, hash });
        Ok(Fed::All)
    }

    /// Moves the next event of a lane into the batch, or behind its held key; says whether there may be another.
    fn take(&mut self, lane: usize, batch: &mut Picked) -> bool {
        let Some(lane) = self.lanes.get_mut(lane) else { return false };
        let Some(next) = lane.queue.front() else { return false };
        let held = if self.held.is_empty() { None } else { self.held.get_mut(next.key()) };
        if held.is_none() && !batch.has_room_for(next) {
            return false;
        }
        let Some(work) = lane.queue.pop_front() else { return false };
        lane.bytes -= work.item.record.len();
        match held {
            Some(held) => {
                let subscription = self.sources.get(work.source).map_or(0, |source| source.subscription);
                held.waiting.push((subscription, work.item.offset));
                self.waiting += 1;
            }
            None => batch.push(work),
        }
        true
    }

    /// Which attempt at an event comes now, counted from 1.
    pub fn attempt(&self, subscription: SubscriptionId, offset: u64) -> u32 {
        1 + self.attempts.get(&(subscription, offset)).copied().unwrap_or(0)
    }

    /// Notes that an event is done with.
    pub fn decided(&mut self, work: &Work) {
        if let Some(source) = self.sources.get_mut(work.source) {
            source.decided.insert(work.item.offset);
        }
    }

    /// Notes that an event failed: its key waits.
    pub fn hold(&mut self, work: &Work) {
        self.held.entry(work.key().into()).or_default();
    }

    /// Whether so much is held, waits behind it or is decided ahead of it that nothing more is read.
    pub fn is_blocked(&self) -> bool {
        self.blocked
    }

    /// The events that wait behind a held key, by key.
    pub fn waiting(&self) -> impl Iterator<Item = (&str, &[(SubscriptionId, u64)])> {
        self.held.iter().map(|(key, held)| (&**key, held.waiting.as_slice()))
    }
}

fn parse(item: &Item) -> Result<Record<'_>, ReadError> {
    Record::parse(&item.record).map_err(|error| ReadError::Journal { why: error.to_string() })
}

fn key_in(choice: &KeyChoice, item: &Item) -> Result<Key, ReadError> {
    if let (KeyChoice::Default, Some(place)) = (choice, default_key_place(&item.record)) {
        return Ok(Key::InRecord { start: place.start, len: place.len() });
    }
    Ok(match key_of(choice, &parse(item)?) {
        Cow::Owned(text) => Key::Owned(text.into()),
        Cow::Borrowed(text) => {
            let start = (text.as_ptr() as usize).checked_sub(item.record.as_ptr() as usize);
            match start.filter(|start| start + text.len() <= item.record.len()) {
                Some(start) => Key::InRecord { start, len: text.len() },
                None => Key::Owned(text.into()),
            }
        }
    })
}
