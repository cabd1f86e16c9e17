//! A block that gets no more entries: in memory until its file is on the disk, then in the file. The answers are the same.

use std::ops::Range;
use std::sync::Arc;

use hashbrown::HashSet;

use crate::model::change::ChannelId;

use super::Error;
use super::block::Block;
use super::file::BlockFile;

/// A closed block.
#[derive(Clone)]
pub enum Closed {
    /// Not in a file yet; the position behind its last.
    Memory(Arc<Block>, u64),
    /// In a file.
    File(Arc<BlockFile>),
}

impl Closed {
    /// The position behind its last.
    pub fn end(&self) -> u64 {
        match self {
            Self::Memory(_, end) => *end,
            Self::File(file) => file.positions().end,
        }
    }

    /// Its first position.
    pub fn start(&self) -> u64 {
        match self {
            Self::Memory(block, _) => block.first,
            Self::File(file) => file.positions().start,
        }
    }

    /// Which offsets of which channels it holds.
    pub fn offsets(&self) -> Vec<(ChannelId, Range<u64>)> {
        match self {
            Self::Memory(block, _) => block.offsets(),
            Self::File(file) => file.offsets(),
        }
    }

    /// The latest time of a frame.
    pub fn time_max_ms(&self) -> u64 {
        match self {
            Self::Memory(block, _) => block.time_max_ms,
            Self::File(file) => file.time_max_ms(),
        }
    }

    /// The position of the frame that holds an offset.
    pub fn locate(&self, channel: ChannelId, offset: u64) -> Result<Option<u64>, Error> {
        match self {
            Self::Memory(block, _) => Ok(block.locate(channel, offset)),
            Self::File(file) => file.locate(channel, offset),
        }
    }

    /// The positions of the frames that hold something of the flow with this hash, ascending.
    pub fn flow(&self, hash: u64) -> Result<Vec<u64>, Error> {
        match self {
            Self::Memory(block, _) => Ok(block.flows.find(block.first, hash)),
            Self::File(file) => file.flow(hash),
        }
    }

    /// The positions of the frames that hold something of a flow with any of these hashes; some may come twice.
    pub fn flows(&self, hashes: &HashSet<u64>) -> Result<Vec<u64>, Error> {
        match self {
            Self::Memory(block, _) => Ok(block.flows.find_any(block.first, hashes)),
            Self::File(file) => {
                let each = hashes.iter().map(|hash| file.flow(*hash));
                Ok(each.collect::<Result<Vec<_>, _>>()?.concat())
            }
        }
    }

    /// The positions of the frames that hold an event with this hash, ascending.
    pub fn id(&self, hash: u64) -> Result<Vec<u64>, Error> {
        match self {
            Self::Memory(block, _) => Ok(block.ids.find(block.first, hash)),
            Self::File(file) => file.id(hash),
        }
    }
}
