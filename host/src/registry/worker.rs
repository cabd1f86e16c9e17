//! The thread that owns the registry: it waits for hints, requests and answers, and goes round after round.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::oneshot;

use super::decide::{Digests, Plan, World, decide};
use super::file::{Claim, Look, Patience, Stamp};
use super::folder::{Contents, Folder};
use super::kept::Kept;
use super::kind::Kind;
use super::load::{Compiled, Loaded, Loader, Step, is_passing};
use super::memory::Memory;
use super::problems::Problems;
use super::requests::Requests;
use super::wanted::{FileFault, Running, Wanted};
use super::watcher::{Reach, Watcher};
use super::{Answer, Error, PutError, RegistryConfig};
use crate::model::deployment::Deployment;
use crate::model::name::ProcessorName;

/// What the thread is told.
pub(super) enum Message {
    Hint,
    Rescan,
    Put { name: ProcessorName, bytes: Bytes, reply: oneshot::Sender<Result<Answer, PutError>> },
    Remove { name: ProcessorName, reply: oneshot::Sender<Result<(), PutError>> },
    Compiled(Box<Compiled>),
    Deployed(Claim, Box<Result<Deployment, FileFault>>),
    Removed(ProcessorName, Result<(), FileFault>),
    Stop,
}

/// All that the registry knows.
pub(super) struct Worker {
    pub(super) folder: Folder,
    pub(super) memory: Memory,
    pub(super) world: World,
    pub(super) loader: Loader,
    pub(super) requests: Requests,
    /// Compiled versions that were not offered yet, by file.
    pub(super) shelf: BTreeMap<String, Loaded>,
    config: RegistryConfig,
    problems: Arc<Problems>,
    folder_fault: Option<FileFault>,
    folder_identity: Option<u64>,
    watcher: Option<Watcher>,
    hinted: Arc<AtomicBool>,
    started: Instant,
    pub(super) post: Sender<Message>,
    pub(super) inbox: Receiver<Message>,
    pub(super) wanted: Sender<Wanted>,
}

impl Worker {
    pub fn new(
        config: RegistryConfig,
        kind: Kind,
        problems: Arc<Problems>,
        deployed: &[Running],
    ) -> Result<(Self, Sender<Message>, Receiver<Wanted>), Error> {
        let kept = prepare(&config, &kind, deployed)?;
        let (post, inbox) = mpsc::channel();
        let (wanted, receiver) = mpsc::channel();
        let patience = Patience { settle: config.settle, doubt: config.doubt };
        let worker = Self {
            folder: Folder::new(&config.wanted_dir, &kind),
            memory: Memory::new(patience, deployed),
            world: World { running: deployed.iter().map(digests).collect(), ..World::default() },
            loader: Loader::new(kind, kept),
            requests: Requests::default(),
            shelf: BTreeMap::new(),
            config,
            problems,
            folder_fault: None,
            folder_identity: None,
            watcher: None,
            hinted: Arc::default(),
            started: Instant::now(),
            post: post.clone(),
            inbox,
            wanted,
        };
        Ok((worker, post, receiver))
    }

    pub fn kept(&self) -> &Kept {
        &self.loader.kept
    }

    /// Works until it is told to stop.
    pub fn run(mut self) {
        self.watch();
        let mut rescan_at = self.config.rescan;
        let mut look_at = Some(Duration::ZERO);
        loop {
            let wake_at = [look_at, self.wake_at()].into_iter().flatten().fold(rescan_at, Duration::min);
            match self.inbox.recv_timeout(wake_at.saturating_sub(self.now())) {
                Ok(Message::Stop) | Err(mpsc::RecvTimeoutError::Disconnected) => return,
                Ok(Message::Hint) => {
                    look_at = look_at.or(Some(self.now() + self.config.debounce));
                    continue;
                }
                Ok(message) => self.take(message),
                Err(mpsc::RecvTimeoutError::Timeout) => look_at = None,
            }
            if self.now() >= rescan_at {
                rescan_at = self.now() + self.config.rescan;
                self.try_again(is_passing);
            }
            self.round(self.now());
        }
    }

    /// Looks at the folder, reads at most one file, and says what is different.
    pub fn round(&mut self, now: Duration) {
        // From here on a change is worth a hint; until here one hint stood for all.
        self.hinted.store(false, Ordering::Release);
        self.list(now);
        if let Some((file, stamp)) = self.memory.due(now).filter(|_| self.folder_fault.is_none()) {
            self.look(&file, stamp, now);
        }
        let plan = decide(&self.memory, &self.world);
        self.tell_problems(&plan);
        self.carry_out(plan);
        self.requests.settle(&self.memory, &self.world);
    }

    /// Takes note of a request or an answer.
    pub fn take(&mut self, message: Message) {
        match message {
            Message::Put { name, bytes, reply } => self.put(name, &bytes, reply),
            Message::Remove { name, reply } => self.remove(name, reply),
            Message::Compiled(compiled) => {
                self.loader.compiled(*compiled);
                self.memory.compiled();
            }
            Message::Deployed(claim, result) => self.deployed(&claim, *result),
            Message::Removed(name, result) => self.removed(&name, result),
            Message::Rescan => self.try_again(|_| true),
            Message::Hint | Message::Stop => {}
        }
    }

    pub(super) fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// When a file has stood still for long enough. In a folder that cannot be read, none has.
    pub fn wake_at(&self) -> Option<Duration> {
        self.memory.wake_at().filter(|_| self.folder_fault.is_none())
    }

    fn try_again(&mut self, which: fn(&FileFault) -> bool) {
        self.memory.retry(which);
        self.world.stuck.clear();
    }

    fn watch(&mut self) {
        let (post, hinted) = (self.post.clone(), self.hinted.clone());
        let hint = move || {
            if !hinted.swap(true, Ordering::AcqRel) {
                // It fails when the registry has stopped, and then nobody needs it.
                drop(post.send(Message::Hint));
            }
        };
        self.watcher = Some(Watcher::new(Reach::Tree, hint));
    }

    fn list(&mut self, now: Duration) {
        self.follow_folder();
        match self.folder.list() {
            Ok(listing) => {
                self.folder_fault = None;
                self.memory.see(&listing, now);
            }
            Err(fault) => self.folder_fault = Some(fault),
        }
    }

    /// The folder may be moved away and another put in its place.
    fn follow_folder(&mut self) {
        let identity = self.folder.identity();
        let Some(watcher) = &mut self.watcher else { return };
        if identity != self.folder_identity {
            self.folder_identity = identity;
            watcher.lost(self.folder.dir());
        }
        if identity.is_some() {
            watcher.watch(self.folder.dir());
        }
    }

    fn look(&mut self, file: &str, stamp: Stamp, now: Duration) {
        self.shelf.remove(file);
        let look = match self.folder.read(file, stamp) {
            Contents::Whole(bytes) => self.load(file, bytes),
            Contents::Moved(stamp) => Look::Moved(stamp),
            Contents::Bad(fault) => Look::Bad(fault),
        };
        self.memory.looked(file, look, now);
    }

    fn load(&mut self, file: &str, bytes: Vec<u8>) -> Look {
        let post = self.post.clone();
        // It fails when the registry has stopped, and then nobody needs it.
        let done = move |compiled| drop(post.send(Message::Compiled(Box::new(compiled))));
        match self.loader.load_soon(bytes, &self.world, done) {
            Ok(Step::Compiling(claim)) => {
                tracing::info!(file, processor = %claim.name, "it waits for the compiler");
                Look::Compiling(claim)
            }
            Ok(Step::Loaded((claim, Some(loaded)))) => {
                self.shelf.insert(file.to_owned(), loaded);
                Look::Good(claim)
            }
            Ok(Step::Loaded((claim, None))) => {
                tracing::info!(file, processor = %claim.name, digest = claim.digest, "unchanged: these bytes run already");
                Look::Good(claim)
            }
            Err(fault) => Look::Bad(fault),
        }
    }

    fn tell_problems(&mut self, plan: &Plan) {
        let mut faults = plan.clashes.clone();
        faults.extend(self.memory.faults(|claim| self.world.runs(claim)));
        let dir = || self.folder.dir().display().to_string();
        faults.extend(self.folder_fault.clone().map(|fault| (dir(), fault)));
        self.problems.set(faults);
    }

    fn carry_out(&mut self, plan: Plan) {
        // A version that may not run yet is compiled again when it may; the compiled code is in the cache.
        self.shelf.retain(|file, _| !plan.clashes.contains_key(file));
        for name in plan.removals {
            self.ask_removal(name);
        }
        for (file, claim) in plan.offers {
            match self.shelf.remove(&file) {
                Some(loaded) => self.offer(file, claim, loaded),
                None => self.memory.look_again(&file),
            }
        }
    }
}

/// Makes the folders. The watched folder is made only for a host without any: with some, a folder that is missing is
/// more likely not mounted than emptied.
fn prepare(config: &RegistryConfig, kind: &Kind, deployed: &[Running]) -> Result<Kept, Error> {
    let failed = |folder: &std::path::Path| {
        let folder = folder.to_owned();
        move |source| Error::Folder { folder, source }
    };
    if deployed.is_empty() {
        std::fs::create_dir_all(&config.wanted_dir).map_err(failed(&config.wanted_dir))?;
    }
    let ending = kind.endings().first().copied().unwrap_or_default();
    Kept::open(&config.kept_dir, ending).map_err(failed(&config.kept_dir))
}

fn digests(running: &Running) -> (ProcessorName, Digests) {
    let Running { name, digest, previous_digest, .. } = running.clone();
    (name, Digests { current: digest, previous: previous_digest })
}
