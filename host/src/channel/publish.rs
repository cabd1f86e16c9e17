//! Admission: what is accepted from outside, and what is answered when it comes twice.

use bytes::Bytes;
use uuid::Uuid;

use crate::journal::Shortage;
use crate::model::change::{ChannelId, Draft};
use crate::model::event::{Event, EventError};
use crate::model::name::{ChannelName, RESERVED};
use crate::model::record::{Borrowed, Record, Stamp};

use super::dedupe::{Admission, Differs, Fingerprint};
use super::owner::{Drafted, Owner};
use super::print::{fingerprint, says_the_same};
use super::{Domain, Inner, Refused};

/// The most events of one publish, which is one frame.
pub const PUBLISH_EVENTS_MAX: usize = 10_000;
/// The most bytes of one publish; a frame has 16 MiB.
pub const PUBLISH_BYTES_MAX: usize = 15 << 20;
/// About how many bytes of an event in a frame are not its data.
const RECORD_BYTES: usize = 160;
/// How long a publisher is asked to stay away when too much waits for the disk.
const RETRY_AFTER_S: u64 = 1;
/// How long when the disk is full, which takes somebody to mend.
const FULL_RETRY_AFTER_S: u64 = 10;

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
    /// The disk is full.
    #[error(
        "the disk is full and takes no events; free room on it, or try again in {retry_after_s} s: {why}"
    )]
    NoRoom {
        /// The journal's refusal.
        why: String,
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
            Self::NoRoom { .. } => "disk-full",
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
    Differs(Differs),
}

/// Events that are ready to be recorded.
struct Prepared {
    /// As they are recorded if all of them are new and their channel has its number.
    drafted: Drafted,
    /// The channel's number, unless it is not known without the owner.
    channel: Option<ChannelId>,
    prints: Vec<Fingerprint>,
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
            match self.try_publish(channel, &mut prepared)? {
                Tried::Published(admitted, end) => return Ok((admitted, end)),
                Tried::Differs(differs) => self.compare(channel, events, &mut prepared, differs)?,
            }
        }
    }

    fn try_publish(&self, channel: &ChannelName, prepared: &mut Prepared) -> Result<Tried, PublishError> {
        let inner = &self.0;
        let bytes = prepared.drafted.draft.len();
        inner.admits(bytes)?;
        let mut known = inner.known.lock();
        let admission = match known.admit(&prepared.prints, inner.clock.now_ms()) {
            Ok(admission) => admission,
            Err(differs) => return Ok(Tried::Differs(differs)),
        };
        if admission.fresh() == 0 {
            return Ok(Tried::Published(admission.settle(0), inner.journal.next().0));
        }
        let mut owner = inner.hold();
        inner.admits(bytes)?;
        let drafted = match prepared.channel {
            Some(_) if admission.fresh() == prepared.prints.len() => std::mem::take(&mut prepared.drafted),
            _ => self.draft_anew(&owner, channel, prepared, &admission),
        };
        let closed = |error: Refused| PublishError::Closed { reason: error.to_string() };
        let (sequenced, runs) = inner.place(&mut owner, drafted).map_err(closed)?;
        let woken = owner.readers_of(&runs);
        let writer = self.give_back(owner);
        let first = runs.iter().next().map_or(0, |run| run.first);
        let admitted = admission.settle(first);
        drop(known);
        drop(writer);
        self.wake(woken);
        Ok(Tried::Published(admitted, sequenced.end))
    }

    /// Drafts the new ones among the events, on a channel that may be new itself.
    fn draft_anew(
        &self,
        owner: &Owner,
        channel: &ChannelName,
        prepared: &Prepared,
        admission: &Admission<'_>,
    ) -> Drafted {
        let mut draft = Draft::default();
        let id = owner.channel(channel, &mut draft, &mut Vec::new());
        for place in admission.fresh_places() {
            let record = prepared.drafted.draft.record(place).unwrap_or_default();
            draft.event(id, |out| out.extend_from_slice(record));
        }
        self.0.drafted(draft)
    }

    /// An event has a known id and another fingerprint. Without a lock: if it says the same all the same, it goes on under the
    /// fingerprint of the first time.
    fn compare(
        &self,
        channel: &ChannelName,
        events: &[Event],
        prepared: &mut Prepared,
        differs: Differs,
    ) -> Result<(), PublishError> {
        let Differs { index, offset } = differs;
        let (Some(event), Some(print)) = (events.get(index), prepared.prints.get_mut(index)) else {
            return Ok(());
        };
        let id = self.look(|world| world.channel_id(channel.as_str())).unwrap_or_default();
        let stored = match offset {
            Some(offset) => self
                .event_at(id, offset)
                .map_err(|error| PublishError::Closed { reason: error.to_string() })?,
            None => None,
        };
        let record = stored.as_ref().and_then(|item| Record::parse(&item.record).ok());
        match record.filter(|record| says_the_same(record, event)) {
            Some(record) => *print = fingerprint(channel.as_str(), &record.parts, record.extensions()),
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
        let count = events.len();
        let bytes = events.iter().map(|event| event.data.as_ref().map_or(0, Bytes::len)).sum();
        if count > PUBLISH_EVENTS_MAX || bytes > PUBLISH_BYTES_MAX {
            return Err(PublishError::TooLarge { count, bytes });
        }
        let number = self.number_of(channel);
        let first_flow = new_flow(self.0.clock.now_ms());
        let mut draft = Draft::default();
        draft.reserve(bytes + count * RECORD_BYTES, count);
        let mut prints = Vec::with_capacity(count);
        for (index, event) in events.iter().enumerate() {
            event.check().map_err(|error| PublishError::BadEvent { index, error })?;
            let event = Borrowed::of(event);
            prints.push(fingerprint(channel.as_str(), &event.parts, event.extensions()));
            let stamp = Stamp { flow: nth_flow(first_flow, index), cause: None, causationid: None, hops: 0 };
            draft.event(number.unwrap_or_default(), |out| event.encode(out, &stamp));
        }
        let bytes = draft.len();
        if bytes > PUBLISH_BYTES_MAX {
            return Err(PublishError::TooLarge { count, bytes });
        }
        Ok(Prepared { drafted: self.0.drafted(draft), channel: number, prints })
    }

    /// The number of a channel, if it had one when somebody published on it before.
    pub fn number_of(&self, channel: &ChannelName) -> Option<ChannelId> {
        if let Some(number) = self.0.numbers.read().get(channel) {
            return Some(*number);
        }
        let number = self.look(|world| world.channel_id(channel.as_str()))?;
        self.0.numbers.write().insert(channel.clone(), number);
        Some(number)
    }
}

impl Inner {
    /// Whether so many bytes are admitted behind what waits for the disk.
    fn admits(&self, bytes: usize) -> Result<(), PublishError> {
        if let Some(Shortage { why, .. }) = self.journal.room().shortage() {
            return Err(PublishError::NoRoom { why, retry_after_s: FULL_RETRY_AFTER_S });
        }
        match self.has_room(bytes) {
            true => Ok(()),
            false => Err(PublishError::Busy { retry_after_s: RETRY_AFTER_S }),
        }
    }
}

pub(super) fn new_flow(now_ms: u64) -> Uuid {
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
