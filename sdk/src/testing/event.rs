//! Events as a test writes them, and how they get into a batch.

use serde::Serialize;

use super::key;
use crate::descriptor::Descriptor;
use crate::wire::{AttributeRow, Batch, EventRow, Output, Span};

/// Begins an event on a channel, without data.
pub fn event(channel: &str) -> TestEvent {
    TestEvent {
        channel: channel.to_owned(),
        id: None,
        source: "/test".to_owned(),
        type_: channel.to_owned(),
        subject: None,
        partition_key: None,
        content_type: None,
        data: Vec::new(),
        offset: None,
        attempt: 1,
        attributes: vec![("time".to_owned(), "2026-01-01T00:00:00Z".to_owned())],
    }
}

/// An event to deliver. What is not set is as a host would have it.
#[derive(Clone, Debug)]
pub struct TestEvent {
    pub(super) channel: String,
    pub(super) id: Option<String>,
    pub(super) source: String,
    pub(super) type_: String,
    pub(super) subject: Option<String>,
    pub(super) partition_key: Option<String>,
    pub(super) content_type: Option<String>,
    pub(super) data: Vec<u8>,
    pub(super) offset: Option<u64>,
    pub(super) attempt: u32,
    pub(super) attributes: Vec<(String, String)>,
}

impl TestEvent {
    /// Sets the id; else it is `event-1`, `event-2` and so on.
    #[must_use]
    pub fn id(mut self, id: &str) -> Self {
        self.id = Some(id.to_owned());
        self
    }

    /// Sets the source; else it is `/test`.
    #[must_use]
    pub fn source(mut self, source: &str) -> Self {
        source.clone_into(&mut self.source);
        self
    }

    /// Sets the type; else it is the channel's name.
    #[must_use]
    pub fn type_(mut self, type_: &str) -> Self {
        type_.clone_into(&mut self.type_);
        self
    }

    /// Sets the subject.
    #[must_use]
    pub fn subject(mut self, subject: &str) -> Self {
        self.subject = Some(subject.to_owned());
        self
    }

    /// Sets the attribute `partitionkey`.
    #[must_use]
    pub fn partition_key(mut self, key: &str) -> Self {
        self.partition_key = Some(key.to_owned());
        self
    }

    /// Sets the offset; else events are counted from 0.
    #[must_use]
    pub fn offset(mut self, offset: u64) -> Self {
        self.offset = Some(offset);
        self
    }

    /// Sets the attempt; else it is the first.
    #[must_use]
    pub fn attempt(mut self, attempt: u32) -> Self {
        self.attempt = attempt;
        self
    }

    /// Sets the time, as RFC 3339.
    #[must_use]
    pub fn time(self, time: &str) -> Self {
        self.extension("time", time)
    }

    /// Sets any other attribute or extension.
    #[must_use]
    pub fn extension(mut self, name: &str, value: &str) -> Self {
        self.attributes.retain(|(known, _)| known != name);
        self.attributes.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets the data to a value as JSON.
    #[must_use]
    pub fn json<T: Serialize + ?Sized>(self, data: &T) -> Self {
        self.bytes("application/json", &json(data))
    }

    /// Sets the data.
    #[must_use]
    pub fn bytes(mut self, content_type: &str, data: &[u8]) -> Self {
        self.content_type = Some(content_type.to_owned());
        self.data = data.to_vec();
        self
    }
}

/// The JSON of a value in a test.
pub(super) fn json<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_else(|error| panic!("the value is not JSON: {error}"))
}

/// A batch as a host packs it, with what the test has to remember of it.
#[derive(Default)]
pub(super) struct Inbox {
    pub events: Vec<TestEvent>,
    pub keys: Vec<String>,
    rows: Vec<EventRow>,
    packed: Output,
}

impl Inbox {
    /// Adds an event; `count` events were delivered before.
    pub fn add(&mut self, descriptor: &Descriptor, mut event: TestEvent, count: u64) {
        event.id.get_or_insert_with(|| format!("event-{}", count + 1));
        event.offset.get_or_insert(count);
        let key = key::of(descriptor, &event);
        let row = self.pack(&event, &key);
        self.rows.push(row);
        self.keys.push(key);
        self.events.push(event);
    }

    /// The batch that the handler gets.
    pub fn batch(&self) -> Batch<'_> {
        Batch { arena: &self.packed.arena, events: &self.rows, attributes: &self.packed.attributes }
    }

    fn pack(&mut self, event: &TestEvent, key: &str) -> EventRow {
        let attributes_start = self.packed.attributes.len() as u32;
        for (name, value) in &event.attributes {
            let row = AttributeRow { name: self.text(name), value: self.text(value) };
            self.packed.attributes.push(row);
        }
        EventRow {
            channel: self.text(&event.channel),
            id: self.maybe(event.id.as_deref()),
            source: self.text(&event.source),
            type_: self.text(&event.type_),
            subject: self.maybe(event.subject.as_deref()),
            partition_key: self.maybe(event.partition_key.as_deref()),
            content_type: self.maybe(event.content_type.as_deref()),
            data: if event.data.is_empty() { Span::ABSENT } else { self.packed.put(&event.data) },
            key: self.text(key),
            offset: event.offset.unwrap_or_default(),
            attempt: event.attempt,
            attributes_start,
            attributes_count: event.attributes.len() as u32,
        }
    }

    fn text(&mut self, text: &str) -> Span {
        self.packed.put(text.as_bytes())
    }

    fn maybe(&mut self, text: Option<&str>) -> Span {
        text.map_or(Span::ABSENT, |text| self.text(text))
    }
}
