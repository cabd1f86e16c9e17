//! The records of `sdk/wit/processor.wit` as they cross the sandbox. Names and order are law there; the engine
//! compares these types with the component's when it is instantiated. How rows are written and read is in `rows`.

use wasmtime::component::{ComponentType, Lift, Lower};

/// The package and version that every interface name carries.
pub(super) const HANDLER: &str = "baton:processor/handler@0.1.0";
pub(super) const HANDLE: &str = "handle";
pub(super) const STATE: &str = "baton:processor/state@0.1.0";
pub(super) const LOG: &str = "baton:processor/log@0.1.0";
pub(super) const CONFIG: &str = "baton:processor/config@0.1.0";
pub(super) const SECRETS: &str = crate::model::grant::SECRETS_IMPORT;
pub(super) const HTTP: &str = crate::model::grant::HTTP_IMPORT;

/// A run of bytes in an arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType)]
#[component(record)]
pub(super) struct Span {
    pub start: u32,
    pub len: u32,
}

impl Span {
    /// What a value that is absent looks like.
    pub const ABSENT: Self = Self { start: u32::MAX, len: 0 };

    pub fn is_absent(self) -> bool {
        self == Self::ABSENT
    }

    /// The bytes that it names, if they lie in the arena.
    pub fn of(self, arena: &[u8]) -> Option<&[u8]> {
        let start = self.start as usize;
        arena.get(start..start.checked_add(self.len as usize)?)
    }
}

#[derive(Clone, Copy, Debug, ComponentType)]
#[component(record)]
pub(super) struct AttributeRow {
    pub name: Span,
    pub value: Span,
}

#[derive(Clone, Copy, Debug, ComponentType)]
#[component(record)]
pub(super) struct EventRow {
    pub channel: Span,
    pub id: Span,
    pub source: Span,
    #[component(name = "type")]
    pub ty: Span,
    pub subject: Span,
    pub partitionkey: Span,
    pub datacontenttype: Span,
    pub data: Span,
    pub key: Span,
    pub offset: u64,
    pub attempt: u32,
    #[component(name = "attributes-start")]
    pub attributes_start: u32,
    #[component(name = "attributes-count")]
    pub attributes_count: u32,
}

/// A batch as it is lent to the guest.
#[derive(Clone, Copy, ComponentType, Lower)]
#[component(record)]
pub(super) struct BatchRows<'a> {
    pub arena: &'a [u8],
    pub events: &'a [EventRow],
    pub attributes: &'a [AttributeRow],
}

#[derive(Clone, Copy, Debug, ComponentType)]
#[component(record)]
pub(super) struct EmitRow {
    pub channel: Span,
    #[component(name = "type")]
    pub ty: Span,
    pub subject: Span,
    pub partitionkey: Span,
    pub datacontenttype: Span,
    pub data: Span,
    #[component(name = "attributes-start")]
    pub attributes_start: u32,
    #[component(name = "attributes-count")]
    pub attributes_count: u32,
}

#[derive(Clone, Copy, Debug, ComponentType)]
#[component(record)]
pub(super) struct WriteRow {
    pub name: Span,
    pub value: Span,
    #[component(name = "expires-ms")]
    pub expires_ms: u64,
}

/// What became of one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType)]
#[component(enum)]
#[repr(u8)]
pub enum Verdict {
    /// Everything that the outcome holds is to be committed.
    #[component(name = "handled")]
    Handled,
    /// It could not be handled now. Nothing is committed.
    #[component(name = "retry")]
    Retry,
    /// It can never be handled. Nothing is committed.
    #[component(name = "reject")]
    Reject,
}

#[derive(Clone, Copy, Debug, ComponentType)]
#[component(record)]
pub(super) struct OutcomeRow {
    pub verdict: Verdict,
    #[component(name = "emits-count")]
    pub emits_count: u32,
    #[component(name = "writes-count")]
    pub writes_count: u32,
    pub reply: Span,
    pub note: Span,
    #[component(name = "retry-after-ms")]
    pub retry_after_ms: u64,
}

/// Outcomes as the guest gives them, unchecked.
#[derive(Debug, Default, ComponentType, Lift)]
#[component(record)]
pub(super) struct OutcomeRows {
    pub arena: Vec<u8>,
    pub outcomes: Vec<OutcomeRow>,
    pub emits: Vec<EmitRow>,
    pub writes: Vec<WriteRow>,
    pub attributes: Vec<AttributeRow>,
}

/// How grave a line of the log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
pub enum Level {
    /// Of use to the author only.
    #[component(name = "debug")]
    Debug,
    /// What went on.
    #[component(name = "info")]
    Info,
    /// It may be wrong.
    #[component(name = "warn")]
    Warn,
    /// It is wrong.
    #[component(name = "error")]
    Error,
}
