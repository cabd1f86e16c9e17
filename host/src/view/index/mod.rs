//! Where things are: which frame holds an offset of a channel, which frames belong to a flow, which may hold an event id. It
//! answers with positions and never with events; a row in a database per event would cost more than the event itself.
//!
//! `notes` is what a frame will leave in it, `block` is what is noted while frames come, one block per journal segment; a `closed` block goes to the disk as a `file`, made of
//! `table`s; `folder` decides which files count at a start; `hash` is what they are sorted by.

mod block;
mod closed;
mod file;
mod folder;
mod hash;
mod notes;
mod table;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests;

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hashbrown::HashSet;
use parking_lot::Mutex;
use uuid::Uuid;

use crate::model::change::ChannelId;
use crate::model::runs::Runs;

use block::Block;
use closed::Closed;
use file::BlockFile;

pub use notes::Notes;

/// The most frames that are named for one event id, the newest ones.
pub const CANDIDATES_MAX: usize = 64;

/// How far the clock may have been set back while a flow ran without hiding the flow's frames.
const CLOCK_SLACK_MS: u64 = 10 * 60 * 1000;

/// Why the index could not answer or be written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused.
    #[error("index file {path}: {source}; check the disk and the rights of the folder")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// A file is not as it was written.
    #[error(
        "index file {path} is damaged ({why}); delete it and start the host again: it is built anew from the journal"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        why: String,
    },
}

impl Error {
    fn of(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof | io::ErrorKind::NotFound => {
                Self::Damaged { path, why: source.to_string() }
            }
            _ => Self::Io { path, source },
        }
    }
}

/// A range of positions, and the offsets of each channel that lie in it.
pub type BlockOffsets = (Range<u64>, Vec<(ChannelId, Range<u64>)>);

/// The index of a domain's journal. One thread notes frames, one writes closed blocks, any number ask.
pub struct Index {
    dir: Option<PathBuf>,
    state: Mutex<State>,
}

struct State {
    active: Block,
    /// Oldest first. Readers take the list as it is and go on without the lock.
    closed: Arc<Vec<Closed>>,
    /// Blocks that end at or before this position are gone.
    trimmed: u64,
}

impl Index {
    /// Opens the index of a journal that holds these positions; without a folder it is in memory alone. Files that are damaged,
    /// or do not belong to this journal, are removed: see [`Index::covered_until`].
    pub fn open(dir: Option<PathBuf>, journal: Range<u64>) -> Result<Self, Error> {
        let files = match &dir {
            Some(dir) => folder::open(dir, &journal)?,
            None => Vec::new(),
        };
        let next = files.last().map_or(journal.start, |file| file.positions().end);
        let closed = files.into_iter().map(|file| Closed::File(Arc::new(file))).collect();
        let state = State { active: Block::starting_at(next), closed: Arc::new(closed), trimmed: 0 };
        Ok(Self { dir, state: Mutex::new(state) })
    }

    /// Everything before this position is in files; the caller notes the rest, frame by frame in order, and starts a block
    /// wherever a segment starts. Frames before it may be noted too: they are left out.
    pub fn covered_until(&self) -> u64 {
        let state = self.state.lock();
        let in_files = state.closed.iter().rfind(|closed| matches!(closed, Closed::File(_)));
        in_files.map_or_else(|| state.first(), Closed::end)
    }

    /// Notes a frame; one that a file holds already is left out.
    pub fn note(&self, position: u64, time_ms: u64, runs: &Runs, notes: &Notes) {
        let mut state = self.state.lock();
        if position.saturating_sub(state.active.first) > u64::from(u32::MAX) {
            state.start_block(position);
        }
        let Some(frame) = position.checked_sub(state.active.first) else { return };
        state.active.time_max_ms = state.active.time_max_ms.max(time_ms);
        state.active.note(frame as u32, runs, notes);
    }

    /// A journal segment starts at this position: the block so far is closed.
    pub fn start_block(&self, position: u64) {
        self.state.lock().start_block(position);
    }

    /// Writes the closed blocks whose frames are all before `durable`, oldest first. Until its file is on the disk, a block is
    /// answered from memory. For a thread in the background; never for two.
    pub fn write_closed(&self, durable: u64) -> Result<(), Error> {
        let Some(dir) = &self.dir else { return Ok(()) };
        while let Some((block, end)) = self.next_to_write(durable) {
            let file = BlockFile::write(dir, &block, end)?;
            let mut state = self.state.lock();
            let mut closed = Arc::make_mut(&mut state.closed).iter_mut();
            match closed.find(|closed| closed.start() == block.first) {
                Some(closed) => *closed = Closed::File(Arc::new(file)),
                // It was trimmed meanwhile.
                None => file.remove()?,
            }
        }
        Ok(())
    }

    /// Forgets the blocks that end at or before `first`, and removes their files: the journal has these frames no more. For the thread that
    /// writes blocks.
    pub fn trim(&self, first: u64) -> Result<(), Error> {
        let gone = {
            let mut state = self.state.lock();
            state.trimmed = state.trimmed.max(first);
            let blocks = state.closed.iter().cloned();
            let (gone, kept): (Vec<Closed>, Vec<Closed>) = blocks.partition(|block| block.end() <= first);
            state.closed = Arc::new(kept);
            gone
        };
        gone.iter().try_for_each(|block| match block {
            Closed::File(file) => file.remove(),
            Closed::Memory(..) => Ok(()),
        })
    }

    /// Which offsets of which channels lie in which positions, oldest first. The newest block has no end.
    pub fn blocks(&self) -> Vec<BlockOffsets> {
        let state = self.state.lock();
        let closed = state.closed.iter().map(|block| (block.start()..block.end(), block.offsets()));
        closed.chain([(state.active.first..u64::MAX, state.active.offsets())]).collect()
    }

    /// What a look into a block found; nothing, if it failed because the block went meanwhile.
    fn unless_trimmed<T: Default>(&self, block: &Closed, found: Result<T, Error>) -> Result<T, Error> {
        match found {
            Err(_) if block.end() <= self.state.lock().trimmed => Ok(T::default()),
            found => found,
        }
    }

    fn next_to_write(&self, durable: u64) -> Option<(Arc<Block>, u64)> {
        let state = self.state.lock();
        state.closed.iter().find_map(|closed| match closed {
            Closed::Memory(block, end) if *end <= durable => Some((block.clone(), *end)),
            _ => None,
        })
    }

    /// The position of the frame that holds an offset of a channel.
    pub fn locate(&self, channel: ChannelId, offset: u64) -> Result<Option<u64>, Error> {
        let closed = {
            let state = self.state.lock();
            if let Some(position) = state.active.locate(channel, offset) {
                return Ok(Some(position));
            }
            state.closed.clone()
        };
        for block in closed.iter().rev() {
            if let Some(position) = self.unless_trimmed(block, block.locate(channel, offset))? {
                return Ok(Some(position));
            }
        }
        Ok(None)
    }

    /// The positions of the first `limit` frames that hold events, decisions, replies or faults of a flow, ascending. They are found
    /// by a hash, so a frame may turn out to hold nothing of it.
    pub fn flow(&self, flow: Uuid, limit: usize) -> Result<Vec<u64>, Error> {
        let hash = hash::of_flow(flow);
        let (closed, first, active) = {
            let state = self.state.lock();
            (state.closed.clone(), state.active.first, state.active.flows.clone())
        };
        let mut found = Vec::new();
        let since_ms = began_ms(flow).saturating_sub(CLOCK_SLACK_MS);
        for block in closed.iter().filter(|block| block.time_max_ms() >= since_ms) {
            found.extend(self.unless_trimmed(block, block.flow(hash))?);
            if found.len() >= limit {
                found.truncate(limit);
                return Ok(found);
            }
        }
        found.extend(active.find(first, hash));
        found.truncate(limit);
        Ok(found)
    }

    /// The positions of all frames that may hold something of any of these flows, ascending, each once.
    pub fn flows(&self, flows: &[Uuid]) -> Result<Vec<u64>, Error> {
        let hashes: HashSet<u64> = flows.iter().map(|flow| hash::of_flow(*flow)).collect();
        let (closed, first, active) = {
            let state = self.state.lock();
            (state.closed.clone(), state.active.first, state.active.flows.clone())
        };
        let since_ms = flows.iter().map(|flow| began_ms(*flow)).min().unwrap_or(u64::MAX);
        let since_ms = since_ms.saturating_sub(CLOCK_SLACK_MS);
        let mut found = active.find_any(first, &hashes);
        for block in closed.iter().filter(|block| block.time_max_ms() >= since_ms) {
            found.extend(self.unless_trimmed(block, block.flows(&hashes))?);
        }
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    /// The positions of the frames that may hold an event of this identity, newest first, at most [`CANDIDATES_MAX`]; blocks that
    /// ended before `since_ms` are left out.
    pub fn event_id(
        &self,
        channel: ChannelId,
        source: &str,
        id: &str,
        since_ms: u64,
    ) -> Result<Vec<u64>, Error> {
        let hash = hash::of_identity(channel, source.as_bytes(), id.as_bytes());
        let (closed, first, active) = {
            let state = self.state.lock();
            (state.closed.clone(), state.active.first, state.active.ids.clone())
        };
        let mut found = active.find(first, hash);
        found.reverse();
        for block in closed.iter().rev().filter(|block| block.time_max_ms() >= since_ms) {
            if found.len() >= CANDIDATES_MAX {
                break;
            }
            found.extend(self.unless_trimmed(block, block.id(hash))?.into_iter().rev());
        }
        found.truncate(CANDIDATES_MAX);
        Ok(found)
    }
}

impl State {
    fn first(&self) -> u64 {
        match self.closed.first() {
            Some(Closed::Memory(block, _)) => block.first,
            _ => self.active.first,
        }
    }

    fn start_block(&mut self, position: u64) {
        if position <= self.active.first {
            return;
        }
        let block = std::mem::replace(&mut self.active, Block::starting_at(position));
        Arc::make_mut(&mut self.closed).push(Closed::Memory(Arc::new(block), position));
    }
}

/// When a flow began: a UUIDv7 says it, others say 0.
fn began_ms(flow: Uuid) -> u64 {
    if flow.get_version_num() == 7 { (flow.as_u128() >> 80) as u64 } else { 0 }
}
