//! What became of a delivered event, read back from the outcome's rows.

use std::time::Duration;

use serde::de::DeserializeOwned;

use super::event::{Inbox, TestEvent, event};
use super::memory::Lines;
use crate::fault::Fault;
use crate::host::Level;
use crate::wire::{EmitRow, OutcomeRow, Output, Span, Verdict};

/// What the processor did with one event.
#[derive(Debug, Default)]
pub struct Delivered {
    filtered: bool,
    emitted: Vec<Emitted>,
    writes: Vec<Write>,
    reply: Option<Vec<u8>>,
    fault: Option<Fault>,
    nothing: Option<String>,
    logs: Vec<(Level, String)>,
}

/// One event that the processor published, with what it inherits from its cause.
#[derive(Clone, Debug)]
pub struct Emitted {
    event: TestEvent,
}

/// One change of the state.
#[derive(Debug)]
pub(super) struct Write {
    pub name: String,
    pub value: Option<Vec<u8>>,
    pub expires_ms: u64,
}

impl Delivered {
    /// An event that the subscription's filter does not pass.
    pub(super) fn not_passed() -> Self {
        Self { filtered: true, ..Self::default() }
    }

    /// Whether the subscription's filter did not pass the event, so that the handler never met it.
    pub fn filtered(&self) -> bool {
        self.filtered
    }

    /// The events that were published on a channel, in order.
    pub fn published(&self, channel: &str) -> Vec<&Emitted> {
        self.expect_handled();
        self.emitted.iter().filter(|emitted| emitted.channel() == channel).collect()
    }

    /// All events that were published, in order.
    pub fn emitted(&self) -> &[Emitted] {
        self.expect_handled();
        &self.emitted
    }

    /// The reply, if there is one.
    pub fn reply<T: DeserializeOwned>(&self) -> Option<T> {
        self.expect_handled();
        self.reply.as_deref().map(|reply| decode("the reply", reply))
    }

    /// What went wrong, if the event was not handled.
    pub fn fault(&self) -> Option<&Fault> {
        self.fault.as_ref()
    }

    /// Why there was nothing to tell, if the handler said so.
    pub fn told_nothing(&self) -> Option<&str> {
        self.expect_handled();
        self.nothing.as_deref()
    }

    /// The log lines.
    pub fn logs(&self) -> &[(Level, String)] {
        &self.logs
    }

    pub(super) fn writes(&self) -> &[Write] {
        &self.writes
    }

    /// A test that looks at what a handler did learns of its fault here.
    fn expect_handled(&self) {
        if let Some(fault) = &self.fault {
            panic!("the event was not handled; {fault}");
        }
        assert!(!self.filtered, "the event was not handled; the subscription's filter does not pass it");
    }
}

impl Emitted {
    /// The channel.
    pub fn channel(&self) -> &str {
        &self.event.channel
    }

    /// The type.
    pub fn type_(&self) -> &str {
        &self.event.type_
    }

    /// The subject.
    pub fn subject(&self) -> Option<&str> {
        self.event.subject.as_deref()
    }

    /// The attribute `partitionkey`.
    pub fn partition_key(&self) -> Option<&str> {
        self.event.partition_key.as_deref()
    }

    /// The media type of the data.
    pub fn content_type(&self) -> Option<&str> {
        self.event.content_type.as_deref()
    }

    /// The data as it is.
    pub fn bytes(&self) -> &[u8] {
        &self.event.data
    }

    /// The data, decoded from JSON.
    pub fn data<T: DeserializeOwned>(&self) -> T {
        decode(&format!("the event on '{}'", self.channel()), self.bytes())
    }

    /// An extension that the processor set.
    pub fn extension(&self, name: &str) -> Option<&str> {
        let mut attributes = self.event.attributes.iter();
        attributes.find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The event as the next processor gets it, to deliver to its kit.
    pub fn to_event(&self) -> TestEvent {
        self.event.clone()
    }
}

/// Reads all outcomes of a call.
pub(super) fn read(inbox: &Inbox, output: &Output, lines: Lines) -> Vec<Delivered> {
    let (mut emits, mut writes) = (output.emits.iter(), output.writes.iter());
    let mut delivered = Vec::with_capacity(output.outcomes.len());
    for (cause, outcome) in inbox.events.iter().zip(&output.outcomes) {
        let emits = emits.by_ref().take(outcome.emits_count as usize);
        let emitted: Vec<_> =
            emits.enumerate().map(|(index, row)| emitted(cause, index, row, output)).collect();
        let writes = writes.by_ref().take(outcome.writes_count as usize);
        delivered.push(Delivered {
            filtered: false,
            writes: writes.map(|row| write(output, row.name, row.value, row.expires_ms)).collect(),
            reply: outcome.reply.bytes(&output.arena).map(<[u8]>::to_vec),
            fault: fault(output, outcome),
            nothing: note(output, outcome).filter(|_| emitted.is_empty()),
            emitted,
            logs: Vec::new(),
        });
    }
    for (index, level, line) in lines {
        if let Some(delivered) = delivered.get_mut(index as usize) {
            delivered.logs.push((level, line));
        }
    }
    delivered
}

fn emitted(cause: &TestEvent, index: usize, row: &EmitRow, output: &Output) -> Emitted {
    let text = |span: Span| span.text(&output.arena).map(str::to_owned);
    let channel = text(row.channel).unwrap_or_default();
    let cause_id = cause.id.as_deref().unwrap_or_default();
    let mut event = event(&channel).id(&format!("{cause_id}.{index}"));
    event.type_ = text(row.type_).unwrap_or(channel);
    event.subject = text(row.subject).or_else(|| cause.subject.clone());
    event.partition_key = text(row.partition_key).or_else(|| cause.partition_key.clone());
    event.content_type = text(row.content_type);
    event.data = row.data.bytes(&output.arena).unwrap_or_default().to_vec();
    let attributes = output.attributes.iter().skip(row.attributes_start as usize);
    for attribute in attributes.take(row.attributes_count as usize) {
        let (name, value) = (text(attribute.name), text(attribute.value));
        event = event.extension(&name.unwrap_or_default(), &value.unwrap_or_default());
    }
    Emitted { event }
}

fn write(output: &Output, name: Span, value: Span, expires_ms: u64) -> Write {
    Write {
        name: name.text(&output.arena).unwrap_or_default().to_owned(),
        value: value.bytes(&output.arena).map(<[u8]>::to_vec),
        expires_ms,
    }
}

fn fault(output: &Output, outcome: &OutcomeRow) -> Option<Fault> {
    let message = note(output, outcome).unwrap_or_default();
    match (outcome.verdict, outcome.retry_after_ms) {
        (Verdict::Handled, _) => None,
        (Verdict::Reject, _) => Some(Fault::reject(message)),
        (Verdict::Retry, 0) => Some(Fault::retry(message)),
        (Verdict::Retry, after_ms) => Some(Fault::retry_after(Duration::from_millis(after_ms), message)),
    }
}

fn note(output: &Output, outcome: &OutcomeRow) -> Option<String> {
    outcome.note.text(&output.arena).map(str::to_owned)
}

fn decode<T: DeserializeOwned>(what: &str, json: &[u8]) -> T {
    serde_json::from_slice(json).unwrap_or_else(|error| {
        panic!("{what} does not decode as asked: {error}: {}", String::from_utf8_lossy(json))
    })
}
