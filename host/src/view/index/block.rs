//! The entries of one block of the journal, in memory: what is noted while frames come. It knows no files.
//!
//! An entry holds its frame as the distance from the block's first position: 12 bytes for a flow or an id, 8 for a run
//! of a channel. An event takes at most 32 bytes, and a decision 12, or nothing when its frame also holds what it emits:
//! so a full segment of 64 MiB (220,000 events of 256 B) takes about 7 MB, and as much as a file.

use std::ops::Range;
use std::sync::Arc;

use hashbrown::HashSet;

use crate::model::change::ChannelId;
use crate::model::runs::{self, Runs as FrameRuns};

use super::notes::Notes;

/// The high and the low half of a hash, then the frame's distance.
pub type Pair = [u32; 3];
/// An offset's distance from the channel's first in the block, then the distance of the frame that holds it. It reaches to
/// the next run.
pub type Run = [u32; 2];

/// Entries per chunk: what a look-up copies at most while it holds the lock (96 KiB).
const CHUNK_ENTRIES: usize = 8192;

/// Where things are in one range of positions.
#[derive(Default)]
pub struct Block {
    /// The first position.
    pub first: u64,
    /// The latest time of a frame; 0 without frames.
    pub time_max_ms: u64,
    /// By channel number.
    pub channels: Vec<Runs>,
    /// Which frames hold something of a flow.
    pub flows: Log,
    /// Which frames hold an event of an identity.
    pub ids: Log,
}

/// Where the offsets of one channel are.
#[derive(Default)]
pub struct Runs {
    /// The first offset in this block.
    pub first: u64,
    /// The offset behind the last one.
    pub end: u64,
    /// Ascending.
    pub entries: Vec<Run>,
}

/// Entries in the order in which they came. A clone shares all but the last chunk.
#[derive(Clone, Default)]
pub struct Log {
    full: Vec<Arc<Vec<Pair>>>,
    tail: Vec<Pair>,
}

impl Block {
    /// An empty block.
    pub fn starting_at(first: u64) -> Self {
        Self { first, ..Self::default() }
    }

    /// Notes the frame at this distance.
    pub fn note(&mut self, frame: u32, runs: &FrameRuns, notes: &Notes) {
        runs.iter().for_each(|run| self.runs(run.channel).note(run, frame));
        self.flows.note(&notes.flows, frame);
        self.ids.note(&notes.ids, frame);
    }

    /// Which offsets of which channels it holds.
    pub fn offsets(&self) -> Vec<(ChannelId, Range<u64>)> {
        let used = (0..).zip(&self.channels).filter(|(_, runs)| !runs.entries.is_empty());
        used.map(|(channel, runs)| (channel, runs.first..runs.end)).collect()
    }

    fn runs(&mut self, channel: ChannelId) -> &mut Runs {
        let index = channel as usize;
        if self.channels.len() <= index {
            self.channels.resize_with(index + 1, Runs::default);
        }
        #[allow(clippy::indexing_slicing, reason = "it was made one line above")]
        &mut self.channels[index]
    }

    /// The position of the frame that holds an offset.
    pub fn locate(&self, channel: ChannelId, offset: u64) -> Option<u64> {
        let runs = self.channels.get(channel as usize)?;
        if offset < runs.first || offset >= runs.end {
            return None;
        }
        let distance = (offset - runs.first) as u32;
        let behind = runs.entries.partition_point(|[first, _]| *first <= distance);
        let [_, frame] = runs.entries.get(behind.checked_sub(1)?)?;
        Some(self.first + u64::from(*frame))
    }
}

impl Runs {
    fn note(&mut self, run: &runs::Run, frame: u32) {
        if self.entries.is_empty() {
            self.first = run.first;
        }
        self.end = run.end();
        self.entries.push([(run.first - self.first) as u32, frame]);
    }
}

impl Log {
    fn note(&mut self, mut hashes: &[u64], frame: u32) {
        while !hashes.is_empty() {
            if self.tail.len() == CHUNK_ENTRIES {
                let full = std::mem::replace(&mut self.tail, Vec::with_capacity(CHUNK_ENTRIES));
                self.full.push(Arc::new(full));
            }
            let room = CHUNK_ENTRIES - self.tail.len();
            let (now, later) = hashes.split_at(room.min(hashes.len()));
            self.tail.extend(now.iter().map(|hash| pair(*hash, frame)));
            hashes = later;
        }
    }

    fn entries(&self) -> impl Iterator<Item = &Pair> {
        self.full.iter().flat_map(|chunk| chunk.iter()).chain(&self.tail)
    }

    /// The positions of the frames noted under a hash, ascending, each once; `first` is where the block starts.
    pub fn find(&self, first: u64, hash: u64) -> Vec<u64> {
        let [high, low, _] = pair(hash, 0);
        let found =
            self.entries().filter(|[entry_high, entry_low, _]| (*entry_high, *entry_low) == (high, low));
        let mut positions: Vec<u64> = found.map(|[_, _, frame]| first + u64::from(*frame)).collect();
        positions.dedup();
        positions
    }

    /// The positions of the frames noted under any of these hashes, ascending, in one walk; some may come twice.
    pub fn find_any(&self, first: u64, hashes: &HashSet<u64>) -> Vec<u64> {
        let noted = |[high, low, _]: &&Pair| hashes.contains(&(u64::from(*high) << 32 | u64::from(*low)));
        self.entries().filter(noted).map(|[_, _, frame]| first + u64::from(*frame)).collect()
    }

    /// All entries in the order of their hashes, each once.
    pub fn sorted(&self) -> Vec<Pair> {
        let mut entries: Vec<Pair> = self.entries().copied().collect();
        entries.sort_unstable();
        entries.dedup();
        entries
    }
}

/// The entry of a hash.
pub fn pair(hash: u64, frame: u32) -> Pair {
    [(hash >> 32) as u32, hash as u32, frame]
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn a_log_finds_everything_over_its_chunks() {
        let mut log = Log::default();
        let frames = 3 * CHUNK_ENTRIES as u32;
        for frame in 0..frames {
            log.note(&[1, u64::from(frame) << 32 | 5, 1], frame);
        }
        let before = log.clone();
        log.note(&[1], frames);
        let all: Vec<u64> = (100..100 + u64::from(frames)).collect();
        assert_eq!(before.find(100, 1), all);
        assert_eq!(log.find(100, 1).len(), all.len() + 1);
        assert_eq!(log.find(100, 9 << 32 | 5), [109]);
        assert!(log.full.iter().all(|chunk| chunk.len() == CHUNK_ENTRIES));
        let sorted = log.sorted();
        assert!(sorted.is_sorted());
        assert_eq!(sorted.len(), 2 * all.len() + 1);
    }

    #[test]
    fn frames_of_many_channels_cost_one_run_per_channel() {
        let mut block = Block::starting_at(50);
        for (frame, first, count) in [(0, 7, 3), (6, 10, 2)] {
            let runs = |channel| runs::Run { channel, first, count };
            block.runs(0).note(&runs(0), frame);
            block.runs(1).note(&runs(1), frame);
        }
        assert_eq!(block.channels[1].entries, [[0, 0], [3, 6]]);
        let found: Vec<_> = (6..13).map(|offset| block.locate(1, offset)).collect();
        let (first, second) = (Some(50), Some(56));
        assert_eq!(found, [None, first, first, first, second, second, None]);
    }
}
