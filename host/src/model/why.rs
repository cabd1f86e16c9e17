//! Why a processor did or did not get an event, as it is answered.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fault::Fault;

/// The answer: one verdict, and the facts that it stands on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WhyReport {
    /// The event.
    pub event: WhyEvent,
    /// The processor.
    pub processor: String,
    /// In a word.
    pub verdict: Verdict,
    /// In a sentence.
    pub text: String,
    /// The fault of the event itself, or of the one that it waits behind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
    /// Since when it is so, or when it was handled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// How many attempts there were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    /// The key that waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The event that it waits behind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behind: Option<EventPlace>,
    /// How many events of the channel come before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<u64>,
    /// BLAKE3 of the component that handled it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Which deployment of the processor that was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// What the handling emitted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub emitted: Vec<EventPlace>,
    /// Whether the handling replied to the publisher.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replied: bool,
    /// The command that helps, or shows more.
    pub next: String,
}

/// The event that was asked about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WhyEvent {
    /// Its channel.
    pub channel: String,
    /// Its place there.
    pub offset: u64,
    /// Its place in the journal.
    pub position: u64,
    /// Its id.
    pub id: String,
    /// Where it came from.
    pub source: String,
    /// What it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Its flow.
    pub flow: String,
    /// When it was recorded.
    pub recorded: String,
}

/// Where an event is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EventPlace {
    /// Its channel.
    pub channel: String,
    /// Its place there.
    pub offset: u64,
    /// Its id.
    pub id: String,
}

/// What became of an event with a processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It was handled.
    Handled,
    /// The processor does not read the event's channel.
    NotSubscribed,
    /// The processor's subscription began behind it.
    BeforeStart,
    /// The subscription's filter does not pass it.
    Filtered,
    /// It was gone before the processor came to it.
    Expired,
    /// It failed, and is tried again by itself.
    Parked,
    /// It failed, and holds its key until somebody looks.
    Held,
    /// It failed and was given up: it is a dead letter.
    Dead,
    /// It failed, and an operator gave it up for good.
    Discarded,
    /// It waits behind an event of its key that failed.
    Waiting,
    /// It is to come.
    NotReached,
    /// The processor reads nothing more, because too much waits behind held keys.
    Blocked,
    /// Somebody paused the processor.
    Paused,
    /// The processor is deployed and does not run.
    Failed,
    /// The processor's file is gone.
    Undeployed,
}
