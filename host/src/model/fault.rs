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
    /// The functions that a trap went through, innermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub frames: Vec<String>,
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
    /// The guest took longer than it may together with what the host did for it.
    CallTime,
    /// The guest called the host more often than it may.
    HostCalls,
    /// The guest handed the host more bytes at once than it may.
    Output,
    /// The guest wanted more handles, instances, memories or table elements than it may have.
    Resources,
    /// The guest published more events for one event than it may.
    Emits,
    /// The guest wanted to keep more state than it may.
    State,
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
    /// The host ended while the guest handled the event.
    KilledHost,
}

impl FaultKind {
    /// All of them, in the order of their declaration.
    pub const ALL: [Self; 18] = [
        Self::Retry,
        Self::Reject,
        Self::Trap,
        Self::Deadline,
        Self::Memory,
        Self::CallTime,
        Self::HostCalls,
        Self::Output,
        Self::Resources,
        Self::Emits,
        Self::State,
        Self::Malformed,
        Self::UndeclaredChannel,
        Self::BadEvent,
        Self::HopLimit,
        Self::FlowBudget,
        Self::Host,
        Self::KilledHost,
    ];

    /// Whether the guest passed one of its own limits.
    pub fn is_limit(self) -> bool {
        matches!(
            self,
            Self::Deadline
                | Self::Memory
                | Self::CallTime
                | Self::HostCalls
                | Self::Output
                | Self::Resources
                | Self::Emits
                | Self::State
        )
    }

    /// Its stable name, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Reject => "reject",
            Self::Trap => "trap",
            Self::Deadline => "deadline",
            Self::Memory => "memory",
            Self::CallTime => "call-time",
            Self::HostCalls => "host-calls",
            Self::Output => "output",
            Self::Resources => "resources",
            Self::Emits => "emits",
            Self::State => "state",
            Self::Malformed => "malformed",
            Self::UndeclaredChannel => "undeclared-channel",
            Self::BadEvent => "bad-event",
            Self::HopLimit => "hop-limit",
            Self::FlowBudget => "flow-budget",
            Self::Host => "host",
            Self::KilledHost => "killed-host",
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn all_kinds_are_there_in_order_under_their_names() {
        for (place, kind) in FaultKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, place);
            assert_eq!(serde_json::to_string(&kind).unwrap(), format!("\"{}\"", kind.as_str()));
        }
    }
}
