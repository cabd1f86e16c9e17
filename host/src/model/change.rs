//! What a frame changes. A frame's body is a row of changes; every view is a fold over them, so a
//! change holds results only: nothing in it has to be looked up or computed again.
//!
//! The changes that pass with every event are packed by hand; the rare ones (`Control`) are JSON,
//! which explains itself years later.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::deployment::Deployment;
use super::fault::Fault;
use super::name::{ChannelName, ProcessorName};
use super::operation::{Approved, Lanes, Operator, Paused, Rate};
use super::record::{Malformed, record_len};

/// The number by which frames name a channel.
pub type ChannelId = u32;
/// The number by which frames name a processor.
pub type ProcessorId = u32;
/// The number by which frames name a subscription.
pub type SubscriptionId = u32;

/// One change, borrowed from its frame.
#[derive(Clone, Debug, PartialEq)]
pub enum Change<'a> {
    /// An event joins a channel. Its journal position is the frame's plus its index among the frame's events.
    Event {
        /// The channel.
        channel: ChannelId,
        /// Its place in the channel, counted from 0.
        offset: u64,
        /// The event: see [`super::record`].
        record: &'a [u8],
    },
    /// A subscription is done with an event.
    Decided {
        /// The subscription.
        subscription: SubscriptionId,
        /// The event's offset in the subscription's channel.
        offset: u64,
        /// The event's flow.
        flow: Uuid,
    },
    /// A name in the state of a key gets a value.
    StateSet {
        /// Whose state.
        processor: ProcessorId,
        /// The key that the state belongs to.
        key: &'a str,
        /// The name within the key.
        name: &'a str,
        /// Milliseconds since the Unix epoch; 0 never expires.
        expires_ms: u64,
        /// What the guest wrote.
        value: &'a [u8],
    },
    /// A name is taken out of the state of a key.
    StateDelete {
        /// Whose state.
        processor: ProcessorId,
        /// The key that the state belongs to.
        key: &'a str,
        /// The name within the key.
        name: &'a str,
    },
    /// A processor answers the publisher of the event at `cause`.
    Reply {
        /// Who answers.
        processor: ProcessorId,
        /// The journal position of the event that was handled.
        cause: u64,
        /// Its flow.
        flow: Uuid,
        /// JSON.
        data: &'a [u8],
    },
    /// Everything that is rare.
    Control(Box<Control>),
    /// A subscription is done with a run of events, because its filter passes none of them.
    Skipped(Skip),
}

/// A run of events that a subscription's filter passes none of; none of them was decided before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Skip {
    /// The subscription.
    pub subscription: SubscriptionId,
    /// The offset of the first.
    pub from: u64,
    /// The offset behind the last.
    pub to: u64,
}

/// A rare change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "control", rename_all = "kebab-case")]
pub enum Control {
    /// A channel exists from now on.
    ChannelCreated {
        /// Its number.
        channel: ChannelId,
        /// Its name.
        name: ChannelName,
    },
    /// A processor's name has a number from now on.
    ProcessorNamed {
        /// Its number.
        processor: ProcessorId,
        /// Its name.
        name: ProcessorName,
    },
    /// A processor reads a channel from now on.
    SubscriptionCreated {
        /// Its number.
        subscription: SubscriptionId,
        /// Who reads.
        processor: ProcessorId,
        /// What is read.
        channel: ChannelId,
        /// The first offset that it gets.
        start: u64,
    },
    /// A version of a processor is what runs from now on.
    Deployed {
        /// The receipt.
        deployment: Box<Deployment>,
    },
    /// All lanes run the new version: the receipt is complete.
    Switched {
        /// Which processor.
        processor: ProcessorId,
        /// Which deployment of it.
        generation: u64,
        /// How long each lane handled nothing, in microseconds.
        pauses_us: Vec<u64>,
    },
    /// A processor runs no more.
    Undeployed {
        /// Which processor.
        processor: ProcessorId,
        /// Whether its positions and state went with it.
        forget: bool,
    },
    /// An event could not be handled: its key waits.
    Held {
        /// The subscription whose event it is.
        subscription: SubscriptionId,
        /// The event's offset.
        offset: u64,
        /// The event's journal position.
        position: u64,
        /// The event's flow.
        flow: Uuid,
        /// The key that waits.
        key: String,
        /// What went wrong.
        fault: Fault,
        /// When it is tried again; without it, when somebody says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        again: Option<Again>,
    },
    /// What a processor held is tried again at once.
    Released {
        /// Which processor.
        processor: ProcessorId,
        /// These events; without it all.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        events: Option<Vec<(SubscriptionId, u64)>>,
    },
    /// An event could not be handled, and is given up: it is a dead letter, and its key goes on.
    Died {
        /// The subscription whose event it is.
        subscription: SubscriptionId,
        /// The event's offset.
        offset: u64,
        /// The event's journal position.
        position: u64,
        /// The event's flow.
        flow: Uuid,
        /// The key that it had.
        key: String,
        /// What went wrong last.
        fault: Fault,
    },
    /// A dead letter is an event to be handled again, at the end of its key.
    Redriven {
        /// The subscription whose event it is.
        subscription: SubscriptionId,
        /// The event's offset.
        offset: u64,
        /// The event's flow.
        flow: Uuid,
        /// The place of this frame in the journal, which is the event's place in the order of its key.
        at: u64,
    },
    /// An event that failed is given up for good.
    Discarded {
        /// The subscription whose event it is.
        subscription: SubscriptionId,
        /// The event's offset.
        offset: u64,
        /// The event's flow.
        flow: Uuid,
        /// Who said so.
        by: Operator,
    },
    /// No batch of a processor begins from now on.
    Paused {
        /// Which processor.
        processor: ProcessorId,
        /// Why, and who said so.
        paused: Paused,
    },
    /// Batches of a processor begin again, or at another rate.
    Resumed {
        /// Which processor.
        processor: ProcessorId,
        /// The rate that holds from now on; none is no bound.
        rate: Option<Rate>,
        /// Who said so.
        by: Operator,
    },
    /// A processor has other bounds for its lanes from now on.
    Scaled {
        /// Which processor.
        processor: ProcessorId,
        /// The bounds; none is those of `baton.toml` or of the descriptor.
        lanes: Option<Lanes>,
        /// Who said so.
        by: Operator,
    },
    /// A version may run although it is wider than the one before it.
    Approved {
        /// Which processor.
        processor: ProcessorId,
        /// Which version, and who said so.
        approved: Approved,
    },
    /// A subscription begins anew at another place; what it held is dropped.
    SubscriptionReset {
        /// Which subscription.
        subscription: SubscriptionId,
        /// The first offset that it gets.
        to: u64,
        /// Whether the state of its processor is deleted.
        clear_state: bool,
    },
    /// The oldest events of a channel are gone: nobody can read them any more.
    Expired {
        /// The channel.
        channel: ChannelId,
        /// The first offset that is kept.
        to: u64,
        /// When the newest event that went was recorded, milliseconds since the Unix epoch.
        until_ms: u64,
    },
}

impl Control {
    /// The flow that it belongs to.
    pub fn flow(&self) -> Option<Uuid> {
        match self {
            Self::Held { flow, .. }
            | Self::Died { flow, .. }
            | Self::Redriven { flow, .. }
            | Self::Discarded { flow, .. } => Some(*flow),
            _ => None,
        }
    }
}

/// When an event that failed is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Again {
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// How long after the attempt that is: no jump of a clock makes it longer.
    pub after_ms: u64,
}

impl Again {
    /// At once.
    pub const NOW: Self = Self { at_ms: 0, after_ms: 0 };

    /// How long it is until then.
    pub fn left_ms(self, now_ms: u64) -> u64 {
        self.at_ms.saturating_sub(now_ms).min(self.after_ms)
    }
}

/// The body of a frame that is being made. The owner gives the events their offsets when it takes it.
#[derive(Default)]
pub struct Draft {
    body: Vec<u8>,
    /// Where each event's change starts, and its channel.
    events: Vec<(u32, ChannelId)>,
    /// Subscription and offset of each decision.
    decided: Vec<(SubscriptionId, u64)>,
    skips: Vec<Skip>,
    /// The bytes of events and decisions.
    plain: usize,
}

/// A moment in the making of a [`Draft`].
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    bytes: usize,
    events: usize,
    decided: usize,
    skips: usize,
    plain: usize,
}

/// Tag, channel and offset: what stands before the record of an event.
pub const EVENT_HEAD_BYTES: usize = 1 + 4 + 8;

const EVENT: u8 = 1;
const DECIDED: u8 = 2;
const STATE_SET: u8 = 3;
const STATE_DELETE: u8 = 4;
const REPLY: u8 = 5;
const CONTROL: u8 = 6;
const SKIPPED: u8 = 7;

impl Draft {
    /// A draft with one rare change.
    pub fn of(control: &Control) -> Self {
        let mut draft = Self::default();
        draft.control(control);
        draft
    }

    /// Its size so far, in bytes.
    pub fn len(&self) -> usize {
        self.body.len()
    }

    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.body.is_empty()
    }

    /// How many events it adds.
    pub fn events(&self) -> u32 {
        self.events.len() as u32
    }

    /// The changes so far; events have no offset yet.
    pub fn changes(&self) -> Changes<'_> {
        Changes::new(&self.body)
    }

    /// The record of the event at this place among its events, from 0.
    pub fn record(&self, place: usize) -> Option<&[u8]> {
        let (start, _) = self.events.get(place)?;
        let record = self.body.get(*start as usize + EVENT_HEAD_BYTES..)?;
        record.get(..record_len(record).ok()?)
    }

    /// How far it is.
    pub fn mark(&self) -> Mark {
        let (bytes, plain) = (self.body.len(), self.plain);
        let (decided, skips) = (self.decided.len(), self.skips.len());
        Mark { bytes, events: self.events.len(), decided, skips, plain }
    }

    /// Takes back everything that came after the mark.
    pub fn rewind(&mut self, mark: Mark) {
        self.body.truncate(mark.bytes);
        self.events.truncate(mark.events);
        self.decided.truncate(mark.decided);
        self.skips.truncate(mark.skips);
        self.plain = mark.plain;
    }

    /// Makes room for about so many bytes and events more.
    pub fn reserve(&mut self, bytes: usize, events: usize) {
        self.body.reserve(bytes);
        self.events.reserve(events);
    }

    /// Adds an event; `encode` writes its record.
    pub fn event(&mut self, channel: ChannelId, encode: impl FnOnce(&mut Vec<u8>)) {
        let start = self.body.len();
        self.events.push((start as u32, channel));
        self.body.push(EVENT);
        self.number(channel);
        self.body.extend_from_slice(&0_u64.to_le_bytes());
        encode(&mut self.body);
        self.plain += self.body.len() - start;
    }

    /// Adds a decided offset.
    pub fn decided(&mut self, subscription: SubscriptionId, offset: u64, flow: Uuid) {
        let start = self.body.len();
        self.decided.push((subscription, offset));
        self.body.push(DECIDED);
        self.number(subscription);
        self.body.extend_from_slice(&offset.to_le_bytes());
        self.body.extend_from_slice(flow.as_bytes());
        self.plain += self.body.len() - start;
    }

    /// Adds a run of events that a filter does not pass.
    pub fn skipped(&mut self, skip: Skip) {
        self.skips.push(skip);
        self.body.push(SKIPPED);
        self.number(skip.subscription);
        self.body.extend_from_slice(&skip.from.to_le_bytes());
        self.body.extend_from_slice(&skip.to.to_le_bytes());
    }

    /// Adds a write of state.
    pub fn state_set(
        &mut self,
        processor: ProcessorId,
        key: &str,
        name: &str,
        expires_ms: u64,
        value: &[u8],
    ) {
        self.body.push(STATE_SET);
        self.number(processor);
        self.body.extend_from_slice(&expires_ms.to_le_bytes());
        for part in [key.as_bytes(), name.as_bytes(), value] {
            self.bytes(part);
        }
    }

    /// Adds a deletion of state.
    pub fn state_delete(&mut self, processor: ProcessorId, key: &str, name: &str) {
        self.body.push(STATE_DELETE);
        self.number(processor);
        self.bytes(key.as_bytes());
        self.bytes(name.as_bytes());
    }

    /// Adds an answer for the publisher.
    pub fn reply(&mut self, processor: ProcessorId, cause: u64, flow: Uuid, data: &[u8]) {
        self.body.push(REPLY);
        self.number(processor);
        self.body.extend_from_slice(&cause.to_le_bytes());
        self.body.extend_from_slice(flow.as_bytes());
        self.bytes(data);
    }

    /// Adds that an event is a dead letter: the subscription is done with it.
    pub fn died(&mut self, died: &Control) {
        if let Control::Died { subscription, offset, .. } = died {
            self.decided.push((*subscription, *offset));
        }
        self.control(died);
    }

    /// Adds a rare change.
    pub fn control(&mut self, control: &Control) {
        self.body.push(CONTROL);
        let json = serde_json::to_vec(control).unwrap_or_default();
        self.bytes(&json);
    }

    fn number(&mut self, number: u32) {
        self.body.extend_from_slice(&number.to_le_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u32);
        self.body.extend_from_slice(bytes);
    }

    /// Subscription and offset of everything that it decides.
    pub fn decisions(&self) -> &[(SubscriptionId, u64)] {
        &self.decided
    }

    /// The runs that it decides because a filter does not pass them.
    pub fn skips(&self) -> &[Skip] {
        &self.skips
    }

    /// Its decisions, if it consists of events and decisions alone.
    pub fn plain_decisions(&mut self) -> Option<Vec<(SubscriptionId, u64)>> {
        (self.plain == self.body.len()).then(|| std::mem::take(&mut self.decided))
    }

    /// Gives every event the next offset of its channel and hands out the finished body.
    pub fn finish(mut self, mut next_offset: impl FnMut(ChannelId) -> u64) -> Vec<u8> {
        for (start, channel) in self.events {
            // Behind the tag and the channel's number.
            let at = start as usize + 5;
            if let Some(place) = self.body.get_mut(at..at + 8) {
                place.copy_from_slice(&next_offset(channel).to_le_bytes());
            }
        }
        self.body
    }
}

/// Walks the changes of a frame's body.
pub struct Changes<'a> {
    rest: &'a [u8],
}

impl<'a> Changes<'a> {
    /// Starts at the first change of `body`.
    pub fn new(body: &'a [u8]) -> Self {
        Self { rest: body }
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let (head, rest) = self.rest.split_at_checked(len).ok_or(Malformed("a change ends too early"))?;
        self.rest = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(Malformed("a change ends too early"))?;
        self.rest = rest;
        Ok(*head)
    }

    fn number(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_le_bytes)
    }

    fn long(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_le_bytes)
    }

    fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let len = self.number()? as usize;
        self.take(len)
    }

    fn text(&mut self) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Malformed("text is not UTF-8"))
    }

    fn read(&mut self) -> Result<Change<'a>, Malformed> {
        let [tag] = self.array()?;
        Ok(match tag {
            EVENT => Change::Event {
                channel: self.number()?,
                offset: self.long()?,
                record: {
                    let len = record_len(self.rest)?;
                    self.take(len)?
                },
            },
            DECIDED => Change::Decided {
                subscription: self.number()?,
                offset: self.long()?,
                flow: Uuid::from_bytes(self.array()?),
            },
            STATE_SET => {
                let (processor, expires_ms) = (self.number()?, self.long()?);
                let (key, name, value) = (self.text()?, self.text()?, self.bytes()?);
                Change::StateSet { processor, key, name, expires_ms, value }
            }
            STATE_DELETE => {
                Change::StateDelete { processor: self.number()?, key: self.text()?, name: self.text()? }
            }
            REPLY => Change::Reply {
                processor: self.number()?,
                cause: self.long()?,
                flow: Uuid::from_bytes(self.array()?),
                data: self.bytes()?,
            },
            CONTROL => Change::Control(Box::new(
                serde_json::from_slice(self.bytes()?).map_err(|_| Malformed("an unknown control change"))?,
            )),
            SKIPPED => {
                let (subscription, from, to) = (self.number()?, self.long()?, self.long()?);
                Change::Skipped(Skip { subscription, from, to })
            }
            _ => return Err(Malformed("a change of an unknown kind")),
        })
    }
}

impl<'a> Iterator for Changes<'a> {
    type Item = Result<Change<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let change = self.read();
        if change.is_err() {
            self.rest = &[];
        }
        Some(change)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::model::event::Event;
    use crate::model::record::{Stamp, encode_event};

    fn record() -> Vec<u8> {
        let event = Event { id: "1".into(), source: "/".into(), ty: "t".into(), ..Event::default() };
        let stamp = Stamp { flow: Uuid::nil(), cause: None, causationid: None, hops: 0 };
        let mut bytes = Vec::new();
        encode_event(&mut bytes, &event, &stamp);
        bytes
    }

    #[test]
    fn a_draft_comes_back_as_its_changes_with_offsets() {
        let flow = Uuid::from_u128(9);
        let record = record();
        let control = Control::Released { processor: 3, events: None };
        let mut draft = Draft::default();
        draft.event(1, |out| out.extend_from_slice(&record));
        draft.decided(2, 40, flow);
        draft.event(1, |out| out.extend_from_slice(&record));
        draft.state_set(3, "k", "n", 5, b"v");
        draft.state_delete(3, "k", "m");
        draft.reply(3, 77, flow, b"{}");
        draft.control(&control);
        let skip = Skip { subscription: 2, from: 41, to: 1041 };
        draft.skipped(skip);
        let mut next = 10;
        let body = draft.finish(|_| {
            next += 1;
            next
        });
        let changes: Vec<_> = Changes::new(&body).map(Result::unwrap).collect();
        assert_eq!(
            changes,
            [
                Change::Event { channel: 1, offset: 11, record: &record },
                Change::Decided { subscription: 2, offset: 40, flow },
                Change::Event { channel: 1, offset: 12, record: &record },
                Change::StateSet { processor: 3, key: "k", name: "n", expires_ms: 5, value: b"v" },
                Change::StateDelete { processor: 3, key: "k", name: "m" },
                Change::Reply { processor: 3, cause: 77, flow, data: b"{}" },
                Change::Control(Box::new(control)),
                Change::Skipped(skip),
            ]
        );
    }

    #[test]
    fn a_rewound_draft_forgets_what_came_after() {
        let mut draft = Draft::default();
        draft.decided(1, 1, Uuid::nil());
        let mark = draft.mark();
        draft.event(1, |out| out.extend_from_slice(&record()));
        draft.decided(1, 2, Uuid::nil());
        draft.skipped(Skip { subscription: 1, from: 3, to: 5 });
        draft.rewind(mark);
        assert!(draft.skips().is_empty());
        assert_eq!(draft.decisions(), [(1, 1)]);
        assert_eq!(Changes::new(&draft.finish(|_| 0)).count(), 1);
    }

    #[test]
    fn a_draft_of_events_and_decisions_alone_is_plain() {
        let mut draft = Draft::default();
        draft.event(1, |out| out.extend_from_slice(&record()));
        draft.decided(2, 40, Uuid::nil());
        let mark = draft.mark();
        draft.state_delete(3, "k", "m");
        assert_eq!(draft.plain_decisions(), None);
        draft.rewind(mark);
        assert_eq!(draft.plain_decisions(), Some(vec![(2, 40)]));
    }

    #[test]
    fn malformed_bodies_end_the_walk() {
        for body in [&[99_u8][..], &[DECIDED, 1], &[EVENT, 0, 0, 0, 0, 0], &[SKIPPED, 0, 0, 0, 0]] {
            let mut changes = Changes::new(body);
            assert!(changes.next().unwrap().is_err());
            assert!(changes.next().is_none());
        }
    }
}
