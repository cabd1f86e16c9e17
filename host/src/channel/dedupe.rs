//! Recognises an event that was published before. A bounded ring of ids, newest last; nothing of it is stored,
//! because the journal's latest events say the same after a restart.

use std::collections::VecDeque;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry as Slot;

use super::Admitted;

/// How many ids there is room for from the start, unless fewer are remembered: a table that grows would stop all
/// publishers while it moves what it holds. The room is address space until it is used.
const ROOM_IDS_MAX: usize = 1 << 20;

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
    pub identity: [u64; 2],
    /// Of everything else but the trace context.
    pub content: u64,
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

/// An event has a known id and says something else than before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Differs {
    /// Its place in the batch.
    pub index: usize,
    /// The offset of the one before; none if that is in the same batch.
    pub offset: Option<u64>,
}

impl Dedupe {
    /// Remembers nothing yet.
    pub fn new(window: Window) -> Self {
        let room = window.ids_max.min(ROOM_IDS_MAX) + 1;
        let (ring, table) = (VecDeque::with_capacity(room), HashTable::with_capacity(room));
        Self { window, ring, first: 0, table }
    }

    /// Finds out which events of a batch are new, and remembers these without their offsets.
    pub fn admit(&mut self, prints: &[Fingerprint], time_ms: u64) -> Result<Admission<'_>, Differs> {
        let start = self.next();
        prints.iter().for_each(|print| self.touch(print.identity));
        let mut admission =
            Admission { known: self, seen: Vec::with_capacity(prints.len()), start, fresh: 0 };
        for (index, print) in prints.iter().enumerate() {
            let seen = admission.see(*print, time_ms);
            admission.seen.push(seen.map_err(|offset| Differs { index, offset })?);
        }
        Ok(admission)
    }

    /// Reads where an identity would be. The table is far larger than the processor's caches: when a whole batch is read first, its
    /// misses overlap.
    fn touch(&self, identity: [u64; 2]) {
        std::hint::black_box(self.table.find(hash(identity), |_| false));
    }

    /// Remembers an event that the journal has.
    pub fn insert(&mut self, print: Fingerprint, offset: u64, time_ms: u64) {
        self.find_or_insert(print, offset, time_ms);
    }

    /// The number of the entry that has this identity. Without one, an event is remembered, and what is too old or too much is
    /// forgotten for it.
    fn find_or_insert(&mut self, print: Fingerprint, offset: u64, time_ms: u64) -> Option<u64> {
        let (ring, first, next) = (&self.ring, self.first, self.next());
        let identity = |number: &u64| Some(ring.get(number.checked_sub(first)? as usize)?.print.identity);
        let slot = self.table.entry(
            hash(print.identity),
            |number| identity(number) == Some(print.identity),
            |number| identity(number).map_or(0, hash),
        );
        match slot {
            Slot::Occupied(found) => Some(*found.get()),
            Slot::Vacant(place) => {
                place.insert(next);
                self.ring.push_back(Entry { print, offset, time_ms });
                self.forget(time_ms);
                None
            }
        }
    }

    fn forget(&mut self, now_ms: u64) {
        let horizon = now_ms.saturating_sub(self.window.ms_max);
        while let Some(oldest) = self.ring.front() {
            if oldest.time_ms >= horizon && self.ring.len() <= self.window.ids_max {
                return;
            }
            let (identity, number) = (oldest.print.identity, self.first);
            self.ring.pop_front();
            self.first += 1;
            self.unlist(identity, number);
        }
    }

    fn unlist(&mut self, identity: [u64; 2], number: u64) {
        if let Ok(found) = self.table.find_entry(hash(identity), |other| *other == number) {
            found.remove();
        }
    }

    fn entry(&self, number: u64) -> Option<&Entry> {
        self.ring.get(number.checked_sub(self.first)? as usize)
    }

    fn next(&self) -> u64 {
        self.first + self.ring.len() as u64
    }

    /// How many ids it remembers, and how far back they go.
    pub fn extent(&self, now_ms: u64) -> (usize, u64) {
        let oldest = self.ring.front().map_or(now_ms, |entry| entry.time_ms);
        (self.ring.len(), now_ms.saturating_sub(oldest))
    }
}

/// What one event of a batch is.
#[derive(Clone, Copy, Debug)]
enum Seen {
    /// It has this offset since it was published before.
    Before(u64),
    /// It is the new event at this place among the new ones, perhaps once more.
    Here { place: u64, again: bool },
}

/// A batch whose new events are remembered. Unless it is settled, they are forgotten with it.
pub struct Admission<'a> {
    known: &'a mut Dedupe,
    seen: Vec<Seen>,
    /// The number of its first new entry.
    start: u64,
    /// How many are new.
    fresh: u64,
}

impl Admission<'_> {
    fn see(&mut self, print: Fingerprint, time_ms: u64) -> Result<Seen, Option<u64>> {
        let place = self.fresh;
        let Some(number) = self.known.find_or_insert(print, place, time_ms) else {
            self.fresh += 1;
            return Ok(Seen::Here { place, again: false });
        };
        let Some(entry) = self.known.entry(number) else { return Err(None) };
        let (same, here) = (entry.print.content == print.content, number >= self.start);
        match (same, here) {
            (true, true) => Ok(Seen::Here { place: entry.offset, again: true }),
            (true, false) => Ok(Seen::Before(entry.offset)),
            (false, here) => Err((!here).then_some(entry.offset)),
        }
    }

    /// How many events are new.
    pub fn fresh(&self) -> usize {
        self.fresh as usize
    }

    /// The places in the batch of those that are new.
    pub fn fresh_places(&self) -> impl Iterator<Item = usize> {
        let fresh = |seen: &Seen| matches!(seen, Seen::Here { again: false, .. });
        self.seen.iter().enumerate().filter(move |(_, seen)| fresh(seen)).map(|(index, _)| index)
    }

    /// The new ones have offsets from `first` on.
    pub fn settle(mut self, first: u64) -> Vec<Admitted> {
        let entries = self.known.ring.iter_mut().rev().take(self.fresh as usize);
        entries.for_each(|entry| entry.offset += first);
        self.fresh = 0;
        let admitted = |seen: &Seen| match *seen {
            Seen::Before(offset) => Admitted { offset, duplicate: true },
            Seen::Here { place, again } => Admitted { offset: first + place, duplicate: again },
        };
        self.seen.iter().map(admitted).collect()
    }
}

/// Takes back what was not settled.
impl Drop for Admission<'_> {
    fn drop(&mut self) {
        for _ in 0..self.fresh {
            let Some(entry) = self.known.ring.pop_back() else { return };
            let number = self.known.next();
            self.known.unlist(entry.print.identity, number);
        }
    }
}

/// The identity is a digest already: its first half is as good a hash as any.
fn hash([first, _]: [u64; 2]) -> u64 {
    first
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn print(identity: u64, content: u64) -> Fingerprint {
        Fingerprint { identity: [identity, 0], content }
    }

    fn dedupe(ids_max: usize) -> Dedupe {
        Dedupe::new(Window { ms_max: 100, ids_max })
    }

    /// Publishes a batch whose new events begin at `first`; offsets, and whether each was known.
    fn publish(dedupe: &mut Dedupe, prints: &[Fingerprint], first: u64, time_ms: u64) -> Vec<(u64, bool)> {
        let admitted = dedupe.admit(prints, time_ms).unwrap().settle(first);
        admitted.into_iter().map(|admitted| (admitted.offset, admitted.duplicate)).collect()
    }

    fn knows(dedupe: &mut Dedupe, identity: u64, time_ms: u64) -> bool {
        dedupe.admit(&[print(identity, 0)], time_ms).unwrap().fresh() == 0
    }

    #[test]
    fn an_id_is_known_with_what_it_said() {
        let mut dedupe = dedupe(10);
        dedupe.insert(print(1, 7), 40, 0);
        assert_eq!(publish(&mut dedupe, &[print(1, 7)], 41, 0), [(40, true)]);
        let differs = Differs { index: 0, offset: Some(40) };
        assert_eq!(dedupe.admit(&[print(1, 8)], 0).err(), Some(differs));
        assert_eq!(publish(&mut dedupe, &[print(2, 7)], 41, 0), [(41, false)]);
    }

    #[test]
    fn a_batch_knows_its_own_events() {
        let mut dedupe = dedupe(10);
        dedupe.insert(print(1, 0), 40, 0);
        let batch = [print(2, 0), print(1, 0), print(3, 0), print(2, 0), print(4, 0)];
        let settled = publish(&mut dedupe, &batch, 50, 0);
        assert_eq!(settled, [(50, false), (40, true), (51, false), (50, true), (52, false)]);
        assert_eq!(publish(&mut dedupe, &batch, 60, 0), [50, 40, 51, 50, 52].map(|offset| (offset, true)));
        let differs = Differs { index: 1, offset: None };
        assert_eq!(dedupe.admit(&[print(5, 0), print(5, 1)], 0).err(), Some(differs));
        assert!(!knows(&mut dedupe, 5, 0));
    }

    #[test]
    fn what_is_not_settled_is_forgotten() {
        let mut dedupe = dedupe(10);
        publish(&mut dedupe, &[print(1, 0)], 0, 0);
        drop(dedupe.admit(&[print(1, 0), print(2, 0), print(3, 0)], 0).unwrap());
        assert_eq!(dedupe.extent(0), (1, 0));
        assert_eq!(publish(&mut dedupe, &[print(3, 0), print(1, 0)], 7, 0), [(7, false), (0, true)]);
    }

    #[test]
    fn the_window_ends_by_number_or_by_time() {
        let mut dedupe = dedupe(3);
        let batch: Vec<_> = (0..5).map(|n| print(n, 0)).collect();
        assert_eq!(publish(&mut dedupe, &batch, 0, 10).len(), 5);
        assert_eq!(dedupe.extent(30), (3, 20));
        assert_eq!(publish(&mut dedupe, &[print(2, 0), print(4, 0)], 5, 10), [(2, true), (4, true)]);
        assert!(!knows(&mut dedupe, 1, 10));
        publish(&mut dedupe, &[print(9, 0)], 9, 200);
        assert_eq!(dedupe.extent(200), (1, 0));
    }
}
