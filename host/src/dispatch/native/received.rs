//! An event as a native handler gets it.

use serde::de::DeserializeOwned;

use crate::runtime::BatchEvent;

use super::outcome::Rejected;

/// An event that is to be handled.
pub struct Received<'a> {
    event: BatchEvent<'a>,
}

impl<'a> Received<'a> {
    pub(super) fn new(event: BatchEvent<'a>) -> Self {
        Self { event }
    }

    /// Its id. With [`Received::source`] its identity: the key with which an act outside is done once, because a crash
    /// between the act and the commit brings the event again.
    pub fn id(&self) -> &'a str {
        self.event.attribute("id").unwrap_or_default()
    }

    /// Where it comes from.
    pub fn source(&self) -> &'a str {
        self.event.attribute("source").unwrap_or_default()
    }

    /// What happened.
    pub fn ty(&self) -> &'a str {
        self.event.attribute("type").unwrap_or_default()
    }

    /// What it is about.
    pub fn subject(&self) -> Option<&'a str> {
        self.event.attribute("subject")
    }

    /// The flow that it belongs to.
    pub fn flow(&self) -> &'a str {
        self.event.attribute("correlationid").unwrap_or_default()
    }

    /// The channel that it was published on.
    pub fn channel(&self) -> &'a str {
        self.event.channel()
    }

    /// Its number on the channel.
    pub fn offset(&self) -> u64 {
        self.event.offset()
    }

    /// The key under which it is ordered and has its state.
    pub fn key(&self) -> &'a str {
        self.event.key()
    }

    /// 1 the first time that it is handled.
    pub fn attempt(&self) -> u32 {
        self.event.attempt()
    }

    /// Any attribute or extension by its CloudEvents name.
    pub fn attribute(&self, name: &str) -> Option<&'a str> {
        self.event.attribute(name)
    }

    /// Its data, as the media type says; empty without any.
    pub fn bytes(&self) -> &'a [u8] {
        self.event.data().unwrap_or_default()
    }

    /// Its data as JSON. An error rejects the event: it can never be handled.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Rejected> {
        serde_json::from_slice(self.bytes())
            .map_err(|error| Rejected::reject(format!("its data is not as expected: {error}")))
    }
}
