//! What a test sees: events that processors published, events that they failed on.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::model::dead::DeadReport;
use crate::model::report::{HeldReport, Recorded};

/// What an event's source begins with when a processor published it.
const SOURCE: &str = "/processors/";

/// An event that a processor published.
#[derive(Clone, Debug, PartialEq)]
pub struct Emitted {
    /// The channel.
    pub channel: String,
    /// The processor.
    pub by: String,
    /// Its place in the channel.
    pub offset: u64,
    /// Its place in the journal: what came first is lower.
    pub position: u64,
    /// Its data, if it is JSON or text; else null.
    pub data: Value,
    /// The whole event in the CloudEvents JSON format.
    pub event: Value,
}

impl Emitted {
    /// Events from outside have a channel in common with emitted ones at times; they are left out.
    pub(super) fn of(channel: &str, recorded: Recorded) -> Option<Self> {
        recorded.event.get("causationid")?;
        let by = recorded.event.get("source")?.as_str()?.strip_prefix(SOURCE)?.to_owned();
        let data = recorded.event.get("data").cloned().unwrap_or_default();
        let Recorded { offset, position, event, .. } = recorded;
        Some(Self { channel: channel.to_owned(), by, offset, position, data, event })
    }

    /// An attribute or extension, as text.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.event.get(name)?.as_str()
    }

    /// Its type.
    pub fn ty(&self) -> &str {
        self.attribute("type").unwrap_or_default()
    }

    /// Its subject.
    pub fn subject(&self) -> Option<&str> {
        self.attribute("subject")
    }

    /// Its data as another type.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_value(self.data.clone())
    }
}

/// An event that a processor failed on: it is tried again, held, or a dead letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldEvent {
    /// The processor.
    pub processor: String,
    /// The event's channel.
    pub channel: String,
    /// Its place there.
    pub offset: u64,
    /// Its key.
    pub key: String,
    /// What kind of fault it is, such as `trap` or `reject`.
    pub kind: String,
    /// What went wrong.
    pub message: String,
}

impl HeldEvent {
    pub(super) fn of(processor: &str, held: HeldReport) -> Self {
        Self {
            processor: processor.to_owned(),
            channel: held.channel,
            offset: held.offset,
            key: held.key,
            kind: held.fault.kind.as_str().to_owned(),
            message: held.fault.message,
        }
    }

    pub(super) fn of_dead(dead: DeadReport) -> Option<Self> {
        let DeadReport { processor, channel, offset, key, mut attempts, .. } = dead;
        let fault = attempts.pop()?;
        Some(Self {
            processor,
            channel,
            offset,
            key,
            kind: fault.kind.as_str().to_owned(),
            message: fault.message,
        })
    }
}
