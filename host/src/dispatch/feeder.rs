//! What a processor handles next: merges its channels by journal position, hands out events to lanes, keeps the events of
//! a held key back in order. What a subscription's filter does not pass is decided here, in runs, and meets no guest. It holds a
//! bounded number of events and runs nothing.

use std::collections::BTreeMap;
use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashMap};

use crate::channel::{Domain, Item, ReadError, Reader};
use crate::model::change::{ProcessorId, SubscriptionId};
use crate::model::descriptor::{Descriptor, KeyChoice, SubscriptionAsk};
use crate::model::filter::Filter;
use crate::model::record::Record;
use crate::view::decided::{AHEAD_FILTERED_MAX, AHEAD_MAX, Decided};

use super::skipped::Skipped;
use super::standing::Standing;
use super::work::{BATCH_EVENTS_MAX, Key, Picked, Work};

/// The most events that stand before one lane.
const LANE_EVENTS_MAX: usize = 512;
/// The most bytes of events that stand before one lane.
const LANE_BYTES_MAX: usize = 1 << 20;
/// The most keys that one processor holds before it reads no more.
pub const HELD_MAX: usize = 1_000;
/// The most events that wait behind held keys of one processor before it reads no more.
pub const WAITING_MAX: usize = 10_000;

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
    standing: Standing,
    /// How many lanes share what stands there.
    lanes: usize,
    held: HashMap<Box<str>, HeldKey>,
    waiting: usize,
    /// Whether the bounds of what may be held, wait or be decided ahead let nothing more be read.
    blocked: bool,
    /// Whether only what is durable is read.
    durable_only: bool,
    /// Attempts so far of events that failed before.
    attempts: BTreeMap<(SubscriptionId, u64), u32>,
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
            standing: Standing::default(),
            lanes: 1,
            held: HashMap::new(),
            waiting: 0,
            blocked: false,
            durable_only: false,
            attempts: domain.look(|world| {
                world.processors().get(processor as usize).map(|p| p.released.clone()).unwrap_or_default()
            }),
            hasher: DefaultHashBuilder::default(),
            skipped: Skipped::default(),
        }
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
            if self.standing.free() < BATCH_EVENTS_MAX * self.lanes {
                self.blocked = self.feed()? == Fed::Blocked;
            }
            if self.lanes > 1 {
                batch.limit(self.standing.free().div_ceil(self.lanes).max(1));
            }
            let (waiting, behind) = (self.waiting, self.standing.behind());
            while self.take(batch) {}
            // Where all that was read went behind held keys or other lanes' keys, what comes after it may be free.
            let moved = (self.waiting, self.standing.behind()) != (waiting, behind);
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
        lag.saturating_sub((self.held.len() + self.waiting) as u64)
    }

    /// Whether there may be something for another lane.
    pub fn has_more(&self) -> bool {
        self.standing.free() > 0
    }

    fn feed(&mut self) -> Result<Fed, ReadError> {
        // Everything below the horizon is visible in every channel, so the lowest position there is the lowest.
        let visible = self.domain.visible();
        let horizon =
            if self.durable_only { visible.min(self.domain.durable().current().0) } else { visible };
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

    /// Takes the next event of a source in.
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
        if self.standing.len() >= LANE_EVENTS_MAX * self.lanes
            || self.standing.bytes() >= LANE_BYTES_MAX * self.lanes
        {
            return Ok(Fed::Full);
        }
        let key = Key::of(&source.choice, item)?;
        let hash = self.hasher.hash_one(key.bytes(item));
        let attempt = match self.attempts.is_empty() {
            true => 1,
            false => 1 + self.attempts.get(&(source.subscription, item.offset)).copied().unwrap_or(0),
        };
        let Some(item) = source.reader.take()? else { return Ok(Fed::All) };
        self.standing.push(Work { source: index, item, attempt, hash, key });
        Ok(Fed::All)
    }

    /// Moves the next event into the batch, or behind its held key; says whether there may be another.
    fn take(&mut self, batch: &mut Picked) -> bool {
        let Self { standing, held, .. } = self;
        let is_held = |work: &Work| !held.is_empty() && held.contains_key(work.key());
        let Some(work) = standing.take(|work| batch.has_room_for(work) || is_held(work)) else {
            return false;
        };
        if is_held(&work) {
            self.keep_back(&work);
            self.give_back(&work);
        } else {
            batch.push(work);
        }
        true
    }

    /// Puts an event behind its held key; says whether the key is held.
    fn keep_back(&mut self, work: &Work) -> bool {
        keep_back(&mut self.held, &mut self.waiting, &self.sources, work)
    }

    /// A lane has the key of this event no more.
    fn give_back(&mut self, work: &Work) {
        let Self { standing, held, waiting, sources, .. } = self;
        if standing.is_by_key() {
            standing.give_back(work.hash, |next| keep_back(held, waiting, sources, next));
        }
    }

    /// Notes that an event is done with.
    pub fn decided(&mut self, work: &Work) {
        if let Some(source) = self.sources.get_mut(work.source) {
            source.decided.insert(work.item.offset);
        }
        self.give_back(work);
    }

    /// Notes that an event failed: its key waits.
    pub fn hold(&mut self, work: &Work) {
        self.held.entry(work.key().into()).or_default();
        self.give_back(work);
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

fn keep_back(
    held: &mut HashMap<Box<str>, HeldKey>,
    waiting: &mut usize,
    sources: &[Source],
    work: &Work,
) -> bool {
    if held.is_empty() {
        return false;
    }
    let Some(key) = held.get_mut(work.key()) else { return false };
    let subscription = sources.get(work.source).map_or(0, |source| source.subscription);
    key.waiting.push((subscription, work.item.offset));
    *waiting += 1;
    true
}
