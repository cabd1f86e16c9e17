//! A processor that runs: its feeder and its lanes, when a lane stands in the row of the pool, and how all of them come to
//! rest. What happens to one batch is `handling`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::channel::Domain;
use crate::model::deployment::Deployment;
use crate::model::record::Record;
use crate::runtime::{Batch, Executor, HostCalls};

use super::effects::{Cause, Effects};
use super::feeder::{Feeder, Picked, Work};
use super::handling::{Handled, Handling, Stats};
use super::logs::LogBook;
use super::pool::{Job, Pool};
use super::version::Version;

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
    pool: Arc<Pool>,
    handling: Handling,
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
        let lanes = lanes.collect();
        let effects = Effects::new(&domain, deployment.processor, &name, channels);
        let stopping = AtomicBool::new(false);
        let handling = Handling { domain, name, version, deployment, effects, calls, logs, stats, stopping };
        Arc::new(Self {
            lanes,
            handling,
            wakes: AtomicU64::new(0),
            feeding: Mutex::new(Feeding { feeder, in_flight: 0, stopped: false, failure: None }),
            settled: Condvar::new(),
            pool,
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
        // A wake, or another lane that dealt it something, between the pick and the line above found the lane scheduled and
        // left it alone.
        (self.wakes.load(Ordering::SeqCst) != seen || self.has_work(index))
            && !self.is_stopped()
            && !lane.scheduled.swap(true, Ordering::SeqCst)
    }

    fn has_work(&self, lane: usize) -> bool {
        self.lanes.len() > 1 && self.feeding.lock().feeder.lanes_with_work().any(|other| other == lane)
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
        self.handling.tell_stopped(&why);
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
        let time_ms = self.handling.domain.now_ms();
        let handled = match self.fill(&mut batch, works, time_ms) {
            Ok(causes) => self.handling.attempt(&mut hands.executor, &causes, &batch),
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

    /// Lets no further call begin, for good.
    pub fn stop(&self) {
        self.handling.stopping.store(true, Ordering::SeqCst);
        self.feeding.lock().stopped = true;
    }

    /// Begins.
    pub fn start(self: &Arc<Self>) {
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
        &self.handling.deployment
    }

    /// What runs.
    pub fn version(&self) -> &Version {
        &self.handling.version
    }

    /// How many instances there are; a lane in a call has one.
    pub fn instances(&self) -> u64 {
        let has_one = |lane: &&Lane| lane.hands.try_lock().is_none_or(|hands| hands.executor.is_some());
        self.lanes.iter().filter(has_one).count() as u64
    }

    /// The memory of its instances, in bytes; those in a call are left out.
    pub fn memory_bytes(&self) -> u64 {
        let bytes = |lane: &Lane| lane.hands.try_lock()?.executor.as_ref().map(Executor::memory_bytes);
        self.lanes.iter().filter_map(bytes).sum()
    }
}
