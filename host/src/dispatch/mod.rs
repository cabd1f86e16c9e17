//! Lanes: batches to guests, outcomes to frames, and the switch from one version to the next. It joins the channels
//! with the runtime; it watches no folder and knows no HTTP.
//!
//! A batch's way: `feeder` (merge by position) -> `standing` (which keys are free) -> `running` (a lane takes it) -> `handling` (one
//! call, each event alone if it breaks) -> `effects` (outcome to draft) -> [`crate::channel::Domain::commit`]. `pace` says when
//! and on how many lanes. `mediating` is the handler of mediators, `queues` and `commands` what they send: `keys` says under which key that
//! is handled.

mod breaks;
mod bucket;
mod calls;
mod commands;
mod configs;
mod edge;
mod effects;
mod feeder;
mod handling;
mod keys;
mod lane;
mod logs;
mod mediating;
mod native;
mod operate;
mod outside;
mod pace;
mod parked;
mod pool;
mod queues;
mod rehearsal;
mod replay;
mod running;
mod scaling;
mod secrets;
mod shares;
mod skipped;
mod standing;
mod suspects;
mod version;
mod work;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};

use crate::channel::{Deployable, Domain, Listener, Refused, Reset};
use crate::journal::Position;
use crate::mediator::Mediator;
use crate::meter::Counted;
use crate::model::change::ProcessorId;
use crate::model::deployment::Deployment;
use crate::model::descriptor::Descriptor;
use crate::model::grant::{Grant, Missing, decide, told};
use crate::model::name::ProcessorName;
use crate::model::operation::{Lanes, Operator, REASON_CHARS_MAX, bounds};
use crate::model::retry::RetryCaps;
use crate::runtime::{Executor, Expressions, Program};

use calls::ProcessorCalls;
use mediating::{Mediating, StepMeter, Timers};
use outside::Http;
use pool::Pool;
use running::{Made, Running};

pub use configs::{Configs, GuestConfig};
pub use feeder::{DEAD_MAX, HELD_MAX, WAITING_MAX};
pub use handling::Stats;
pub use logs::{LogBook, LogFilter};
pub use native::{Context, Emit, Handled, Native, Outcome, Received, Rejected};
pub use pool::PoolLimits;
pub use rehearsal::RehearsalError;
pub use replay::{Replay, Replayed};
pub use suspects::Suspects;
pub use version::{NativeFactory, Version};
pub use work::BATCH_EVENTS_MAX;

/// How processors are run.
pub struct DispatchConfig {
    /// How many threads run guests.
    pub pool: PoolLimits,
    /// How long a switch waits for batches in flight before it fences them off.
    pub drain: Duration,
    /// Settings for guests.
    pub configs: Configs,
    /// How many lanes the operator gave processors beforehand.
    pub lanes: BTreeMap<ProcessorName, Lanes>,
    /// What the operator allows of retries.
    pub retry: RetryCaps,
    /// The events that may have ended the host; the default remembers none.
    pub suspects: Suspects,
}

/// Why a version does not run. What ran before goes on.
#[derive(Debug, thiserror::Error)]
pub enum DispatchError {
    /// No instance could be made.
    #[error("{0}")]
    Runtime(#[from] crate::runtime::Error),
    /// The deployment could not be recorded.
    #[error("{0}")]
    Refused(#[from] Refused),
    /// It imports or asks for what it may not have.
    #[error("{}", told(.0))]
    NotGranted(Vec<Missing>),
    /// A queue has one subscriber, and has it already.
    #[error(
        "'{channel}' is a queue, which has one subscriber, and '{holder}' is that; read another channel, or remove '{holder}' first"
    )]
    QueueTaken {
        /// The queue.
        channel: String,
        /// Who reads it.
        holder: String,
    },
    /// There is no such processor.
    #[error("there is no processor '{0}'")]
    Unknown(String),
    /// A thread could not be started.
    #[error("a thread could not be started: {0}")]
    Thread(#[from] std::io::Error),
}

impl DispatchError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Runtime(error) => error.code(),
            Self::Refused(refused) => refused.code(),
            Self::NotGranted(_) => "not-granted",
            Self::QueueTaken { .. } => "queue-taken",
            Self::Unknown(_) => "unknown-processor",
            Self::Thread(_) => "thread-not-started",
        }
    }
}

/// Runs the processors of one domain. A cheap handle.
#[derive(Clone)]
pub struct Dispatcher(Arc<Shared>);

struct Shared {
    domain: Domain,
    pool: Arc<Pool>,
    logs: Arc<LogBook>,
    drain: Duration,
    /// How many lanes the operator set, by processor.
    lanes: BTreeMap<ProcessorName, Lanes>,
    retry: RetryCaps,
    suspects: Arc<Suspects>,
    /// Settings for guests, as they are now.
    configs: RwLock<Configs>,
    processors: RwLock<Vec<Slot>>,
    /// What mediators have measured, by name.
    steps: Mutex<BTreeMap<String, Arc<StepMeter>>>,
    /// Held while a processor is switched: one switch at a time.
    switching: Mutex<()>,
    /// Whether somebody wakes those who wait for durable.
    edge_watched: Mutex<bool>,
    /// Whether those who wait for durable are not woken, for a test.
    held_back: RwLock<bool>,
}

#[derive(Clone, Default)]
struct Slot {
    running: Option<Arc<Running>>,
    stats: Arc<Stats>,
    /// Counts what was redriven, released or discarded of its events, whatever runs.
    revivals: Arc<AtomicU64>,
}

impl Listener for Shared {
    fn events_for(&self, processor: ProcessorId) {
        if let Some(running) =
            self.processors.read().get(processor as usize).and_then(|slot| slot.running.as_ref())
        {
            running.wake();
        }
    }
}

impl Dispatcher {
    /// Starts the threads. Nothing runs before it is deployed.
    pub fn start(domain: &Domain, config: DispatchConfig) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            domain: domain.clone(),
            pool: Arc::new(Pool::start(config.pool, domain.clock().clone())?),
            logs: Arc::default(),
            drain: config.drain,
            lanes: config.lanes,
            retry: config.retry,
            suspects: Arc::new(config.suspects),
            configs: RwLock::new(config.configs),
            processors: RwLock::default(),
            steps: Mutex::default(),
            switching: Mutex::new(()),
            edge_watched: Mutex::new(false),
            held_back: RwLock::new(false),
        });
        domain.listen(shared.clone());
        Ok(Self(shared))
    }

    /// Makes a version the one that runs: warms its instances, waits for the batches of the old one, records the
    /// deployment, and goes on with the new one. On an error the old one goes on. Blocks for up to the drain deadline.
    pub fn deploy(&self, version: &Version) -> Result<Deployment, DispatchError> {
        let shared = &self.0;
        let _switching = shared.switching.lock();
        shared.check_queues(version.descriptor())?;
        let deployment = shared.switch(version)?;
        shared.open_queues(version.descriptor());
        Ok(deployment)
    }

    /// A version of a mediator, with its name's state.
    pub fn mediator(
        &self,
        mediator: Mediator,
        descriptor: Descriptor,
        made: (&str, &str),
        expressions: &Expressions,
    ) -> Result<Version, DispatchError> {
        let Shared { domain, pool, .. } = &*self.0;
        let id = domain.name_processor(&descriptor.name)?;
        let state = domain.look(|world| world.processors().get(id as usize).map(|one| one.state.clone()));
        let meter = self.0.steps.lock().entry(descriptor.name.to_string()).or_default().clone();
        let with = (state.unwrap_or_default(), Timers::new(domain, pool), meter);
        Ok(Mediating::version(mediator, descriptor, made, expressions, with))
    }

    /// What a mediator has measured since the host started: times of steps in milliseconds, and how often tasks were tried again.
    pub fn steps_of(&self, mediator: &str) -> (Counted, u64) {
        let meter = self.0.steps.lock().get(mediator).cloned().unwrap_or_default();
        (meter.step_ms.look(), meter.retries.load(Ordering::Relaxed))
    }

    /// Runs a version that is deployed already: after a restart. What it held goes on being held, and what is to be tried again is
    /// tried when its time comes.
    pub fn resume_deployed(
        &self,
        version: &Version,
        deployment: Arc<Deployment>,
    ) -> Result<(), DispatchError> {
        let shared = &self.0;
        let _switching = shared.switching.lock();
        if shared.config_of(version.descriptor().name.as_str()).prints != deployment.config {
            return shared.switch(&version.again()).map(drop);
        }
        let warm = shared.warm(version)?;
        shared.run(version, deployment, warm);
        Ok(())
    }

    /// Sets what guests read and may do. For each processor where that differs from what its last deployment had, it is a deployment of the
    /// same bytes. One that cannot be made leaves the processor as it was; one that is not granted any more is paused.
    pub fn configure(&self, configs: Configs) -> Vec<Configured> {
        let shared = &self.0;
        let _switching = shared.switching.lock();
        *shared.configs.write() = configs;
        let running: Vec<_> =
            shared.processors.read().iter().filter_map(|slot| slot.running.clone()).collect();
        running.iter().filter_map(|running| shared.configure(running)).collect()
    }

    /// What sections for a processor itself grant, and what a version of it wants beyond all grants, a line each.
    pub fn grants_for(&self, program: &Program) -> (Grant, Vec<String>) {
        let GuestConfig { values, grant, own, .. } = self.0.config_of(program.descriptor().name.as_str());
        let decided = decide(program.descriptor(), &program.inspected().imports, &grant, &values);
        (own, decided.err().unwrap_or_default().iter().map(Missing::to_clause).collect())
    }

    /// Ends a processor; its positions and state are kept unless it is forgotten.
    pub fn undeploy(&self, name: &ProcessorName, forget: bool) -> Result<(), DispatchError> {
        let shared = &self.0;
        let _switching = shared.switching.lock();
        let unknown = || DispatchError::Unknown(name.to_string());
        let id = shared.domain.look(|world| world.processor_id(name.as_str())).ok_or_else(unknown)?;
        if let Some(old) = shared.running(name.as_str()) {
            shared.drain(&old);
        }
        shared.domain.undeploy(id, forget)?;
        if let Some(slot) = shared.processors.write().get_mut(id as usize) {
            slot.running = None;
        }
        Ok(())
    }

    /// Runs a version: goes on with its deployment if nothing else was deployed since and it does not run, or else deploys it.
    pub fn register(&self, version: &Version) -> Result<Deployment, DispatchError> {
        let current = self.0.domain.look(|world| {
            let id = world.processor_id(version.descriptor().name.as_str())?;
            world.processors().get(id as usize).filter(|processor| processor.deployed)?.deployment.clone()
        });
        let runs = self.0.running(version.descriptor().name.as_str()).is_some();
        match current.filter(|deployment| !runs && version.is_of(deployment)) {
            Some(deployment) => {
                self.resume_deployed(version, deployment.clone())?;
                Ok(Deployment::clone(&deployment))
            }
            None => self.deploy(version),
        }
    }

    /// Whether a processor runs as code of the application, or is a mediator: it is no component's name.
    pub fn runs_native(&self, name: &ProcessorName) -> bool {
        self.0.running(name.as_str()).is_some_and(|running| running.version().is_native())
    }

    /// Takes a subscription of a processor to another place: waits for the batches in flight, records it, and goes on as the next
    /// generation. Gives the new deployment of a deployed processor. On an error everything goes on as it was.
    pub fn reset(&self, name: &ProcessorName, reset: Reset) -> Result<Option<Deployment>, DispatchError> {
        let shared = &self.0;
        let _switching = shared.switching.lock();
        let Some(old) = shared.running(name.as_str()) else { return Ok(shared.domain.reset(reset)?) };
        let warm = shared.warm(old.version())?;
        shared.drain(&old);
        let done = shared.domain.reset(reset);
        let deployment = match &done {
            Ok(Some(deployment)) => Arc::new(deployment.clone()),
            _ => old.deployment().clone(),
        };
        shared.run(old.version(), deployment, warm);
        Ok(done?)
    }

    /// Tries everything again at once that a processor holds, and gives up nothing.
    pub fn retry_held(&self, name: &ProcessorName) -> Result<(), DispatchError> {
        let shared = &self.0;
        let running = shared.running(name.as_str());
        let running = running.ok_or_else(|| DispatchError::Unknown(name.to_string()))?;
        shared.release(running.deployment().processor)?;
        self.revived(running.deployment().processor);
        Ok(())
    }

    /// Has a processor hear that some of its events were redriven, released or discarded.
    pub fn revived(&self, processor: ProcessorId) {
        let slot = self.0.processors.read().get(processor as usize).cloned().unwrap_or_default();
        slot.revivals.fetch_add(1, Ordering::SeqCst);
        slot.running.iter().for_each(Running::start);
    }

    /// What runs of a processor, if it runs, and what it has done.
    pub fn look<T>(&self, processor: ProcessorId, look: impl FnOnce(Option<&Processor<'_>>) -> T) -> T {
        let slot = self.0.processors.read().get(processor as usize).cloned().unwrap_or_default();
        match &slot.running {
            Some(running) => look(Some(&Processor { running, stats: &slot.stats })),
            None => look(None),
        }
    }

    /// Lets lanes hear of nothing new but in [`Dispatcher::run_until_quiet`]: what is published meanwhile waits. For good: a test does it.
    pub fn hold_back(&self) {
        self.0.domain.end_listening();
        *self.0.held_back.write() = true;
    }

    /// Runs until nothing is left that can be handled now, and everything is durable; then lanes hear of nothing new again. Says
    /// whether that came true in time.
    pub fn run_until_quiet(&self, patience: Duration) -> bool {
        self.run_until_still(patience, |visible| {
            self.0.domain.durable().wait_blocking(Position(visible)).is_ok()
        })
    }

    /// The same ahead of the disk: what was done need not be durable, and what waits for that is not done.
    pub fn run_ahead(&self, patience: Duration) -> bool {
        self.run_until_still(patience, |_| true)
    }

    fn run_until_still(&self, patience: Duration, reached: impl Fn(u64) -> bool) -> bool {
        let until = Instant::now() + patience;
        // Those who wait for durable are woken here alone: a second waker could stand between its word and its deed.
        *self.0.held_back.write() = true;
        self.0.domain.listen(self.0.clone());
        let mut still_at = None;
        let is_still = loop {
            let running: Vec<_> =
                self.0.processors.read().iter().filter_map(|slot| slot.running.clone()).collect();
            self.0.pool.together(|| running.iter().for_each(Running::wake_lanes));
            let is_idle = self.0.pool.wait_idle(until);
            let visible = self.0.domain.visible();
            if !is_idle || !reached(visible) {
                break false;
            }
            // Lanes that wait for durable have looked once more, and nobody found anything.
            if still_at.replace(visible) == Some(visible) {
                break true;
            }
        };
        self.0.domain.end_listening();
        is_still
    }

    /// The lines of the processors' logs.
    pub fn logs(&self) -> &LogBook {
        &self.0.logs
    }

    /// Lets no batch begin any more, waits for those in flight as long as the drain deadline says, and ends the
    /// threads.
    pub fn stop(&self) {
        let _switching = self.0.switching.lock();
        self.0.domain.end_listening();
        let running: Vec<_> =
            self.0.processors.write().iter_mut().filter_map(|slot| slot.running.take()).collect();
        running.iter().for_each(|running| running.stop());
        let until = Instant::now() + self.0.drain;
        for running in &running {
            running.settle(until.saturating_duration_since(Instant::now()));
        }
        self.0.pool.stop(self.0.drain);
    }
}

/// A processor that runs, for those who look.
pub struct Processor<'a> {
    running: &'a Running,
    /// What it has done.
    pub stats: &'a Stats,
}

impl Processor<'_> {
    /// Why it reads nothing more, if it does not.
    pub fn failure(&self) -> Option<String> {
        self.running.look(|_, failure| failure.map(str::to_owned))
    }

    /// Whether too many events wait behind held keys.
    pub fn is_blocked(&self) -> bool {
        self.running.look(|feeder, _| feeder.is_blocked())
    }

    /// The events that wait behind held keys: key, subscription, offset.
    pub fn waiting(&self) -> Vec<(String, u32, u64)> {
        self.running.look(|feeder, _| {
            let rows =
                feeder.waiting().map(|(key, (subscription, offset))| (key.to_owned(), subscription, offset));
            rows.collect()
        })
    }

    /// How many instances there are, those in a call included.
    pub fn instances(&self) -> u64 {
        self.running.lanes().instances()
    }

    /// The memory of its idle instances, in bytes.
    pub fn memory_bytes(&self) -> u64 {
        self.running.lanes().memory_bytes()
    }

    /// How many lanes it has now.
    pub fn lanes(&self) -> u32 {
        self.running.lanes().now() as u32
    }
}

impl Shared {
    fn running(&self, name: &str) -> Option<Arc<Running>> {
        let id = self.domain.look(|world| world.processor_id(name))?;
        self.processors.read().get(id as usize)?.running.clone()
    }

    /// Wakes those who wait for durable.
    fn wake_edge(&self) {
        let held_back = self.held_back.read();
        if *held_back {
            return;
        }
        let processors = self.processors.read();
        let edge = processors.iter().filter_map(|slot| slot.running.as_ref()).filter(|r| r.is_at_the_edge());
        edge.for_each(Running::wake_lanes);
    }

    fn watch_edge(self: &Arc<Self>) -> std::io::Result<()> {
        let mut watched = self.edge_watched.lock();
        if !*watched {
            edge::watch(self)?;
            *watched = true;
        }
        Ok(())
    }

    /// What the guests of a version may ask: here what it asks for meets what is granted.
    fn calls_of(&self, version: &Version) -> Result<ProcessorCalls, DispatchError> {
        let descriptor = version.descriptor();
        let name = &descriptor.name;
        let GuestConfig { values, grant, secrets, .. } = self.config_of(name.as_str());
        let granted =
            decide(descriptor, version.imports(), &grant, &values).map_err(DispatchError::NotGranted)?;
        let state = self.domain.look(|world| {
            let id = world.processor_id(name.as_str())?;
            Some(world.processors().get(id as usize)?.state.clone())
        });
        Ok(ProcessorCalls {
            name: name.as_str().into(),
            state: state.unwrap_or_default(),
            config: values,
            granted,
            secrets,
            http: Arc::new(Http::new()),
            logs: self.logs.clone(),
        })
    }

    fn config_of(&self, name: &str) -> GuestConfig {
        self.configs.read().of(name)
    }

    fn configure(self: &Arc<Self>, running: &Running) -> Option<Configured> {
        let name = running.version().descriptor().name.clone();
        if self.config_of(name.as_str()).prints == running.deployment().config {
            return None;
        }
        let deployed = self.switch(&running.version().again());
        if let Err(DispatchError::NotGranted(missing)) = &deployed {
            let paused =
                self.pause(&name, format!("what it needs is not granted any more: {}", told(missing)));
            if let Err(error) = paused {
                tracing::error!(processor = %name, %error, "what is not granted any more is not paused");
            }
        }
        Some(Configured { name, deployed })
    }

    fn pause(&self, name: &ProcessorName, reason: String) -> Result<(), DispatchError> {
        let processor = self.known(name)?;
        self.domain.pause(processor, reason.chars().take(REASON_CHARS_MAX).collect(), Operator::Host)?;
        self.tell(processor);
        Ok(())
    }

    /// An instance for each lane that there always is, made while the old version still runs, and what all its instances may ask.
    fn warm(self: &Arc<Self>, version: &Version) -> Result<Warm, DispatchError> {
        let descriptor = version.descriptor();
        let processor = self.domain.name_processor(&descriptor.name)?;
        let calls = Arc::new(self.calls_of(version)?);
        if version.is_at_the_edge() || calls.granted.reaches_outside() {
            self.watch_edge()?;
        }
        let said = self.domain.operation(processor).lanes;
        let set = self.lanes.get(&descriptor.name).copied();
        let lanes = bounds(said, set, descriptor.concurrency).0.min();
        let executors = (0..lanes).map(|_| version.executor(calls.clone())).collect::<Result<_, _>>()?;
        Ok(Warm { executors, calls })
    }

    fn switch(self: &Arc<Self>, version: &Version) -> Result<Deployment, DispatchError> {
        let warm = self.warm(version)?;
        let old = self.running(version.descriptor().name.as_str());
        let began = Instant::now();
        if let Some(old) = &old {
            self.drain(old);
        }
        let config = self.config_of(version.descriptor().name.as_str()).prints;
        let deployable = Deployable { config, ..version.deployable().clone() };
        let mut deployment = match self.domain.deploy(&deployable) {
            Ok(deployment) => deployment,
            Err(error) => {
                if let Some(old) = old {
                    self.run(old.version(), old.deployment().clone(), Warm::none(&old));
                }
                return Err(error.into());
            }
        };
        self.release(deployment.processor)?;
        self.run(version, Arc::new(deployment.clone()), warm);
        deployment.pauses_us = pauses(old.as_deref(), began);
        self.domain.switched(deployment.processor, deployment.generation, deployment.pauses_us.clone())?;
        Ok(deployment)
    }

    /// Says whether nothing is in flight any more. What is, past the deadline, the generation of the next deployment
    /// fences off.
    fn drain(&self, old: &Running) -> bool {
        old.stop();
        let settled = old.settle(self.drain);
        if !settled {
            let name = &old.version().descriptor().name;
            tracing::warn!(processor = %name, "a batch outlived the drain deadline; what it commits will be refused");
        }
        settled
    }

    fn release(&self, processor: ProcessorId) -> Result<(), DispatchError> {
        let holds = self.domain.look(|world| {
            world.processors().get(processor as usize).is_some_and(|processor| !processor.held.is_empty())
        });
        if holds {
            self.domain.release(processor)?;
        }
        Ok(())
    }

    fn run(&self, version: &Version, deployment: Arc<Deployment>, Warm { executors, calls }: Warm) {
        let id = deployment.processor as usize;
        let mut processors = self.processors.write();
        if processors.len() <= id {
            processors.resize_with(id + 1, Slot::default);
        }
        let Some(slot) = processors.get_mut(id) else { return };
        let running = Running::new(Made {
            domain: self.domain.clone(),
            pool: self.pool.clone(),
            version: version.clone(),
            deployment,
            calls,
            logs: self.logs.clone(),
            stats: slot.stats.clone(),
            retry: self.retry,
            suspects: self.suspects.clone(),
            revivals: slot.revivals.clone(),
            executors,
            lanes: self.lanes.get(&version.descriptor().name).copied(),
        });
        slot.running = Some(running.clone());
        drop(processors);
        running.start();
    }
}

/// What a version begins with.
struct Warm {
    executors: Vec<Executor>,
    calls: Arc<ProcessorCalls>,
}

impl Warm {
    /// What has run goes on with what it had; its instances are made anew.
    fn none(old: &Running) -> Self {
        Self { executors: Vec::new(), calls: old.calls().clone() }
    }
}

/// What came of new settings for one processor.
pub struct Configured {
    /// Its name.
    pub name: ProcessorName,
    /// The deployment with them.
    pub deployed: Result<Deployment, DispatchError>,
}

/// How long each lane did nothing: from its last batch, or from when it was asked to stop, until now.
fn pauses(old: Option<&Running>, began: Instant) -> Vec<u64> {
    let Some(old) = old else { return Vec::new() };
    let rested = old.lanes().rested();
    let since = |rested: Option<Instant>| rested.map_or(began, |rested| rested.max(began));
    rested.into_iter().map(|rested| since(rested).elapsed().as_micros() as u64).collect()
}
