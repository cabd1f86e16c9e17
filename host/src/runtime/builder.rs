//! Outcomes made by native code, in the form in which guests give them.

use super::bindings::{AttributeRow, EmitRow, OutcomeRow, OutcomeRows, Span, Verdict, WriteRow};
use super::error::CallError;
use super::outcomes::Outcomes;

/// Collects the outcomes of a batch: for each event its emits and writes, then [`finish`](Self::finish).
#[derive(Debug, Default)]
pub struct OutcomesBuilder {
    rows: OutcomeRows,
    emits_count: u32,
    writes_count: u32,
    reply: Option<Span>,
    note: Option<Span>,
}

/// An event to publish. What is absent is filled in by the host: see the contract.
#[derive(Clone, Copy, Debug, Default)]
pub struct NewEmit<'a> {
    /// Where to.
    pub channel: &'a str,
    /// Its type.
    pub ty: Option<&'a str>,
    /// Its subject.
    pub subject: Option<&'a str>,
    /// Its partition key.
    pub partitionkey: Option<&'a str>,
    /// What its data is.
    pub datacontenttype: Option<&'a str>,
    /// Its data.
    pub data: Option<&'a [u8]>,
    /// Its other attributes and extensions.
    pub attributes: &'a [(&'a str, &'a str)],
}

impl OutcomesBuilder {
    /// Publishes an event for the event at hand.
    pub fn emit(&mut self, emit: &NewEmit<'_>) {
        let attributes_start = self.rows.attributes.len() as u32;
        for (name, value) in emit.attributes {
            let row = AttributeRow { name: self.bytes(name.as_bytes()), value: self.bytes(value.as_bytes()) };
            self.rows.attributes.push(row);
        }
        let row = EmitRow {
            channel: self.bytes(emit.channel.as_bytes()),
            ty: self.text_if(emit.ty),
            subject: self.text_if(emit.subject),
            partitionkey: self.text_if(emit.partitionkey),
            datacontenttype: self.text_if(emit.datacontenttype),
            data: emit.data.map_or(Span::ABSENT, |data| self.bytes(data)),
            attributes_start,
            attributes_count: emit.attributes.len() as u32,
        };
        self.rows.emits.push(row);
        self.emits_count += 1;
    }

    /// Changes the state of the key of the event at hand; without a value the name is deleted.
    pub fn write(&mut self, name: &str, value: Option<&[u8]>, expires_ms: u64) {
        let name = self.bytes(name.as_bytes());
        let value = value.map_or(Span::ABSENT, |value| self.bytes(value));
        self.rows.writes.push(WriteRow { name, value, expires_ms });
        self.writes_count += 1;
    }

    /// Answers the one who waits, with JSON.
    pub fn reply(&mut self, json: &[u8]) {
        self.reply = Some(self.bytes(json));
    }

    /// Says why nothing was published, or what went wrong.
    pub fn note(&mut self, note: &str) {
        self.note = Some(self.bytes(note.as_bytes()));
    }

    /// Ends the event at hand; the next call belongs to the next event.
    pub fn finish(&mut self, verdict: Verdict, retry_after_ms: u64) {
        self.rows.outcomes.push(OutcomeRow {
            verdict,
            emits_count: std::mem::take(&mut self.emits_count),
            writes_count: std::mem::take(&mut self.writes_count),
            reply: self.reply.take().unwrap_or(Span::ABSENT),
            note: self.note.take().unwrap_or(Span::ABSENT),
            retry_after_ms,
        });
    }

    /// The outcomes of a batch of `events`, under the same checks as a guest's.
    pub(super) fn build(self, events: usize) -> Result<Outcomes, CallError> {
        Outcomes::check(self.rows, events)
    }

    fn bytes(&mut self, bytes: &[u8]) -> Span {
        let start = self.rows.arena.len() as u32;
        self.rows.arena.extend_from_slice(bytes);
        Span { start, len: bytes.len() as u32 }
    }

    fn text_if(&mut self, text: Option<&str>) -> Span {
        text.map_or(Span::ABSENT, |text| self.bytes(text.as_bytes()))
    }
}
