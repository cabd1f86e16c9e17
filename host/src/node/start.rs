//! Starting in order: folders, journal (which locks the data folder), views, engine, lanes, the processors that are deployed,
//! and last the folder that says what is wanted.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::channel::{Domain, Limits, Parts, Window};
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, Durability, Settings};
use crate::dispatch::{DispatchConfig, Dispatcher, GuestConfig, PoolLimits, Version};
use crate::flows::{Flows, Follower, Following};
use crate::journal::storage::Files;
use crate::journal::{self, Journal, SegmentJournal};
use crate::model::deployment::Deployment;
use crate::registry::{self, Registry, RegistryConfig, Running};
use crate::runtime::{Engine, EngineConfig};

use super::backup;
use super::deploy::reconcile;
use super::reload::{Accepted, ConfigWatch};
use super::secret::secret;
use super::traces::trace;
use super::{Ending, Inner, Node, StartError};

/// How many bytes of the latest frames stay in memory.
const TAIL_BYTES_MAX: usize = 32 << 20;

impl Node {
    /// Starts a host. It takes events when this returns.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let started = tokio::task::spawn_blocking(move || start(config)).await;
        started.unwrap_or_else(|error| Err(StartError::Thread(std::io::Error::other(error))))
    }
}

fn start(config: Config) -> Result<Node, StartError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let settings = &config.settings;
    backup::check(&config)?;
    let journal = open_journal(&config)?;
    let parts = Parts {
        journal,
        views: Some(config.data_dir.join("views")),
        clock: clock.clone(),
        limits: domain_limits(settings),
    };
    let (domain, keeper) = Domain::open(parts)?;
    domain.retain(settings.retention_rules());
    let engine = Engine::new(EngineConfig {
        cache_dir: Some(config.data_dir.join("cache")),
        ..EngineConfig::default()
    })?;
    let flows = Flows::new(&domain, settings.flow_rules());
    let follower = Follower::new(&flows)?;
    let unusable = |source| StartError::Folder { folder: config.data_dir.clone(), source };
    let secret = secret(&config.data_dir).map_err(unusable)?;
    let dispatcher = Dispatcher::start(&domain, dispatch_config(&config, &secret))?;
    let components_dir = config.data_dir.join("components");
    let running = resume_deployed(&domain, &dispatcher, &engine, &components_dir);
    let registry_config = RegistryConfig::new(config.processors_dir(), components_dir);
    let (registry, wanted) = Registry::start(registry_config, engine, clock.clone(), running)?;
    let deploying = dispatcher.clone();
    let reconciler = std::thread::Builder::new()
        .name("baton-reconciler".to_owned())
        .spawn(move || reconcile(&wanted, &deploying))?;
    let traces = trace(&domain, &config.settings.telemetry)?;
    let started_ms = clock.now_ms();
    let accepted = Accepted::new(config.clone());
    let following = follower.map(Following::start).transpose()?;
    let ending = Mutex::new(Some(Ending { config: None, reconciler, keeper, following, traces }));
    let inner =
        Inner { config, clock, started_ms, domain, dispatcher, registry, accepted, secret, flows, ending };
    let inner = Arc::new(inner);
    let watch = ConfigWatch::start(&inner)?;
    if let Some(ending) = inner.ending.lock().as_mut() {
        ending.config = Some(watch);
    }
    Ok(Node(inner))
}

fn open_journal(config: &Config) -> Result<Arc<dyn Journal>, StartError> {
    let folder = config.data_dir.join("journal");
    create(&config.data_dir)?;
    let files =
        Files::open(&folder).map_err(|source| StartError::Folder { folder: folder.clone(), source })?;
    let settings = &config.settings.journal;
    let options = journal::Options {
        sync: match settings.durability {
            Durability::Fsync => journal::Sync::Fsync,
            Durability::Os => journal::Sync::Os,
        },
        limits: journal::Limits {
            segment_bytes_max: settings.segment_bytes_max.bytes(),
            // Control frames still find room when publishers are sent away, and so does one frame of any size.
            undurable_bytes_max: settings.undurable_bytes_max.bytes() + 2 * journal::FRAME_BYTES_MAX as u64,
        },
    };
    let journal = SegmentJournal::open(Arc::new(files), options);
    Ok(Arc::new(journal.map_err(|source| StartError::Journal { folder, source })?))
}

fn create(folder: &Path) -> Result<(), StartError> {
    std::fs::create_dir_all(folder).map_err(|source| StartError::Folder { folder: folder.to_owned(), source })
}

fn domain_limits(settings: &Settings) -> Limits {
    let limits = &settings.limits;
    Limits {
        hops_max: limits.hops_max,
        flow_events_max: limits.flow_events_max,
        undurable_bytes_max: settings.journal.undurable_bytes_max.bytes(),
        tail_bytes_max: TAIL_BYTES_MAX,
        dedupe: Window {
            ms_max: limits.dedupe_window_s.saturating_mul(1000),
            ids_max: limits.dedupe_ids_max,
        },
    }
}

fn dispatch_config(config: &Config, secret: &[u8; 32]) -> DispatchConfig {
    let limits = &config.settings.limits;
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let workers = limits.workers.unwrap_or(cores).max(1);
    let configs = config.settings.processor.iter();
    let lanes = configs.clone().filter_map(|(name, settings)| Some((name.clone(), settings.lanes?)));
    DispatchConfig {
        pool: PoolLimits { workers, threads_max: limits.threads_max.max(workers) },
        drain: Duration::from_millis(limits.drain_ms_max),
        configs: configs.map(|(name, own)| (name.clone(), GuestConfig::new(&own.config, secret))).collect(),
        lanes: lanes.collect(),
    }
}

/// Starts what the journal says is deployed from the bytes that were kept, before anybody looks into the folder.
fn resume_deployed(
    domain: &Domain,
    dispatcher: &Dispatcher,
    engine: &Engine,
    components_dir: &Path,
) -> Vec<Running> {
    let deployed: Vec<Arc<Deployment>> = domain.look(|world| {
        let running = world.processors().iter().filter(|processor| processor.deployed);
        running.filter_map(|processor| processor.deployment.clone()).collect()
    });
    let resume = |deployment: &Arc<Deployment>| {
        let name = &deployment.descriptor.name;
        match resume(dispatcher, engine, components_dir, deployment) {
            Ok(()) => Running::from(&**deployment),
            Err(why) => {
                tracing::error!(processor = %name, why, "a deployed processor was not started");
                not_running(deployment)
            }
        }
    };
    on_all_cores(&deployed, resume)
}

/// A host with many processors is back sooner when they are loaded side by side.
fn on_all_cores<T: Sync, R: Send>(all: &[T], each: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let share = all.len().div_ceil(cores).max(1);
    let each = &each;
    std::thread::scope(|scope| {
        let run = |share: &'_ [T]| share.iter().map(each).collect::<Vec<R>>();
        let threads: Vec<_> = all.chunks(share).map(|share| scope.spawn(move || run(share))).collect();
        let results = threads.into_iter().map(|thread| thread.join());
        results.flat_map(|result| result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    })
}

/// No bytes run: its file is a new version if it is there, and a removal if it is not; the bytes that ran stay kept.
fn not_running(deployment: &Deployment) -> Running {
    Running {
        digest: String::new(),
        previous_digest: Some(deployment.digest.clone()),
        ..Running::from(deployment)
    }
}

fn resume(
    dispatcher: &Dispatcher,
    engine: &Engine,
    components_dir: &Path,
    deployment: &Arc<Deployment>,
) -> Result<(), String> {
    let bytes =
        registry::kept(components_dir, &deployment.digest).ok_or("the bytes that ran are not kept")?;
    let program = engine.load(&bytes).map_err(|error| error.to_string())?;
    let version = Version::wasm(program, &deployment.file, 0);
    dispatcher.resume_deployed(&version, deployment.clone()).map_err(|error| error.to_string())
}
