//! What a processor would do with an event, as it is reported.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One event through the version that runs, with nothing kept of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Rehearsal {
    /// The channel of the event.
    pub channel: String,
    /// Its offset there.
    pub offset: u64,
    /// Its key.
    pub key: String,
    /// Which attempt it would be.
    pub attempt: u32,
    /// The version that tried.
    pub digest: String,
    /// What it would publish.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub emits: Vec<RehearsedEmit>,
    /// What it would write into the state of the key.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub writes: Vec<RehearsedWrite>,
    /// What it would answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply: Option<Value>,
    /// What would go wrong: then nothing of the above would happen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// What it wrote to its log.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<String>,
}

/// An event that would be published.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RehearsedEmit {
    /// On which channel.
    pub channel: String,
    /// Its type.
    #[serde(rename = "type")]
    pub ty: String,
    /// Its subject.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Its data; what is no JSON is shown as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
}

/// A write of state that would be made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RehearsedWrite {
    /// The name within the key.
    pub name: String,
    /// Its value; without one the name would be deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
}
