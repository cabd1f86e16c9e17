//! Reads one channel in order from an offset on: from the tail while it keeps up, from the journal when it is
//! behind. It holds a bounded part of the channel, however far behind it is.

use std::collections::VecDeque;

use crate::journal::Position;
use crate::model::change::ChannelId;

use super::Domain;
use super::tail::{Item, items_of, own_if_sparse};

/// About how many bytes of the journal a reader takes at once.
const READ_BYTES: usize = 256 << 10;
/// How many events a reader takes from the tail at once, at least, if they are there.
const READ_EVENTS: u64 = 256;

/// Why a channel could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// There is no such channel.
    #[error("there is no channel '{name}'; one begins with its first event or subscription")]
    UnknownChannel {
        /// Its name.
        name: String,
    },
    /// What was asked for is gone.
    #[error("offset {from} is expired; the oldest that is kept is {first}")]
    Expired {
        /// What was asked for.
        from: u64,
        /// Where the channel goes on.
        first: u64,
    },
    /// The place is behind the channel's end.
    #[error(
        "the channel '{name}' ends at offset {end}, and {offset} is ahead of that: it is a place in another journal. Begin \
         with earliest, latest or an offset up to {end}"
    )]
    AheadOfEnd {
        /// The channel.
        name: String,
        /// Where reading should begin.
        offset: u64,
        /// The offset that the next event gets.
        end: u64,
    },
    /// The journal or its index could not be read.
    #[error("the journal could not be read: {why}")]
    Journal {
        /// What went wrong, with segment and offset where they are known.
        why: String,
    },
}

impl ReadError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownChannel { .. } => "unknown-channel",
            Self::Expired { .. } => "expired",
            Self::AheadOfEnd { .. } => "offset-ahead",
            Self::Journal { .. } => "journal-unreadable",
        }
    }

    pub(super) fn journal(error: impl std::fmt::Display) -> Self {
        Self::Journal { why: error.to_string() }
    }
}

/// A place in one channel.
pub struct Reader {
    domain: Domain,
    channel: ChannelId,
    /// The offset behind the last one in `ready`.
    next: u64,
    ready: VecDeque<Item>,
    /// Everything below this position was visible when there was last nothing to read.
    dry_at: Option<u64>,
}

impl Reader {
    /// Begins at an offset.
    pub fn new(domain: Domain, channel: ChannelId, offset: u64) -> Self {
        Self { domain, channel, next: offset, ready: VecDeque::new(), dry_at: None }
    }

    /// The next event, without taking it. `None` at the channel's end.
    pub fn peek(&mut self) -> Result<Option<&Item>, ReadError> {
        if self.ready.is_empty() {
            self.fill()?;
        }
        Ok(self.ready.front())
    }

    /// Takes the next event.
    pub fn take(&mut self) -> Result<Option<Item>, ReadError> {
        if self.ready.is_empty() {
            self.fill()?;
        }
        Ok(self.ready.pop_front())
    }

    /// Goes on to an offset that it has read already or that comes next; says whether it is one.
    fn skip_to(&mut self, offset: u64) -> bool {
        let first = self.ready.front().map_or(self.next, |item| item.offset);
        let passed = offset.checked_sub(first).filter(|_| offset <= self.next);
        if let Some(passed) = passed {
            self.ready.drain(..self.ready.len().min(passed as usize));
        }
        passed.is_some()
    }

    fn fill(&mut self) -> Result<(), ReadError> {
        // A processor that merges channels asks the empty ones again with every event of the others.
        let visible = self.domain.visible();
        if self.dry_at == Some(visible) {
            return Ok(());
        }
        self.read_on()?;
        self.dry_at = self.ready.is_empty().then_some(visible);
        Ok(())
    }

    fn read_on(&mut self) -> Result<(), ReadError> {
        // The first frame after a long silence may come between the two questions: then the tail has it by now, and
        // the journal perhaps not yet.
        let is_behind = |this: &Self| this.next < this.domain.channel_end(this.channel);
        if !self.fill_from_tail() && is_behind(self) && !self.fill_from_tail() {
            self.fill_from_journal().map_err(|error| self.or_expired(error))?;
        }
        if let Some(last) = self.ready.back() {
            self.next = last.offset + 1;
        }
        Ok(())
    }

    /// Retention may take a segment while somebody is in the middle of it: whatever went wrong then, that is why.
    fn or_expired(&self, error: ReadError) -> ReadError {
        match self.domain.channel_first(self.channel) {
            first if self.next < first => ReadError::Expired { from: self.next, first },
            _ => error,
        }
    }

    /// Says whether the tail reaches back far enough.
    fn fill_from_tail(&mut self) -> bool {
        let frames = self.domain.0.tail.frames_from(self.channel, self.next, READ_EVENTS);
        for frame in frames.iter().flatten() {
            items_of(frame, self.channel, self.next, &mut self.ready);
        }
        frames.is_some()
    }

    fn fill_from_journal(&mut self) -> Result<(), ReadError> {
        let inner = &self.domain.0;
        let Some(position) = inner.index.locate(self.channel, self.next).map_err(ReadError::journal)? else {
            return Err(ReadError::journal(format!(
                "no index knows offset {} of channel {}",
                self.next, self.channel
            )));
        };
        let frames = inner.journal.read(Position(position), READ_BYTES).map_err(ReadError::journal)?;
        frames.iter().for_each(|frame| items_of(frame, self.channel, self.next, &mut self.ready));
        own_if_sparse(&mut self.ready, 0, frames.iter().map(|frame| frame.body.len()).sum());
        if self.ready.is_empty() {
            let why =
                format!("offset {} of channel {} is not at position {position}", self.next, self.channel);
            return Err(ReadError::journal(why));
        }
        Ok(())
    }
}

/// Looks up events by offset; the same one again, and those soon after it, cost next to nothing.
pub struct Places {
    reader: Reader,
}

impl Places {
    /// The event at an offset.
    pub fn at(&mut self, offset: u64) -> Result<Option<Item>, ReadError> {
        if !self.reader.skip_to(offset) {
            self.reader = Reader::new(self.reader.domain.clone(), self.reader.channel, offset);
        }
        found(self.reader.peek().map(|item| item.cloned()), offset)
    }

    /// Gives back what it read ahead.
    pub fn forget(&mut self) {
        self.reader.ready = VecDeque::new();
    }
}

/// The event at an offset; one that is gone is not there.
fn found(taken: Result<Option<Item>, ReadError>, offset: u64) -> Result<Option<Item>, ReadError> {
    match taken {
        Err(ReadError::Expired { .. }) => Ok(None),
        taken => Ok(taken?.filter(|item| item.offset == offset)),
    }
}

impl Domain {
    /// The offset that the next event of a channel gets.
    pub fn channel_end(&self, channel: ChannelId) -> u64 {
        self.look(|world| world.channels().get(channel as usize).map_or(0, |channel| channel.next))
    }

    /// The oldest offset that a channel has.
    pub fn channel_first(&self, channel: ChannelId) -> u64 {
        self.look(|world| world.channels().get(channel as usize).map_or(0, |channel| channel.first))
    }

    /// Looks up events of a channel, in order at best.
    pub fn places(&self, channel: ChannelId) -> Places {
        Places { reader: Reader::new(self.clone(), channel, 0) }
    }

    /// One event of a channel.
    pub fn event_at(&self, channel: ChannelId, offset: u64) -> Result<Option<Item>, ReadError> {
        found(Reader::new(self.clone(), channel, offset).take(), offset)
    }

    /// Up to `limit` events of a channel that are durable, about `bytes_max` bytes of them, from the oldest that is kept on if `from` is
    /// expired.
    pub fn durable_events(
        &self,
        channel: ChannelId,
        from: u64,
        limit: usize,
        bytes_max: usize,
    ) -> Result<Vec<Item>, ReadError> {
        let durable = self.durable().current().0;
        let mut reader = Reader::new(self.clone(), channel, from.max(self.channel_first(channel)));
        let (mut items, mut bytes) = (Vec::new(), 0);
        while items.len() < limit && bytes < bytes_max {
            match reader.take() {
                Err(ReadError::Expired { first, .. }) if items.is_empty() => {
                    reader = Reader::new(self.clone(), channel, first);
                }
                Err(ReadError::Expired { .. }) => break,
                Err(error) => return Err(error),
                Ok(Some(item)) if item.position < durable => {
                    bytes += item.record.len();
                    items.push(item);
                }
                Ok(_) => break,
            }
        }
        Ok(items)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::super::{Limits, Parts, Window};
    use super::*;
    use crate::clock::ManualClock;
    use crate::journal::storage::Memory;
    use crate::journal::{Options, SegmentJournal};
    use crate::model::event::Event;
    use crate::model::name::ChannelName;
    use crate::model::record::Record;

    const CHANNELS: u64 = 200;

    fn parts() -> Parts {
        let journal = SegmentJournal::open(Arc::new(Memory::new()), Options::default()).unwrap();
        let limits = Limits {
            hops_max: 6,
            flow_events_max: 100,
            undurable_bytes_max: 8 << 20,
            tail_bytes_max: 1 << 20,
            dedupe: Window { ms_max: 60_000, ids_max: 1000 },
        };
        Parts { journal: Arc::new(journal), views: None, clock: Arc::new(ManualClock::at(1)), limits }
    }

    fn name(channel: u64) -> ChannelName {
        ChannelName::new(format!("c{channel}")).unwrap()
    }

    #[test]
    fn events_are_found_forward_again_and_backward() {
        let (domain, _keeper) = Domain::open(parts()).unwrap();
        let event = |n: u64| {
            let (id, data) = (n.to_string(), Some(vec![b'x'; 2_000].into()));
            Event { id, source: "/".into(), ty: "t".into(), data, ..Event::default() }
        };
        for part in 0..20 {
            let events: Vec<_> = (part * 50..part * 50 + 50).map(event).collect();
            domain.publish(&name(0), &events).unwrap();
        }
        let end = Position(domain.visible());
        domain.durable().wait_blocking(end).unwrap();
        let mut places = domain.places(0);
        let found = |places: &mut Places, offset| {
            let item = places.at(offset).unwrap().map(|item| item.owned());
            item.map(|item| (item.offset, Record::parse(&item.record).unwrap().parts.id.to_owned()))
        };
        for offset in [0, 1, 1, 7, 49, 50, 300, 999, 999, 2, 1, 640, 641] {
            assert_eq!(found(&mut places, offset), Some((offset, offset.to_string())));
            if offset == 300 {
                places.forget();
            }
        }
        assert_eq!(found(&mut places, 1_000), None);
        domain.publish(&name(0), &[event(1_000)]).unwrap();
        assert_eq!(found(&mut places, 1_000), Some((1_000, "1000".to_owned())));
    }

    /// The first event of a channel comes between the look into the tail and the look at the channel's end.
    #[test]
    fn an_event_that_comes_while_one_looks_is_read_before_it_is_on_the_disk() {
        let (domain, _keeper) = Domain::open(parts()).unwrap();
        for channel in 0..CHANNELS {
            domain.host_channel(&name(channel)).unwrap();
        }
        let reading = AtomicU64::new(0);
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                for channel in 0..CHANNELS {
                    reading.store(channel + 1, Ordering::SeqCst);
                    while Reader::new(domain.clone(), channel as ChannelId, 0).peek().unwrap().is_none() {}
                }
            });
            for channel in 0..CHANNELS {
                while reading.load(Ordering::SeqCst) <= channel && !reader.is_finished() {}
                let event = Event { id: "1".into(), source: "/".into(), ty: "t".into(), ..Event::default() };
                domain.publish(&name(channel), &[event]).unwrap();
            }
        });
    }
}
