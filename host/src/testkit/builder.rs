//! What a bench is made of, and how it is set up: components, settings, native processors, a node in memory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use tokio::runtime::Handle;

use crate::clock::ManualClock;
use crate::config::Settings;
use crate::dispatch::Native;
use crate::model::name::ProcessorName;
use crate::node::Node;

use super::components::{self, Loaded};
use super::{BEGINNING_MS, TestError, Topology};

/// What a bench is made of.
#[derive(Default)]
#[must_use]
pub struct TopologyBuilder {
    parts: Vec<Part>,
    natives: Vec<Native>,
    config: BTreeMap<String, BTreeMap<String, String>>,
    begins_ms: Option<u64>,
}

enum Part {
    File(PathBuf),
    Folder(PathBuf),
    Crate(PathBuf),
    Bytes(Bytes),
}

impl TopologyBuilder {
    /// A component file.
    pub fn wasm(mut self, file: impl Into<PathBuf>) -> Self {
        self.parts.push(Part::File(file.into()));
        self
    }

    /// Every component file in a folder, those in folders of it left out.
    pub fn wasm_in(mut self, folder: impl Into<PathBuf>) -> Self {
        self.parts.push(Part::Folder(folder.into()));
        self
    }

    /// The component of a crate, built now: `crate_dir(env!("CARGO_MANIFEST_DIR"))` is the crate under test. It runs `cargo build
    /// --release --target wasm32-wasip2 --offline` there.
    pub fn crate_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.parts.push(Part::Crate(folder.into()));
        self
    }

    /// The bytes of a component.
    pub fn component(mut self, bytes: impl Into<Bytes>) -> Self {
        self.parts.push(Part::Bytes(bytes.into()));
        self
    }

    /// A processor in native code.
    pub fn native(mut self, native: Native) -> Self {
        self.natives.push(native);
        self
    }

    /// A setting of a processor, as `[processor.NAME.config]` in `baton.toml`.
    pub fn config(mut self, processor: &str, name: &str, value: &str) -> Self {
        let settings = self.config.entry(processor.to_owned()).or_default();
        settings.insert(name.to_owned(), value.to_owned());
        self
    }

    /// When the clock begins, in milliseconds since the Unix epoch; 2026-01-01T00:00:00Z unless set.
    pub fn begins_at(mut self, now_ms: u64) -> Self {
        self.begins_ms = Some(now_ms);
        self
    }

    /// Sets the bench up. Nothing runs before [`Topology::run_until_quiet`].
    pub fn build(self) -> Result<Topology, TestError> {
        let mut settings = Settings::default();
        // One thread: the order in which processors run is the same every time.
        settings.limits.workers = Some(1);
        settings.limits.threads_max = 1;
        for (name, config) in &self.config {
            let name =
                name.parse::<ProcessorName>().map_err(|error| TestError::Name { why: error.to_string() })?;
            settings.processor.entry(name).or_default().config = config.clone();
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build();
        let runtime = runtime.map_err(|error| TestError::Host { why: error.to_string() })?;
        let clock = Arc::new(ManualClock::at(self.begins_ms.unwrap_or(BEGINNING_MS)));
        let builder = Node::builder().settings(settings).clock(clock.clone());
        let builder = self.natives.into_iter().fold(builder, crate::node::NodeBuilder::native);
        let started = wait(runtime.handle(), builder.start());
        let node = started.map_err(|error| TestError::Host { why: error.to_string() })?;
        node.hold_back();
        let handle = runtime.handle().clone();
        let mut topology = Topology { node, clock, handle, runtime: Some(runtime), published: 0 };
        for part in &self.parts {
            part.components()?.into_iter().try_for_each(|loaded| deploy(&topology, loaded))?;
        }
        is_meant(&topology, self.config.keys())?;
        // What starts up has nothing to do, and is done with that before the first event.
        topology.run_until_quiet()?;
        Ok(topology)
    }
}

impl Part {
    fn components(&self) -> Result<Vec<Loaded>, TestError> {
        match self {
            Self::File(file) => Ok(vec![components::read(file)?]),
            Self::Folder(folder) => {
                components::in_folder(folder)?.iter().map(|file| components::read(file)).collect()
            }
            Self::Crate(folder) => {
                components::build(folder)?.iter().map(|file| components::read(file)).collect()
            }
            Self::Bytes(bytes) => Ok(vec![components::load(Path::new("the component"), bytes)?]),
        }
    }
}

fn deploy(topology: &Topology, loaded: Loaded) -> Result<(), TestError> {
    let name = loaded.program.descriptor().name.clone();
    let from = loaded.file.display().to_string();
    if topology.node.processor(&name).is_some() {
        return Err(TestError::Twice { name: name.to_string(), file: from });
    }
    let deployed = topology.node.deploy_program(loaded.program);
    deployed.map(drop).map_err(|error| TestError::Component {
        file: from,
        code: error.code().to_owned(),
        why: error.to_string(),
    })
}

/// A setting for a processor that is not there is a slip of the pen.
fn is_meant<'a>(
    topology: &Topology,
    mut processors: impl Iterator<Item = &'a String>,
) -> Result<(), TestError> {
    let known = topology.names();
    match processors.find(|name| !known.contains(name)) {
        Some(name) => Err(TestError::UnknownProcessor { name: name.clone(), known }),
        None => Ok(()),
    }
}

/// Waits on a thread of its own, so that it works inside of an asynchronous test as well.
pub(super) fn wait<T: Send>(runtime: &Handle, what: impl Future<Output = T> + Send) -> T {
    std::thread::scope(|scope| match scope.spawn(|| runtime.block_on(what)).join() {
        Ok(value) => value,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}
