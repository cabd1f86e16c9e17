//! What went wrong with one event, in terms that a user can act on.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The fault of one handling of one event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Fault {
    /// What kind of fault it is.
    pub kind: FaultKind,
    /// What happened, for people.
    pub message: String,
    /// When, in milliseconds since the Unix epoch.
    pub time_ms: u64,
    /// Which version of the processor it was, by the first characters of its digest.
    pub digest: String,
}

/// The kinds of faults; a guest's own, the sandbox's and the host's never mix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// The handler asked to try again later.
    Retry,
    /// The handler said that it can never handle this event.
    Reject,
    /// The guest broke: a panic, an unreachable, an access out of bounds.
    Trap,
    /// The guest took longer than it may.
    Deadline,
    /// The guest wanted more memory than it may have.
    Memory,
    /// The guest answered with something that the contract does not allow.
    Malformed,
    /// The guest published on a channel that its descriptor does not name.
    UndeclaredChannel,
    /// The guest published an event that breaks the rules for events.
    BadEvent,
    /// The flow went round too often.
    HopLimit,
    /// The flow has too many events.
    FlowBudget,
    /// The host could not run the guest.
    Host,
}

impl FaultKind {
    /// Its stable name, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Reject => "reject",
            Self::Trap => "trap",
            Self::Deadline => "deadline",
            Self::Memory => "memory",
            Self::Malformed => "malformed",
            Self::UndeclaredChannel => "undeclared-channel",
            Self::BadEvent => "bad-event",
            Self::HopLimit => "hop-limit",
            Self::FlowBudget => "flow-budget",
            Self::Host => "host",
        }
    }
}
