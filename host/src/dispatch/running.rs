//! A processor that runs: its feeder and its lanes, when a lane stands in the row of the pool, and how all of them come to
//! rest. What happens to one batch is `handling`; when a batch may begin is `pace`.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::channel::{Domain, ReadError};
use crate::model::bounds::Bounds;
use crate::model::change::{ChannelId, Draft, SubscriptionId};
use crate::model::deployment::Deployment;
use crate::model::descriptor::Descriptor;
use crate::model::descriptor::KeyChoice;
use crate::model::name::ChannelName;
use crate::model::operation::{Lanes, Operator};
use crate::model::record::Record;
use crate::model::retry::RetryCaps;
use crate::model::workflow::post::Marks;
use crate::runtime::{Batch, Executor, Outcomes};
use crate::view::failed::EventRef;

use super::breaks::{Breaks, LIMIT_FAULTS_IN_A_ROW_MAX};
use super::calls::ProcessorCalls;
use super::commands::Commands;
use super::effects::{Cause, Effects, Refusal};
use super::feeder::{Feeder, Source};
use super::handling::{Fate, Handled, Handling, Stats};
use super::lane::{Hands, LaneSet};
use super::logs::LogBook;
use super::pace::Pace;
use super::pool::{Job, NOBODY, Pool};
use super::suspects::Suspects;
use super::version::Version;
use super::work::{Picked, Work};

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
    pub calls: Arc<ProcessorCalls>,
    /// The events that may have ended the host.
    pub suspects: Arc<Suspects>,
    /// Where its faults are told.
    pub logs: Arc<LogBook>,
    /// What it has done.
    pub stats: Arc<Stats>,
    /// Instances that are warm already.
    pub executors: Vec<Executor>,
    /// How many lanes it has, as `baton.toml` says.
    pub lanes: Option<Lanes>,
    /// What `baton.toml` allows of retries.
    pub retry: RetryCaps,
    /// Counts what was redriven, released or discarded.
    pub revivals: Arc<AtomicU64>,
}

/// One deployment of a processor at work.
pub struct Running {
    pub(super) pool: Arc<Pool>,
    pub(super) handling: Handling,
    wakes: AtomicU64,
    /// No batch begins; the same as in `feeding`, for those who only wake.
    pub(super) paused: AtomicBool,
    pub(super) feeding: Mutex<Feeding>,
    settled: Condvar,
    /// Counts what was redriven, released or discarded.
    revivals: Arc<AtomicU64>,
    /// The feeder's sources, for those who do not hold it.
    sources: Vec<Sourced>,
    pub(super) lanes: LaneSet,
    /// What `baton.toml` says.
    pub(super) lanes_set: Option<Lanes>,
    /// Whether it acts outside of a sandbox: it reads what is durable, and handles one event at a time.
    at_the_edge: bool,
}

/// What is changed when a batch begins and when it ends.
pub(super) struct Feeding {
    pub(super) feeder: Feeder,
    pub(super) pace: Pace,
    pub(super) in_flight: usize,
    pub(super) stopped: bool,
    failure: Option<String>,
    /// When a lane is woken to try again what failed.
    due_ms: Option<u64>,
    /// As far as the feeder has heard of what was redriven, released or discarded.
    revived: u64,
}

/// A source of the feeder.
struct Sourced {
    subscription: SubscriptionId,
    replays: u32,
    channel: Arc<str>,
    choice: KeyChoice,
    are_commands: bool,
}

impl Sourced {
    fn of(source: &Source) -> Self {
        Self {
            subscription: source.subscription,
            replays: source.replays,
            channel: source.channel.clone(),
            choice: source.keys.choice(),
            are_commands: source.keys.are_commands(),
        }
    }
}

/// A lane in the row of the pool.
struct LaneJob {
    running: Arc<Running>,
    lane: usize,
}

impl Job for LaneJob {
    fn run(&self, work: Duration) -> bool {
        self.running.run_lane(self.lane, work)
    }

    /// Lanes that act outside wait for others more than they compute: they take no processor from anybody, and all of them may wait at one time.
    fn owner(&self) -> usize {
        if self.running.is_at_the_edge() { NOBODY } else { Arc::as_ptr(&self.running) as usize }
    }
}

/// A count of revivals that there never is.
const UNHEARD: u64 = u64::MAX;

/// Tries again what failed, for a processor that may be gone by then.
struct Due(Weak<Running>);

impl Job for Due {
    fn run(&self, _: Duration) -> bool {
        if let Some(running) = self.0.upgrade() {
            running.feeding.lock().due_ms = None;
            running.start();
        }
        false
    }
}

impl Feeding {
    /// Whether no batch is to begin.
    pub(super) fn rests(&self) -> bool {
        self.stopped || self.pace.is_paused() || self.failure.is_some()
    }
}

impl Running {
    /// Puts the parts together; nothing runs before [`Running::wake`].
    pub fn new(made: Made) -> Arc<Self> {
        let Made {
            domain,
            pool,
            version,
            deployment,
            calls,
            logs,
            stats,
            executors,
            lanes: lanes_set,
            retry,
            revivals,
            suspects,
        } = made;
        let descriptor = version.descriptor();
        let name: Arc<str> = descriptor.name.as_str().into();
        let channels = publishing(&domain, descriptor);
        let at_the_edge = version.is_at_the_edge() || calls.granted.reaches_outside();
        let revived = revivals.load(Ordering::SeqCst);
        let mut feeder = Feeder::new(&domain, deployment.processor, descriptor, &retry);
        if at_the_edge {
            feeder.read_durable_only();
        }
        let sources = feeder.sources.iter().map(Sourced::of).collect();
        let operation = domain.operation(deployment.processor);
        let pace = Pace::new(&operation, lanes_set, descriptor.concurrency, domain.now_ms());
        let lanes = LaneSet::new(pace.bounds().min() as usize, executors);
        let paused = AtomicBool::new(pace.is_paused());
        let bounds = if version.is_native() { Bounds::UNBOUNDED } else { Bounds::of(&descriptor.limits) };
        let policies = feeder.sources.iter().map(|source| source.policy.clone()).collect();
        let effects = Effects::new(&domain, deployment.processor, descriptor, channels, bounds);
        let commands = Commands::new(&domain);
        let handling = Handling {
            commands,
            domain,
            name,
            version,
            deployment,
            effects,
            calls,
            logs,
            stats,
            stopping: AtomicBool::new(false),
            policies,
            breaks: Breaks::default(),
            suspects,
        };
        Arc::new(Self {
            pool,
            handling,
            wakes: AtomicU64::new(0),
            paused,
            feeding: Mutex::new(Feeding {
                feeder,
                pace,
                in_flight: 0,
                stopped: false,
                failure: None,
                due_ms: None,
                revived,
            }),
            revivals,
            settled: Condvar::new(),
            sources,
            lanes,
            lanes_set,
            at_the_edge,
        })
    }

    /// There may be something to do.
    pub fn wake(self: &Arc<Self>) {
        self.wakes.fetch_add(1, Ordering::SeqCst);
        if self.paused.load(Ordering::SeqCst) {
            return;
        }
        if let Some(lane) = self.lanes.schedule_idle() {
            self.pool.push(Arc::new(LaneJob { running: self.clone(), lane }));
        }
    }

    /// What every lane waits for may have come.
    pub fn wake_lanes(self: &Arc<Self>) {
        self.wakes.fetch_add(1, Ordering::SeqCst);
        if self.paused.load(Ordering::SeqCst) {
            return;
        }
        for lane in (0..self.lanes.now()).filter(|lane| self.lanes.schedule(*lane)) {
            self.pool.push(Arc::new(LaneJob { running: self.clone(), lane }));
        }
    }

    /// Runs one batch of a lane, of about so much work. Says whether there may be more.
    fn run_lane(self: &Arc<Self>, index: usize, work: Duration) -> bool {
        let Some(lane) = self.lanes.get(index) else { return false };
        let seen = self.wakes.load(Ordering::SeqCst);
        let mut hands = lane.hands.lock();
        let goes_on = !self.at_the_edge || self.handling.domain.durable().current().0 >= hands.goes_on_at;
        if goes_on && self.pick(index, work, &mut hands.picked) && self.run_batch(index, &mut hands) {
            return true;
        }
        let is_in_use = index < self.lanes.now();
        if !is_in_use {
            *hands = Hands::default();
        }
        drop(hands);
        lane.scheduled.store(false, Ordering::SeqCst);
        if !is_in_use {
            // It may have been the last one that another lane waited for.
            self.wake();
            return false;
        }
        // A wake between the first line and the one above found the lane scheduled and left it alone.
        self.wakes.load(Ordering::SeqCst) != seen && !self.rests() && self.lanes.schedule(index)
    }

    /// Handles what a lane has picked. Says whether there may be more, but for what came since.
    fn run_batch(self: &Arc<Self>, index: usize, hands: &mut Hands) -> bool {
        let held = self.handle(hands);
        hands.rested = Some(Instant::now());
        if self.at_the_edge {
            hands.goes_on_at = self.handling.domain.visible();
        }
        let has_left = self.finish(index, &hands.picked.works, &held);
        if self.handling.breaks.take_too_many() {
            self.pause_broken();
        }
        has_left
    }

    /// Takes a batch for a lane, and wakes another lane if there is more.
    fn pick(self: &Arc<Self>, lane: usize, work: Duration, picked: &mut Picked) -> bool {
        let mut feeding = self.feeding.lock();
        let lanes = self.lanes.now();
        if feeding.rests() || lane >= lanes {
            return false;
        }
        let Feeding { feeder, pace, in_flight, due_ms, revived, .. } = &mut *feeding;
        if !feeder.share(lanes, pace.has_several_lanes(), *in_flight) {
            return false;
        }
        let room = pace.room(&self.handling.domain, work);
        if room == 0 {
            self.look_when_there_is_room(pace);
            return false;
        }
        let alone = self.at_the_edge || self.handling.breaks.has_begun();
        let room = if alone { 1 } else { room };
        let revivals = self.revivals.load(Ordering::SeqCst);
        let is_news = std::mem::replace(revived, revivals) != revivals;
        let heard = if is_news { feeder.look_again() } else { Ok(()) };
        if let Err(error) = heard.and_then(|()| feeder.next_batch(picked, room)) {
            self.fail(&mut feeding, error.to_string());
            return false;
        }
        self.wake_when_due(feeder.next_due(), due_ms);
        if picked.is_empty() {
            return false;
        }
        *in_flight += 1;
        pace.begins(lane, picked.works.len());
        if pace.wants_look() {
            self.look_soon(pace);
        }
        let has_more = lanes > 1 && feeder.has_more();
        drop(feeding);
        if has_more {
            self.wake();
        }
        true
    }

    fn fail(&self, feeding: &mut Feeding, why: String) {
        self.handling.tell_stopped(&why);
        feeding.failure = Some(why);
    }

    /// Has a lane woken when what failed is to be tried again.
    fn wake_when_due(self: &Arc<Self>, next_due: Option<u64>, due_ms: &mut Option<u64>) {
        if let Some(next) = next_due.filter(|next| due_ms.is_none_or(|due| *next < due)) {
            *due_ms = Some(next);
            self.pool.push_at(next, Arc::new(Due(Arc::downgrade(self))));
        }
    }

    /// Notes what became of a batch. Says whether there may be more to handle.
    fn finish(self: &Arc<Self>, lane: usize, works: &[Work], handled: &Handled) -> bool {
        let mut feeding = self.feeding.lock();
        feeding.in_flight -= 1;
        feeding.pace.ends(lane);
        match handled {
            Handled::Committed(failed) => {
                let any_parked = failed.iter().any(|one| matches!(one.fate, Fate::Parked(_)));
                let mut failed = failed.iter().peekable();
                for (index, work) in works.iter().enumerate() {
                    match failed.next_if(|one| one.index == index).map(|one| one.fate) {
                        Some(Fate::Parked(again)) => feeding.feeder.park(work, again),
                        Some(Fate::Dead) => feeding.feeder.died(work),
                        Some(Fate::Told) | None => feeding.feeder.decided(work),
                    }
                }
                let Feeding { feeder, due_ms, revived, .. } = &mut *feeding;
                // Somebody may have released it between its frame and this line: the next batch looks once more.
                if any_parked {
                    *revived = UNHEARD;
                }
                self.wake_when_due(feeder.next_due(), due_ms);
            }
            Handled::Fenced => feeding.stopped = true,
            Handled::Failed(why) => self.fail(&mut feeding, why.clone()),
        }
        if feeding.in_flight == 0 {
            self.settled.notify_all();
        }
        !feeding.rests() && (feeding.feeder.has_left() || feeding.revived == UNHEARD)
    }

    /// It works for nobody and costs all others time: the operator is to look at it.
    fn pause_broken(self: &Arc<Self>) {
        let Handling { domain, deployment, .. } = &self.handling;
        let reason = format!(
            "{LIMIT_FAULTS_IN_A_ROW_MAX} events in a row passed a limit of version {}, none was handled between; \
             deploy one that does not, or raise its limits, then resume",
            deployment.descriptor.version
        );
        self.handling.tell_paused(&reason);
        match domain.pause(deployment.processor, reason, Operator::Host) {
            Ok(_) => self.operate(),
            Err(refused) => tracing::error!(%refused, "a processor that passes its limits was not paused"),
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
        if works.is_empty() {
            return self.handling.skip(&mut hands.picked.skips);
        }
        let mut batch = std::mem::replace(&mut hands.batch, Batch::new(0, 0));
        let time_ms = self.handling.domain.now_ms();
        let handled = match self.fill(&mut batch, works, time_ms) {
            Ok(causes) => {
                self.handling.attempt(&mut hands.executor, &causes, &batch, &mut hands.picked.skips)
            }
            Err(why) => Handled::Failed(why),
        };
        hands.batch = batch;
        handled
    }

    fn fill<'a>(&self, batch: &mut Batch, works: &'a [Work], time_ms: u64) -> Result<Vec<Cause<'a>>, String> {
        batch.clear(time_ms, works.first().map_or(0, |work| work.item.position));
        let mut causes = Vec::with_capacity(works.len());
        for work in works {
            let record = Record::parse(&work.item.record).map_err(|error| error.to_string())?;
            let source = self.sources.get(work.source).ok_or("a source is gone")?;
            let item = &work.item;
            // The handler sees what it would see in the broker topology.
            let channel = if source.are_commands { record.parts.ty } else { &source.channel };
            batch.push(channel, work.key(), item.offset, work.attempt, item.time_ms, &record);
            let marks = if source.are_commands { Marks::of(&record).map(Box::new) } else { None };
            let (subscription, replays) = (source.subscription, source.replays);
            causes.push(Cause { work, record, subscription, replays, marks });
        }
        Ok(causes)
    }

    /// An event of one of its subscriptions, as work.
    pub fn revive(&self, event: EventRef) -> Result<Work, ReadError> {
        self.feeding.lock().feeder.revive(event)
    }

    /// The channel of one of its sources, and how often its events may have been handled before.
    pub fn source(&self, index: usize) -> Option<(Arc<str>, u32)> {
        self.sources.get(index).map(|source| (source.channel.clone(), source.replays))
    }

    /// The place among its sources of the one that reads a channel, and its subscription.
    pub fn source_of(&self, channel: &str) -> Option<(usize, SubscriptionId)> {
        let index = self.sources.iter().position(|source| *source.channel == *channel)?;
        self.sources.get(index).map(|source| (index, source.subscription))
    }

    /// How one of its sources finds the key of an event.
    pub fn choice_of(&self, index: usize) -> KeyChoice {
        self.sources.get(index).map(|source| source.choice.clone()).unwrap_or_default()
    }

    /// What an outcome would change.
    pub fn effects(&self, cause: &Cause<'_>, time: &str, outcomes: &Outcomes) -> Result<Draft, Refusal> {
        let mut draft = Draft::default();
        let outcome = outcomes.iter().next();
        self.handling.effects_of(&mut draft, cause, time, outcome).map(|()| draft)
    }

    /// Lets no further call begin, for good.
    pub fn stop(&self) {
        self.handling.stopping.store(true, Ordering::SeqCst);
        self.feeding.lock().stopped = true;
    }

    /// Begins.
    pub fn start(self: &Arc<Self>) {
        (0..self.lanes.now()).for_each(|_| self.wake());
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

    fn rests(&self) -> bool {
        self.feeding.lock().rests()
    }

    /// Looks at what waits, and why nothing runs if nothing does.
    pub fn look<T>(&self, look: impl FnOnce(&Feeder, Option<&str>) -> T) -> T {
        let feeding = self.feeding.lock();
        look(&feeding.feeder, feeding.failure.as_deref())
    }

    /// Whether it acts outside of a sandbox, and so waits for durable.
    pub fn is_at_the_edge(&self) -> bool {
        self.at_the_edge
    }

    /// What its guests may ask.
    pub fn calls(&self) -> &Arc<ProcessorCalls> {
        &self.handling.calls
    }

    /// The receipt of what runs.
    pub fn deployment(&self) -> &Arc<Deployment> {
        &self.handling.deployment
    }

    /// What runs.
    pub fn version(&self) -> &Version {
        &self.handling.version
    }

    /// Its lanes.
    pub fn lanes(&self) -> &LaneSet {
        &self.lanes
    }
}

/// The numbers of the channels that a processor may publish on.
fn publishing(domain: &Domain, descriptor: &Descriptor) -> Vec<(Arc<str>, ChannelId)> {
    domain.look(|world| {
        let id = |name: &ChannelName| Some((Arc::from(name.as_str()), world.channel_id(name.as_str())?));
        descriptor.publishes.iter().filter_map(id).collect()
    })
}
