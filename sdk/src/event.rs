//! The event that a handler gets: a view into the batch's arena. Copies nothing until it is asked.

use serde::Deserialize;

use crate::fault::Fault;
use crate::wire::{Batch, EventRow, Span};

/// An event whose data has been decoded as `T`.
///
/// `T` is any type that serde can deserialize, [`serde_json::Value`] among them. A plain `Event` leaves
/// the data as it came: see [`bytes`](Self::bytes) and [`decode`](Self::decode). Data that does not decode
/// as `T` rejects the event before the handler runs.
#[derive(Debug)]
pub struct Event<'a, T = Raw> {
    view: View<'a>,
    data: T,
}

/// The data of an event that has not been decoded.
#[derive(Clone, Copy, Debug)]
pub struct Raw(());

/// One row of a batch and the arena that it points into.
#[derive(Clone, Copy, Debug)]
struct View<'a> {
    batch: Batch<'a>,
    row: &'a EventRow,
}

/// What a handler may take as the data of its event.
pub trait Payload<'a>: Sized {
    /// Takes the data from the event.
    fn from_event(event: &Event<'a>) -> Result<Self, Fault>;
}

impl Payload<'_> for Raw {
    fn from_event(_: &Event<'_>) -> Result<Self, Fault> {
        Ok(Self(()))
    }
}

impl<'a, T: Deserialize<'a>> Payload<'a> for T {
    fn from_event(event: &Event<'a>) -> Result<Self, Fault> {
        event.decode()
    }
}

impl<'a> Event<'a> {
    pub(crate) fn new(batch: Batch<'a>, row: &'a EventRow) -> Self {
        Self { view: View { batch, row }, data: Raw(()) }
    }

    /// The same event with its data decoded.
    pub fn typed<T: Payload<'a>>(self) -> Result<Event<'a, T>, Fault> {
        let data = T::from_event(&self)?;
        Ok(Event { view: self.view, data })
    }
}

impl<'a, T> Event<'a, T> {
    /// The decoded data.
    pub fn data(&self) -> &T {
        &self.data
    }

    /// The decoded data, to keep.
    pub fn into_data(self) -> T {
        self.data
    }

    /// The data as it came.
    pub fn bytes(&self) -> &'a [u8] {
        self.view.row.data.bytes(self.view.batch.arena).unwrap_or_default()
    }

    /// Decodes the data from JSON. An event without data decodes as `null`.
    ///
    /// What does not decode is a [reject](Fault::reject) that names the channel, the event and the field.
    pub fn decode<D: Deserialize<'a>>(&self) -> Result<D, Fault> {
        let json = self.json();
        serde_json::from_slice(json).map_err(|_| self.undecodable::<D>(json))
    }

    fn json(&self) -> &'a [u8] {
        match self.bytes() {
            [] => b"null",
            json => json,
        }
    }

    /// Decodes once more, slowly, to learn at which field it fails.
    #[cold]
    fn undecodable<D: Deserialize<'a>>(&self, json: &'a [u8]) -> Fault {
        let mut deserializer = serde_json::Deserializer::from_slice(json);
        let why = match serde_path_to_error::deserialize::<_, D>(&mut deserializer) {
            Err(error) => format!("at '{}': {}", error.path(), error.inner()),
            Ok(_) => "there is more after the JSON value".to_owned(),
        };
        Fault::reject(format_args!(
            "the data of event '{}' on channel '{}' does not decode, {why}",
            self.id(),
            self.channel()
        ))
    }

    /// The channel on which the event came.
    pub fn channel(&self) -> &'a str {
        self.required(self.view.row.channel)
    }

    /// The id that is unique within [`source`](Self::source).
    pub fn id(&self) -> &'a str {
        self.required(self.view.row.id)
    }

    /// Where the event was made.
    pub fn source(&self) -> &'a str {
        self.required(self.view.row.source)
    }

    /// The kind of event.
    pub fn type_(&self) -> &'a str {
        self.required(self.view.row.type_)
    }

    /// What the event is about.
    pub fn subject(&self) -> Option<&'a str> {
        self.text(self.view.row.subject)
    }

    /// The attribute `partitionkey`.
    pub fn partition_key(&self) -> Option<&'a str> {
        self.text(self.view.row.partition_key)
    }

    /// The media type of the data.
    pub fn content_type(&self) -> Option<&'a str> {
        self.text(self.view.row.content_type)
    }

    /// The key to which the state belongs that the handler sees.
    pub fn key(&self) -> &'a str {
        self.required(self.view.row.key)
    }

    /// The event's place on its channel, counted from 0.
    pub fn offset(&self) -> u64 {
        self.view.row.offset
    }

    /// 1 the first time that this event is handled.
    pub fn attempt(&self) -> u32 {
        self.view.row.attempt
    }

    /// When the event happened, as RFC 3339.
    pub fn time(&self) -> Option<&'a str> {
        self.extension("time")
    }

    /// The flow to which the event belongs.
    pub fn correlation_id(&self) -> Option<&'a str> {
        self.extension("correlationid")
    }

    /// The id of the event that caused this one.
    pub fn causation_id(&self) -> Option<&'a str> {
        self.extension("causationid")
    }

    /// The W3C trace context of the event.
    pub fn trace_parent(&self) -> Option<&'a str> {
        self.extension("traceparent")
    }

    /// Any attribute or extension that has no method of its own.
    pub fn extension(&self, name: &str) -> Option<&'a str> {
        let (batch, row) = (self.view.batch, self.view.row);
        let rows = batch.attributes.get(row.attributes_start as usize..)?;
        rows.iter()
            .take(row.attributes_count as usize)
            .find(|attribute| attribute.name.bytes(batch.arena) == Some(name.as_bytes()))
            .and_then(|attribute| attribute.value.text(batch.arena))
    }

    fn text(&self, span: Span) -> Option<&'a str> {
        span.text(self.view.batch.arena)
    }

    fn required(&self, span: Span) -> &'a str {
        self.text(span).unwrap_or_default()
    }
}
