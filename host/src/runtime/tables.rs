//! The arena and the rows of a batch: every byte is copied once, and what neighbours share is there once.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::bindings::{AttributeRow, EventRow, Span};
use crate::model::record::Record;

#[derive(Clone, Debug)]
pub(super) struct Tables {
    pub time_ms: u64,
    pub seed: u64,
    pub arena: Vec<u8>,
    pub events: Vec<EventRow>,
    pub attributes: Vec<AttributeRow>,
    /// The last channel and recorded time: neighbours mostly have the same, and share the bytes.
    channel: Span,
    recorded: Option<(u64, Span)>,
}

/// Where an event stands, which its record does not say.
pub(super) struct Place<'a> {
    pub channel: &'a str,
    pub key: &'a str,
    pub offset: u64,
    pub attempt: u32,
    pub recorded_time_ms: u64,
}

impl Tables {
    pub fn new(time_ms: u64, seed: u64) -> Self {
        let mut tables = Self {
            time_ms,
            seed,
            arena: Vec::new(),
            events: Vec::new(),
            attributes: Vec::new(),
            channel: Span::ABSENT,
            recorded: None,
        };
        tables.clear(time_ms, seed);
        tables
    }

    /// Adds an event.
    pub fn push(&mut self, place: &Place<'_>, record: &Record<'_>) {
        let attributes_start = self.attributes.len() as u32;
        self.push_attributes(place.recorded_time_ms, record);
        let parts = &record.parts;
        let row = EventRow {
            channel: self.channel(place.channel),
            id: self.text(parts.id),
            source: self.text(parts.source),
            ty: self.text(parts.ty),
            subject: self.text_if(parts.subject),
            partitionkey: self.text_if(parts.partitionkey),
            datacontenttype: self.text_if(parts.datacontenttype),
            data: parts.data.map_or(Span::ABSENT, |data| self.bytes(data)),
            key: self.text(place.key),
            offset: place.offset,
            attempt: place.attempt,
            attributes_start,
            attributes_count: self.attributes.len() as u32 - attributes_start,
        };
        self.events.push(row);
    }

    /// Empties the tables and keeps their memory.
    pub fn clear(&mut self, time_ms: u64, seed: u64) {
        (self.time_ms, self.seed) = (time_ms, seed);
        (self.channel, self.recorded) = (Span::ABSENT, None);
        self.events.clear();
        self.attributes.clear();
        self.arena.clear();
        self.arena.extend_from_slice(HOST_NAMES.as_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) -> Span {
        let start = self.arena.len() as u32;
        self.arena.extend_from_slice(bytes);
        Span { start, len: bytes.len() as u32 }
    }

    fn text(&mut self, text: &str) -> Span {
        self.bytes(text.as_bytes())
    }

    fn text_if(&mut self, text: Option<&str>) -> Span {
        text.map_or(Span::ABSENT, |text| self.text(text))
    }

    /// Copies an event with all that belongs to it out of other tables.
    pub fn take(&mut self, from: &Self, row: EventRow) {
        let mut copy = |span: Span| span.of(&from.arena).map_or(Span::ABSENT, |bytes| self.bytes(bytes));
        let moved = EventRow {
            channel: copy(row.channel),
            id: copy(row.id),
            source: copy(row.source),
            ty: copy(row.ty),
            subject: copy(row.subject),
            partitionkey: copy(row.partitionkey),
            datacontenttype: copy(row.datacontenttype),
            data: copy(row.data),
            key: copy(row.key),
            attributes_start: 0,
            ..row
        };
        let rows = from.attributes.iter().skip(row.attributes_start as usize);
        let attributes: Vec<_> = rows
            .take(row.attributes_count as usize)
            .map(|row| AttributeRow { name: copy(row.name), value: copy(row.value) })
            .collect();
        self.attributes = attributes;
        self.events.push(moved);
    }

    fn channel(&mut self, channel: &str) -> Span {
        if self.channel.of(&self.arena) != Some(channel.as_bytes()) {
            self.channel = self.text(channel);
        }
        self.channel
    }

    fn push_attributes(&mut self, recorded_time_ms: u64, record: &Record<'_>) {
        let mut hex = [0; 36];
        let flow: &str = record.stamp.flow.hyphenated().encode_lower(&mut hex);
        self.attribute(CORRELATIONID, flow);
        let recorded = self.recorded(recorded_time_ms);
        self.attributes.push(AttributeRow { name: RECORDEDTIME, value: recorded });
        let parts = &record.parts;
        let rest =
            [(CAUSATIONID, record.stamp.causationid), (TIME, parts.time), (DATASCHEMA, parts.dataschema)];
        for (name, value) in rest {
            if let Some(value) = value {
                self.attribute(name, value);
            }
        }
        for (name, _, value) in record.extensions() {
            let name = self.text(name);
            self.attribute(name, value);
        }
    }

    fn attribute(&mut self, name: Span, value: &str) {
        let value = self.text(value);
        self.attributes.push(AttributeRow { name, value });
    }

    /// The time as RFC 3339. To format it is dear beside the rest, so a time that repeats is written once.
    fn recorded(&mut self, time_ms: u64) -> Span {
        if let Some((last, span)) = self.recorded
            && last == time_ms
        {
            return span;
        }
        let time =
            Timestamp::from_millisecond(i64::try_from(time_ms).unwrap_or(i64::MAX)).unwrap_or(Timestamp::MAX);
        let mut text = String::with_capacity(32);
        let _ = write!(text, "{time:.3}");
        let span = self.text(&text);
        self.recorded = Some((time_ms, span));
        span
    }
}

/// The names of the host's own attributes, written once at the start of every arena.
const HOST_NAMES: &str = "correlationidcausationidrecordedtimetimedataschema";
const CORRELATIONID: Span = Span { start: 0, len: 13 };
const CAUSATIONID: Span = Span { start: 13, len: 11 };
const RECORDEDTIME: Span = Span { start: 24, len: 12 };
const TIME: Span = Span { start: 36, len: 4 };
const DATASCHEMA: Span = Span { start: 40, len: 10 };
