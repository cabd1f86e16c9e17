//! Answers to questions: channels, events, processors, flows, state, status.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::channel::{Domain, Item};
use crate::config::{Config, Durability};
use crate::dispatch::{DEAD_MAX, Processor};
use crate::flows::Lanes;
use crate::journal::Position;
use crate::model::change::{ChannelId, ProcessorId, SubscriptionId};
use crate::model::deployment::Deployment;
use crate::model::name::{ChannelName, ProcessorName};
use crate::model::record::Record;
use crate::model::report::{
    ChannelReport, EventPage, FileProblem, HeldReport, LogLine, ProcessorReport, ProcessorStatus, Recorded,
    StateEntry, StatusReport,
};
use crate::model::time::rfc3339;
use crate::registry::Registry;
use crate::view::failed::{EventRef, Held};
use crate::view::ledger::audit;
use crate::view::recorded::recorded;
use crate::view::reports::{channel_reports, is_read, state_entries, subscription_report};
use crate::view::world::{self, World};

use super::operate::{pause_report, scale_report};
use super::{LogFilter, Node, ReadError};

/// The most bytes of events in one page.
const PAGE_BYTES_MAX: usize = 4 << 20;
/// The most held events that one processor report shows.
const HELD_SHOWN_MAX: usize = 100;

/// Where to begin to read a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadFrom {
    /// With the oldest event.
    Earliest,
    /// With the next event that is published.
    Latest,
    /// With the event at this offset.
    Offset(u64),
}

/// The events that wait behind held ones: key, subscription, offset.
pub(super) type Waiting = Vec<(String, SubscriptionId, u64)>;

impl Node {
    /// All channels, by name.
    pub fn channels(&self) -> Vec<ChannelReport> {
        let waiting = self.waiting();
        let count = |id| waiting.iter().filter(|(_, subscription, _)| *subscription == id).count() as u64;
        let mut channels = self.0.domain.look(|world| channel_reports(world, count));
        channels.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        channels
    }

    /// One channel.
    pub fn channel(&self, name: &ChannelName) -> Option<ChannelReport> {
        self.channels().into_iter().find(|channel| channel.name == name.as_str())
    }

    /// Durable events of a channel, oldest first; waits up to `wait` for the first.
    pub async fn events(
        &self,
        channel: &ChannelName,
        from: ReadFrom,
        limit: usize,
        wait: Duration,
    ) -> Result<EventPage, ReadError> {
        let unknown = || ReadError::UnknownChannel { name: channel.to_string() };
        let id = self.0.domain.look(|world| world.channel_id(channel.as_str())).ok_or_else(unknown)?;
        let from = match from {
            ReadFrom::Earliest => self.0.domain.channel_first(id),
            ReadFrom::Offset(offset) => offset,
            ReadFrom::Latest => self.0.domain.channel_end(id),
        };
        let deadline = tokio::time::Instant::now() + wait;
        loop {
            let durable = self.0.domain.durable().current();
            let events = self.page(id, from, limit).await?;
            // A channel has no other gaps than what is expired.
            let first = events
                .first()
                .map_or_else(|| from.max(self.0.domain.channel_first(id)), |event| event.offset);
            let next = events.last().map_or(first, |event| event.offset + 1);
            let moved = self.0.domain.durable().wait(Position(durable.0 + 1));
            let goes_on = events.is_empty()
                && first == from
                && matches!(tokio::time::timeout_at(deadline, moved).await, Ok(Ok(())));
            if !goes_on {
                return Ok(EventPage { channel: channel.to_string(), expired: first - from, events, next });
            }
        }
    }

    async fn page(&self, channel: ChannelId, from: u64, limit: usize) -> Result<Vec<Recorded>, ReadError> {
        let domain = self.0.domain.clone();
        let read = move || page(&domain, channel, from, limit);
        let page = tokio::task::spawn_blocking(read).await;
        page.map_err(|error| ReadError::Journal { why: error.to_string() })?
    }

    /// Waits until everything that is sequenced now is durable: what was seen before the call cannot be taken back after it.
    pub async fn until_durable(&self) -> Result<(), ReadError> {
        let end = Position(self.0.domain.visible());
        let durable = self.0.domain.durable().wait(end).await;
        durable.map_err(|error| ReadError::Journal { why: error.to_string() })
    }

    /// All processors, by name; those that were forgotten are left out.
    pub fn processors(&self) -> Vec<ProcessorReport> {
        let count = self.0.domain.look(|world| world.processors().len() as ProcessorId);
        let mut processors: Vec<_> = (0..count).filter_map(|id| self.processor_report(id)).collect();
        processors.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        processors
    }

    /// Files in the folders that do not run, and what to do.
    pub fn problems(&self) -> Vec<FileProblem> {
        self.0.registry.iter().chain(&self.0.definitions).flat_map(Registry::problems).collect()
    }

    /// One processor.
    pub fn processor(&self, name: &ProcessorName) -> Option<ProcessorReport> {
        self.processor_report(self.0.domain.look(|world| world.processor_id(name.as_str()))?)
    }

    fn processor_report(&self, id: ProcessorId) -> Option<ProcessorReport> {
        let lane_side = self.0.dispatcher.look(id, LaneSide::of);
        let report = self.0.domain.look(|world| lane_side.report(world, id, &self.0.config))?;
        let name = ProcessorName::new(report.name.as_str()).ok();
        Some(ProcessorReport { waiting: name.and_then(|name| self.version_waiting(&name)), ..report })
    }

    pub(super) fn lanes(&self, id: ProcessorId) -> Lanes {
        let LaneSide { running, failure, blocked, waiting, .. } = self.0.dispatcher.look(id, LaneSide::of);
        Lanes { running, failure, blocked, waiting }
    }

    pub(super) fn waiting(&self) -> Waiting {
        let count = self.0.domain.look(|world| world.processors().len() as ProcessorId);
        let of = |id| self.0.dispatcher.look(id, |running| running.map_or_else(Vec::new, Processor::waiting));
        (0..count).flat_map(of).collect()
    }

    /// The keyed state of a processor, of one key or of all.
    pub fn state(&self, name: &ProcessorName, key: Option<&str>, limit: usize) -> Option<Vec<StateEntry>> {
        let processor = self.0.domain.look(|world| {
            let id = world.processor_id(name.as_str())?;
            world.processors().get(id as usize).cloned()
        })?;
        Some(state_entries(&processor, key, self.0.clock.now_ms(), limit))
    }

    /// All deployments, oldest first.
    pub fn deployments(&self) -> Vec<Deployment> {
        self.0.domain.look(|world| world.deployments().iter().map(|d| Deployment::clone(d)).collect())
    }

    /// Lines of the processors' logs.
    pub fn logs(&self, filter: &LogFilter) -> Vec<LogLine> {
        self.0.dispatcher.logs().read(filter)
    }

    /// One screen: what is wrong now.
    pub fn status(&self) -> StatusReport {
        let domain = &self.0.domain;
        let closed = domain.closed();
        StatusReport {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            domain: "default".to_owned(),
            ready: closed.is_none(),
            reason: closed,
            started: rfc3339(self.0.started_ms),
            durability: match self.0.config.settings.journal.durability {
                Durability::Fsync => "fsync".to_owned(),
                Durability::Os => "os".to_owned(),
            },
            next_position: domain.journal().next().0,
            durable_position: domain.durable().current().0,
            channels: domain.look(|world| world.channels().len() as u64),
            processors: self.processors(),
            problems: self.problems().into_iter().chain(self.config_problems()).collect(),
            faulted_runs: self.faulted_runs(),
            held_back: domain.held_back(),
            alarms: domain.look(audit),
        }
    }
}

/// What the lanes know of a processor.
struct LaneSide {
    running: bool,
    failure: Option<String>,
    blocked: bool,
    lanes: u32,
    waiting: Waiting,
    handled: u64,
    failed: u64,
}

impl LaneSide {
    fn of(running: Option<&Processor<'_>>) -> Self {
        Self {
            running: running.is_some(),
            failure: running.and_then(Processor::failure),
            blocked: running.is_some_and(Processor::is_blocked),
            lanes: running.map_or(0, Processor::lanes),
            waiting: running.map_or_else(Vec::new, Processor::waiting),
            handled: running.map_or(0, |running| running.stats.handled.load(Ordering::Relaxed)),
            failed: running.map_or(0, |running| running.stats.failed.load(Ordering::Relaxed)),
        }
    }

    fn report(&self, world: &World, id: ProcessorId, config: &Config) -> Option<ProcessorReport> {
        let processor = world.processors().get(id as usize)?;
        let deployment = processor.deployment.as_ref()?;
        if !processor.deployed && processor.subscriptions.is_empty() {
            return None;
        }
        let dead = dead_letters(world, processor);
        let (status, reason) = self.status(processor, dead);
        let scale = scale_report(config, processor, deployment);
        let waits = |s: SubscriptionId| self.waiting.iter().filter(|(_, of, _)| *of == s).count() as u64;
        let subscriptions =
            processor.subscriptions.iter().filter(|s| !processor.deployed || is_read(world, **s));
        Some(ProcessorReport {
            name: processor.name.to_string(),
            status,
            reason,
            version: deployment.descriptor.version.clone(),
            digest: deployment.digest.clone(),
            generation: deployment.generation,
            lanes: self.lanes,
            scale,
            paused: processor.operation.paused.as_ref().map(pause_report),
            rate: processor.operation.rate,
            handled: self.handled,
            failed: self.failed,
            subscriptions: subscriptions.filter_map(|s| subscription_report(world, *s, waits(*s))).collect(),
            held: self.held(world, processor),
            dead,
            waiting: None,
            descriptor: deployment.descriptor.clone(),
        })
    }

    fn status(&self, processor: &world::Processor, dead: u64) -> (ProcessorStatus, Option<String>) {
        let held = processor.held.values().filter(|held| held.again.is_none()).count();
        let parked = processor.held.len() - held;
        let waiting = self.waiting.len();
        if !processor.deployed {
            return (
                ProcessorStatus::Undeployed,
                Some("its file is gone; its positions and state are kept".to_owned()),
            );
        }
        if let Some(failure) = &self.failure {
            return (ProcessorStatus::Failed, Some(failure.clone()));
        }
        if !self.running && processor.deployment.as_ref().is_some_and(|deployment| deployment.is_native()) {
            let reason = "not running: native, the application has not registered it; its positions are kept";
            return (ProcessorStatus::Failed, Some(reason.to_owned()));
        }
        if !self.running {
            return (
                ProcessorStatus::Failed,
                Some("it is deployed and was not started; see the problems".to_owned()),
            );
        }
        if let Some(paused) = &processor.operation.paused {
            let reason = format!("{} (by {})", paused.reason, paused.by.as_str());
            return (ProcessorStatus::Paused, Some(reason));
        }
        let (status, reason) = match (self.blocked, held, parked) {
            (true, ..) if dead >= DEAD_MAX as u64 => (
                ProcessorStatus::Blocked,
                format!(
                    "nothing more is read: it has {dead} dead letters, the most that it may have; redrive or discard some"
                ),
            ),
            (true, ..) => (
                ProcessorStatus::Blocked,
                format!("nothing more is read: {} events failed, {waiting} wait behind them", held + parked),
            ),
            (false, 0, 0) => return (ProcessorStatus::Running, None),
            (false, 0, parked) => (
                ProcessorStatus::Retrying,
                format!("{parked} failed and tried again by itself, {waiting} waiting behind"),
            ),
            (false, held, _) => {
                (ProcessorStatus::Held, format!("{held} held after a fault, {waiting} waiting behind"))
            }
        };
        (status, Some(reason))
    }

    fn held(&self, world: &World, processor: &world::Processor) -> Vec<HeldReport> {
        let channel_of = |id: SubscriptionId| {
            let channel = world.subscriptions().get(id as usize)?.channel;
            Some(world.channels().get(channel as usize)?.name.to_string())
        };
        let mut held: Vec<_> = processor.held.iter().collect();
        held.sort_unstable_by_key(|(_, held)| held.position);
        let report = |((subscription, offset), held): (&EventRef, &Held)| HeldReport {
            channel: channel_of(*subscription).unwrap_or_default(),
            offset: *offset,
            flow: held.flow.to_string(),
            key: held.key.clone(),
            waiting: self.waiting.iter().filter(|(key, ..)| *key == held.key).count() as u64,
            attempts: held.attempts,
            fault: held.fault.clone(),
            next: held.again.map(|again| rfc3339(again.at_ms.max(held.fault.time_ms))),
        };
        held.into_iter().take(HELD_SHOWN_MAX).map(report).collect()
    }
}

fn dead_letters(world: &World, processor: &world::Processor) -> u64 {
    let of =
        |id: &SubscriptionId| world.dead().of(*id, 0).filter(|(_, dead)| dead.redriven.is_none()).count();
    processor.subscriptions.iter().map(of).sum::<usize>() as u64
}

fn page(domain: &Domain, channel: ChannelId, from: u64, limit: usize) -> Result<Vec<Recorded>, ReadError> {
    bounded_page(domain, channel, from, limit, PAGE_BYTES_MAX)
}

/// Durable events of a channel from an offset on, at most `limit` and about `bytes_max`.
pub(super) fn bounded_page(
    domain: &Domain,
    channel: ChannelId,
    from: u64,
    limit: usize,
    bytes_max: usize,
) -> Result<Vec<Recorded>, ReadError> {
    let items = domain.durable_events(channel, from, limit, bytes_max)?;
    items.iter().map(outward).collect()
}

fn outward(item: &Item) -> Result<Recorded, ReadError> {
    let record =
        Record::parse(&item.record).map_err(|error| ReadError::Journal { why: error.to_string() })?;
    Ok(recorded(item.offset, item.position, item.time_ms, &record))
}
