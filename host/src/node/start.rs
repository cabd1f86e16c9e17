//! Starting in order: folders, journal (which locks the data folder), views, engine, lanes, the processors that are deployed,
//! and last the folder that says what is wanted.

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;

use crate::access::Access;
use crate::channel::{Domain, Keeper, Limits, Parts, Window};
use crate::clock::Clock;
use crate::config::{Config, Durability, Settings};
use crate::dispatch::{DispatchConfig, Dispatcher, Native, PoolLimits, Suspects, Version};
use crate::flows::{Flows, Follower, Following};
use crate::journal::storage::{Files, Memory};
use crate::journal::{self, Journal, SegmentJournal};
use crate::mediator::Rules;
use crate::model::deployment::Deployment;
use crate::registry::{self, COMPONENT_ENDING, Kind, Registry, RegistryConfig, Running};
use crate::runtime::{Engine, EngineConfig, Expressions};
use crate::spans;

use super::backup;
use super::builder::{NodeBuilder, Source};
use super::deploy::{reconcile, register};
use super::gate::Gate;
use super::live::Live;
use super::mediators::Mediators;
use super::reload::{Accepted, ConfigWatch, guest_configs};
use super::secret::{fresh, secret};
use super::traces::trace;
use super::{Ending, Inner, Node, StartError, close_journal};

/// How many bytes of the latest frames stay in memory.
const TAIL_BYTES_MAX: usize = 32 << 20;

impl Node {
    /// Starts a host as a configuration says. It takes events when this returns. Nobody compiles for it: see [`NodeBuilder::compiler`].
    pub async fn start(config: Config) -> Result<Self, StartError> {
        Self::builder().config(config).start().await
    }

    /// Makes a host step by step. As it stands it is in memory and has no processors.
    pub fn builder() -> NodeBuilder {
        NodeBuilder::default()
    }
}

/// What runs before anything is deployed.
struct Core {
    config: Config,
    clock: Arc<dyn Clock>,
    domain: Domain,
    keeper: Keeper,
    dispatcher: Dispatcher,
    engine: Engine,
    mediators: Mediators,
    flows: Flows,
    follower: Option<Follower>,
    access: Access,
    gate: Arc<Gate>,
    secret: [u8; 32],
    /// Whether `baton.toml` is read again when it changes: not over settings of the application's own.
    reads: bool,
}

pub(super) fn start(builder: NodeBuilder) -> Result<Node, StartError> {
    let natives = builder.natives.clone();
    let mut core = open(builder)?;
    let follower = core.follower.take();
    let begun = deploy_all(&core, natives).and_then(|watching| {
        let following = follower.map(Following::start).transpose()?;
        Ok((watching, (following, trace(&core.domain, &core.config.settings.telemetry)?)))
    });
    match begun {
        Ok((watching, followers)) => core.node(watching, followers),
        Err(error) => {
            core.close();
            Err(error)
        }
    }
}

fn open(builder: NodeBuilder) -> Result<Core, StartError> {
    let watches = !matches!(builder.source, Source::Nowhere);
    let in_memory = builder.in_memory || !watches;
    let reads = watches && builder.settings.is_none();
    let config = configuration(builder.source, builder.settings)?;
    if watches {
        backup::check(&config)?;
    }
    let journal = if in_memory { journal_in_memory(&config)? } else { open_journal(&config)? };
    let clock = builder.clock;
    let parts = Parts {
        journal,
        views: (!in_memory).then(|| config.data_dir.join("views")),
        clock: clock.clone(),
        limits: domain_limits(&config.settings),
    };
    let (domain, keeper) = Domain::open(parts)?;
    domain.retain(config.settings.retention_rules());
    let engine = match builder.engine {
        Some(engine) => engine,
        None => Engine::new(EngineConfig {
            cache_dir: watches.then(|| config.data_dir.join("cache")),
            compiler: builder.compiler,
            compile_limits: builder.compile_limits,
        })?,
    };
    let flows = Flows::new(&domain, config.settings.flow_rules());
    let follower = Follower::new(&flows)?;
    let unusable = |source| StartError::Folder { folder: config.data_dir.clone(), source };
    let secret = if watches { secret(&config.data_dir) } else { fresh() }.map_err(unusable)?;
    let access = Access::open(watches.then_some(config.data_dir.as_path()))?;
    let suspects = if in_memory { Suspects::default() } else { suspects(&config, &domain) };
    let dispatcher = Dispatcher::start(&domain, dispatch_config(&config, &secret, suspects))?;
    let gate = Arc::new(Gate::new(config.approves_itself()));
    let mediators = Mediators {
        domain: domain.clone(),
        dispatcher: dispatcher.clone(),
        expressions: Expressions::new(&engine),
        kept_dir: watches.then(|| config.data_dir.join("definitions")),
        rules: Rules {
            keep_ended_ms: config.settings.mediators.keep_runs.ms(),
            keep_early_ms: config.settings.mediators.keep_early.ms(),
        },
        read: Arc::default(),
    };
    Ok(Core {
        gate,
        mediators,
        config,
        clock,
        domain,
        keeper,
        dispatcher,
        engine,
        secret,
        flows,
        follower,
        access,
        reads,
    })
}

/// Events that were in guests' hands when the host ended. Without the file they are handled as all others are.
fn suspects(config: &Config, domain: &Domain) -> Suspects {
    let path = config.data_dir.join("hands");
    let is_undecided = |event| domain.look(|world| world.is_to_do(event));
    let opened = Suspects::open(&path, is_undecided);
    opened.unwrap_or_else(|error| {
        tracing::warn!(path = %path.display(), %error, "what ends the host is not found out: the file cannot be used");
        Suspects::default()
    })
}

fn configuration(source: Source, settings: Option<Settings>) -> Result<Config, StartError> {
    Ok(match (source, settings) {
        (Source::Nowhere, settings) => Config::from_settings(Path::new(""), settings.unwrap_or_default()),
        (Source::Folder(dir), Some(settings)) => Config::from_settings(&dir, settings),
        (Source::Folder(dir), None) => Config::load(&dir)?,
        (Source::Config(config), None) => *config,
        (Source::Config(mut config), Some(settings)) => {
            config.settings = settings;
            *config
        }
    })
}

type Followers = (Option<Following>, Option<spans::Follower>);

/// Who watches the folders, of processors and of mediators, and who deploys what they find.
#[derive(Default)]
struct Watching {
    processors: Option<Registry>,
    definitions: Option<Registry>,
    reconcilers: Vec<JoinHandle<()>>,
}

/// Runs what is deployed, then what the application registers, and last looks into the folder: a name that the application holds
/// is not a file's any more.
fn deploy_all(core: &Core, natives: Vec<Native>) -> Result<Watching, StartError> {
    let Core { config, domain, dispatcher, engine, .. } = core;
    let components_dir = config.data_dir.join("components");
    let mut running = resume_deployed(domain, dispatcher, engine, &components_dir);
    for native in natives {
        let deployed = register(dispatcher, native)?;
        running.retain(|running| running.name != deployed.descriptor.name);
    }
    let mediating = core.mediators.resume();
    let mut watching = Watching::default();
    let Some(definitions_dir) = core.mediators.kept_dir.clone() else { return Ok(watching) };
    let kind = Kind::Components(engine.clone());
    let folders = RegistryConfig::new(config.processors_dir(), components_dir);
    watching.processors = Some(watch(core, kind, folders, running, &mut watching.reconcilers)?);
    let kind = Kind::Definitions(core.mediators.expressions.clone());
    let folders = RegistryConfig::new(config.mediators_dir(), definitions_dir);
    watching.definitions = Some(watch(core, kind, folders, mediating, &mut watching.reconcilers)?);
    Ok(watching)
}

/// Watches a folder, with a thread that deploys what is found there.
fn watch(
    core: &Core,
    kind: Kind,
    folders: RegistryConfig,
    running: Vec<Running>,
    reconcilers: &mut Vec<JoinHandle<()>>,
) -> Result<Registry, StartError> {
    let (registry, wanted) = Registry::start(folders, kind, core.clock.clone(), running)?;
    let (mediators, gate) = (core.mediators.clone(), core.gate.clone());
    let reconciler = std::thread::Builder::new().name("baton-reconciler".to_owned());
    reconcilers.push(reconciler.spawn(move || reconcile(&wanted, &mediators, &gate))?);
    Ok(registry)
}

impl Core {
    fn node(self, watching: Watching, followers: Followers) -> Result<Node, StartError> {
        let (following, traces) = followers;
        let Watching { processors: registry, definitions, reconcilers } = watching;
        let Self {
            config,
            clock,
            domain,
            keeper,
            dispatcher,
            engine,
            secret,
            flows,
            access,
            gate,
            reads,
            mediators,
            ..
        } = self;
        let ending = Mutex::new(Some(Ending { config: None, reconcilers, keeper, following, traces }));
        let started_ms = clock.now_ms();
        let accepted = Accepted::new(config.clone());
        let inner = Arc::new(Inner {
            config,
            clock,
            started_ms,
            domain,
            dispatcher,
            engine,
            registry,
            definitions,
            mediators,
            live: Live::default(),
            accepted,
            secret,
            flows,
            access,
            gate,
            ending,
        });
        // Without it the node goes with its last handle, here and now.
        let watch = if reads { Some(ConfigWatch::start(&inner)?) } else { None };
        if let Some(ending) = inner.ending.lock().as_mut() {
            ending.config = watch;
        }
        Ok(Node(inner))
    }

    /// Ends what was begun, so that the folder is free again.
    fn close(self) {
        self.domain.journal().room().end();
        self.dispatcher.stop();
        self.keeper.stop();
        close_journal(&self.domain);
    }
}

fn journal_in_memory(config: &Config) -> Result<Arc<dyn Journal>, StartError> {
    let mut options = journal_options(config);
    options.limits.reserve_bytes = 0;
    let journal = SegmentJournal::open(Arc::new(Memory::new()), options);
    Ok(Arc::new(journal.map_err(|source| StartError::Journal { folder: "memory".into(), source })?))
}

fn open_journal(config: &Config) -> Result<Arc<dyn Journal>, StartError> {
    let folder = config.data_dir.join("journal");
    create(&config.data_dir)?;
    let files =
        Files::open(&folder).map_err(|source| StartError::Folder { folder: folder.clone(), source })?;
    let journal = SegmentJournal::open(Arc::new(files), journal_options(config));
    Ok(Arc::new(journal.map_err(|source| StartError::Journal { folder, source })?))
}

fn journal_options(config: &Config) -> journal::Options {
    let settings = &config.settings.journal;
    journal::Options {
        sync: match settings.durability {
            Durability::Fsync => journal::Sync::Fsync,
            Durability::Os => journal::Sync::Os,
        },
        limits: journal::Limits {
            segment_bytes_max: settings.segment_bytes_max.bytes(),
            // Control frames still find room when publishers are sent away, and so does one frame of any size.
            undurable_bytes_max: settings.undurable_bytes_max.bytes() + 2 * journal::FRAME_BYTES_MAX as u64,
            reserve_bytes: settings.reserve_bytes.bytes(),
        },
    }
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

fn dispatch_config(config: &Config, secret: &[u8; 32], suspects: Suspects) -> DispatchConfig {
    let limits = &config.settings.limits;
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let workers = limits.workers.unwrap_or(cores).max(1);
    let configs = config.settings.processor.iter();
    let lanes = configs.filter_map(|(name, settings)| Some((name.clone(), settings.lanes?)));
    DispatchConfig {
        pool: PoolLimits { workers, threads_max: limits.threads_max.max(workers) },
        drain: Duration::from_millis(limits.drain_ms_max),
        configs: guest_configs(config, secret).0,
        lanes: lanes.collect(),
        retry: config.settings.retry.into(),
        suspects,
    }
}

/// Starts what the journal says is deployed from the bytes that were kept, before anybody looks into the folder. The application's own
/// code starts when the application registers it.
fn resume_deployed(
    domain: &Domain,
    dispatcher: &Dispatcher,
    engine: &Engine,
    components_dir: &Path,
) -> Vec<Running> {
    let deployed: Vec<Arc<Deployment>> = domain.look(|world| {
        let running = world.processors().iter().filter(|processor| processor.deployed);
        let deployments = running.filter_map(|processor| processor.deployment.clone());
        deployments.filter(|deployment| deployment.is_component()).collect()
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
    let bytes = registry::kept(components_dir, &deployment.digest, COMPONENT_ENDING)
        .ok_or("the bytes that ran are not kept")?;
    let program = engine.load(&bytes).map_err(|error| error.to_string())?;
    let version = Version::wasm(program, &deployment.file, 0);
    dispatcher.resume_deployed(&version, deployment.clone()).map_err(|error| error.to_string())
}
