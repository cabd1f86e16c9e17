//! When a batch of a processor may begin, on how many lanes, and how much it may have: pause, rate and scaling as they hold for
//! what runs. The decisions are `bucket` and `scaling`; this keeps what they need, and looks again when it is time.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crate::channel::Domain;
use crate::model::operation::{Lanes, Operation, bounds};

use super::bucket::Bucket;
use super::pool::Job;
use super::running::{Feeding, Running};
use super::scaling::{self, LOOK_MS, Load, Spare};
use super::work::BATCH_EVENTS_MAX;

/// A batch that takes longer says something of its events before it is over.
const LONG: Duration = Duration::from_millis(20);

/// What decides when a batch may begin.
pub struct Pace {
    paused: bool,
    bounds: Lanes,
    bucket: Option<Bucket>,
    /// The batches in flight, where there may be several: lane, when it began, events.
    flights: Vec<(usize, Instant, usize)>,
    event_time: Option<Duration>,
    spare: Option<Spare>,
    /// When somebody looks again.
    look_ms: Option<u64>,
}

impl Pace {
    /// As the operator, `baton.toml` and the descriptor say.
    pub fn new(operation: &Operation, set: Option<Lanes>, concurrency: u32, now_ms: u64) -> Self {
        Self {
            paused: operation.paused.is_some(),
            bounds: bounds(operation.lanes, set, concurrency).0,
            bucket: operation.rate.map(|rate| Bucket::new(rate, now_ms)),
            flights: Vec::new(),
            event_time: None,
            spare: None,
            look_ms: None,
        }
    }

    /// Takes over what an operator said last.
    fn set(&mut self, operation: &Operation, set: Option<Lanes>, concurrency: u32, now_ms: u64) {
        let Self { paused, bounds, bucket, .. } = Self::new(operation, set, concurrency, now_ms);
        (self.paused, self.bounds) = (paused, bounds);
        self.spare = None;
        if self.bucket.as_ref().map(Bucket::rate) != operation.rate {
            self.bucket = bucket;
        }
    }

    /// Whether no batch may begin.
    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// The bounds of the lanes.
    pub fn bounds(&self) -> Lanes {
        self.bounds
    }

    /// Whether there may be more than one lane.
    pub fn has_several_lanes(&self) -> bool {
        self.bounds.max() > 1
    }

    /// How many events a batch may have now that is to be so much work.
    pub fn room(&mut self, domain: &Domain, work: Duration) -> usize {
        let most = match self.has_several_lanes() {
            true => scaling::batch_events(self.event_time, work),
            false => BATCH_EVENTS_MAX,
        };
        self.bucket.as_mut().map_or(most, |bucket| bucket.room(domain.now_ms()).min(most))
    }

    /// A batch begins.
    pub fn begins(&mut self, lane: usize, events: usize) {
        if let Some(bucket) = &mut self.bucket {
            bucket.take(events);
        }
        if self.has_several_lanes() {
            self.flights.push((lane, Instant::now(), events));
        }
    }

    /// A batch ends.
    pub fn ends(&mut self, lane: usize) {
        if let Some(at) = self.flights.iter().position(|flight| flight.0 == lane) {
            let (_, began, events) = self.flights.swap_remove(at);
            self.event_time = scaling::event_time(self.event_time, began.elapsed(), events);
        }
    }

    /// The time of an event. A batch that is not over yet says that it is at least as long as it takes so far.
    fn event_time(&self) -> Option<Duration> {
        let so_far = |flight: &(usize, Instant, usize)| {
            let elapsed = flight.1.elapsed();
            (elapsed >= LONG).then(|| elapsed / u32::try_from(flight.2.max(1)).unwrap_or(u32::MAX))
        };
        self.flights.iter().filter_map(so_far).chain(self.event_time).max()
    }

    fn scales(&self) -> bool {
        self.bounds.min() < self.bounds.max()
    }

    /// Whether lanes may come and go, and nobody will look whether they should.
    pub fn wants_look(&self) -> bool {
        self.scales() && self.look_ms.is_none()
    }

    /// How many lanes there should be.
    fn lanes(&mut self, backlog: u64, lanes: usize, now_ms: u64) -> usize {
        let load = Load { backlog, event_time: self.event_time(), lanes, now_ms };
        let (lanes, spare) = scaling::wanted(&load, self.bounds, self.spare);
        self.spare = spare;
        lanes
    }
}

/// Looks at a processor that may be gone by then.
struct Look(Weak<Running>);

impl Job for Look {
    fn run(&self, _: Duration) -> bool {
        if let Some(running) = self.0.upgrade() {
            running.look_again();
        }
        false
    }
}

impl Running {
    /// Takes over what an operator said last.
    pub fn operate(self: &Arc<Self>) {
        let mut feeding = self.feeding.lock();
        let domain = &self.handling.domain;
        let operation = domain.operation(self.deployment().processor);
        let concurrency = self.version().descriptor().concurrency;
        feeding.pace.set(&operation, self.lanes_set, concurrency, domain.now_ms());
        self.paused.store(feeding.pace.is_paused(), Ordering::SeqCst);
        let bounds = feeding.pace.bounds();
        self.use_lanes(self.lanes.now().clamp(bounds.min() as usize, bounds.max() as usize));
        if feeding.pace.wants_look() {
            self.look_soon(&mut feeding.pace);
        }
        drop(feeding);
        self.start();
    }

    /// Has somebody look whether there should be more or fewer lanes.
    pub(super) fn look_soon(self: &Arc<Self>, pace: &mut Pace) {
        self.look_at(pace, self.handling.domain.now_ms() + LOOK_MS);
    }

    /// Has somebody look when the rate lets the next event begin.
    pub(super) fn look_when_there_is_room(self: &Arc<Self>, pace: &mut Pace) {
        if let Some(next_ms) = pace.bucket.as_ref().map(Bucket::next_ms) {
            self.look_at(pace, next_ms);
        }
    }

    fn look_at(self: &Arc<Self>, pace: &mut Pace, due_ms: u64) {
        if pace.look_ms.is_none_or(|look_ms| due_ms < look_ms) {
            pace.look_ms = Some(due_ms);
            self.pool.push_at(due_ms, Arc::new(Look(Arc::downgrade(self))));
        }
    }

    fn look_again(self: &Arc<Self>) {
        let mut feeding = self.feeding.lock();
        feeding.pace.look_ms = None;
        if feeding.stopped {
            return;
        }
        if feeding.pace.scales() {
            self.scale(&mut feeding);
        }
        drop(feeding);
        self.start();
    }

    fn scale(self: &Arc<Self>, feeding: &mut Feeding) {
        let backlog = if feeding.rests() { 0 } else { feeding.feeder.backlog() };
        let pace = &mut feeding.pace;
        let lanes = pace.lanes(backlog, self.lanes.now(), self.handling.domain.now_ms());
        self.use_lanes(lanes);
        if backlog > 0 || feeding.in_flight > 0 || lanes > pace.bounds.min() as usize {
            self.look_soon(pace);
        }
    }

    fn use_lanes(&self, lanes: usize) {
        let before = self.lanes.now();
        self.lanes.set_now(lanes);
        if lanes < before {
            self.lanes.let_go(lanes);
        }
    }
}
