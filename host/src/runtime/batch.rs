//! The events of one call: built from records, read by native handlers and host calls. Knows nothing of the engine.

use std::sync::Arc;

use super::bindings::{BatchRows, EventRow, Span};
use super::tables::{Place, Tables};
use crate::model::record::Record;

/// The events that one call gets. A clone shares the bytes until one of the two is changed, and a batch that is
/// alone keeps its buffers when it is cleared.
#[derive(Clone, Debug)]
pub struct Batch {
    tables: Arc<Tables>,
}

impl Batch {
    /// An empty batch. `time_ms` is what clocks show during the call, `seed` what its random numbers come from.
    pub fn new(time_ms: u64, seed: u64) -> Self {
        Self { tables: Arc::new(Tables::new(time_ms, seed)) }
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
        let place = Place { channel, key, offset, attempt, recorded_time_ms };
        Arc::make_mut(&mut self.tables).push(&place, record);
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
