//! What can go wrong in a journal, each with a stable code. Decides nothing about what the host does then.

use std::io;

use super::Position;
use super::room::is_no_room;

/// Why a journal refuses, or has ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// What was once durable cannot be read any more; nothing was changed.
    #[error(
        "the journal is damaged in segment {segment} at byte {offset}: {why}; run `baton journal verify`, then put the segment back from a copy"
    )]
    Damaged {
        /// The file name of the segment.
        segment: String,
        /// Where in the file.
        offset: u64,
        /// What was found and what was expected.
        why: String,
    },
    /// Another process has the journal open.
    #[error(
        "the journal in {place} is in use by another process; stop that host, or give this one a data folder of its own"
    )]
    Locked {
        /// The folder.
        place: String,
    },
    /// The disk is full, and so is what was kept back of it.
    #[error("the disk is full: {why}; free room on it, and the host goes on by itself")]
    NoRoom {
        /// The refusal.
        why: String,
    },
    /// A write or a sync failed: nothing that was not durable before ever will be.
    #[error(
        "the journal has failed and accepts nothing more: {why}; look after the disk, then restart the host"
    )]
    Failed {
        /// The first failure.
        why: String,
    },
    /// So much waits for the disk that the frame is refused.
    #[error(
        "{undurable_bytes} bytes wait for the disk and at most {undurable_bytes_max} may; try again later"
    )]
    Full {
        /// What waits now, with the refused frame.
        undurable_bytes: u64,
        /// What may wait.
        undurable_bytes_max: u64,
    },
    /// The journal was closed.
    #[error("the journal is closed; open it again")]
    Closed,
    /// A frame was appended at a position that is not the next one.
    #[error("the next frame belongs at position {expected}, and this one says {found}")]
    OutOfOrder {
        /// What [`super::Journal::next`] says.
        expected: Position,
        /// What the frame says.
        found: Position,
    },
    /// A frame takes no position, so nothing could find it again.
    #[error("the frame at position {position} has the width 0; a frame takes at least 1")]
    NoWidth {
        /// Where the frame would go.
        position: Position,
    },
    /// A frame's body is longer than a frame may be.
    #[error("the frame has {bytes} bytes and at most {bytes_max} are allowed; split it")]
    TooLarge {
        /// How many it has.
        bytes: usize,
        /// How many it may have.
        bytes_max: usize,
    },
    /// The asked position is older than everything that is kept.
    #[error("position {from} is no longer kept; the oldest is {first}")]
    Trimmed {
        /// The asked position.
        from: Position,
        /// The oldest that can be read.
        first: Position,
    },
    /// A segment was written by a Baton that knows a later format.
    #[error(
        "segment {segment} has the format version {found} at byte {offset}, and this Baton reads {known}; use the version of Baton that wrote it, or a later one"
    )]
    Version {
        /// The file name of the segment.
        segment: String,
        /// Where in the file.
        offset: u64,
        /// The version found.
        found: u16,
        /// The version that this build knows.
        known: u16,
    },
    /// A checkpoint is not as it was written.
    #[error("the checkpoint {name} cannot be used: {why}")]
    CheckpointDamaged {
        /// The file name.
        name: String,
        /// What was found.
        why: String,
    },
    /// Segments were to be removed whose effects are not in enough checkpoints.
    #[error("segments before position {to} may go only when two whole checkpoints stand for them")]
    Unbacked {
        /// Where the removal was to end.
        to: Position,
    },
    /// The storage refused.
    #[error("cannot {what} in {place}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// The folder.
        place: String,
        /// What the storage says.
        source: io::Error,
    },
}

impl Error {
    /// Whether all that is missing is room on the disk.
    pub fn is_no_room(&self) -> bool {
        match self {
            Error::NoRoom { .. } => true,
            Error::Io { source, .. } => is_no_room(source),
            _ => false,
        }
    }

    /// A stable name for programs and documentation.
    pub fn code(&self) -> &'static str {
        match self {
            Error::Damaged { .. } => "journal-damaged",
            Error::Locked { .. } => "journal-locked",
            Error::NoRoom { .. } => "disk-full",
            Error::Failed { .. } => "journal-failed",
            Error::Full { .. } => "journal-full",
            Error::Closed => "journal-closed",
            Error::OutOfOrder { .. } => "journal-out-of-order",
            Error::NoWidth { .. } => "journal-frame-width",
            Error::TooLarge { .. } => "journal-frame-too-large",
            Error::Trimmed { .. } => "journal-trimmed",
            Error::Version { .. } => "journal-version",
            Error::CheckpointDamaged { .. } => "checkpoint-damaged",
            Error::Unbacked { .. } => "journal-unbacked",
            Error::Io { .. } => "journal-io",
        }
    }
}
