//! Turns what a handler returned into what a frame changes. Either all of an outcome goes into the draft, or none of
//! it and there is a fault.

use std::sync::Arc;

use serde_json::{Map, Value};
use uuid::Uuid;

use crate::channel::Domain;
use crate::model::bounds::Bounds;
use crate::model::change::{ChannelId, Draft, ProcessorId, SubscriptionId};
use crate::model::descriptor::Descriptor;
use crate::model::event::{
    ATTRIBUTE_BYTES_MAX, EVENT_BYTES_MAX, EXTENSIONS_MAX, check_extension_name, data_to_json,
};
use crate::model::fault::FaultKind;
use crate::model::name::{ChannelName, RESERVED};
use crate::model::record::{ExtensionKind, Parts, Record, Stamp, encode};
use crate::model::trace::{TRACEPARENT, TRACEPARENT_LEN, TraceParent, handling_span};
use crate::model::workflow::command;
use crate::model::workflow::post::{self, Marks};
use crate::runtime::{Emit, Outcome, Verdict, Write};
use crate::view::failed::EventRef;
use crate::view::state::{ProcessorState, row_bytes};

use super::work::Work;

/// The most bytes of a frame that one event's events and state may take.
pub const EFFECTS_BYTES_MAX: usize = 8 << 20;

/// The attribute that names an event's flow: a mediator says it, because what happens to a run may belong to another.
const FLOW: &str = "correlationid";

/// Attributes that an emit inherits from its cause unless it sets them.
const TRACE: [&str; 2] = [TRACEPARENT, "tracestate"];

/// What is the same for all outcomes of one processor.
pub struct Effects {
    domain: Domain,
    processor: ProcessorId,
    name: String,
    source: String,
    channels: Vec<(Arc<str>, ChannelId)>,
    bounds: Bounds,
    state: Arc<ProcessorState>,
    /// Whether it is a mediator: what it tells belongs to its runs, not to what happened to them.
    mediates: bool,
}

/// Why an outcome was not taken.
pub struct Refusal {
    /// What kind of fault it is.
    pub kind: FaultKind,
    /// What happened.
    pub message: String,
    /// The least delay before the next attempt that the handler asks for, in milliseconds.
    pub after_ms: u64,
    /// The functions that a trap went through.
    pub frames: Vec<String>,
}

impl Refusal {
    /// Of a kind, for a reason.
    pub fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), after_ms: 0, frames: Vec::new() }
    }
}

fn refuse<T>(kind: FaultKind, message: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::new(kind, message))
}

/// An event that was handled.
pub struct Cause<'a> {
    /// Its work.
    pub work: &'a Work,
    /// Its record.
    pub record: Record<'a>,
    /// The subscription that it came by.
    pub subscription: SubscriptionId,
    /// How often it may have been handled before, when its subscription stood elsewhere.
    pub replays: u32,
    /// The marks of a command: what comes of it goes back to the mediator.
    pub marks: Option<Box<Marks>>,
}

impl Cause<'_> {
    /// The event by its subscription.
    pub fn event(&self) -> EventRef {
        (self.subscription, self.work.item.offset)
    }
}

impl Effects {
    /// For a processor that may publish on these channels, within these bounds.
    pub fn new(
        domain: &Domain,
        processor: ProcessorId,
        descriptor: &Descriptor,
        channels: Vec<(Arc<str>, ChannelId)>,
        bounds: Bounds,
    ) -> Self {
        let (name, mediates) = (descriptor.name.to_string(), descriptor.is_mediator());
        let source = format!("/{}/{name}", if mediates { "mediators" } else { "processors" });
        let state = domain.look(|world| Some(world.processors().get(processor as usize)?.state.clone()));
        let (domain, state) = (domain.clone(), state.unwrap_or_default());
        Self { domain, processor, name, source, channels, bounds, state, mediates }
    }

    /// Adds everything that an outcome changes to the draft. `time` is when the call was, RFC 3339.
    pub fn add(
        &self,
        draft: &mut Draft,
        cause: &Cause<'_>,
        time: &str,
        outcome: &Outcome<'_>,
    ) -> Result<(), Refusal> {
        let before = draft.mark();
        let added = self.try_add(draft, cause, time, outcome);
        if added.is_err() {
            draft.rewind(before);
        }
        added
    }

    fn try_add(
        &self,
        draft: &mut Draft,
        cause: &Cause<'_>,
        time: &str,
        outcome: &Outcome<'_>,
    ) -> Result<(), Refusal> {
        let note = || outcome.note().unwrap_or("without a reason").to_owned();
        match outcome.verdict() {
            Verdict::Retry => {
                let after_ms = outcome.retry_after_ms();
                return Err(Refusal { after_ms, ..Refusal::new(FaultKind::Retry, note()) });
            }
            Verdict::Reject => return refuse(FaultKind::Reject, note()),
            Verdict::Handled => {}
        }
        let flow = cause.record.stamp.flow;
        draft.decided(cause.subscription, cause.work.item.offset, flow);
        let before = draft.len();
        self.check_emits(outcome.emits().len())?;
        match &cause.marks {
            Some(marks) => {
                let gave = self.gave(outcome)?;
                self.acknowledge(draft, cause, marks, time, gave)?;
            }
            None => self.tell(draft, cause, time, outcome)?,
        }
        let key = cause.work.key();
        self.check_state(key, outcome)?;
        for write in outcome.writes() {
            match write.value {
                Some(value) => draft.state_set(self.processor, key, write.name, write.expires_ms, value),
                None => draft.state_delete(self.processor, key, write.name),
            }
            check_bytes(draft, before)?;
        }
        if let Some(reply) = outcome.reply().filter(|_| cause.marks.is_none()) {
            draft.reply(self.processor, cause.work.item.position, flow, reply);
        }
        check_bytes(draft, before)
    }

    /// Publishes what an outcome emits.
    fn tell(
        &self,
        draft: &mut Draft,
        cause: &Cause<'_>,
        time: &str,
        outcome: &Outcome<'_>,
    ) -> Result<(), Refusal> {
        self.check_flow(cause, outcome.emits().len())?;
        let before = draft.len();
        for (index, emit) in outcome.emits().enumerate() {
            self.emit(draft, cause, time, index, &emit)?;
            check_bytes(draft, before)?;
        }
        Ok(())
    }

    /// What a command's outcome gives to the mediator: it reaches no topic.
    fn gave(&self, outcome: &Outcome<'_>) -> Result<command::Outcome, Refusal> {
        let mut told = Vec::with_capacity(outcome.emits().len());
        for emit in outcome.emits() {
            self.channel(emit.channel())?;
            check_emit(&emit, &Texts::of(&emit), self.set_apart())?;
            told.push(told_of(&emit));
        }
        let reply = outcome.reply().map(serde_json::from_slice).transpose();
        let no_json = |error: serde_json::Error| {
            Refusal::new(
                FaultKind::BadEvent,
                format!("its reply is no JSON, and a mediator reads it: {error}"),
            )
        };
        Ok(post::gave(reply.map_err(no_json)?, told))
    }

    /// Adds the acknowledgement of a command. A mediator that is gone and forgotten gets none.
    pub fn acknowledge(
        &self,
        draft: &mut Draft,
        cause: &Cause<'_>,
        marks: &Marks,
        time: &str,
        outcome: command::Outcome,
    ) -> Result<(), Refusal> {
        let inbox = ChannelName::new(post::inbox_of(&marks.mediator)).ok();
        let Some(inbox) = inbox.and_then(|inbox| self.domain.number_of(&inbox)) else { return Ok(()) };
        let message = marks.acknowledged(outcome);
        let json = message.to_json();
        if json.len() > EVENT_BYTES_MAX {
            let message = format!(
                "what it gives to the mediator has {} bytes; at most {EVENT_BYTES_MAX}: emit less, or smaller events",
                json.len()
            );
            return refuse(FaultKind::BadEvent, message);
        }
        let record = &cause.record;
        let id = EmittedId::new(record.stamp.flow, cause.work.item.position, 0, cause.replays);
        let parts = Parts {
            id: id.as_str(),
            source: &self.source,
            ty: message.ty(),
            subject: record.parts.subject,
            partitionkey: Some(&marks.run),
            datacontenttype: Some("application/json"),
            dataschema: None,
            time: Some(time),
            data: Some(&json),
        };
        let stamp = Stamp { hops: record.stamp.hops, ..self.caused(cause, record.stamp.flow) };
        let attributes = marks.attributes();
        let marked = attributes.iter().map(|(name, value)| (*name, ExtensionKind::Text, value.as_str()));
        let handed_on = self.traceparent(cause);
        let extensions = marked.chain(inherited(record, &handed_on, |_| false));
        draft.event(inbox, |out| encode(out, &parts, &stamp, extensions));
        Ok(())
    }

    /// One lane's batch knows nothing of the others': all of it together may pass the bound by what is in flight.
    fn check_state(&self, key: &str, outcome: &Outcome<'_>) -> Result<(), Refusal> {
        if outcome.writes().len() == 0 {
            return Ok(());
        }
        let Bounds { state_key_bytes_max: of_key, state_bytes_max: of_all, .. } = self.bounds;
        let most = |write: &Write<'_>| row_bytes(key, write.name, write.value.map_or(0, <[u8]>::len));
        let added: u64 = outcome.writes().map(|write| most(&write)).sum();
        // No key has more than all of them.
        if self.state.bytes() + added <= of_key.min(of_all) {
            return Ok(());
        }
        let writes = outcome.writes().map(|write| (write.name, write.value.map(<[u8]>::len))).collect();
        let (key_after, all_after) = self.state.bytes_after(key, &writes);
        let grows = all_after > self.state.bytes();
        let refuse = |what: &str, bytes: u64, max: u64, name: &str| {
            let message = format!(
                "{what} would have {bytes} bytes, {max} are allowed; keep less, let values expire, or raise limits.{name}"
            );
            refuse(FaultKind::State, message)
        };
        match (key_after > of_key, all_after > of_all) {
            (true, _) if grows => refuse("the state of its key", key_after, of_key, "state_key_bytes_max"),
            (_, true) if grows => refuse("its state", all_after, of_all, "state_bytes_max"),
            _ => Ok(()),
        }
    }

    fn check_emits(&self, emits: usize) -> Result<(), Refusal> {
        let max = self.bounds.emits_max;
        if emits as u64 <= max {
            return Ok(());
        }
        let message = format!(
            "it published {emits} events for one, {max} are allowed; publish fewer, or raise limits.emits_max"
        );
        refuse(FaultKind::Emits, message)
    }

    /// Stops what goes round or explodes.
    fn check_flow(&self, cause: &Cause<'_>, emits: usize) -> Result<(), Refusal> {
        if emits == 0 {
            return Ok(());
        }
        let hops_max = self.domain.limits().hops_max;
        if cause.record.stamp.hops >= hops_max {
            return refuse(FaultKind::HopLimit, self.ring(cause, hops_max));
        }
        match self.domain.flow_is_spent(cause.record.stamp.flow, emits as u64) {
            Ok(false) => Ok(()),
            Ok(true) => refuse(FaultKind::FlowBudget, self.budget_spent()),
            Err(error) => refuse(FaultKind::Host, error.to_string()),
        }
    }

    fn budget_spent(&self) -> String {
        let max = self.domain.limits().flow_events_max;
        format!("the flow has its {max} events; raise limits.flow_events_max, or find what multiplies them")
    }

    fn ring(&self, cause: &Cause<'_>, hops_max: u16) -> String {
        let mut way = self.domain.causes(cause.work.item.position, usize::from(hops_max)).unwrap_or_default();
        way.reverse();
        let ring = shortest_ring(&way).join(" -> ");
        format!(
            "the flow is {hops_max} handlings deep and goes round: {ring} -> ({}); break the ring, or raise \
             limits.hops_max",
            self.name
        )
    }

    fn emit<'a>(
        &self,
        draft: &mut Draft,
        cause: &Cause<'a>,
        time: &str,
        index: usize,
        emit: &Emit<'_>,
    ) -> Result<(), Refusal> {
        let name = emit.channel();
        let channel = self.channel(name)?;
        let texts = Texts::of(emit);
        check_emit(emit, &texts, self.set_apart())?;
        let attribute =
            |name: &str| emit.attributes().find(|(given, _)| *given == name).map(|(_, value)| value);
        let record = &cause.record;
        let id = EmittedId::new(record.stamp.flow, cause.work.item.position, index, cause.replays);
        let (id, flow) = match self.mediates {
            true => {
                (attribute("id").unwrap_or(id.as_str()), attribute(FLOW).and_then(|flow| flow.parse().ok()))
            }
            false => (id.as_str(), None),
        };
        let inherits = |text: Option<&'a str>| text.filter(|_| !self.mediates);
        let parts = Parts {
            id,
            source: attribute("source").filter(|_| self.mediates).unwrap_or(&self.source),
            ty: texts.ty.unwrap_or(name),
            subject: texts.subject.or(inherits(record.parts.subject)),
            partitionkey: texts.partitionkey.or(inherits(record.parts.partitionkey)),
            datacontenttype: texts.datacontenttype,
            dataschema: attribute("dataschema"),
            time: Some(attribute("time").unwrap_or(time)),
            data: emit.data(),
        };
        let stamp = self.caused(cause, flow.unwrap_or(record.stamp.flow));
        // Steps of a run are no deeper than the run.
        let is_inside = self.mediates && name.starts_with(RESERVED);
        let hops = if is_inside { record.stamp.hops } else { stamp.hops };
        let stamp = Stamp { hops, ..stamp };
        let own = emit.attributes().filter(|(name, _)| !self.set_apart().contains(name));
        let handed_on = self.traceparent(cause);
        let inherited = inherited(record, &handed_on, |name| attribute(name).is_some());
        let extensions = own.map(|(name, value)| (name, ExtensionKind::Text, value)).chain(inherited);
        draft.event(channel, |out| encode(out, &parts, &stamp, extensions));
        Ok(())
    }

    /// Attributes that have a place of their own in a record.
    fn set_apart(&self) -> &'static [&'static str] {
        if self.mediates { &["time", "dataschema", "id", "source", FLOW] } else { &["time", "dataschema"] }
    }

    /// What the host says of what an event causes.
    fn caused<'a>(&self, cause: &Cause<'a>, flow: Uuid) -> Stamp<'a> {
        Stamp {
            flow,
            cause: Some(cause.work.item.position),
            causationid: Some(cause.record.parts.id),
            hops: cause.record.stamp.hops + 1,
        }
    }

    /// The trace goes on under the span of this handling; none if there is none, or none that can be read.
    fn traceparent(&self, cause: &Cause<'_>) -> Option<[u8; TRACEPARENT_LEN]> {
        let (_, _, value) = cause.record.extensions().find(|(name, ..)| *name == TRACEPARENT)?;
        let span = handling_span(cause.work.item.position, self.processor);
        Some(TraceParent::parse(value)?.caused_by(span))
    }

    fn channel(&self, name: &str) -> Result<ChannelId, Refusal> {
        match self.channels.iter().find(|(channel, _)| **channel == *name) {
            Some((_, id)) => Ok(*id),
            None => {
                let declared: Vec<_> = self.channels.iter().map(|(channel, _)| &**channel).collect();
                let message = format!(
                    "it published on '{name}', which its descriptor does not name; it names: {}",
                    if declared.is_empty() { "none".to_owned() } else { declared.join(", ") }
                );
                refuse(FaultKind::UndeclaredChannel, message)
            }
        }
    }
}

/// The extensions that an event hands on to what it causes, unless that has its own.
fn inherited<'a>(
    record: &Record<'a>,
    handed_on: &'a Option<[u8; TRACEPARENT_LEN]>,
    has_own: impl Fn(&str) -> bool,
) -> impl Iterator<Item = (&'a str, ExtensionKind, &'a str)> {
    let own = handed_on.as_ref().and_then(|text| std::str::from_utf8(text).ok());
    record.extensions().filter(move |(name, ..)| TRACE.contains(name) && !has_own(name)).map(
        move |(name, kind, value)| match own {
            Some(own) if name == TRACEPARENT => (name, kind, own),
            _ => (name, kind, value),
        },
    )
}

/// An emit in the form of CloudEvents in JSON, as far as the handler said it.
fn told_of(emit: &Emit<'_>) -> Value {
    let mut told = Map::new();
    let texts = Texts::of(emit);
    let texts = [
        ("type", Some(texts.ty.unwrap_or(emit.channel()))),
        ("subject", texts.subject),
        ("partitionkey", texts.partitionkey),
        ("datacontenttype", texts.datacontenttype),
    ];
    let texts = texts.into_iter().filter_map(|(name, text)| Some((name, text?)));
    told.extend(texts.chain(emit.attributes()).map(|(name, text)| (name.to_owned(), text.into())));
    if let Some(data) = emit.data() {
        let (name, value) = data_to_json(emit.datacontenttype(), data);
        told.insert(name.to_owned(), value);
    }
    Value::Object(told)
}

/// The id of an emitted event: the host gives it, so that the same handling of the same event always emits the same
/// ids. Flow, cause and index make it unique in its source, which names the processor. A subscription that was reset handles
/// events anew, and what they cause then is new: it gets the number of replays too.
struct EmittedId {
    text: [u8; Self::LEN_MAX],
    len: usize,
}

impl EmittedId {
    const LEN_MAX: usize = 32 + 2 * 17 + 9;

    fn new(flow: Uuid, cause: u64, index: usize, replays: u32) -> Self {
        let mut id = Self { text: [0; Self::LEN_MAX], len: 32 };
        flow.simple().encode_lower(&mut id.text);
        let replays = Some(u64::from(replays)).filter(|replays| *replays > 0);
        for number in [cause, index as u64].into_iter().chain(replays) {
            id.push(b'-');
            id.hexadecimal(number);
        }
        id
    }

    fn hexadecimal(&mut self, number: u64) {
        let digits = (u64::BITS - number.leading_zeros()).div_ceil(4).max(1);
        for place in (0..digits).rev() {
            let digit = (number >> (4 * place) & 15) as u8;
            self.push(if digit < 10 { b'0' + digit } else { b'a' + digit - 10 });
        }
    }

    fn push(&mut self, byte: u8) {
        if let Some(place) = self.text.get_mut(self.len) {
            *place = byte;
            self.len += 1;
        }
    }

    fn as_str(&self) -> &str {
        let text = self.text.get(..self.len).unwrap_or_default();
        std::str::from_utf8(text).unwrap_or_default()
    }
}

/// Spans may share bytes: what an outcome becomes in a frame can be far more than what the guest handed over.
fn check_bytes(draft: &Draft, before: usize) -> Result<(), Refusal> {
    if draft.len() - before <= EFFECTS_BYTES_MAX {
        return Ok(());
    }
    let message = format!(
        "its events and state have more than {EFFECTS_BYTES_MAX} bytes; emit less, or smaller events"
    );
    refuse(FaultKind::BadEvent, message)
}

/// The texts of an emit, each looked up once.
struct Texts<'a> {
    ty: Option<&'a str>,
    subject: Option<&'a str>,
    partitionkey: Option<&'a str>,
    datacontenttype: Option<&'a str>,
}

impl<'a> Texts<'a> {
    fn of(emit: &Emit<'a>) -> Self {
        Self {
            ty: emit.ty(),
            subject: emit.subject(),
            partitionkey: emit.partitionkey(),
            datacontenttype: emit.datacontenttype(),
        }
    }
}

fn check_emit(emit: &Emit<'_>, texts: &Texts<'_>, set_apart: &[&str]) -> Result<(), Refusal> {
    let bytes = emit.data().map_or(0, <[u8]>::len);
    if bytes > EVENT_BYTES_MAX {
        let message =
            format!("an event for '{}' has {bytes} bytes; at most {EVENT_BYTES_MAX}", emit.channel());
        return refuse(FaultKind::BadEvent, message);
    }
    let fields = [
        ("type", texts.ty),
        ("subject", texts.subject),
        ("partitionkey", texts.partitionkey),
        ("datacontenttype", texts.datacontenttype),
    ];
    let fields = fields.into_iter().filter_map(|(name, value)| Some((name, value?)));
    for (name, value) in fields.chain(emit.attributes()) {
        if value.len() > ATTRIBUTE_BYTES_MAX || value.is_empty() {
            let message = format!(
                "attribute '{name}' of an event for '{}' has {} bytes; give it 1 to {ATTRIBUTE_BYTES_MAX}",
                emit.channel(),
                value.len()
            );
            return refuse(FaultKind::BadEvent, message);
        }
    }
    let count = emit.attributes().count();
    if count > EXTENSIONS_MAX {
        let message =
            format!("an event for '{}' has {count} extensions; at most {EXTENSIONS_MAX}", emit.channel());
        return refuse(FaultKind::BadEvent, message);
    }
    for (name, _) in emit.attributes().filter(|(name, _)| !set_apart.contains(name)) {
        if let Err(error) = check_extension_name(name) {
            return refuse(FaultKind::BadEvent, error.to_string());
        }
    }
    Ok(())
}

/// The last full turn of a way that goes round; the whole way if it does not.
fn shortest_ring(way: &[String]) -> &[String] {
    let Some((last, rest)) = way.split_last() else { return way };
    match rest.iter().rposition(|channel| channel == last) {
        Some(start) => way.get(start..).unwrap_or(way),
        None => way,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_is_its_last_turn() {
        let way: Vec<String> = ["start", "a", "b", "a", "b", "a"].map(String::from).into();
        assert_eq!(shortest_ring(&way), ["a", "b", "a"]);
        let straight: Vec<String> = ["a", "b"].map(String::from).into();
        assert_eq!(shortest_ring(&straight), ["a", "b"]);
    }

    #[test]
    fn ids_come_from_flow_cause_and_index() {
        let anew = |flow, cause, index, replays| {
            EmittedId::new(Uuid::from_u128(flow), cause, index, replays).as_str().to_owned()
        };
        let id = |flow, cause, index| anew(flow, cause, index, 0);
        assert_eq!(id(0xab, 0x41a, 0), "000000000000000000000000000000ab-41a-0");
        assert_eq!(anew(1, u64::MAX, usize::MAX, u32::MAX).len(), EmittedId::LEN_MAX);
        let all = [
            id(1, 2, 3),
            anew(1, 2, 3, 1),
            anew(1, 2, 3, 2),
            id(2, 2, 3),
            id(1, 3, 3),
            id(1, 2, 4),
            id(1, 0x23, 4),
            id(1, 2, 0x34),
        ];
        let unique: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(unique.len(), all.len());
    }
}
