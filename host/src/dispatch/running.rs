//! A processor that runs: its feeder, its lanes, and the way of one batch through a lane.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::channel::{Domain, Refused};
use crate::model::change::{Control, Draft, ProcessorId};
use crate::model::deployment::Deployment;
use crate::model::fault::{Fault, FaultKind};
use crate::model::record::Record;
use crate::model::time::rfc3339;
use crate::runtime::{Batch, CallError, Executor, HostCalls, Outcomes};

use super::effects::{Cause, Effects, Refusal};
use super::feeder::{Feeder, Picked, Work};
use super::logs::LogBook;
use super::pool::{Job, Pool};
use super::version::Version;

/// How many characters of a digest tell versions apart for people.
const SHORT_DIGEST: usize = 12;

/// About how many bytes of a frame an event takes beside what its handler returned for it.
const CAUSE_BYTES: usize = 256;

/// What a processor has done since the host started, whatever its version.
#[derive(Default)]
pub struct Stats {
    /// Events that were handled.
    pub handled: AtomicU64,
    /// Handlings that failed.
    pub failed: AtomicU64,
    /// Calls of guests.
    pub calls: AtomicU64,
    /// Time in guests, in microseconds.
    pub busy_us: AtomicU64,
}

/// What a running processor is made of.
pub struct Made {
    /// The domain that it works in.
    pub domain: Domain,
    /// The threads.
    pub pool: Arc<Pool>,
    /// What runs.
    pub version: Version,
    /// Its receipt.
    pub deployment: Arc<Deployment>,
    /// What its guests may ask.
    pub calls: Arc<dyn HostCalls>,
    /// Where its faults are told.
    pub logs: Arc<LogBook>,
    /// What it has done.
    pub stats: Arc<Stats>,
    /// Instances that are warm already.
    pub executors: Vec<Executor>,
}

/// One deployment of a processor at work.
pub struct Running {
    domain: Domain,
    pool: Arc<Pool>,
    id: ProcessorId,
    name: Arc<str>,
    version: Version,
    deployment: Arc<Deployment>,
    effects: Effects,
    calls: Arc<dyn HostCalls>,
    logs: Arc<LogBook>,
    stats: Arc<Stats>,
    wakes: AtomicU64,
    feeding: Mutex<Feeding>,
    settled: Condvar,
    lanes: Vec<Lane>,
}

struct Feeding {
    feeder: Feeder,
    in_flight: usize,
    stopped: bool,
    failure: Option<String>,
}

struct Lane {
    scheduled: AtomicBool,
    hands: Mutex<Hands>,
}

/// What a lane works with; only the thread that runs the lane holds it.
struct Hands {
    executor: Option<Executor>,
    picked: Picked,
    batch: Batch,
    /// When it last finished a batch.
    rested: Option<Instant>,
}

/// A lane in the row of the pool.
struct LaneJob {
    running: Arc<Running>,
    lane: usize,
}

impl Job for LaneJob {
    fn run(&self) -> bool {
        self.running.run_lane(self.lane)
    }
}

impl Running {
    /// Puts the parts together; nothing runs before [`Running::wake`].
    pub fn new(made: Made) -> Arc<Self> {
        let Made { domain, pool, version, deployment, calls, logs, stats, executors } = made;
        let descriptor = version.descriptor();
        let name: Arc<str> = descriptor.name.as_str().into();
        let channels = domain.look(|world| {
            let id = |name: &crate::model::name::ChannelName| {
                Some((Arc::from(name.as_str()), world.channel_id(name.as_str())?))
            };
            descriptor.publishes.iter().filter_map(id).collect()
        });
        let feeder = Feeder::new(&domain, deployment.processor, descriptor);
        let mut executors = executors.into_iter();
        let lanes = (0..descriptor.concurrency).map(|_| Lane {
            scheduled: AtomicBool::new(false),
            hands: Mutex::new(Hands {
                executor: executors.next(),
                picked: Picked::default(),
                batch: Batch::new(0, 0),
                rested: None,
            }),
        });
        Arc::new(Self {
            effects: Effects::new(&domain, deployment.processor, &name, channels),
            id: deployment.processor,
            lanes: lanes.collect(),
            wakes: AtomicU64::new(0),
            feeding: Mutex::new(Feeding { feeder, in_flight: 0, stopped: false, failure: None }),
            settled: Condvar::new(),
            domain,
            pool,
            name,
            version,
            deployment,
            calls,
            logs,
            stats,
        })
    }

    /// There may be something to do.
    pub fn wake(self: &Arc<Self>) {
        self.wakes.fetch_add(1, Ordering::SeqCst);
        let idle = self.lanes.iter().position(|lane| !lane.scheduled.swap(true, Ordering::SeqCst));
        if let Some(lane) = idle {
            self.pool.push(Arc::new(LaneJob { running: self.clone(), lane }));
        }
    }

    fn schedule(self: &Arc<Self>, lane: usize) {
        if self.lanes.get(lane).is_some_and(|lane| !lane.scheduled.swap(true, Ordering::SeqCst)) {
            self.pool.push(Arc::new(LaneJob { running: self.clone(), lane }));
        }
    }

    /// Runs one batch of a lane. Says whether there may be more.
    fn run_lane(self: &Arc<Self>, index: usize) -> bool {
        let Some(lane) = self.lanes.get(index) else { return false };
        let seen = self.wakes.load(Ordering::SeqCst);
        let mut hands = lane.hands.lock();
        if self.pick(index, &mut hands.picked) {
            let held = self.handle(&mut hands);
            hands.rested = Some(Instant::now());
            self.finish(&hands.picked.works, &held);
            return true;
        }
        drop(hands);
        lane.scheduled.store(false, Ordering::SeqCst);
        // A wake between the pick and the line above found the lane scheduled and left it alone.
        self.wakes.load(Ordering::SeqCst) != seen
            && !self.is_stopped()
            && !lane.scheduled.swap(true, Ordering::SeqCst)
    }

    /// Takes the lane's next batch, and wakes the lanes that got something on the way.
    fn pick(self: &Arc<Self>, lane: usize, picked: &mut Picked) -> bool {
        let mut feeding = self.feeding.lock();
        if feeding.stopped || feeding.failure.is_some() {
            return false;
        }
        if let Err(error) = feeding.feeder.next_batch(lane, picked) {
            self.fail(&mut feeding, error.to_string());
            return false;
        }
        let others: Vec<usize> = match self.lanes.len() {
            1 => Vec::new(),
            _ => feeding.feeder.lanes_with_work().filter(|other| *other != lane).collect(),
        };
        let has_batch = !picked.works.is_empty();
        feeding.in_flight += usize::from(has_batch);
        drop(feeding);
        others.into_iter().for_each(|other| self.schedule(other));
        has_batch
    }

    fn fail(&self, feeding: &mut Feeding, why: String) {
        self.logs.write(self.domain.now_ms(), &self.name, "error", None, &format!("it stopped: {why}"));
        tracing::error!(processor = &*self.name, why, "a processor stopped");
        feeding.failure = Some(why);
    }

    fn finish(&self, works: &[Work], held: &Handled) {
        let mut feeding = self.feeding.lock();
        feeding.in_flight -= 1;
        match held {
            Handled::Committed(held) => {
                for (index, work) in works.iter().enumerate() {
                    if held.contains(&index) {
                        feeding.feeder.hold(work)
                    } else {
                        feeding.feeder.decided(work)
                    }
                }
            }
            Handled::Fenced => feeding.stopped = true,
            Handled::Failed(why) => self.fail(&mut feeding, why.clone()),
        }
        if feeding.in_flight == 0 {
            self.settled.notify_all();
        }
    }

    /// Calls the guest with the picked events and commits what came of them.
    fn handle(&self, hands: &mut Hands) -> Handled {
        let works = std::mem::take(&mut hands.picked.works);
        let handled = self.handle_works(hands, &works);
        hands.picked.works = works;
        handled
    }

    fn handle_works(&self, hands: &mut Hands, works: &[Work]) -> Handled {
        let mut batch = std::mem::replace(&mut hands.batch, Batch::new(0, 0));
        let time_ms = self.domain.now_ms();
        let handled = match self.fill(&mut batch, works, time_ms) {
            Ok(causes) => self.attempt(hands, &causes, &batch),
            Err(why) => Handled::Failed(why),
        };
        hands.batch = batch;
        handled
    }

    fn fill<'a>(&self, batch: &mut Batch, works: &'a [Work], time_ms: u64) -> Result<Vec<Cause<'a>>, String> {
        batch.clear(time_ms, works.first().map_or(0, |work| work.item.position));
        let feeding = self.feeding.lock();
        let mut causes = Vec::with_capacity(works.len());
        for work in works {
            let record = Record::parse(&work.item.record).map_err(|error| error.to_string())?;
            let source = feeding.feeder.sources.get(work.source).ok_or("a source is gone")?;
            let item = &work.item;
            let attempt = feeding.feeder.attempt(source.subscription, item.offset);
            batch.push(&source.channel, work.key(), item.offset, attempt, item.time_ms, &record);
            causes.push(Cause { work, record, subscription: source.subscription });
        }
        Ok(causes)
    }

    /// All events in one call; if anything goes wrong with that, each alone, so that only the one to blame is blamed.
    fn attempt(&self, hands: &mut Hands, causes: &[Cause<'_>], batch: &Batch) -> Handled {
        match self.call(hands, batch) {
            Ok(outcomes) => self.commit(causes, batch, Ok(&outcomes)),
            Err(error) if causes.len() == 1 => self.commit(causes, batch, Err(&error)),
            Err(_) => self.attempt_each(hands, causes, batch),
        }
    }

    fn attempt_each(&self, hands: &mut Hands, causes: &[Cause<'_>], batch: &Batch) -> Handled {
        let mut all_held = Vec::new();
        for (index, cause) in causes.iter().enumerate() {
            let Some(alone) = batch.only(index) else { continue };
            match self.attempt(hands, std::slice::from_ref(cause), &alone) {
                Handled::Committed(held) if held.is_empty() => {}
                Handled::Committed(_) => all_held.push(index),
                other => return other,
            }
        }
        Handled::Committed(all_held)
    }

    fn call(&self, hands: &mut Hands, batch: &Batch) -> Result<Outcomes, CallError> {
        let executor = match &mut hands.executor {
            Some(executor) if !executor.is_spent() => executor,
            slot => {
                let made = self.version.executor(self.calls.clone());
                slot.insert(made.map_err(|error| CallError::Host(error.to_string()))?)
            }
        };
        let began = Instant::now();
        let outcomes = executor.call(batch);
        self.stats.calls.fetch_add(1, Ordering::Relaxed);
        self.stats.busy_us.fetch_add(began.elapsed().as_micros() as u64, Ordering::Relaxed);
        if self.version.is_fresh() {
            hands.executor = None;
        }
        outcomes
    }

    /// Makes one frame of what came back: effects of what was handled, faults of what was not.
    fn commit(
        &self,
        causes: &[Cause<'_>],
        batch: &Batch,
        outcomes: Result<&Outcomes, &CallError>,
    ) -> Handled {
        let mut draft = Draft::default();
        draft.reserve(causes.len() * CAUSE_BYTES + outcomes.map_or(0, Outcomes::bytes));
        let mut held = Vec::new();
        let time = rfc3339(batch.time_ms());
        let mut outcomes = outcomes.map(Outcomes::iter);
        for (index, cause) in causes.iter().enumerate() {
            let added = match &mut outcomes {
                Err(error) => Err(Refusal { kind: kind_of(error), message: error.to_string() }),
                Ok(outcomes) => self.effects_of(&mut draft, cause, &time, outcomes.next()),
            };
            if let Err(refusal) = added {
                self.hold(&mut draft, cause, refusal);
                held.push(index);
            }
        }
        let (failed, handled) = (held.len() as u64, (causes.len() - held.len()) as u64);
        match self.domain.commit(self.id, self.deployment.generation, draft) {
            Ok(_) => {
                self.stats.handled.fetch_add(handled, Ordering::Relaxed);
                self.stats.failed.fetch_add(failed, Ordering::Relaxed);
                Handled::Committed(held)
            }
            Err(Refused::Fenced) => Handled::Fenced,
            Err(refused) => Handled::Failed(refused.to_string()),
        }
    }

    fn effects_of(
        &self,
        draft: &mut Draft,
        cause: &Cause<'_>,
        time: &str,
        outcome: Option<crate::runtime::Outcome<'_>>,
    ) -> Result<(), Refusal> {
        let message = "the call gave no outcome for the event".to_owned();
        let outcome = outcome.ok_or(Refusal { kind: FaultKind::Host, message })?;
        self.effects.add(draft, cause, time, &outcome)
    }

    fn hold(&self, draft: &mut Draft, cause: &Cause<'_>, refusal: Refusal) {
        let &Cause { work, subscription, .. } = cause;
        let flow = cause.record.stamp.flow;
        let time_ms = self.domain.now_ms();
        let digest = self.deployment.digest.chars().take(SHORT_DIGEST).collect();
        let fault = Fault { kind: refusal.kind, message: refusal.message, time_ms, digest };
        let line = format!("{} at offset {}: {}", fault.kind.as_str(), work.item.offset, fault.message);
        self.logs.write(time_ms, &self.name, "error", Some(&flow.to_string()), &line);
        draft.control(&Control::Held {
            subscription,
            offset: work.item.offset,
            position: work.item.position,
            flow,
            key: work.key().to_owned(),
            fault,
        });
    }

    /// Lets no further batch begin.
    pub fn stop(&self) {
        self.feeding.lock().stopped = true;
    }

    /// Takes [`Running::stop`] back.
    pub fn go_on(self: &Arc<Self>) {
        self.feeding.lock().stopped = false;
        (0..self.lanes.len()).for_each(|_| self.wake());
    }

    /// Waits until no batch is in flight; says whether that came true in time.
    pub fn settle(&self, deadline: Duration) -> bool {
        let until = Instant::now() + deadline;
        let mut feeding = self.feeding.lock();
        while feeding.in_flight > 0 {
            if self.settled.wait_until(&mut feeding, until).timed_out() {
                return feeding.in_flight == 0;
            }
        }
        true
    }

    fn is_stopped(&self) -> bool {
        let feeding = self.feeding.lock();
        feeding.stopped || feeding.failure.is_some()
    }

    /// When each lane last finished a batch; none for a lane that is in a call or did nothing yet.
    pub fn rested(&self) -> Vec<Option<Instant>> {
        self.lanes.iter().map(|lane| lane.hands.try_lock().and_then(|hands| hands.rested)).collect()
    }

    /// Looks at what waits, and why nothing runs if nothing does.
    pub fn look<T>(&self, look: impl FnOnce(&Feeder, Option<&str>) -> T) -> T {
        let feeding = self.feeding.lock();
        look(&feeding.feeder, feeding.failure.as_deref())
    }

    /// The receipt of what runs.
    pub fn deployment(&self) -> &Arc<Deployment> {
        &self.deployment
    }

    /// What runs.
    pub fn version(&self) -> &Version {
        &self.version
    }

    /// The memory of its instances, in bytes; those in a call are left out.
    pub fn memory_bytes(&self) -> u64 {
        let bytes = |lane: &Lane| lane.hands.try_lock()?.executor.as_ref().map(Executor::memory_bytes);
        self.lanes.iter().filter_map(bytes).sum()
    }
}

/// What became of a batch.
enum Handled {
    /// It is sequenced; these of its events are held.
    Committed(Vec<usize>),
    /// A newer deployment came first: nothing of it happened.
    Fenced,
    /// It could not be committed.
    Failed(String),
}

fn kind_of(error: &CallError) -> FaultKind {
    match error {
        CallError::Trap { .. } => FaultKind::Trap,
        CallError::Deadline { .. } => FaultKind::Deadline,
        CallError::Memory { .. } => FaultKind::Memory,
        CallError::Malformed { .. } | CallError::Output { .. } => FaultKind::Malformed,
        _ => FaultKind::Host,
    }
}
