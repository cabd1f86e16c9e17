//! Events that failed: those that hold their keys and may be tried again, and the dead letters. Part of the fold; it decides nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use uuid::Uuid;

use crate::model::change::{Again, SubscriptionId};
use crate::model::dead::fingerprint;
use crate::model::fault::Fault;

/// How many of the latest attempts at one event are kept.
pub const ATTEMPTS_KEPT_MAX: usize = 16;

/// An event by its subscription and its offset there.
pub type EventRef = (SubscriptionId, u64);

/// An event that failed and is not given up.
#[derive(Clone, Debug, PartialEq)]
pub struct Held {
    /// Its journal position.
    pub position: u64,
    /// Its flow.
    pub flow: Uuid,
    /// The key that waits.
    pub key: String,
    /// What went wrong last.
    pub fault: Fault,
    /// What went wrong before, the latest attempts.
    pub before: Vec<Fault>,
    /// How many attempts there were.
    pub attempts: u32,
    /// How many of them were before somebody had it tried anew: a new version, or an operator.
    pub base: u32,
    /// All delays between the attempts after those, in milliseconds.
    pub waited_ms: u64,
    /// When it is tried again; without it, when somebody says so.
    pub again: Option<Again>,
}

impl Held {
    /// An event after its first attempt.
    pub fn new(position: u64, flow: Uuid, key: String, fault: Fault, again: Option<Again>) -> Self {
        Self { position, flow, key, fault, before: Vec::new(), attempts: 1, base: 0, waited_ms: 0, again }
    }

    /// The same with the attempts that were before.
    pub(super) fn after(mut self, earlier: Attempts) -> Self {
        self.attempts += earlier.count;
        (self.base, self.waited_ms) = (earlier.base, earlier.waited_ms);
        self.before = earlier.latest;
        if self.before.len() >= ATTEMPTS_KEPT_MAX {
            self.before.drain(..=self.before.len() - ATTEMPTS_KEPT_MAX);
        }
        self
    }

    /// It is tried anew at once: what was before counts for nothing but history.
    pub(super) fn anew(&mut self) {
        (self.base, self.waited_ms, self.again) = (self.attempts, 0, Some(Again::NOW));
    }

    /// How many attempts count so far, and all delays up to the next one.
    pub fn counted(&self) -> (u32, u64) {
        let after_ms = self.again.map_or(0, |again| again.after_ms);
        (self.attempts - self.base.min(self.attempts), self.waited_ms.saturating_add(after_ms))
    }

    /// All attempts that are kept, oldest first.
    pub fn all(&self) -> Vec<Fault> {
        self.before.iter().chain([&self.fault]).cloned().collect()
    }
}

/// A dead letter.
#[derive(Clone, Debug, PartialEq)]
pub struct Dead {
    /// The event's journal position.
    pub position: u64,
    /// Its flow.
    pub flow: Uuid,
    /// The key that it had.
    pub key: String,
    /// The latest attempts, oldest first.
    pub attempts: Vec<Fault>,
    /// How many there were.
    pub count: u32,
    /// What it has in common with others.
    pub group: String,
    /// It is to be handled again, at this place in the order of its key.
    pub redriven: Option<u64>,
}

impl Dead {
    /// An event that is given up after its last attempt.
    pub(super) fn new(last: Held) -> Self {
        let group = fingerprint(&last.fault);
        let attempts = last.all();
        let Held { position, flow, key, attempts: count, .. } = last;
        Self { position, flow, key, attempts, count, group, redriven: None }
    }

    /// When it was given up, in milliseconds since the Unix epoch.
    pub fn died_ms(&self) -> u64 {
        self.attempts.last().map_or(0, |fault| fault.time_ms)
    }
}

/// Attempts that were made before.
pub(super) struct Attempts {
    count: u32,
    base: u32,
    waited_ms: u64,
    latest: Vec<Fault>,
}

impl From<Held> for Attempts {
    fn from(held: Held) -> Self {
        let (latest, (_, waited_ms)) = (held.all(), held.counted());
        Self { count: held.attempts, base: held.base, waited_ms, latest }
    }
}

impl From<&Dead> for Attempts {
    fn from(dead: &Dead) -> Self {
        Self { count: dead.count, base: dead.count, waited_ms: 0, latest: dead.attempts.clone() }
    }
}

/// The dead letters of all subscriptions, those that are redriven and not decided yet included.
#[derive(Default)]
pub struct DeadLetters {
    all: BTreeMap<EventRef, Arc<Dead>>,
    dirty: BTreeSet<EventRef>,
}

impl DeadLetters {
    /// One of them.
    pub fn get(&self, event: EventRef) -> Option<&Arc<Dead>> {
        self.all.get(&event)
    }

    /// Those of one subscription, from an offset on.
    pub fn of(&self, subscription: SubscriptionId, from: u64) -> impl Iterator<Item = (u64, &Arc<Dead>)> {
        let range = (subscription, from)..=(subscription, u64::MAX);
        self.all.range(range).map(|((_, offset), dead)| (*offset, dead))
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (EventRef, &Arc<Dead>)> {
        self.all.iter().map(|(event, dead)| (*event, dead))
    }

    /// Takes one over from the store.
    pub fn load(&mut self, event: EventRef, dead: Dead) {
        self.all.insert(event, Arc::new(dead));
    }

    pub(super) fn insert(&mut self, event: EventRef, dead: Dead) {
        self.all.insert(event, Arc::new(dead));
        self.dirty.insert(event);
    }

    pub(super) fn remove(&mut self, event: EventRef) -> Option<Arc<Dead>> {
        let removed = self.all.remove(&event);
        if removed.is_some() {
            self.dirty.insert(event);
        }
        removed
    }

    /// Removes those of one subscription that lie before an offset, and says how many.
    pub(super) fn remove_before(&mut self, subscription: SubscriptionId, to: u64) -> u64 {
        let gone: Vec<_> =
            self.of(subscription, 0).map(|(offset, _)| offset).take_while(|at| *at < to).collect();
        let removed = gone.into_iter().filter_map(|offset| self.remove((subscription, offset)));
        removed.count() as u64
    }

    pub(super) fn take_dirty(&mut self) -> Vec<(EventRef, Option<Arc<Dead>>)> {
        let dirty = std::mem::take(&mut self.dirty);
        dirty.into_iter().map(|event| (event, self.all.get(&event).cloned())).collect()
    }
}
