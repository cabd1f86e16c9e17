//! The lanes of one processor. A lane is made when it is first used: one that nobody uses costs a pointer.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use parking_lot::Mutex;

use crate::model::descriptor::CONCURRENCY_MAX;
use crate::runtime::{Batch, Executor};

use super::work::Picked;

/// One lane.
#[derive(Default)]
pub struct Lane {
    /// Whether it stands in the row of the pool, or runs.
    pub scheduled: AtomicBool,
    /// What it works with; only the thread that runs the lane holds it.
    pub hands: Mutex<Hands>,
}

/// What a lane works with.
pub struct Hands {
    /// Its instance, if it has one.
    pub executor: Option<Executor>,
    /// The events that it has.
    pub picked: Picked,
    /// The same, as the guest gets them.
    pub batch: Batch,
    /// When it last finished a batch.
    pub rested: Option<Instant>,
    /// At the edge it goes on when everything before this position is durable: its last frame.
    pub goes_on_at: u64,
}

impl Default for Hands {
    fn default() -> Self {
        Self {
            executor: None,
            picked: Picked::default(),
            batch: Batch::new(0, 0),
            rested: None,
            goes_on_at: 0,
        }
    }
}

/// All lanes of a processor, of which the first ones are in use.
pub struct LaneSet {
    slots: Box<[OnceLock<Box<Lane>>]>,
    now: AtomicUsize,
}

impl LaneSet {
    /// Lanes of which so many are in use, the first ones with instances that are warm.
    pub fn new(now: usize, executors: Vec<Executor>) -> Self {
        let slots = (0..CONCURRENCY_MAX).map(|_| OnceLock::new());
        let lanes = Self { slots: slots.collect(), now: AtomicUsize::new(now) };
        for (index, executor) in executors.into_iter().enumerate() {
            if let Some(lane) = lanes.get(index) {
                lane.hands.lock().executor = Some(executor);
            }
        }
        lanes
    }

    /// A lane by its number.
    pub fn get(&self, index: usize) -> Option<&Lane> {
        Some(self.slots.get(index)?.get_or_init(Box::default))
    }

    /// How many are in use.
    pub fn now(&self) -> usize {
        self.now.load(Ordering::SeqCst)
    }

    /// Uses so many from now on.
    pub fn set_now(&self, now: usize) {
        self.now.store(now, Ordering::SeqCst);
    }

    /// Finds a lane in use that does nothing, and notes that it is scheduled.
    pub fn schedule_idle(&self) -> Option<usize> {
        (0..self.now()).find(|index| self.schedule(*index))
    }

    /// Notes that a lane is scheduled; says whether it was not.
    pub fn schedule(&self, index: usize) -> bool {
        self.get(index).is_some_and(|lane| !lane.scheduled.swap(true, Ordering::SeqCst))
    }

    /// Lets go of the instances of lanes from this one on that do nothing; those in a call let go of theirs when it is over.
    pub fn let_go(&self, from: usize) {
        for lane in self.slots.iter().skip(from).filter_map(OnceLock::get) {
            if let Some(mut hands) = lane.hands.try_lock() {
                *hands = Hands::default();
            }
        }
    }

    /// When each lane in use last finished a batch; none for a lane that is in a call or did nothing yet.
    pub fn rested(&self) -> Vec<Option<Instant>> {
        let used = self.slots.iter().take(self.now());
        used.map(|lane| lane.get()?.hands.try_lock()?.rested).collect()
    }

    /// How many instances there are; a lane in a call has one.
    pub fn instances(&self) -> u64 {
        let has_one = |lane: &&Box<Lane>| lane.hands.try_lock().is_none_or(|hands| hands.executor.is_some());
        self.slots.iter().filter_map(OnceLock::get).filter(has_one).count() as u64
    }

    /// The memory of the instances, in bytes; those in a call are left out.
    pub fn memory_bytes(&self) -> u64 {
        let bytes = |lane: &Lane| lane.hands.try_lock()?.executor.as_ref().map(Executor::memory_bytes);
        self.slots.iter().filter_map(OnceLock::get).filter_map(|lane| bytes(lane)).sum()
    }
}
