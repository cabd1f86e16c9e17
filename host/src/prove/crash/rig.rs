//! A domain with lanes over a simulated disk: all of a host but its edges. Nothing runs in it unless it is told to, so that one seed
//! makes one history.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tempfile::TempDir;

use super::handlers::{Count, TICKS, number_of, relay, tally};
use crate::channel::{Admitted, Domain, Keeper, Limits, Parts, PublishError, Window};
use crate::clock::ManualClock;
use crate::dispatch::{Configs, DispatchConfig, Dispatcher, PoolLimits, Suspects};
use crate::journal::storage::simulated::Simulated;
use crate::journal::{self, Options, SegmentJournal};
use crate::model::event::Event;
use crate::model::name::ChannelName;
use crate::model::record::Record;
use crate::model::retention::{AgeBound, RetentionRules, RetentionSettings};
use crate::model::retry::RetryCaps;
use crate::view::failed::EventRef;
use crate::view::world::World;

/// How long lanes may take until nothing is left to do.
const PATIENCE: Duration = Duration::from_secs(30);
/// So small that a few events begin another segment.
const SEGMENT_BYTES_MAX: u64 = 6_000;
/// How old an event may get before it expires.
const AGE: Duration = Duration::from_secs(12);
/// How long published ids are remembered.
pub const KNOWN_MS: u64 = 8_000;

/// One event that is published, by its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tick {
    pub number: u64,
    pub key: String,
    /// How many bytes stand behind its number.
    pub padding: usize,
}

impl Tick {
    fn event(&self) -> Event {
        let mut data = self.number.to_string().into_bytes();
        data.resize(data.len() + self.padding, b' ');
        Event {
            id: self.number.to_string(),
            source: "/prove".into(),
            ty: "tick".into(),
            subject: Some(self.key.clone()),
            data: Some(Bytes::from(data)),
            ..Event::default()
        }
    }
}

/// How a rig differs from a host as it should be.
#[derive(Clone, Debug)]
pub struct Setting {
    /// When a frame counts as durable.
    pub sync: journal::Sync,
    /// How long published ids are remembered.
    pub known_ms: u64,
    /// Where its views are; without a folder in memory.
    pub views: Option<PathBuf>,
}

impl Default for Setting {
    fn default() -> Self {
        Self { sync: journal::Sync::Fsync, known_ms: KNOWN_MS, views: None }
    }
}

/// A folder for views, in memory where the system has a file system there: nobody cuts its power, so its syncs are time lost.
pub fn scratch() -> std::io::Result<TempDir> {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir())
}

/// A domain, its lanes and its clock.
pub struct Rig {
    pub domain: Domain,
    pub dispatcher: Dispatcher,
    pub clock: Arc<ManualClock>,
    /// Whether bad keys are handled.
    mended: Arc<AtomicBool>,
    ticks: ChannelName,
    /// Absent only while it is dropped.
    keeper: Option<Keeper>,
    /// Last: it goes when everything else has gone.
    folder: Option<TempDir>,
}

impl Rig {
    /// Opens what is on the disk. Nobody is deployed by that.
    pub fn open(disk: &Simulated, now_ms: u64, setting: &Setting) -> Result<Self, String> {
        let text = |error: &dyn std::fmt::Display| error.to_string();
        let limits = journal::Limits { segment_bytes_max: SEGMENT_BYTES_MAX, ..journal::Limits::default() };
        let options = Options { sync: setting.sync, limits };
        let journal = SegmentJournal::open(Arc::new(disk.clone()), options).map_err(|error| text(&error))?;
        let clock = Arc::new(ManualClock::at(now_ms));
        let parts = Parts {
            journal: Arc::new(journal),
            views: setting.views.clone(),
            clock: clock.clone(),
            limits: limits_of(setting),
        };
        let ticks = ChannelName::new(TICKS).map_err(|error| text(&error))?;
        let (domain, keeper) = Domain::open(parts).map_err(|error| text(&error))?;
        domain.retain(rules());
        let dispatcher = Dispatcher::start(&domain, dispatch_config()).map_err(|error| text(&error))?;
        dispatcher.hold_back();
        Ok(Self {
            domain,
            dispatcher,
            clock,
            mended: Arc::default(),
            ticks,
            keeper: Some(keeper),
            folder: None,
        })
    }

    /// Has the folder of its views go with it.
    pub fn in_folder(mut self, folder: Option<TempDir>) -> Self {
        self.folder = folder;
        self
    }

    /// Makes a frame that says nothing of events: a channel of its own.
    pub fn first_frame(&self) -> Result<(), String> {
        let name = ChannelName::new(format!("begun-{}", self.domain.journal().next()));
        let name = name.map_err(|error| error.to_string())?;
        self.domain.host_channel(&name).map(drop).map_err(|error| error.to_string())
    }

    /// Runs both processors: what is deployed goes on, and the relay's version that is given is deployed if it is another.
    pub fn deploy(&self, version: u32) -> Result<(), String> {
        let version = relay(version, &self.mended).map_err(|error| error.to_string())?;
        self.dispatcher.register(&version).map_err(|error| error.to_string())?;
        self.deploy_tally()
    }

    /// Runs the one that counts.
    pub fn deploy_tally(&self) -> Result<(), String> {
        let version = tally().map_err(|error| error.to_string())?;
        self.dispatcher.register(&version).map(drop).map_err(|error| error.to_string())
    }

    /// Publishes ticks as one frame.
    pub fn publish(&self, ticks: &[Tick]) -> Result<(Vec<Admitted>, u64), PublishError> {
        let events: Vec<Event> = ticks.iter().map(Tick::event).collect();
        self.domain.publish(&self.ticks, &events)
    }

    /// Waits until everything so far is durable.
    pub fn settle(&self) -> Result<(), journal::Error> {
        self.domain.durable().wait_blocking(self.domain.journal().next())
    }

    /// Lets lanes run ahead of the disk until nothing is left to do.
    pub fn run_ahead(&self) -> Result<(), String> {
        self.dispatcher.run_ahead(PATIENCE).then_some(()).ok_or_else(|| "the lanes do not end".to_owned())
    }

    /// Lets lanes run until nothing is left to do, and all of it is durable.
    pub fn run(&self) -> Result<(), String> {
        let failed = || match self.domain.durable().check() {
            Err(error) => error.to_string(),
            Ok(()) => "the lanes do not end".to_owned(),
        };
        self.dispatcher.run_until_quiet(PATIENCE).then_some(()).ok_or_else(failed)
    }

    /// What the relay has given up and nobody has redriven.
    pub fn dead(&self) -> Vec<EventRef> {
        let rests = |world: &World| {
            world.dead().iter().filter(|(_, dead)| dead.redriven.is_none()).map(|(event, _)| event).collect()
        };
        self.domain.look(rests)
    }

    /// Has these dead letters handled again.
    pub fn redrive(&self, events: &[EventRef]) -> Result<(), String> {
        let processors = self.domain.redrive(events).map_err(|error| error.to_string())?;
        processors.into_iter().for_each(|processor| self.dispatcher.revived(processor));
        Ok(())
    }

    /// From now on bad keys are handled, or are not.
    pub fn mend(&self, mended: bool) {
        self.mended.store(mended, Ordering::SeqCst);
    }

    /// The events of a channel that are durable: number and key, by offset.
    pub fn read(&self, name: &str) -> Result<BTreeMap<u64, (u64, String)>, String> {
        let Some(id) = self.domain.look(|world| world.channel_id(name)) else { return Ok(BTreeMap::new()) };
        let items = self.domain.durable_events(id, 0, usize::MAX, usize::MAX);
        let mut found = BTreeMap::new();
        for item in items.map_err(|error| error.to_string())? {
            let event = Record::parse(&item.record).map_err(|error| error.to_string())?.to_event();
            let number = event.data.as_deref().and_then(number_of).ok_or("an event without a number")?;
            found.insert(item.offset, (number, event.subject.unwrap_or_default()));
        }
        Ok(found)
    }

    /// What a processor has counted, all keys together.
    pub fn counted(&self, processor: &str) -> Count {
        let rows = self.domain.look(|world| {
            let id = world.processor_id(processor)?;
            Some(world.processors().get(id as usize)?.state.rows(None, 0, usize::MAX))
        });
        let counts = rows.into_iter().flatten().filter_map(|(_, _, value)| Count::read(&value.bytes));
        counts.fold(Count::default(), Count::and)
    }

    /// Ends it in order; what is not durable by then is made so if the disk lets it.
    pub fn close(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let Some(keeper) = self.keeper.take() else { return };
        self.domain.journal().room().end();
        self.dispatcher.stop();
        keeper.stop();
        if let Err(error) = self.domain.journal().close() {
            tracing::debug!(%error, "the journal of the proof ended");
        }
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.end();
    }
}

fn limits_of(setting: &Setting) -> Limits {
    Limits {
        hops_max: 8,
        flow_events_max: 1_000,
        undurable_bytes_max: 8 << 20,
        tail_bytes_max: 1 << 20,
        dedupe: Window { ms_max: setting.known_ms, ids_max: 100_000 },
    }
}

fn rules() -> RetentionRules {
    let default = RetentionSettings { age: Some(AgeBound(Some(AGE))), ..RetentionSettings::default() };
    RetentionRules { default, ..RetentionRules::default() }
}

fn dispatch_config() -> DispatchConfig {
    DispatchConfig {
        pool: PoolLimits { workers: 1, threads_max: 1 },
        drain: Duration::from_secs(5),
        configs: Configs::default(),
        lanes: BTreeMap::new(),
        retry: RetryCaps::default(),
        suspects: Suspects::default(),
    }
}
