//! An event on its way to a lane, its key, and the events of one call.

use std::borrow::Cow;

use crate::channel::{Item, ReadError};
use crate::model::change::Skip;
use crate::model::descriptor::KeyChoice;
use crate::model::key::key_of;
use crate::model::record::{Record, default_key_place};

/// The most events of one call.
pub const BATCH_EVENTS_MAX: usize = 64;
/// The most bytes of one call, unless one event alone has more.
pub const BATCH_BYTES_MAX: usize = 256 << 10;

/// An event that a lane is to handle.
#[derive(Clone, Debug)]
pub struct Work {
    /// Which of the feeder's sources it comes from.
    pub source: usize,
    /// The event.
    pub item: Item,
    /// Its place in the order of its key: its position, or where it was redriven.
    pub order: u64,
    /// Which attempt at it comes now, counted from 1.
    pub attempt: u32,
    /// It comes after an event of its key that failed, or is one.
    pub parked: bool,
    /// The hash of its key; two keys with one hash count as the same.
    pub hash: u64,
    /// Its key.
    pub key: Key,
}

impl Work {
    /// The key of the event.
    pub fn key(&self) -> &str {
        std::str::from_utf8(self.key.bytes(&self.item)).unwrap_or_default()
    }
}

/// A key, mostly a part of the record.
#[derive(Clone, Debug)]
pub enum Key {
    /// These bytes of the record.
    InRecord {
        /// Where it starts.
        start: usize,
        /// How long it is.
        len: usize,
    },
    /// A text that the record does not have as it is.
    Owned(Box<str>),
}

impl Key {
    /// The key of an event, as its subscription chooses it.
    pub fn of(choice: &KeyChoice, item: &Item) -> Result<Self, ReadError> {
        if let (KeyChoice::Default, Some(place)) = (choice, default_key_place(&item.record)) {
            return Ok(Self::InRecord { start: place.start, len: place.len() });
        }
        let record =
            Record::parse(&item.record).map_err(|error| ReadError::Journal { why: error.to_string() })?;
        Ok(match key_of(choice, &record) {
            Cow::Owned(text) => Self::Owned(text.into()),
            Cow::Borrowed(text) => {
                let start = (text.as_ptr() as usize).checked_sub(item.record.as_ptr() as usize);
                match start.filter(|start| start + text.len() <= item.record.len()) {
                    Some(start) => Self::InRecord { start, len: text.len() },
                    None => Self::Owned(text.into()),
                }
            }
        })
    }

    /// Its text.
    pub fn bytes<'a>(&'a self, item: &'a Item) -> &'a [u8] {
        match self {
            Self::Owned(text) => text.as_bytes(),
            Self::InRecord { start, len } => item.record.get(*start..start + len).unwrap_or_default(),
        }
    }
}

/// The events of one call: no key twice.
#[derive(Default)]
pub struct Picked {
    /// The events, in order.
    pub works: Vec<Work>,
    /// What was filtered on the way to them; it goes into their frame, or into one of its own when there are none.
    pub skips: Vec<Skip>,
    events_max: usize,
    bytes: usize,
    /// A bit for each key that is in it, by hash: most keys are told apart at once.
    bits: u128,
}

impl Picked {
    /// Makes room for up to so many events, and never more than [`BATCH_EVENTS_MAX`].
    pub fn clear(&mut self, events_max: usize) {
        self.works.clear();
        self.skips.clear();
        self.events_max = events_max.min(BATCH_EVENTS_MAX);
        self.bytes = 0;
        self.bits = 0;
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.works.is_empty() && self.skips.is_empty()
    }

    /// Takes fewer events than was said before.
    pub fn limit(&mut self, events_max: usize) {
        self.events_max = self.events_max.min(events_max);
    }

    /// Whether the event can come into the same call.
    pub fn has_room_for(&self, work: &Work) -> bool {
        let bytes = self.bytes + work.item.record.len();
        self.works.len() < self.events_max
            && (self.works.is_empty() || (bytes <= BATCH_BYTES_MAX && !self.has_key_of(work)))
    }

    /// Two keys with one hash count as the same: the batch ends a little early.
    fn has_key_of(&self, work: &Work) -> bool {
        self.bits & bit(work.hash) != 0 && self.works.iter().any(|other| other.hash == work.hash)
    }

    /// Takes an event in.
    pub fn push(&mut self, work: Work) {
        self.bytes += work.item.record.len();
        self.bits |= bit(work.hash);
        self.works.push(work);
    }
}

fn bit(hash: u64) -> u128 {
    1 << (hash & 127)
}
