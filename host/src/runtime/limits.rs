//! The bounds of a guest and the one place that adds its memory up.

use wasmtime::ResourceLimiter;

use super::error::CallError;

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
pub const HANDLES_MAX: usize = 10_000;
/// The most core instances of one component.
pub const CORE_INSTANCES_MAX: usize = 64;
/// The most linear memories of one component.
pub const MEMORIES_MAX: usize = 4;
/// The most tables of one component.
pub const TABLES_MAX: usize = 64;
/// The most elements of all tables of one component.
pub const TABLE_ELEMENTS_MAX: u64 = 20_000;
/// The most bytes of wasm stack of one call.
pub const STACK_BYTES_MAX: usize = 512 << 10;

/// The engine asks before each growth; its own limit would be one for each memory.
#[derive(Debug)]
pub(super) struct Accountant {
    used: u64,
    max: u64,
    elements: u64,
    /// What the last growth added, in bytes and in elements.
    last: (u64, u64),
}

impl Accountant {
    pub fn new(max: u64) -> Self {
        Self { used: 0, max, elements: 0, last: (0, 0) }
    }

    pub fn used(&self) -> u64 {
        self.used
    }

    /// A growth that is refused is a trap, so that the reason is the limit and not what the guest does next.
    fn grow(&mut self, bytes: u64, elements: u64) -> wasmtime::Result<bool> {
        let (asked, all) = (self.used.saturating_add(bytes), self.elements.saturating_add(elements));
        if all > TABLE_ELEMENTS_MAX {
            return Err(
                CallError::Resources { what: "table elements".into(), max: TABLE_ELEMENTS_MAX }.into()
            );
        }
        if asked > self.max {
            return Err(CallError::Memory { asked, max: self.max }.into());
        }
        (self.used, self.elements, self.last) = (asked, all, (bytes, elements));
        Ok(true)
    }

    fn undo(&mut self) {
        let (bytes, elements) = std::mem::take(&mut self.last);
        (self.used, self.elements) =
            (self.used.saturating_sub(bytes), self.elements.saturating_sub(elements));
    }
}

impl ResourceLimiter for Accountant {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        self.grow(desired.saturating_sub(current) as u64, 0)
    }

    fn memory_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        self.undo();
        Ok(())
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let elements = desired.saturating_sub(current) as u64;
        self.grow(elements.saturating_mul(size_of::<usize>() as u64), elements)
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
