//! Bugs that are put in from outside, so that it is known that the proof would see them: by a disk that lies, by a publisher that is
//! answered early, by a lane that commits as none may, by a host that remembers nothing. The host itself is the one that ships.

use super::rig::Setting;
use crate::journal::storage::simulated::{Failure, Lie, Simulated};

/// Every so manyth call fails that needs room, and says that it was done.
const SWALLOWED_EACH: u64 = 9;

/// A bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planted {
    /// What should be synced is not.
    SkippedSync,
    /// Publishers are answered as soon as their events are sequenced.
    AnswerBeforeCommit,
    /// An event is decided in one frame, and what it emits comes in the next.
    PositionWithoutOutputs,
    /// The disk has failed, and nobody heard of it.
    SwallowedError,
    /// No published id is known after a restart.
    DedupeForgotten,
    /// What a version made that was replaced meanwhile is committed all the same.
    StaleVersion,
}

impl Planted {
    /// All of them.
    pub const ALL: [Planted; 6] = [
        Planted::SkippedSync,
        Planted::AnswerBeforeCommit,
        Planted::PositionWithoutOutputs,
        Planted::SwallowedError,
        Planted::DedupeForgotten,
        Planted::StaleVersion,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Planted::SkippedSync => "skipped sync",
            Planted::AnswerBeforeCommit => "answer before commit",
            Planted::PositionWithoutOutputs => "position without outputs",
            Planted::SwallowedError => "swallowed storage error",
            Planted::DedupeForgotten => "known ids forgotten",
            Planted::StaleVersion => "commit of a stale version",
        }
    }

    /// Puts it into the disk, if that is where it is.
    pub fn in_disk(self, disk: &Simulated) {
        match self {
            Planted::SkippedSync => disk.lie(Lie::SkipsSyncs),
            Planted::SwallowedError => {
                disk.lie(Lie::SwallowsErrors);
                disk.fail_each(SWALLOWED_EACH, Failure::NoSpace);
            }
            _ => {}
        }
    }

    /// The host's setting with it.
    pub fn setting(self) -> Setting {
        match self {
            Planted::DedupeForgotten => Setting { known_ms: 0, ..Setting::default() },
            _ => Setting::default(),
        }
    }

    /// Whether it takes a lane that is made by hand.
    pub fn is_by_hand(self) -> bool {
        matches!(self, Planted::PositionWithoutOutputs | Planted::StaleVersion)
    }
}
