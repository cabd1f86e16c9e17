//! What a host is made of, as the application that embeds it says: where its journal is, whose clock it has, which processors are the
//! application's own code. It starts nothing itself.

use std::path::PathBuf;
use std::sync::Arc;

use crate::clock::{Clock, SystemClock};
use crate::config::{Config, Settings};
use crate::dispatch::Native;
use crate::runtime::{CompileLimits, Compiler, Engine};

use super::{Node, StartError};

/// Makes a host step by step: [`Node::builder`].
#[must_use]
pub struct NodeBuilder {
    pub(super) source: Source,
    pub(super) settings: Option<Settings>,
    pub(super) in_memory: bool,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) natives: Vec<Native>,
    pub(super) engine: Option<Engine>,
    pub(super) compiler: Compiler,
    pub(super) compile_limits: CompileLimits,
}

/// Where a host's folders and settings come from.
pub(super) enum Source {
    /// It has no folder.
    Nowhere,
    /// A folder with an optional `baton.toml`.
    Folder(PathBuf),
    /// They are known.
    Config(Box<Config>),
}

impl Default for NodeBuilder {
    fn default() -> Self {
        Self {
            source: Source::Nowhere,
            settings: None,
            in_memory: false,
            clock: Arc::new(SystemClock),
            natives: Vec::new(),
            engine: None,
            compiler: Compiler::Nobody,
            compile_limits: CompileLimits::default(),
        }
    }
}

impl NodeBuilder {
    /// The folder with `baton.toml` and `processors/`, both optional, as `baton serve` takes it: what is dropped into
    /// `processors/` runs, and the journal is in `.baton`. Without a folder everything is in memory and ends with the node.
    pub fn folder(mut self, dir: impl Into<PathBuf>) -> Self {
        self.source = Source::Folder(dir.into());
        self
    }

    /// A configuration that is read already.
    pub fn config(mut self, config: Config) -> Self {
        self.source = Source::Config(Box::new(config));
        self
    }

    /// Settings of the application's own; then no `baton.toml` is read.
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = Some(settings);
        self
    }

    /// Keeps journal and views in memory although there is a folder: they end with the node.
    pub fn in_memory(mut self) -> Self {
        self.in_memory = true;
        self
    }

    /// The time of day; the machine's unless set.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Runs a processor of the application's own code from the start on.
    pub fn native(mut self, native: Native) -> Self {
        self.natives.push(native);
        self
    }

    /// The program that compiles components, each in a process of its own and within limits: the `baton` of this very version. Without one, only
    /// components run whose code is in the cache of the folder.
    pub fn compiler(mut self, program: impl Into<PathBuf>) -> Self {
        self.compiler = Compiler::Program(program.into());
        self
    }

    /// What one compilation may use of the machine: 60 s of processor time, 4 GiB and 90 s unless set.
    pub fn compile_limits(mut self, limits: CompileLimits) -> Self {
        self.compile_limits = limits;
        self
    }

    /// Compiles components in the application's own process, without limits: for components that are trusted like its own code. A
    /// hostile one takes minutes and all memory.
    pub fn compile_in_process(mut self) -> Self {
        self.compiler = Compiler::InProcess;
        self
    }

    /// Who compiles, where the program itself can.
    pub(crate) fn compiled_by(mut self, compiler: Compiler) -> Self {
        self.compiler = compiler;
        self
    }

    /// Shares an engine with other hosts of the process.
    #[doc(hidden)]
    pub fn engine(mut self, engine: Engine) -> Self {
        self.engine = Some(engine);
        self
    }

    /// Starts the host. It takes events when this returns.
    pub async fn start(self) -> Result<Node, StartError> {
        let started = tokio::task::spawn_blocking(move || super::start::start(self)).await;
        started.unwrap_or_else(|error| Err(StartError::Thread(std::io::Error::other(error))))
    }
}
