//! What an operator asks of the flows that begin on a channel: when they are over, by when, and whether that is told.

use std::collections::BTreeMap;

/// What is asked of the flows of one channel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlowRule {
    /// The event types of which one means that a flow is over; without any it is over when nothing of it is left to do.
    pub ends: Vec<String>,
    /// How long a flow may take, in milliseconds.
    pub deadline_ms: Option<u64>,
    /// Whether `done` and `overdue` are told on [`TOLD`].
    pub tell: bool,
}

/// By the name of the channel that the flows begin on.
pub type FlowRules = BTreeMap<String, FlowRule>;

/// The channel on which the host tells what becomes of flows.
pub const TOLD: &str = "baton.flows";
