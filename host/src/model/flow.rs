//! What an operator asks of the flows that begin on a channel: when they are over, by when, and whether that is told; and lists of
//! flows as they are answered.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fault::Fault;
use super::report::{FlowStatus, HandlingStatus};

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

/// A page of flows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FlowPage {
    /// Those that are not done, oldest first; those that are done, newest first.
    pub flows: Vec<FlowSummary>,
    /// What to give as `after` to look further; absent when everything was looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// More events than may be looked at for one answer are not handled yet: flows may be missing from all pages.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub incomplete: bool,
    /// The moment that the page tells of.
    pub asked: String,
    /// Everything below this position of the journal had happened then.
    pub position: u64,
}

/// A flow in a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FlowSummary {
    /// Its id.
    pub flow: String,
    /// How it stands.
    pub status: FlowStatus,
    /// It is past its deadline and not done, whatever else it is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub overdue: bool,
    /// By when it is to be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<String>,
    /// Why it is not done although nothing of it is left to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The channel of its initiating event.
    pub channel: String,
    /// The offset of its initiating event.
    pub offset: u64,
    /// The id of its initiating event.
    pub id: String,
    /// The subject of its initiating event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// When it began.
    pub started: String,
    /// When the latest thing of it was recorded.
    pub latest: String,
    /// How many events it has so far.
    pub events: u64,
    /// What is left of it to do, held events first, at most 16.
    pub waits_for: Vec<WaitsFor>,
    /// How much is left of it to do.
    pub waits_for_count: u64,
}

/// An event that a processor has not handled yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WaitsFor {
    /// Which processor.
    pub processor: String,
    /// The event's channel.
    pub channel: String,
    /// The event's offset there.
    pub offset: u64,
    /// How far it is.
    pub status: HandlingStatus,
    /// What went wrong, if it is held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
}
