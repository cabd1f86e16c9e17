//! Says what a failed call died of, from what the engine reports and what the guest said last.

use wasmtime::{Error, Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

use super::error::CallError;
use super::limits::{InstanceLimits, MemoryRefused, OUTCOMES_BYTES_MAX};

/// The most functions of a trap's stack that are kept.
const FRAMES_MAX: usize = 16;
/// How the engine words that a guest handed over too much; it has no public type for it. A test holds this.
const FUEL_EXHAUSTED: &str = "fuel allocated for hostcalls has been exhausted";

/// What is known beside the engine's error.
pub(super) struct Facts {
    pub limits: InstanceLimits,
    /// What the guest wrote to standard error last: a panic's words.
    pub complaint: Option<String>,
}

/// The reason behind the engine's error.
pub(super) fn of(error: &Error, facts: &Facts) -> CallError {
    if let Some(ours) = error.downcast_ref::<CallError>() {
        return ours.clone();
    }
    if let Some(MemoryRefused { asked, max }) = error.downcast_ref() {
        return CallError::Memory { asked: *asked, max: *max };
    }
    if let Some(Trap::Interrupt) = error.downcast_ref() {
        return CallError::Deadline { ms: facts.limits.event_time_ms_max };
    }
    if error.chain().any(|cause| cause.to_string().contains(FUEL_EXHAUSTED)) {
        return CallError::Output { max: OUTCOMES_BYTES_MAX as u64 };
    }
    CallError::Trap { message: message(error, facts), frames: frames(error) }
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
