//! Spans out of frames: one for an event that came from outside, one for each handling, by the semantic conventions of OpenTelemetry
//! for messaging. A handling lasts from when its event was recorded until its frame was.

use hashbrown::HashMap;

use crate::channel::{Domain, Item};
use crate::journal::Frame;
use crate::model::change::{Change, Changes, ChannelId, Control, ProcessorId, SubscriptionId};
use crate::model::record::Record;
use crate::model::trace::{
    Span, SpanKind, TRACEPARENT, TraceParent, handling_span, publication_span, trace_of,
};

/// Where the source of an emitted event begins; the rest is its processor.
const PROCESSOR_SOURCE: &str = "/processors/";

/// Makes spans of one round; names are looked up once in it.
pub(super) struct Maker<'a> {
    domain: &'a Domain,
    channels: HashMap<ChannelId, String>,
    readers: HashMap<SubscriptionId, Option<(ProcessorId, String, ChannelId)>>,
}

/// An event that a span is about.
struct About<'a> {
    channel: &'a str,
    position: u64,
    time_ms: u64,
    record: Record<'a>,
}

impl<'a> Maker<'a> {
    pub(super) fn new(domain: &'a Domain) -> Self {
        Self { domain, channels: HashMap::new(), readers: HashMap::new() }
    }

    /// The spans that ended with a frame.
    pub(super) fn spans(&mut self, frame: &Frame) -> Vec<Span> {
        let mut spans = Vec::new();
        let mut position = frame.position.0;
        for change in Changes::new(&frame.body).map_while(Result::ok) {
            match change {
                Change::Event { channel, record, .. } => {
                    spans.extend(self.publication(channel, position, frame.time_ms, record));
                    position += 1;
                }
                Change::Decided { subscription, offset, .. } => {
                    spans.extend(self.handling(subscription, offset, frame, None));
                }
                Change::Control(control) => {
                    if let Control::Held { subscription, offset, fault, .. }
                    | Control::Died { subscription, offset, fault, .. } = *control
                    {
                        spans.extend(self.handling(subscription, offset, frame, Some(fault.message)));
                    }
                }
                _ => {}
            }
        }
        spans
    }

    fn publication(
        &mut self,
        channel: ChannelId,
        position: u64,
        time_ms: u64,
        record: &[u8],
    ) -> Option<Span> {
        let record = Record::parse(record).ok().filter(|record| record.stamp.cause.is_none())?;
        let outside = traceparent(&record);
        let about = About { channel: self.channel(channel), position, time_ms, record };
        Some(Span {
            span_id: publication_span(position),
            parent_id: outside.map(|parent| parent.parent_id),
            parent_is_remote: outside.is_some(),
            kind: SpanKind::Publication,
            name: format!("publish {}", about.channel),
            ..about.span(time_ms)
        })
    }

    fn handling(
        &mut self,
        subscription: SubscriptionId,
        offset: u64,
        frame: &Frame,
        fault: Option<String>,
    ) -> Option<Span> {
        let (processor, name, channel) = self.reader(subscription)?;
        let item: Item = self.domain.event_at(channel, offset).ok()??;
        let record = Record::parse(&item.record).ok()?;
        let parent_id = self.parent(&record, item.position);
        let about =
            About { channel: self.channel(channel), position: item.position, time_ms: item.time_ms, record };
        // A failed attempt has no children; the one that succeeds has the id that its emits name.
        let span_id = match fault {
            Some(_) => handling_span(frame.position.0 ^ item.position.rotate_left(32), processor),
            None => handling_span(item.position, processor),
        };
        let mut span = Span {
            span_id,
            parent_id: Some(parent_id),
            kind: SpanKind::Handling,
            name: format!("process {}", about.channel),
            fault,
            ..about.span(frame.time_ms)
        };
        span.attributes.push(("messaging.consumer.group.name", name));
        Some(span)
    }

    /// The span in which an event was published.
    fn parent(&self, record: &Record<'_>, position: u64) -> u64 {
        let Some(cause) = record.stamp.cause else { return publication_span(position) };
        if let Some(parent) = traceparent(record) {
            return parent.parent_id;
        }
        let name = record.parts.source.strip_prefix(PROCESSOR_SOURCE).unwrap_or_default();
        let processor = self.domain.look(|world| world.processor_id(name));
        processor.map_or_else(|| publication_span(cause), |processor| handling_span(cause, processor))
    }

    fn channel(&mut self, id: ChannelId) -> &str {
        let look = || {
            let name =
                |world: &crate::view::world::World| Some(world.channels().get(id as usize)?.name.to_string());
            self.domain.look(name).unwrap_or_default()
        };
        self.channels.entry(id).or_insert_with(look)
    }

    fn reader(&mut self, id: SubscriptionId) -> Option<(ProcessorId, String, ChannelId)> {
        let look = || {
            self.domain.look(|world| {
                let subscription = world.subscriptions().get(id as usize)?;
                let processor = world.processors().get(subscription.processor as usize)?;
                Some((subscription.processor, processor.name.to_string(), subscription.channel))
            })
        };
        self.readers.entry(id).or_insert_with(look).clone()
    }
}

impl About<'_> {
    /// What is the same in every span about the event.
    fn span(&self, end_ms: u64) -> Span {
        let flow = self.record.stamp.flow;
        let trace_id = traceparent(&self.record).map_or_else(|| trace_of(flow), |parent| parent.trace_id);
        Span {
            trace_id,
            span_id: 0,
            parent_id: None,
            parent_is_remote: false,
            kind: SpanKind::Handling,
            name: String::new(),
            start_ms: self.time_ms,
            end_ms: end_ms.max(self.time_ms),
            attributes: vec![
                ("messaging.system", "baton".to_owned()),
                ("messaging.destination.name", self.channel.to_owned()),
                ("messaging.message.id", self.record.parts.id.to_owned()),
                ("messaging.message.conversation_id", flow.to_string()),
                ("baton.position", self.position.to_string()),
            ],
            fault: None,
        }
    }
}

fn traceparent(record: &Record<'_>) -> Option<TraceParent> {
    let mut extensions = record.extensions();
    extensions.find(|(name, ..)| *name == TRACEPARENT).and_then(|(_, _, value)| TraceParent::parse(value))
}
