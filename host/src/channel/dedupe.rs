//! Recognises an event that was published before. A bounded ring of ids, newest last; nothing of it is stored,
//! because the journal's latest events say the same after a restart.

use std::collections::VecDeque;

use hashbrown::HashTable;

/// How far back published ids are remembered.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// At most so long.
    pub ms_max: u64,
    /// At most so many.
    pub ids_max: usize,
}

/// What identifies an event in its channel, and what it says, as digests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// Of channel, source and id.
    pub identity: u128,
    /// Of everything else but the trace context.
    pub content: u64,
}

/// An event that was published before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// Whether it said the same.
    pub same: bool,
    /// Its offset in the channel.
    pub offset: u64,
}

struct Entry {
    print: Fingerprint,
    offset: u64,
    time_ms: u64,
}

/// The ids that were published of late.
pub struct Dedupe {
    window: Window,
    ring: VecDeque<Entry>,
    /// The number of the ring's first entry; entries are numbered on and on.
    first: u64,
    table: HashTable<u64>,
}

impl Dedupe {
    /// Remembers nothing yet.
    pub fn new(window: Window) -> Self {
        Self { window, ring: VecDeque::new(), first: 0, table: HashTable::new() }
    }

    /// Whether an event was published before.
    pub fn find(&self, print: Fingerprint) -> Option<Known> {
        let number = self.table.find(hash(print.identity), |n| self.identity(*n) == Some(print.identity))?;
        let entry = self.entry(*number)?;
        Some(Known { same: entry.print.content == print.content, offset: entry.offset })
    }

    /// Remembers an event, and forgets what is too old or too much.
    pub fn insert(&mut self, print: Fingerprint, offset: u64, time_ms: u64) {
        self.forget(time_ms);
        let number = self.first + self.ring.len() as u64;
        self.ring.push_back(Entry { print, offset, time_ms });
        let (ring, first) = (&self.ring, self.first);
        let rehash = |n: &u64| ring.get((n - first) as usize).map_or(0, |e| hash(e.print.identity));
        self.table.insert_unique(hash(print.identity), number, rehash);
    }

    fn forget(&mut self, now_ms: u64) {
        let horizon = now_ms.saturating_sub(self.window.ms_max);
        while let Some(oldest) = self.ring.front() {
            if oldest.time_ms >= horizon && self.ring.len() < self.window.ids_max {
                return;
            }
            let (identity, number) = (oldest.print.identity, self.first);
            if let Ok(found) = self.table.find_entry(hash(identity), |n| *n == number) {
                found.remove();
            }
            self.ring.pop_front();
            self.first += 1;
        }
    }

    fn entry(&self, number: u64) -> Option<&Entry> {
        self.ring.get(number.checked_sub(self.first)? as usize)
    }

    fn identity(&self, number: u64) -> Option<u128> {
        Some(self.entry(number)?.print.identity)
    }

    /// How many ids it remembers, and how far back they go.
    pub fn extent(&self, now_ms: u64) -> (usize, u64) {
        let oldest = self.ring.front().map_or(now_ms, |entry| entry.time_ms);
        (self.ring.len(), now_ms.saturating_sub(oldest))
    }
}

/// The identity is a digest already: its low half is as good a hash as any.
fn hash(identity: u128) -> u64 {
    identity as u64
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn print(identity: u128, content: u64) -> Fingerprint {
        Fingerprint { identity, content }
    }

    #[test]
    fn an_id_is_known_with_what_it_said() {
        let mut dedupe = Dedupe::new(Window { ms_max: 100, ids_max: 10 });
        dedupe.insert(print(1, 7), 40, 0);
        assert_eq!(dedupe.find(print(1, 7)), Some(Known { same: true, offset: 40 }));
        assert_eq!(dedupe.find(print(1, 8)), Some(Known { same: false, offset: 40 }));
        assert_eq!(dedupe.find(print(2, 7)), None);
    }

    #[test]
    fn the_window_ends_by_number_or_by_time() {
        let mut dedupe = Dedupe::new(Window { ms_max: 100, ids_max: 3 });
        for n in 0..5 {
            dedupe.insert(print(n, 0), n as u64, 10);
        }
        assert_eq!(dedupe.find(print(1, 0)), None);
        assert!(dedupe.find(print(2, 0)).is_some());
        assert_eq!(dedupe.extent(30), (3, 20));
        dedupe.insert(print(9, 0), 9, 200);
        assert_eq!(dedupe.find(print(4, 0)), None);
        assert_eq!(dedupe.extent(200), (1, 0));
    }
}
