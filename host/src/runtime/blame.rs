//! Says what a failed call died of, from what the engine reports and what the guest said last.

use wasmtime::component::ResourceTableError;
use wasmtime::{Error, Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

use super::error::CallError;
use super::limits::{CORE_INSTANCES_MAX, HANDLES_MAX, MEMORIES_MAX, OUTCOMES_BYTES_MAX, TABLES_MAX};
use crate::model::bounds::Bounds;

/// The most functions of a trap's stack that are kept.
const FRAMES_MAX: usize = 16;
/// How the engine words that a component has too many of something.
const LIMIT_EXCEEDED: &str = "resource limit exceeded: ";
/// How the engine words that a guest handed over too much; it has no public type for it. A test holds this.
const FUEL_EXHAUSTED: &str = "fuel allocated for hostcalls has been exhausted";

/// What is known beside the engine's error.
pub(super) struct Facts {
    pub bounds: Bounds,
    /// What the guest wrote to standard error last: a panic's words.
    pub complaint: Option<String>,
}

/// The reason behind the engine's error.
pub(super) fn of(error: &Error, facts: &Facts) -> CallError {
    if let Some(ours) = error.downcast_ref::<CallError>() {
        return ours.clone();
    }
    if let Some(ResourceTableError::Full) = error.downcast_ref() {
        return CallError::Resources { what: "handles".into(), max: HANDLES_MAX as u64 };
    }
    if let Some(Trap::Interrupt) = error.downcast_ref() {
        return CallError::Deadline { ms: facts.bounds.event_time_ms_max };
    }
    if error.chain().any(|cause| cause.to_string().contains(FUEL_EXHAUSTED)) {
        return CallError::Output { max: OUTCOMES_BYTES_MAX as u64 };
    }
    too_many(error)
        .unwrap_or_else(|| CallError::Trap { message: message(error, facts), frames: frames(error) })
}

/// The engine counts instances, memories and tables, and has no public type for too many. A test holds its words.
fn too_many(error: &Error) -> Option<CallError> {
    let root = error.root_cause().to_string();
    let (what, max) = match root.strip_prefix(LIMIT_EXCEEDED)?.split(' ').next()? {
        "instance" => ("core instances", CORE_INSTANCES_MAX),
        "memory" => ("memories", MEMORIES_MAX),
        "table" => ("tables", TABLES_MAX),
        _ => return None,
    };
    Some(CallError::Resources { what: what.into(), max: max as u64 })
}

fn message(error: &Error, facts: &Facts) -> String {
    if let Some(I32Exit(status)) = error.downcast_ref() {
        return format!("it ended its own process with status {status}; return an outcome instead");
    }
    let engine = match error.downcast_ref::<Trap>() {
        Some(trap) => trap.to_string(),
        None => error.root_cause().to_string(),
    };
    match (&facts.complaint, error.downcast_ref()) {
        (Some(complaint), Some(Trap::UnreachableCodeReached)) => complaint.clone(),
        _ => engine,
    }
}

fn frames(error: &Error) -> Vec<String> {
    let frames = error.downcast_ref::<WasmBacktrace>().map(|trace| trace.frames());
    let name = |frame: &wasmtime::FrameInfo| {
        frame.func_name().map_or_else(|| format!("function {}", frame.func_index()), demangled)
    };
    frames.unwrap_or_default().iter().take(FRAMES_MAX).map(name).collect()
}

/// The engine demangles in its own text only, so the hash at the end of a Rust name is cut off here.
fn demangled(name: &str) -> String {
    name.split_once("::h").filter(|(_, hash)| hash.len() == 16).map_or(name, |(name, _)| name).to_owned()
}
