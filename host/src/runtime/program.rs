//! A compiled processor: cheap to clone, and quick to make instances of.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use wasmtime::component::{Component, ComponentExportIndex, InstancePre};

use super::bindings::{HANDLE, HANDLER};
use super::calls::HostCalls;
use super::engine::Engine;
use super::error::Error;
use super::inspect::Inspected;
use super::instance::{Guest, Instance};
use super::outside::Driver;
use crate::model::bounds::Bounds;
use crate::model::descriptor::Descriptor;
use crate::model::text::told;

/// A compiled processor. Clones share it.
#[derive(Clone)]
pub struct Program {
    shared: Arc<Shared>,
}

struct Shared {
    engine: Engine,
    inspected: Inspected,
    component: Component,
    pre: InstancePre<Guest>,
    handle: ComponentExportIndex,
    bounds: Bounds,
    compile_time: Duration,
    from_cache: bool,
}

/// Code and where it came from.
pub(super) struct Compiled {
    pub component: Component,
    pub compile_time: Duration,
    pub from_cache: bool,
}

impl std::fmt::Debug for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Program")
            .field("name", &self.descriptor().name)
            .field("digest", &self.digest())
            .finish()
    }
}

impl Program {
    pub(super) fn new(engine: &Engine, inspected: Inspected, compiled: Compiled) -> Result<Self, Error> {
        let Compiled { component, compile_time, from_cache } = compiled;
        let bounds = Bounds::of(&inspected.descriptor.limits);
        let pre = engine.linker().instantiate_pre(&component);
        let pre = pre.map_err(|error| Error::World { why: told(&format!("{error:#}")) })?;
        let handle = handle_of(&component)
            .ok_or_else(|| Error::World { why: format!("'{HANDLER}' has no function '{HANDLE}'") })?;
        let engine = engine.clone();
        let shared = Shared { engine, inspected, component, pre, handle, bounds, compile_time, from_cache };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Makes an instance with memory of its own. Runs the guest's start code.
    pub fn instantiate(&self, calls: Arc<dyn HostCalls>) -> Result<Instance, Error> {
        Instance::new(self.clone(), calls).map_err(Error::Instantiate)
    }

    /// The blake3 hash of the component, in hex.
    pub fn digest(&self) -> &str {
        &self.shared.inspected.digest
    }

    /// What the component says of itself.
    pub fn descriptor(&self) -> &Descriptor {
        &self.shared.inspected.descriptor
    }

    /// All that is known without running it.
    pub fn inspected(&self) -> &Inspected {
        &self.shared.inspected
    }

    /// What one instance may use.
    pub fn bounds(&self) -> Bounds {
        self.shared.bounds
    }

    pub(super) fn ticks(&self) -> Arc<AtomicU64> {
        self.shared.engine.ticks()
    }

    /// How long it took to compile it, or to take it from the cache.
    pub fn compile_time(&self) -> Duration {
        self.shared.compile_time
    }

    /// Whether the code was in the cache.
    pub fn from_cache(&self) -> bool {
        self.shared.from_cache
    }

    pub(super) fn wasmtime(&self) -> &wasmtime::Engine {
        self.shared.engine.wasmtime()
    }

    pub(super) fn pre(&self) -> &InstancePre<Guest> {
        &self.shared.pre
    }

    /// As [`Program::pre`], for instances that have sockets.
    pub(super) fn pre_with_sockets(&self) -> wasmtime::Result<InstancePre<Guest>> {
        self.shared.engine.linker_with_sockets()?.instantiate_pre(&self.shared.component)
    }

    pub(super) fn driver(&self) -> &Driver {
        self.shared.engine.driver()
    }

    pub(super) fn handle(&self) -> &ComponentExportIndex {
        &self.shared.handle
    }
}

fn handle_of(component: &Component) -> Option<ComponentExportIndex> {
    let handler = component.get_export_index(None, HANDLER)?;
    component.get_export_index(Some(&handler), HANDLE)
}
