//! The configuration while the host runs: it is read again when the file changes or somebody asks. What guests are given is
//! in force at once, each change with a receipt; a configuration that is wrong is refused as a whole; the rest waits for a
//! restart and says so.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;

use crate::config::{Config, ConfigError, FILE_NAME};
use crate::dispatch::{Configs, Configured, DispatchError};
use crate::model::name::ProcessorName;
use crate::model::report::{FileProblem, ReloadReport};
use crate::model::time::rfc3339;
use crate::registry::{Reach, Registry, Watcher};

use super::{Inner, Node};

/// How long the file must rest before it is read: editors write in steps.
const SETTLE: Duration = Duration::from_millis(100);

/// The configuration that was accepted last.
pub(super) struct Accepted {
    /// Held while it is replaced, which takes as long as processors are switched.
    config: Mutex<Config>,
    /// What `status` shows, never held for long.
    shown: Mutex<Shown>,
}

struct Shown {
    problems: Vec<FileProblem>,
    /// The processors that something is set for.
    processors: BTreeSet<ProcessorName>,
}

impl Accepted {
    pub fn new(config: Config) -> Self {
        let processors = config.settings.processor.keys().cloned().collect();
        Self { config: Mutex::new(config), shown: Mutex::new(Shown { problems: Vec::new(), processors }) }
    }
}

/// Whoever watches the file; ends when it is dropped.
pub(super) struct ConfigWatch {
    watcher: Option<Watcher>,
    thread: Option<JoinHandle<()>>,
}

impl ConfigWatch {
    /// Reads the configuration again after each change of the folder that it is in.
    pub fn start(inner: &Arc<Inner>) -> std::io::Result<Self> {
        let (post, hints) = mpsc::sync_channel(1);
        // Full means that somebody will look anyway.
        let mut watcher = Watcher::new(Reach::Folder, move || {
            let _ = post.try_send(());
        });
        watcher.watch(&inner.config.dir);
        let node = Arc::downgrade(inner);
        let thread = std::thread::Builder::new().name("baton-config".to_owned());
        let thread = thread.spawn(move || follow(&hints, &node))?;
        Ok(Self { watcher: Some(watcher), thread: Some(thread) })
    }

    pub fn stop(&mut self) {
        self.watcher = None;
        // The thread itself may have held the node's last handle; it ends by itself then.
        let is_other = |thread: &JoinHandle<()>| thread.thread().id() != std::thread::current().id();
        if self.thread.take().filter(is_other).is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread that follows the configuration panicked");
        }
    }
}

fn follow(hints: &Receiver<()>, node: &Weak<Inner>) {
    while hints.recv().is_ok() {
        while hints.recv_timeout(SETTLE).is_ok() {}
        let Some(inner) = node.upgrade() else { return };
        match inner.reload(false) {
            Ok(report) if report.changed.is_empty() => {}
            Ok(report) => {
                tracing::info!(changed = ?report.changed, restart = ?report.restart, "configuration read again")
            }
            Err(error) => tracing::error!(%error, "the configuration is refused; the one before goes on"),
        }
    }
}

impl Node {
    /// Reads the configuration again and puts in force what can be. One that is wrong changes nothing. Blocks while
    /// processors are switched.
    pub fn reload_config(&self) -> Result<ReloadReport, ConfigError> {
        self.0.reload(true)
    }

    /// What is wrong with the configuration, and what of it waits.
    pub(super) fn config_problems(&self) -> Vec<FileProblem> {
        let shown = self.0.accepted.shown.lock();
        let deployed = self.0.domain.look(|world| {
            let names = world.processors().iter().filter(|processor| processor.deployed);
            names.map(|processor| processor.name.clone()).collect::<BTreeSet<_>>()
        });
        let unknown = shown.processors.iter().filter(|name| !deployed.contains(*name));
        let note = |name: &ProcessorName| FileProblem {
            file: FILE_NAME.to_owned(),
            code: "config-unknown-processor".to_owned(),
            message: format!("[processor.{name}] waits for a processor of that name; none is deployed"),
            since: rfc3339(self.0.started_ms),
        };
        shown.problems.iter().cloned().chain(unknown.map(note)).collect()
    }
}

impl Inner {
    fn reload(&self, anew: bool) -> Result<ReloadReport, ConfigError> {
        let mut accepted = self.accepted.config.lock();
        let new = accepted.load_again().inspect_err(|error| {
            self.accepted.shown.lock().problems = vec![self.problem(error.code(), error.to_string())];
        })?;
        let changed = accepted.differences(&new);
        let mut report = ReloadReport { changed, ..ReloadReport::default() };
        if anew || !report.changed.is_empty() {
            self.configure(&new, &mut report);
        }
        report.restart = self.config.differences(&new);
        report.restart.retain(|key| !is_live(key));
        self.show(&new, &report);
        *accepted = new;
        Ok(report)
    }

    fn show(&self, new: &Config, report: &ReloadReport) {
        let failed = |why: &String| self.problem("config-not-deployed", why.clone());
        let mut problems: Vec<_> = report.failures.iter().map(failed).collect();
        if !report.restart.is_empty() {
            let why = format!("these keys wait for a restart of the host: {}", report.restart.join(", "));
            problems.push(self.problem("config-restart-needed", why));
        }
        let processors = new.settings.processor.keys().cloned().collect();
        *self.accepted.shown.lock() = Shown { problems, processors };
    }

    /// Gives guests what is new for them, one processor after the other. What was refused for want of a grant is tried again.
    fn configure(&self, new: &Config, report: &mut ReloadReport) {
        let (configs, failures) = guest_configs(new, &self.secret);
        report.failures.extend(failures);
        for Configured { name, deployed } in self.dispatcher.configure(configs) {
            match deployed {
                Ok(deployment) => report.deployments.push(deployment),
                Err(DispatchError::NotGranted(_)) => report.failures.push(format!(
                    "{name} is paused, because what it needs is not granted any more; grant it and say `baton processor resume {name}`"
                )),
                Err(error) => {
                    report.failures.push(format!("{name} goes on with the settings before: {error}"))
                }
            }
        }
        self.registry.iter().chain(&self.definitions).for_each(Registry::rescan);
    }

    fn problem(&self, code: &str, message: String) -> FileProblem {
        let since = rfc3339(self.clock.now_ms());
        FileProblem { file: FILE_NAME.to_owned(), code: code.to_owned(), message, since }
    }
}

/// What is set for guests, and which secrets could not be read.
pub(super) fn guest_configs(config: &Config, key: &[u8; 32]) -> (Configs, Vec<String>) {
    let settings = &config.settings;
    let (mut secrets, mut failures) = (BTreeMap::new(), Vec::new());
    for (name, source) in &settings.secrets {
        match source.read(&config.dir) {
            Ok(secret) => drop(secrets.insert(name.clone(), secret)),
            Err(why) => failures.push(format!("the secret '{name}' cannot be read: {why}")),
        }
    }
    let values = settings.processor.iter().map(|(name, own)| (name.clone(), own.config.clone())).collect();
    (Configs { values, grants: settings.grants(), secrets, key: *key }, failures)
}

/// Whether a change of a key is in force without a restart.
fn is_live(key: &str) -> bool {
    let is_guest = key.strip_prefix("processor.").is_some_and(|rest| rest.contains(".config."));
    is_guest || key.starts_with("grants.") || key.starts_with("secrets.")
}
