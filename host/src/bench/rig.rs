//! A host without its edges: a domain, its threads and a place for its files, made for one measurement and gone after it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::Error;
use super::report::Durability;
use crate::channel::{Domain, Keeper, Limits, Parts, PublishError, Window};
use crate::clock::SystemClock;
use crate::dispatch::{Configs, DispatchConfig, Dispatcher, LogFilter, PoolLimits, Suspects, Version};
use crate::journal::storage::{Files, Memory, Storage};
use crate::journal::{Options, Position, SegmentJournal, Sync};
use crate::model::event::Event;
use crate::model::name::ChannelName;
use crate::model::retry::RetryCaps;

/// How long a measurement waits for an event before it gives up.
const PATIENCE: Duration = Duration::from_secs(30);

/// A folder in the working folder, and so on its disk, that goes with its owner.
pub struct Scratch(PathBuf);

impl Scratch {
    /// Makes an empty folder.
    pub fn new() -> Result<Self, Error> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = PathBuf::from(format!(".baton-bench-{}-{number}", std::process::id()));
        std::fs::create_dir(&folder).map_err(|source| Error::File { file: folder.clone(), source })?;
        Ok(Self(folder))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(folder = %self.0.display(), %error, "a folder of the benchmark stays");
        }
    }
}

/// A host for one measurement.
pub struct Rig {
    /// Its channels.
    pub domain: Domain,
    /// Its processors.
    pub dispatcher: Dispatcher,
    keeper: Option<Keeper>,
    /// Last: it goes when everything else has gone.
    scratch: Option<Scratch>,
}

/// What differs from one rig to the next.
#[derive(Clone, Copy)]
pub struct Setting {
    /// Where its journal is, and when an event counts as durable.
    pub durability: Durability,
    /// How many threads run guests.
    pub workers: usize,
}

impl Setting {
    /// The host's defaults.
    pub fn new(durability: Durability) -> Self {
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        Self { durability, workers }
    }
}

impl Rig {
    /// Starts one.
    pub fn start(setting: Setting) -> Result<Self, Error> {
        let scratch = match setting.durability {
            Durability::Fsync | Durability::Os => Some(Scratch::new()?),
            Durability::Memory | Durability::None => None,
        };
        let storage: Arc<dyn Storage> = match &scratch {
            Some(scratch) => Arc::new(Files::open(scratch.path().join("journal"))?),
            None => Arc::new(Memory::new()),
        };
        let sync = if setting.durability == Durability::Fsync { Sync::Fsync } else { Sync::Os };
        let options = Options { sync, ..Options::default() };
        let (domain, keeper) = Domain::open(Parts {
            journal: Arc::new(SegmentJournal::open(storage, options)?),
            views: scratch.as_ref().map(|scratch| scratch.path().join("views")),
            clock: Arc::new(SystemClock),
            limits: limits(),
        })?;
        let dispatcher = Dispatcher::start(&domain, dispatch_config(setting.workers))?;
        Ok(Self { domain, dispatcher, keeper: Some(keeper), scratch })
    }

    /// Where its files are, if it has any.
    pub fn folder(&self) -> Option<&Path> {
        self.scratch.as_ref().map(Scratch::path)
    }

    /// Publishes; waits a moment and tries again while too much waits for the disk. Returns the position behind it.
    pub fn publish(&self, channel: &ChannelName, events: &[Event]) -> Result<u64, Error> {
        loop {
            match self.domain.publish(channel, events) {
                Ok((_, end)) => return Ok(end),
                Err(PublishError::Busy { .. }) => {
                    let next = Position(self.domain.durable().current().0 + 1);
                    self.domain.durable().wait_blocking(next)?;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// How many events a channel has.
    pub fn count(&self, channel: &str) -> u64 {
        self.domain
            .look(|world| {
                let id = world.channel_id(channel)?;
                Some(world.channels().get(id as usize)?.next)
            })
            .unwrap_or_default()
    }

    /// Waits until a channel has so many events.
    pub fn wait_for(&self, channel: &str, count: u64) -> Result<(), Error> {
        let (mut last, mut moved) = (0, Instant::now());
        loop {
            let now = self.count(channel);
            if now >= count {
                return Ok(());
            }
            if now != last {
                (last, moved) = (now, Instant::now());
            }
            if moved.elapsed() > PATIENCE {
                let why = self.what_is_wrong();
                return Err(Error::Stuck { channel: channel.to_owned(), count: now, expected: count, why });
            }
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    /// The same without rest: for what is over in microseconds.
    pub fn spin_for(&self, channel: &str, count: u64) -> Result<(), Error> {
        let began = Instant::now();
        while self.count(channel) < count {
            if began.elapsed() > PATIENCE {
                let why = self.what_is_wrong();
                let count = self.count(channel);
                return Err(Error::Stuck { channel: channel.to_owned(), count, expected: count, why });
            }
            std::thread::yield_now();
        }
        Ok(())
    }

    /// What the processors say of why they do not go on.
    fn what_is_wrong(&self) -> String {
        let filter = LogFilter { limit: 3, ..LogFilter::default() };
        let lines = self.dispatcher.logs().read(&filter);
        let lines: Vec<_> = lines.into_iter().map(|line| line.message).collect();
        if lines.is_empty() { "the processor's log is empty".to_owned() } else { lines.join("; ") }
    }

    /// Waits until everything that is visible is durable.
    pub fn wait_durable(&self) -> Result<(), Error> {
        Ok(self.domain.durable().wait_blocking(Position(self.domain.visible()))?)
    }

    /// Deploys a version.
    pub fn deploy(&self, version: &Version) -> Result<(), Error> {
        self.dispatcher.deploy(version)?;
        Ok(())
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.dispatcher.stop();
        self.keeper.take();
        if let Err(error) = self.domain.journal().close() {
            tracing::warn!(%error, "the journal of a measurement did not close");
        }
    }
}

fn limits() -> Limits {
    Limits {
        hops_max: 64,
        flow_events_max: 100_000,
        undurable_bytes_max: 32 << 20,
        tail_bytes_max: 32 << 20,
        dedupe: Window { ms_max: 600_000, ids_max: 1_000_000 },
    }
}

fn dispatch_config(workers: usize) -> DispatchConfig {
    DispatchConfig {
        retry: RetryCaps::default(),
        suspects: Suspects::default(),
        pool: PoolLimits { workers, threads_max: workers + 4 },
        drain: Duration::from_secs(5),
        configs: Configs::default(),
        lanes: BTreeMap::new(),
    }
}

/// The name of a channel of the benchmark.
pub fn channel(name: &str) -> Result<ChannelName, Error> {
    Ok(ChannelName::new(name)?)
}

/// Events to publish, each with an id that was never used: one buffer that is filled again and again.
pub struct Source {
    events: Vec<Event>,
    next: u64,
}

impl Source {
    /// Batches of `count` events with `bytes` of data each.
    pub fn new(count: usize, bytes: usize) -> Self {
        let event = Event {
            source: "/bench".to_owned(),
            ty: "measured".to_owned(),
            datacontenttype: Some("application/octet-stream".to_owned()),
            data: Some(Bytes::from(vec![b'x'; bytes])),
            ..Event::default()
        };
        Self { events: vec![event; count], next: 0 }
    }

    /// The next batch.
    pub fn batch(&mut self) -> &[Event] {
        for event in &mut self.events {
            event.id.clear();
            // Writing to a string cannot fail.
            let _ = write!(event.id, "event-{}", self.next);
            self.next += 1;
        }
        &self.events
    }
}
