//! Events that may have ended the host. Before each call of a guest its events are written into a small file, which outlives the process though nothing
//! syncs it; what stands there at the next start and is not decided was in a guest's hands when the host ended. Such an event is handled alone, one at a time in
//! the whole host, so that the next end is blamed on it or on nobody; after three it is a dead letter and its guest is not called again.
//!
//! Counts are in the file and not in frames: where frames were lost, an event's place in the order of its key is unknown until it is read again.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::{Buf, BufMut};
use parking_lot::{Mutex, MutexGuard};

use crate::view::failed::EventRef;

use super::work::BATCH_EVENTS_MAX;

/// After so many ends of the host an event is given up.
pub const ENDS_MAX: u8 = 3;

const MAGIC: u32 = u32::from_le_bytes(*b"bhnd");
const SLOT_BYTES: usize = 1024;
const SLOT_HEAD_BYTES: usize = 12;
const EVENT_BYTES: usize = 12;
/// A file with more is none of ours.
const FILE_BYTES_MAX: u64 = 16 << 20;

const _: () = assert!(SLOT_HEAD_BYTES + EVENT_BYTES * BATCH_EVENTS_MAX <= SLOT_BYTES);

/// What guests have in their hands, and what they had when the host ended last.
#[derive(Default)]
pub struct Suspects {
    /// Without one nothing is remembered: a host in memory.
    file: Option<File>,
    /// How often the host ended with each of them.
    ends: Mutex<BTreeMap<EventRef, u8>>,
    /// Whether there are any: all that a host without them pays.
    are_there: AtomicBool,
    /// Held while one of them is handled.
    alone: Mutex<()>,
}

/// What one slot says: the events of a call, and how often the host ended with its event when that was alone.
#[derive(Debug, PartialEq, Eq)]
struct Slot {
    ends: u8,
    events: Vec<EventRef>,
}

impl Suspects {
    /// Reads what was in guests' hands, of which `is_undecided` is of interest, and begins anew.
    pub fn open(path: &Path, is_undecided: impl Fn(EventRef) -> bool) -> io::Result<Self> {
        let file = File::options().read(true).write(true).create(true).truncate(false).open(path)?;
        let slots = read(&file)?;
        let ends = blame(&slots, is_undecided);
        if !ends.is_empty() {
            tracing::warn!(
                events = ends.len(),
                "the host ended while guests handled events; they are handled alone now, and given up if the host ends with them {ENDS_MAX} times"
            );
        }
        let are_there = AtomicBool::new(!ends.is_empty());
        Ok(Self { file: Some(file), ends: Mutex::new(ends), are_there, alone: Mutex::new(()) })
    }

    /// How often the host ended with an event, if it is one of them.
    pub fn ends(&self, event: EventRef) -> Option<u8> {
        if !self.are_there.load(Ordering::Relaxed) {
            return None;
        }
        self.ends.lock().get(&event).copied()
    }

    /// Lets one of them be handled while no other is.
    pub fn alone(&self) -> MutexGuard<'_, ()> {
        self.alone.lock()
    }

    /// It was handled, whatever came of it.
    pub fn cleared(&self, event: EventRef) {
        let mut ends = self.ends.lock();
        ends.remove(&event);
        self.are_there.store(!ends.is_empty(), Ordering::Relaxed);
    }

    /// A guest gets these events now. `ends` is how often the host ended with the one that is handled alone.
    pub fn hold(&self, events: impl Iterator<Item = EventRef>, ends: u8) {
        let Some(file) = &self.file else { return };
        THREAD.with_borrow_mut(|thread| {
            encode(&mut thread.slot, events, ends);
            // What cannot be remembered is handled all the same: the host seldom ends by an event.
            let _ = file.write_all_at(&thread.slot, u64::from(thread.number) * SLOT_BYTES as u64);
        });
    }
}

/// The place of a thread in every file, and room to write.
struct Thread {
    number: u32,
    slot: Vec<u8>,
}

/// Numbers that threads gave back.
static FREE: Mutex<(Vec<u32>, u32)> = Mutex::new((Vec::new(), 0));

thread_local! {
    static THREAD: RefCell<Thread> = RefCell::new(Thread::new());
}

impl Thread {
    fn new() -> Self {
        let (free, next) = &mut *FREE.lock();
        let number = free.pop().unwrap_or_else(|| {
            *next += 1;
            *next - 1
        });
        Self { number, slot: Vec::with_capacity(SLOT_BYTES) }
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        FREE.lock().0.push(self.number);
    }
}

fn encode(slot: &mut Vec<u8>, events: impl Iterator<Item = EventRef>, ends: u8) {
    slot.clear();
    slot.put_u32_le(MAGIC);
    slot.put_u32_le(0);
    slot.put_u8(ends);
    slot.put_u8(0);
    slot.put_u16_le(0);
    let mut count = 0_u16;
    for (subscription, offset) in events.take(BATCH_EVENTS_MAX) {
        slot.put_u32_le(subscription);
        slot.put_u64_le(offset);
        count += 1;
    }
    put(slot, 10, &count.to_le_bytes());
    let crc = crc32fast::hash(slot.get(8..).unwrap_or_default());
    put(slot, 4, &crc.to_le_bytes());
}

fn put(slot: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(place) = slot.get_mut(at..at + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}

/// A slot that is torn, of another format or never written says nothing.
fn decode(mut slot: &[u8]) -> Option<Slot> {
    if slot.len() < SLOT_HEAD_BYTES || slot.get_u32_le() != MAGIC {
        return None;
    }
    let crc = slot.get_u32_le();
    let count = usize::from(u16::from_le_bytes([*slot.get(2)?, *slot.get(3)?]));
    let written = slot.get(..SLOT_HEAD_BYTES - 8 + count * EVENT_BYTES)?;
    if crc32fast::hash(written) != crc {
        return None;
    }
    let ends = slot.get_u8();
    slot.advance(3);
    let events = (0..count).map(|_| (slot.get_u32_le(), slot.get_u64_le())).collect();
    Some(Slot { ends, events })
}

fn read(file: &File) -> io::Result<Vec<Slot>> {
    let len = file.metadata()?.len();
    if len > FILE_BYTES_MAX {
        return Ok(Vec::new());
    }
    let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes.chunks(SLOT_BYTES).filter_map(decode).collect())
}

/// If one was handled alone, the end is its; else it may be that of each.
fn blame(slots: &[Slot], is_undecided: impl Fn(EventRef) -> bool) -> BTreeMap<EventRef, u8> {
    let of = |slot: &Slot| {
        let ends = slot.ends + 1;
        slot.events
            .iter()
            .filter(|event| is_undecided(**event))
            .map(move |event| (*event, ends))
            .collect::<Vec<_>>()
    };
    let alone: BTreeMap<_, _> = slots.iter().filter(|slot| slot.ends > 0).flat_map(of).collect();
    if alone.is_empty() { slots.iter().flat_map(of).collect() } else { alone }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn slot(events: &[EventRef], ends: u8) -> Vec<u8> {
        let mut slot = Vec::new();
        encode(&mut slot, events.iter().copied(), ends);
        slot
    }

    #[test]
    fn a_slot_reads_as_it_was_written_and_nothing_else_does() {
        let events: Vec<_> = (0..64).map(|n| (n, u64::MAX - u64::from(n))).collect();
        let whole = slot(&events, 2);
        assert_eq!(decode(&whole), Some(Slot { ends: 2, events }));
        for at in 0..whole.len() {
            let mut bad = whole.clone();
            bad[at] ^= 4;
            assert_eq!(decode(&bad), None, "byte {at}");
            assert_eq!(decode(&whole[..at]), None, "cut at {at}");
        }
        assert_eq!(decode(&[0; SLOT_BYTES]), None);
        let mut longer = slot(&[(1, 2)], 0);
        longer.extend_from_slice(&whole[longer.len()..]);
        assert_eq!(
            decode(&longer),
            Some(Slot { ends: 0, events: vec![(1, 2)] }),
            "what was there before is no part of it"
        );
    }

    #[test]
    fn the_end_is_that_of_the_one_that_was_alone_or_else_of_all() {
        let (many, alone) =
            (Slot { ends: 0, events: vec![(1, 1), (1, 2)] }, Slot { ends: 1, events: vec![(2, 7)] });
        let slots = [many, alone];
        assert_eq!(blame(&slots, |_| true), BTreeMap::from([((2, 7), 2)]));
        assert_eq!(blame(&slots, |event| event != (2, 7)), BTreeMap::from([((1, 1), 1), ((1, 2), 1)]));
        assert!(blame(&slots, |_| false).is_empty());
    }

    #[test]
    fn a_file_that_is_none_of_ours_suspects_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hands");
        std::fs::write(&path, "x".repeat(5_000)).unwrap();
        let suspects = Suspects::open(&path, |_| true).unwrap();
        assert_eq!(suspects.ends((0, 0)), None);
        suspects.hold([(3, 4)].into_iter(), 0);
        let again = Suspects::open(&path, |_| true).unwrap();
        assert_eq!(again.ends((3, 4)), Some(1));
        again.cleared((3, 4));
        assert_eq!(again.ends((3, 4)), None);
    }
}
