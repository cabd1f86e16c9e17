//! An event as a mediator reads it.

use serde_json::{Map, Value};

use super::Trouble;
use crate::model::event::data_to_json;
use crate::model::workflow::post::Message;

/// Where an event came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The event queue: it starts a run.
    Queue,
    /// The inbox.
    Inbox,
    /// A topic on which runs wait for events.
    Topic,
}

/// An event that came in.
pub struct Incoming<'a> {
    /// Where.
    pub place: Place,
    /// The channel.
    pub channel: &'a str,
    /// Its number there.
    pub offset: u64,
    /// Its key: a run, or a meeting place.
    pub key: &'a str,
    /// When it was recorded, in milliseconds since the Unix epoch.
    pub time_ms: u64,
    /// All its attributes and extensions.
    pub attributes: Vec<(&'a str, &'a str)>,
    /// Its bytes.
    pub bytes: Option<&'a [u8]>,
}

impl Incoming<'_> {
    /// An attribute or extension.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(other, _)| *other == name).map(|(_, value)| *value)
    }

    /// Its type.
    pub fn ty(&self) -> &str {
        self.attribute("type").unwrap_or_default()
    }

    /// Its data as a value: that of JSON, or a text.
    pub fn data(&self) -> Value {
        let media_type = self.attribute("datacontenttype");
        self.bytes.map(|bytes| data_to_json(media_type, bytes).1).unwrap_or_default()
    }

    /// The event in the form of CloudEvents in JSON.
    pub fn to_json(&self) -> Value {
        let mut members = Map::new();
        members.insert("specversion".to_owned(), "1.0".into());
        members.extend(self.attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())));
        if let Some(bytes) = self.bytes {
            let (name, value) = data_to_json(self.attribute("datacontenttype"), bytes);
            members.insert(name.to_owned(), value);
        }
        Value::Object(members)
    }

    /// The message that it is.
    pub fn message(&self) -> Result<Message, Trouble> {
        let message = serde_json::from_slice(self.bytes.unwrap_or_default());
        message.map_err(|error| Trouble(format!("the message '{}' cannot be read: {error}", self.ty())))
    }
}
