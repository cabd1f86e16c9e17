//! Which processors and mediators exist: a folder of each says what is wanted, the journal what is deployed, and the registry says the difference. There is one for each `kind`.
//!
//! One thread owns all of it. A round: `folder` (list) -> `memory` (which files stand still) -> `load` (read once, hash, check,
//! compile) -> `decide` (pure) -> `wanted` (to whoever runs processors, who answers each). `watcher` only says that it is time
//! to look. It deploys nothing, knows no lanes, and never stops what runs because a file is bad.

mod asks;
mod decide;
mod error;
mod file;
mod folder;
mod kept;
mod kind;
mod load;
mod memory;
mod problems;
mod requests;
mod wanted;
mod watcher;
mod worker;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::clock::Clock;
use crate::model::deployment::Deployment;
use crate::model::name::ProcessorName;
use crate::model::report::FileProblem;

use kept::Kept;
use problems::Problems;
use worker::{Message, Worker};

pub use error::{Error, PutError};
pub use kept::kept;
pub use kind::{COMPONENT_ENDING, DEFINITION_ENDING, Kind, Unit};
pub use load::UNKNOWN_FUNCTION;
pub use wanted::{Candidate, FileFault, Removal, Running, Wanted};
pub use watcher::{Reach, Watcher};

/// How many puts and removals may wait, each with its bytes.
pub const REQUESTS_MAX: usize = 16;

/// Where the registry looks, and how patient it is.
#[derive(Clone, Debug)]
pub struct RegistryConfig {
    /// The folder that says what is wanted.
    pub wanted_dir: PathBuf,
    /// The folder where the bytes of what runs are kept.
    pub kept_dir: PathBuf,
    /// How long a file must stand still before it is read.
    pub settle: Duration,
    /// How long a file must stand still before it is called bad: somebody may be writing it slowly.
    pub doubt: Duration,
    /// How long after a hint the folder is looked at, so that many hints are one look.
    pub debounce: Duration,
    /// How often the folder is looked at without any hint.
    pub rescan: Duration,
}

impl RegistryConfig {
    /// The usual patience.
    pub fn new(wanted_dir: impl Into<PathBuf>, kept_dir: impl Into<PathBuf>) -> Self {
        Self {
            wanted_dir: wanted_dir.into(),
            kept_dir: kept_dir.into(),
            settle: Duration::from_millis(25),
            doubt: Duration::from_millis(500),
            debounce: Duration::from_millis(5),
            rescan: Duration::from_secs(5),
        }
    }
}

/// What came of a put.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "there is one for each request, and it is moved, not stored")]
pub enum Answer {
    /// It runs now.
    Deployed(Deployment),
    /// The bytes with this digest were running already.
    Unchanged(String),
}

/// Knows which processors exist. A cheap handle; the registry stops with [`Registry::stop`] or with the last handle.
#[derive(Clone)]
pub struct Registry {
    shared: Arc<Shared>,
}

struct Shared {
    post: Sender<Message>,
    problems: Arc<Problems>,
    kept: Kept,
    kind: Kind,
    waiting: Arc<AtomicUsize>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Registry {
    /// Starts watching. `deployed` is what runs already: its bytes in the folder are no difference.
    pub fn start(
        config: RegistryConfig,
        kind: Kind,
        clock: Arc<dyn Clock>,
        deployed: Vec<Running>,
    ) -> Result<(Self, Receiver<Wanted>), Error> {
        let problems = Arc::new(Problems::new(clock));
        let (worker, post, wanted) = Worker::new(config, kind.clone(), problems.clone(), &deployed)?;
        let kept = worker.kept().clone();
        let thread = std::thread::Builder::new().name("baton-registry".to_owned());
        let thread = thread.spawn(move || worker.run()).map_err(Error::Thread)?;
        let thread = Mutex::new(Some(thread));
        let shared = Shared { post, problems, kept, kind, waiting: Arc::default(), thread };
        Ok((Self { shared: Arc::new(shared) }, wanted))
    }

    /// What is wrong in the folder now.
    pub fn problems(&self) -> Vec<FileProblem> {
        self.shared.problems.list()
    }

    /// Checks a component, puts it into the folder at one stroke, and waits for what comes of it. A component that
    /// cannot be used leaves the folder as it was.
    pub async fn put(&self, name: &ProcessorName, bytes: Bytes) -> Result<Answer, PutError> {
        self.compile(bytes.clone()).await?;
        let name = name.clone();
        self.ask(|reply| Message::Put { name, bytes, reply }).await
    }

    /// Has a component in the cache before the registry's thread looks at it, which others wait for too. On a thread of its own, which
    /// nobody waits for at a stop.
    async fn compile(&self, bytes: Bytes) -> Result<(), PutError> {
        let _place = Place::take(&self.shared.waiting)?;
        let kind = self.shared.kind.clone();
        let (tell, told) = oneshot::channel();
        let compile = move || {
            let loaded = if kind.loads_at_once(&bytes) { Ok(()) } else { kind.load(&bytes).map(drop) };
            drop(tell.send(loaded));
        };
        let thread = std::thread::Builder::new().name("baton-loader".to_owned()).spawn(compile);
        thread.map_err(|_| PutError::Busy(REQUESTS_MAX))?;
        let loaded = told.await.map_err(|_| PutError::Stopped)?;
        loaded.map_err(PutError::invalid)
    }

    /// Removes every file that provides a processor, and waits until it runs no more. One that does not run and has no
    /// file is as good as removed.
    pub async fn remove(&self, name: &ProcessorName) -> Result<(), PutError> {
        let name = name.clone();
        self.ask(|reply| Message::Remove { name, reply }).await
    }

    /// Looks now, and tries again what failed.
    pub fn rescan(&self) {
        // It fails when the registry has stopped, and then nothing is to be looked for.
        drop(self.shared.post.send(Message::Rescan));
    }

    /// The bytes of a version that runs or ran before.
    pub fn kept(&self, digest: &str) -> Option<Bytes> {
        self.shared.kept.get(digest)
    }

    /// Ends the thread, and does not wait for what is being compiled. What was asked of the consumer may still be answered.
    pub fn stop(&self) {
        self.shared.stop();
    }

    async fn ask<T>(
        &self,
        message: impl FnOnce(oneshot::Sender<Result<T, PutError>>) -> Message,
    ) -> Result<T, PutError> {
        let _place = Place::take(&self.shared.waiting)?;
        let (reply, answer) = oneshot::channel();
        self.shared.post.send(message(reply)).map_err(|_| PutError::Stopped)?;
        answer.await.map_err(|_| PutError::Stopped)?
    }
}

impl Shared {
    fn stop(&self) {
        drop(self.post.send(Message::Stop));
        let Some(thread) = self.thread.lock().take() else { return };
        if thread.join().is_err() {
            tracing::error!("the registry's thread panicked; restart the host");
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.stop();
    }
}

/// One of the requests that may wait.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(waiting: &Arc<AtomicUsize>) -> Result<Self, PutError> {
        let place = Self(waiting.clone());
        match waiting.fetch_add(1, Ordering::AcqRel) {
            taken if taken < REQUESTS_MAX => Ok(place),
            _ => Err(PutError::Busy(REQUESTS_MAX)),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
