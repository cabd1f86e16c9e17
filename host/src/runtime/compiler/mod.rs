//! Compiling is an open door: a valid module of a few KiB can keep the compiler busy for minutes, and who breaks the compiler breaks
//! out of every sandbox. So a host compiles in a process of its own, within limits, which ends with its one component.
//!
//! The process gets bytes and gives code; what is cached, and under which seal, is the host's alone.

mod child;
mod limits;
mod process;
mod refused;

use std::path::PathBuf;

use wasmtime::Engine;
use wasmtime::component::Component;

pub use child::{COMMAND, compile_child};
pub use limits::CompileLimits;
pub(super) use refused::Refused;

use super::error::Error;
use crate::model::text::told;

/// Who compiles what is not in the cache.
#[derive(Clone, Debug, Default)]
pub enum Compiler {
    /// Nobody: what is not in the cache does not run.
    #[default]
    Nobody,
    /// This process, without limits: for components that are trusted like the application's own code.
    InProcess,
    /// A process of this program, which has to be a `baton` of this very version.
    Program(PathBuf),
}

impl Compiler {
    /// A process of the running program, which has to be `baton`.
    pub fn of_this_program() -> Self {
        // Where it was started from may be another version by now.
        let running = PathBuf::from("/proc/self/exe");
        match running.exists() {
            true => Self::Program(running),
            false => std::env::current_exe().map_or(Self::Nobody, Self::Program),
        }
    }

    /// Makes code of a component that was inspected.
    pub(super) fn compile(
        &self,
        engine: &Engine,
        limits: &CompileLimits,
        bytes: &[u8],
    ) -> Result<Vec<u8>, Error> {
        match self {
            Self::Nobody => Err(Error::NoCompiler),
            Self::InProcess => in_process(engine, bytes),
            Self::Program(program) => process::Job { program, limits, engine }.run(bytes),
        }
    }
}

fn in_process(engine: &Engine, bytes: &[u8]) -> Result<Vec<u8>, Error> {
    engine.precompile_component(bytes).map_err(|error| Error::Invalid { why: told(&format!("{error:#}")) })
}

/// Takes code into use that this host compiled.
#[allow(unsafe_code)]
pub(super) fn take(engine: &Engine, code: &[u8]) -> Result<Component, Error> {
    // SAFETY: code comes from `Compiler::compile` of this very load: this process made it, or one that this host started for it alone, over a
    // pipe that nobody else has.
    let component = unsafe { Component::deserialize(engine, code) };
    component.map_err(|error| Error::Engine { why: format!("{error:#}") })
}
