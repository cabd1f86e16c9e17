//! An event that a test publishes. What it does not say is filled in, the same every time.

use serde::Serialize;

use crate::model::event::{Event, Extension};
use crate::model::time::rfc3339;

use super::TestError;

/// An event for a channel. Unless set, its id is `given-` and its number in the test, its source `/test`, its type the
/// channel's name, its time that of the bench.
#[derive(Clone, Debug)]
#[must_use]
pub struct Given {
    channel: String,
    event: Event,
}

/// Begins an event for a channel.
pub fn given(channel: &str) -> Given {
    Given { channel: channel.to_owned(), event: Event::default() }
}

impl Given {
    /// Sets the id.
    pub fn id(mut self, id: &str) -> Self {
        id.clone_into(&mut self.event.id);
        self
    }

    /// Sets the source.
    pub fn source(mut self, source: &str) -> Self {
        source.clone_into(&mut self.event.source);
        self
    }

    /// Sets the type.
    pub fn ty(mut self, ty: &str) -> Self {
        ty.clone_into(&mut self.event.ty);
        self
    }

    /// Sets the subject.
    pub fn subject(mut self, subject: &str) -> Self {
        self.event.subject = Some(subject.to_owned());
        self
    }

    /// Sets an extension attribute, `partitionkey` among them.
    pub fn extension(mut self, name: &str, value: &str) -> Self {
        self.event.extensions.insert(name.to_owned(), Extension::Text(value.to_owned()));
        self
    }

    /// Sets the data to JSON.
    pub fn json(mut self, data: &impl Serialize) -> Result<Self, TestError> {
        let bad = |error: serde_json::Error| TestError::Data {
            channel: self.channel.clone(),
            why: error.to_string(),
        };
        let data = serde_json::to_vec(data).map_err(bad)?;
        self.event.data = Some(data.into());
        self.event.datacontenttype = Some("application/json".to_owned());
        Ok(self)
    }

    /// Sets the data to bytes of a media type.
    pub fn bytes(mut self, media_type: &str, data: &[u8]) -> Self {
        self.event.data = Some(data.to_vec().into());
        self.event.datacontenttype = Some(media_type.to_owned());
        self
    }

    pub(super) fn event(self, number: u64, now_ms: u64) -> (String, Event) {
        let Self { channel, mut event } = self;
        let or = |value: &mut String, default: String| {
            if value.is_empty() {
                *value = default;
            }
        };
        or(&mut event.id, format!("given-{number}"));
        or(&mut event.source, "/test".to_owned());
        or(&mut event.ty, channel.clone());
        event.time.get_or_insert_with(|| rfc3339(now_ms));
        (channel, event)
    }
}
