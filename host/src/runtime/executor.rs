//! What a lane runs: a guest in its sandbox, or native code under the same contract.

use std::sync::Arc;

use super::batch::Batch;
use super::builder::OutcomesBuilder;
use super::calls::{CallScope, HostCalls};
use super::error::CallError;
use super::instance::Instance;
use super::outcomes::Outcomes;

/// Native code that handles events: an embedder's, or the yardstick of a benchmark.
pub trait NativeHandler: Send {
    /// Handles every event of the batch in order, and finishes an outcome for each in `out`. An error is the host's
    /// failure; an event that cannot be handled is an outcome with another verdict.
    fn handle(&mut self, call: &NativeCall<'_>, out: &mut OutcomesBuilder) -> Result<(), CallError>;
}

/// What native code gets.
#[derive(Clone, Copy)]
pub struct NativeCall<'a> {
    /// The events.
    pub batch: &'a Batch,
    /// The host, as a guest sees it.
    pub calls: &'a dyn HostCalls,
}

impl<'a> NativeCall<'a> {
    /// The scope for a host call.
    pub fn scope(&self) -> CallScope<'a> {
        CallScope::new(self.batch)
    }
}

/// A handler together with the host calls that it may make.
pub struct NativeInstance {
    handler: Box<dyn NativeHandler>,
    calls: Arc<dyn HostCalls>,
}

/// What a lane runs.
pub enum Executor {
    /// A guest.
    Wasm(Instance),
    /// Native code.
    Native(NativeInstance),
}

impl Executor {
    /// Native code, and the host that it sees.
    pub fn native(handler: Box<dyn NativeHandler>, calls: Arc<dyn HostCalls>) -> Self {
        Self::Native(NativeInstance { handler, calls })
    }

    /// Handles a batch.
    pub fn call(&mut self, batch: &Batch) -> Result<Outcomes, CallError> {
        match self {
            Self::Wasm(instance) => instance.call(batch),
            Self::Native(native) => native.call(batch),
        }
    }

    /// Whether it must be replaced by a new one.
    pub fn is_spent(&self) -> bool {
        match self {
            Self::Wasm(instance) => instance.is_spent(),
            Self::Native(_) => false,
        }
    }

    /// What its memories and tables have together; native code has none of its own.
    pub fn memory_bytes(&self) -> u64 {
        match self {
            Self::Wasm(instance) => instance.memory_bytes(),
            Self::Native(_) => 0,
        }
    }
}

impl NativeInstance {
    fn call(&mut self, batch: &Batch) -> Result<Outcomes, CallError> {
        let mut out = OutcomesBuilder::default();
        self.handler.handle(&NativeCall { batch, calls: &*self.calls }, &mut out)?;
        out.build(batch.len())
    }
}
