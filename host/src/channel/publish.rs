//! Admission: what is accepted from outside, and what is answered when it comes twice.

use std::ops::Range;

use bytes::Bytes;
use uuid::Uuid;

use crate::model::change::Draft;
use crate::model::event::{Event, EventError};
use crate::model::name::{ChannelName, RESERVED};
use crate::model::record::{Record, Stamp, encode_event};

use super::Domain;
use super::dedupe::Fingerprint;
use super::owner::Owner;
use super::print::{fingerprint, says_the_same};

/// The most events of one publish, which is one frame.
pub const PUBLISH_EVENTS_MAX: usize = 10_000;
/// The most bytes of one publish; a frame has 16 MiB.
pub const PUBLISH_BYTES_MAX: usize = 15 << 20;
/// About how many bytes of a record are not its data.
const RECORD_BYTES: usize = 256;
/// About how many bytes of a change are not its record.
const EVENT_CHANGE_BYTES: usize = 16;
/// How long a publisher is asked to stay away when too much waits for the disk.
const RETRY_AFTER_S: u64 = 1;

/// Why events were not accepted; then none of the batch was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// One of them is no event.
    #[error("event {index} of the batch: {error}")]
    BadEvent {
        /// Its place in the batch, from 0.
        index: usize,
        /// What is wrong with it.
        error: EventError,
    },
    /// One of them was published before and said something else.
    #[error(
        "an event with source '{event_source}' and id '{id}' was published on this channel before, with other content; \
         give a new event a new id"
    )]
    Conflict {
        /// Its id.
        id: String,
        /// Its source.
        event_source: String,
    },
    /// The batch is too large.
    #[error(
        "the batch has {count} events and {bytes} bytes; at most {PUBLISH_EVENTS_MAX} events and {PUBLISH_BYTES_MAX} bytes"
    )]
    TooLarge {
        /// Its events.
        count: usize,
        /// Its bytes.
        bytes: usize,
    },
    /// The channel is the host's own.
    #[error(
        "'{channel}' is a channel of the host, which alone publishes on names that begin with '{RESERVED}'; choose another name"
    )]
    Reserved {
        /// Its name.
        channel: String,
    },
    /// Too much waits for the disk.
    #[error("too much waits for the disk; try again in {retry_after_s} s")]
    Busy {
        /// When to come back, in seconds.
        retry_after_s: u64,
    },
    /// The domain takes no events.
    #[error("the domain takes no events: {reason}")]
    Closed {
        /// Why.
        reason: String,
    },
}

impl PublishError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::BadEvent { .. } => "bad-event",
            Self::Conflict { .. } => "event-conflict",
            Self::TooLarge { .. } => "batch-too-large",
            Self::Reserved { .. } => "reserved-channel",
            Self::Busy { .. } => "busy",
            Self::Closed { .. } => "domain-closed",
        }
    }
}

/// What became of one event of a publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// Its place in the channel.
    pub offset: u64,
    /// Whether it was accepted before; the offset is that of the first time.
    pub duplicate: bool,
}

/// What came of one try to publish.
enum Tried {
    Published(Vec<Admitted>, u64),
    /// This event has a known id, at this offset, and another fingerprint.
    Differs {
        index: usize,
        offset: u64,
    },
}

/// Events that are ready to be recorded.
#[derive(Default)]
struct Prepared {
    records: Vec<u8>,
    /// Where each record is.
    events: Vec<(Range<usize>, Fingerprint)>,
}

impl Domain {
    /// Sequences events on a channel, as one frame; a channel that does not exist is created. The events are not
    /// durable yet: wait for the position that comes with the answer.
    pub fn publish(
        &self,
        channel: &ChannelName,
        events: &[Event],
    ) -> Result<(Vec<Admitted>, u64), PublishError> {
        if channel.is_reserved() {
            return Err(PublishError::Reserved { channel: channel.to_string() });
        }
        let mut prepared = self.prepare(channel, events)?;
        loop {
            match self.try_publish(channel, &prepared)? {
                Tried::Published(admitted, end) => return Ok((admitted, end)),
                Tried::Differs { index, offset } => {
                    self.compare(channel, events, &mut prepared, index, offset)?
                }
            }
        }
    }

    fn try_publish(&self, channel: &ChannelName, prepared: &Prepared) -> Result<Tried, PublishError> {
        let inner = &self.0;
        let mut owner = inner.owner.lock();
        if !inner.has_room(prepared.records.len()) {
            return Err(PublishError::Busy { retry_after_s: RETRY_AFTER_S });
        }
        let admitted = match owner.admit(channel, prepared) {
            Ok(admitted) => admitted,
            Err((index, offset)) => return Ok(Tried::Differs { index, offset }),
        };
        let fresh = admitted.iter().zip(&prepared.events).filter(|(admitted, _)| !admitted.duplicate);
        let mut draft = Draft::default();
        draft.reserve(prepared.records.len() + prepared.events.len() * EVENT_CHANGE_BYTES);
        let id = owner.channel(channel, &mut draft, &mut Vec::new());
        let now_ms = inner.clock.now_ms();
        for (admitted, (place, print)) in fresh {
            let record = prepared.records.get(place.clone()).unwrap_or_default();
            draft.event(id, |out| out.extend_from_slice(record));
            owner.dedupe.insert(*print, admitted.offset, now_ms);
        }
        if draft.events() == 0 {
            return Ok(Tried::Published(admitted, inner.journal.next().0));
        }
        let closed = |error: super::Refused| PublishError::Closed { reason: error.to_string() };
        let (sequenced, runs) = inner.sequence(&mut owner, draft).map_err(closed)?;
        let woken = owner.readers_of(&runs);
        self.give_back(owner);
        self.wake(woken);
        Ok(Tried::Published(admitted, sequenced.end))
    }

    /// An event has a known id and other bytes. Without the lock: if it says the same all the same, it goes on under the
    /// fingerprint of the first time.
    fn compare(
        &self,
        channel: &ChannelName,
        events: &[Event],
        prepared: &mut Prepared,
        index: usize,
        offset: u64,
    ) -> Result<(), PublishError> {
        let (Some(event), Some((_, print))) = (events.get(index), prepared.events.get_mut(index)) else {
            return Ok(());
        };
        let id = self.look(|world| world.channel_id(channel.as_str())).unwrap_or_default();
        let stored =
            self.event_at(id, offset).map_err(|error| PublishError::Closed { reason: error.to_string() })?;
        let record = stored.as_ref().and_then(|item| Record::parse(&item.record).ok());
        match record.filter(|record| says_the_same(record, event)) {
            Some(record) => *print = fingerprint(channel.as_str(), &record),
            None => {
                return Err(PublishError::Conflict {
                    id: event.id.clone(),
                    event_source: event.source.clone(),
                });
            }
        }
        Ok(())
    }

    fn prepare(&self, channel: &ChannelName, events: &[Event]) -> Result<Prepared, PublishError> {
        let bytes = events.iter().map(|event| event.data.as_ref().map_or(0, Bytes::len)).sum();
        if events.len() > PUBLISH_EVENTS_MAX || bytes > PUBLISH_BYTES_MAX {
            return Err(PublishError::TooLarge { count: events.len(), bytes });
        }
        let now_ms = self.0.clock.now_ms();
        let first_flow = new_flow(now_ms);
        let mut prepared = Prepared::default();
        prepared.records.reserve(bytes + events.len() * RECORD_BYTES);
        prepared.events.reserve(events.len());
        for (index, event) in events.iter().enumerate() {
            prepared.add(channel, index, event, nth_flow(first_flow, index))?;
        }
        let bytes = prepared.records.len();
        if bytes > PUBLISH_BYTES_MAX {
            return Err(PublishError::TooLarge { count: events.len(), bytes });
        }
        Ok(prepared)
    }
}

impl Prepared {
    /// Adds the record of an event.
    fn add(
        &mut self,
        channel: &ChannelName,
        index: usize,
        event: &Event,
        flow: Uuid,
    ) -> Result<(), PublishError> {
        event.check().map_err(|error| PublishError::BadEvent { index, error })?;
        let start = self.records.len();
        let stamp = Stamp { flow, cause: None, causationid: None, hops: 0 };
        encode_event(&mut self.records, event, &stamp);
        let malformed = |error: crate::model::record::Malformed| PublishError::BadEvent {
            index,
            error: EventError { attribute: ".".to_owned(), why: error.to_string() },
        };
        let place = start..self.records.len();
        let record = Record::parse(self.records.get(place.clone()).unwrap_or_default()).map_err(malformed)?;
        let print = fingerprint(channel.as_str(), &record);
        self.events.push((place, print));
        Ok(())
    }
}

fn new_flow(now_ms: u64) -> Uuid {
    let nanos = (now_ms % 1000) as u32 * 1_000_000;
    Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, now_ms / 1000, nanos))
}

/// The flows of one publish count on from a random one, as RFC 9562 allows: to ask the system for random numbers for
/// each would cost more than the rest of its admission.
fn nth_flow(first: Uuid, index: usize) -> Uuid {
    const COUNTED: u128 = (1 << 62) - 1;
    let first = first.as_u128();
    Uuid::from_u128(first & !COUNTED | first.wrapping_add(index as u128) & COUNTED)
}

impl Owner {
    /// Finds out which events are new, without changing anything. An event with a known id and another fingerprint
    /// ends it: its index, and the offset that the id has.
    fn admit(&self, channel: &ChannelName, prepared: &Prepared) -> Result<Vec<Admitted>, (usize, u64)> {
        let id = self.world.channel_id(channel.as_str());
        let mut next =
            id.and_then(|id| self.world.channels().get(id as usize)).map_or(0, |channel| channel.next);
        let count = prepared.events.len();
        let mut admitted: Vec<Admitted> = Vec::with_capacity(count);
        let mut batch = hashbrown::HashMap::with_capacity(if count > 1 { count } else { 0 });
        for (index, (_, print)) in prepared.events.iter().enumerate() {
            let before = self.dedupe.find(*print).map(|known| (known.same, known.offset)).or_else(|| {
                batch.get(&print.identity).map(|(content, offset)| (*content == print.content, *offset))
            });
            match before {
                Some((false, offset)) => return Err((index, offset)),
                Some((true, offset)) => admitted.push(Admitted { offset, duplicate: true }),
                None => {
                    batch.insert(print.identity, (print.content, next));
                    admitted.push(Admitted { offset: next, duplicate: false });
                    next += 1;
                }
            }
        }
        Ok(admitted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flows_of_one_publish_differ_and_keep_time_and_version() {
        let first = Uuid::from_u128(new_flow(1_700_000_000_123).as_u128() | ((1 << 62) - 1));
        for index in [1, PUBLISH_EVENTS_MAX] {
            let flow = nth_flow(first, index);
            assert_ne!(flow, first);
            assert_eq!((flow.get_version_num(), flow.get_variant()), (7, uuid::Variant::RFC4122));
            assert_eq!(flow.as_u128() >> 64, first.as_u128() >> 64);
        }
        assert_eq!(nth_flow(first, 0), first);
    }
}
