//! The durable seam: an append-only sequence of checksummed frames, in one order, that survives a crash. It knows frames, and never
//! what is in them; nothing above it may assume a file.
//!
//! The way of a frame: `queue` (bounded, never waits) -> `writer` (one thread, group commit) -> `active` (the segment that is written)
//! -> `durable` (everyone who waits for the disk). Readers go by `catalog` and `reader`. `recovery` runs once, at the start;
//! `room` is what happens when the disk is full; `verify` reads everything. `checkpoint` keeps what frames add up to, so that `trim` may remove the oldest. `frame` and `segment` are the format, `walk` goes through it, and `storage` is where the bytes are.

mod active;
mod catalog;
mod checkpoint;
mod durable;
mod error;
mod folder;
mod frame;
mod log;
mod meters;
mod position;
mod queue;
mod reader;
mod recovery;
mod room;
#[cfg(test)]
mod room_tests;
mod segment;
pub mod storage;
mod trim;
mod verify;
mod walk;
mod writer;

#[cfg(test)]
mod contract;
#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod fuzz_tests;
#[cfg(test)]
mod recovery_tests;
#[cfg(test)]
mod trim_tests;

pub use checkpoint::CheckpointInfo;
pub use durable::Durable;
pub use error::Error;
pub use frame::{FRAME_BYTES_MAX, Frame};
pub use log::SegmentJournal;
pub use meters::Meters;
pub use position::Position;
pub use room::{Room, Shortage};
pub use segment::SegmentInfo;
pub use verify::{CheckpointReport, Damage, Report, SegmentReport, verify};

use std::io::{Read, Write};
use std::sync::Arc;

/// A domain's journal.
///
/// The contract: frames are read in the order in which they were appended, each with the bytes it was appended with. Once [`Durable`]
/// has named a position, every frame before it survives a crash. A crash loses only frames behind that, and of those
/// a whole tail: if a frame survives, so do all before it.
pub trait Journal: Send + std::marker::Sync + 'static {
    /// Queues a frame behind all earlier ones, for the writer to find when it is woken next; never waits for the disk. `frame.position`
    /// must be [`Journal::next`]. There is one caller: the owner of the domain. A refused frame leaves no trace.
    fn queue(&self, frame: Frame) -> Result<Appended, Error>;

    /// Wakes the writer if it sleeps while frames are queued. Whoever is woken may run at once in the place of who wakes it, so this is
    /// for those who hold no lock.
    fn wake_writer(&self);

    /// Queues a frame and wakes the writer.
    fn append(&self, frame: Frame) -> Result<Appended, Error> {
        let appended = self.queue(frame)?;
        self.wake_writer();
        Ok(appended)
    }

    /// The position that the next frame gets.
    fn next(&self) -> Position;

    /// The oldest position that is kept.
    fn first(&self) -> Position;

    /// How far the journal is durable.
    fn durable(&self) -> &Durable;

    /// The bytes that wait for the disk.
    fn undurable_bytes(&self) -> u64;

    /// Whole stored frames in order, starting with the one that holds `from`: at least one if there is one, about `bytes_max` bytes,
    /// and none if `from` lies behind all that is stored. Frames that are not durable yet may be among them, or not.
    fn read(&self, from: Position, bytes_max: usize) -> Result<Vec<Frame>, Error>;

    /// The parts that frames are stored in, oldest first.
    fn segments(&self) -> Vec<SegmentInfo>;

    /// What it has measured.
    fn meters(&self) -> &Meters;

    /// Keeps what all frames before `position` add up to; when this returns, it is durable. The two newest are kept. One caller at a time.
    fn put_checkpoint(&self, position: Position, content: &mut dyn Read) -> Result<CheckpointInfo, Error>;

    /// The checkpoints that were finished, newest first; their content is not looked at.
    fn checkpoints(&self) -> Result<Vec<CheckpointInfo>, Error>;

    /// Reads a checkpoint's content; after an error, what was read counts for nothing.
    fn get_checkpoint(&self, info: CheckpointInfo, into: &mut dyn Write) -> Result<(), Error>;

    /// Removes whole segments that end at or before `to`, oldest first and never the newest, and says which. Refuses unless two whole
    /// checkpoints stand for them. Readers of what is gone are told [`Error::Trimmed`]. One caller at a time.
    fn trim(&self, to: Position) -> Result<Vec<SegmentInfo>, Error>;

    /// Copies checkpoints and frames into an empty storage, from which a journal can be opened; says where the copy ends. It holds
    /// whole frames, all of them durable. Frames are appended meanwhile as ever, but nothing may be trimmed.
    fn copy_to(&self, storage: Arc<dyn storage::Storage>) -> Result<Position, Error>;

    /// Whether there is room for more. While there is not, frames wait in memory, become durable when there is, and callers keep all but
    /// control away; nothing of what was appended is undone.
    fn room(&self) -> &Room;

    /// Refuses further frames, makes the queued ones durable, and ends. May be called again.
    fn close(&self) -> Result<(), Error>;
}

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// This frame is the first of a new segment.
    pub starts_segment: bool,
}

/// When a frame counts as durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sync {
    /// When the disk has it: it survives a power cut.
    #[default]
    Fsync,
    /// When the operating system has it: it survives a crash of the host, but not of the machine.
    Os,
}

/// How much a journal may hold where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// A segment is sealed before it grows beyond this; a larger frame gets a segment of its own.
    pub segment_bytes_max: u64,
    /// A frame is refused when more than this would wait for the disk.
    pub undurable_bytes_max: u64,
    /// How much of the disk is kept back for when it is full; at 0 nothing is.
    pub reserve_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { segment_bytes_max: 64 << 20, undurable_bytes_max: 64 << 20, reserve_bytes: 0 }
    }
}

/// How a journal is opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// When a frame counts as durable.
    pub sync: Sync,
    /// How much it may hold where.
    pub limits: Limits,
}
