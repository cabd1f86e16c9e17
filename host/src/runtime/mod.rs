//! Runs processors in sandboxes: the only place that names the WebAssembly engine.
//!
//! It owns what crosses the sandbox, the bounds of a guest and the cache of compiled code. It never decides what
//! a guest may see (dispatch does, behind [`HostCalls`]), never commits anything, and keeps nothing between
//! two calls but the guest's own memory. It is synchronous: call it from a plain thread, never from an async task.

mod batch;
mod bindings;
mod blame;
mod builder;
mod cache;
mod calls;
mod check;
mod compiler;
mod costs;
mod cpu;
mod engine;
mod error;
mod executor;
mod expressions;
mod inspect;
mod instance;
mod limits;
mod logbook;
mod outcomes;
mod outside;
mod program;
mod rows;
mod tables;
mod usage;
mod wasi;

pub use batch::{Batch, BatchEvent};
pub use bindings::{Level, Verdict};
pub use builder::{NewEmit, OutcomesBuilder};
pub use calls::{CallScope, HostCalls, HostFailure, NoHostCalls};
pub use compiler::{COMMAND as COMPILE_COMMAND, CompileLimits, Compiler, compile_child};
pub use engine::{Engine, EngineConfig};
pub use error::{CallError, Error, ImportRefused};
pub use executor::{Executor, NativeCall, NativeHandler, NativeInstance};
pub use expressions::{ExpressionError, Expressions, Given};
pub use inspect::{Inspected, inspect};
pub use instance::Instance;
pub use limits::{COMPONENT_BYTES_MAX, LOG_EVENT_BYTES_MAX, OUTCOMES_BYTES_MAX};
pub use outcomes::{Emit, Outcome, Outcomes, Write};
pub use outside::{HttpFailure, HttpFailureKind, HttpRequest, HttpResponse, Sockets};
pub use program::Program;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]
mod tests;
