//! Builds the arena and the tables of one call, copying every byte once. It knows records and nothing of the engine.

use std::fmt::Write as _;
use std::sync::Arc;

use jiff::Timestamp;

use super::bindings::{AttributeRow, BatchRows, EventRow, Span};
use crate::model::record::Record;

/// The names of the host's own attributes, written once at the start of every arena.
const HOST_NAMES: &str = "correlationidcausationidrecordedtimetimedataschema";
const CORRELATIONID: Span = Span { start: 0, len: 13 };
const CAUSATIONID: Span = Span { start: 13, len: 11 };
const RECORDEDTIME: Span = Span { start: 24, len: 12 };
const TIME: Span = Span { start: 36, len: 4 };
const DATASCHEMA: Span = Span { start: 40, len: 10 };

/// The events that one call gets. A clone shares the bytes until one of the two is changed, and a batch that is
/// alone keeps its buffers when it is cleared.
#[derive(Clone, Debug)]
pub struct Batch {
    tables: Arc<Tables>,
}

#[derive(Clone, Debug)]
struct Tables {
    time_ms: u64,
    seed: u64,
    arena: Vec<u8>,
    events: Vec<EventRow>,
    attributes: Vec<AttributeRow>,
    /// The last channel and recorded time: neighbours mostly have the same, and share the bytes.
    channel: Span,
    recorded: Option<(u64, Span)>,
}

impl Batch {
    /// An empty batch. `time_ms` is what clocks show during the call, `seed` what its random numbers come from.
    pub fn new(time_ms: u64, seed: u64) -> Self {
        let mut tables = Tables {
            time_ms,
            seed,
            arena: Vec::new(),
            events: Vec::new(),
            attributes: Vec::new(),
            channel: Span::ABSENT,
            recorded: None,
        };
        tables.clear(time_ms, seed);
        Self { tables: Arc::new(tables) }
    }

    /// Empties it for another call.
    pub fn clear(&mut self, time_ms: u64, seed: u64) {
        match Arc::get_mut(&mut self.tables) {
            Some(tables) => tables.clear(time_ms, seed),
            None => *self = Self::new(time_ms, seed),
        }
    }

    /// Adds an event. `recorded_time_ms` is when the host took it, in milliseconds since the Unix epoch.
    pub fn push(
        &mut self,
        channel: &str,
        key: &str,
        offset: u64,
        attempt: u32,
        recorded_time_ms: u64,
        record: &Record<'_>,
    ) {
        let tables = Arc::make_mut(&mut self.tables);
        let attributes_start = tables.attributes.len() as u32;
        tables.push_attributes(recorded_time_ms, record);
        let parts = &record.parts;
        let row = EventRow {
            channel: tables.channel(channel),
            id: tables.text(parts.id),
            source: tables.text(parts.source),
            ty: tables.text(parts.ty),
            subject: tables.text_if(parts.subject),
            partitionkey: tables.text_if(parts.partitionkey),
            datacontenttype: tables.text_if(parts.datacontenttype),
            data: parts.data.map_or(Span::ABSENT, |data| tables.bytes(data)),
            key: tables.text(key),
            offset,
            attempt,
            attributes_start,
            attributes_count: tables.attributes.len() as u32 - attributes_start,
        };
        tables.events.push(row);
    }

    /// A batch of the event at `index` alone and its bytes alone, for the second run that finds the one to blame.
    pub fn only(&self, index: usize) -> Option<Self> {
        let row = *self.tables.events.get(index)?;
        let mut batch = Self::new(self.time_ms(), self.seed());
        if let Some(tables) = Arc::get_mut(&mut batch.tables) {
            tables.take(&self.tables, row);
        }
        Some(batch)
    }

    /// How many events it holds.
    pub fn len(&self) -> usize {
        self.tables.events.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.tables.events.is_empty()
    }

    /// How many bytes its arena has: what a batch is bounded by.
    pub fn bytes(&self) -> usize {
        self.tables.arena.len()
    }

    /// What clocks show during the call, in milliseconds since the Unix epoch.
    pub fn time_ms(&self) -> u64 {
        self.tables.time_ms
    }

    /// What random numbers of the call come from.
    pub fn seed(&self) -> u64 {
        self.tables.seed
    }

    /// The key of an event.
    pub fn key(&self, index: usize) -> Option<&str> {
        self.event(index).map(|event| event.key())
    }

    /// An event as a native handler or a host call reads it.
    pub fn event(&self, index: usize) -> Option<BatchEvent<'_>> {
        Some(BatchEvent { tables: &self.tables, row: self.tables.events.get(index)? })
    }

    /// All events in their order.
    pub fn events(&self) -> impl ExactSizeIterator<Item = BatchEvent<'_>> {
        self.tables.events.iter().map(|row| BatchEvent { tables: &self.tables, row })
    }

    pub(super) fn rows(&self) -> BatchRows<'_> {
        let Tables { arena, events, attributes, .. } = &*self.tables;
        BatchRows { arena, events, attributes }
    }
}

impl Tables {
    fn clear(&mut self, time_ms: u64, seed: u64) {
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
    fn take(&mut self, from: &Self, row: EventRow) {
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

/// One event of a batch, borrowed.
#[derive(Clone, Copy, Debug)]
pub struct BatchEvent<'a> {
    tables: &'a Tables,
    row: &'a EventRow,
}

impl<'a> BatchEvent<'a> {
    fn bytes(&self, span: Span) -> Option<&'a [u8]> {
        span.of(&self.tables.arena)
    }

    fn text(&self, span: Span) -> Option<&'a str> {
        std::str::from_utf8(self.bytes(span)?).ok()
    }

    /// The channel that it was published on.
    pub fn channel(&self) -> &'a str {
        self.text(self.row.channel).unwrap_or_default()
    }

    /// Its number on the channel.
    pub fn offset(&self) -> u64 {
        self.row.offset
    }

    /// 1 the first time that it is handled.
    pub fn attempt(&self) -> u32 {
        self.row.attempt
    }

    /// The key under which it is ordered and has its state.
    pub fn key(&self) -> &'a str {
        self.text(self.row.key).unwrap_or_default()
    }

    /// The data, if it has any.
    pub fn data(&self) -> Option<&'a [u8]> {
        self.bytes(self.row.data)
    }

    /// An attribute or extension by its CloudEvents name.
    pub fn attribute(&self, name: &str) -> Option<&'a str> {
        let row = self.row;
        match name {
            "id" => self.text(row.id),
            "source" => self.text(row.source),
            "type" => self.text(row.ty),
            "subject" => self.text(row.subject),
            "partitionkey" => self.text(row.partitionkey),
            "datacontenttype" => self.text(row.datacontenttype),
            _ => self.attributes().find(|(other, _)| *other == name).map(|(_, value)| value),
        }
    }

    /// The attributes and extensions that have no place of their own: name and text.
    pub fn attributes(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let this = *self;
        let skip = this.row.attributes_start as usize;
        let rows = this.tables.attributes.iter().skip(skip).take(this.row.attributes_count as usize);
        rows.filter_map(move |row| Some((this.text(row.name)?, this.text(row.value)?)))
    }
}
