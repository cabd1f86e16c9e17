//! The bounds of a guest and the one place that adds its memory up.

use wasmtime::ResourceLimiter;

use crate::model::descriptor::Descriptor;

/// The most bytes of a component's file.
pub const COMPONENT_BYTES_MAX: u64 = 64 << 20;
/// The most bytes that a guest hands to the host at once: its outcomes, or a text of a host call.
pub const OUTCOMES_BYTES_MAX: usize = 8 << 20;
/// The longest name of a value in the state, or of a setting.
pub const STATE_NAME_BYTES_MAX: usize = 1024;
/// The most bytes that an event may write to the log.
pub const LOG_EVENT_BYTES_MAX: usize = 16 << 10;
/// The most lines that an event may write to the log.
pub const LOG_EVENT_LINES_MAX: u32 = 200;
/// The longest line of the log; the rest of it is cut.
pub const LOG_LINE_BYTES_MAX: usize = 4 << 10;
/// The most random bytes that a guest gets at once.
pub const RANDOM_BYTES_MAX: u64 = 64 << 10;
/// The most handles (streams, pollables) that a guest holds at once.
pub const HANDLES_MAX: usize = 1024;
/// The most core instances of one component.
pub const CORE_INSTANCES_MAX: usize = 32;
/// The most linear memories of one component.
pub const MEMORIES_MAX: usize = 8;
/// The most tables of one component.
pub const TABLES_MAX: usize = 32;
/// The most elements of one table.
pub const TABLE_ELEMENTS_MAX: usize = 1 << 17;
/// The most bytes of wasm stack of one call.
pub const STACK_BYTES_MAX: usize = 512 << 10;

/// What one instance may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InstanceLimits {
    /// All its memories and tables together, in bytes.
    pub memory_bytes_max: u64,
    /// One call, and the making of the instance, in milliseconds.
    pub event_time_ms_max: u64,
}

impl InstanceLimits {
    /// What the descriptor asks for, else the host's defaults.
    pub fn of(descriptor: &Descriptor, defaults: Self) -> Self {
        let asked = &descriptor.limits;
        Self {
            memory_bytes_max: asked.memory_bytes_max.unwrap_or(defaults.memory_bytes_max),
            event_time_ms_max: asked.event_time_ms_max.unwrap_or(defaults.event_time_ms_max),
        }
    }
}

/// The engine asks before each growth; its own limit would be one for each memory.
#[derive(Debug)]
pub(super) struct Accountant {
    used: u64,
    max: u64,
    last: u64,
}

/// A growth that was refused. The guest traps, so that the reason is the limit and not what it does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{asked} bytes of memory in all, {max} are allowed")]
pub(super) struct MemoryRefused {
    pub asked: u64,
    pub max: u64,
}

impl Accountant {
    pub fn new(max: u64) -> Self {
        Self { used: 0, max, last: 0 }
    }

    pub fn used(&self) -> u64 {
        self.used
    }

    fn grow(&mut self, bytes: u64) -> wasmtime::Result<bool> {
        let asked = self.used.saturating_add(bytes);
        if asked > self.max {
            return Err(MemoryRefused { asked, max: self.max }.into());
        }
        (self.used, self.last) = (asked, bytes);
        Ok(true)
    }

    fn undo(&mut self) {
        self.used = self.used.saturating_sub(std::mem::take(&mut self.last));
    }
}

impl ResourceLimiter for Accountant {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        self.grow(desired.saturating_sub(current) as u64)
    }

    fn memory_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        self.undo();
        Ok(())
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        if desired > TABLE_ELEMENTS_MAX {
            wasmtime::bail!("a table of {desired} elements; {TABLE_ELEMENTS_MAX} are allowed");
        }
        self.grow((desired.saturating_sub(current) * size_of::<usize>()) as u64)
    }

    fn table_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        self.undo();
        Ok(())
    }

    fn instances(&self) -> usize {
        CORE_INSTANCES_MAX
    }

    fn tables(&self) -> usize {
        TABLES_MAX
    }

    fn memories(&self) -> usize {
        MEMORIES_MAX
    }
}
