//! What the writer measures, a few numbers per sync.

use std::time::Duration;

use crate::meter::{BYTES, COUNTS, Counted, Histogram, TIMES_US};

/// How long groups take and how large they are, since the journal was opened.
#[derive(Debug)]
pub struct Meters {
    sync_us: Histogram,
    group_frames: Histogram,
    group_bytes: Histogram,
}

impl Default for Meters {
    fn default() -> Self {
        Self {
            sync_us: Histogram::new(TIMES_US),
            group_frames: Histogram::new(COUNTS),
            group_bytes: Histogram::new(BYTES),
        }
    }
}

impl Meters {
    pub(super) fn group(&self, frames: usize, bytes: u64, took: Duration) {
        self.sync_us.observe(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        self.group_frames.observe(frames as u64);
        self.group_bytes.observe(bytes);
    }

    /// Time to write a group and to sync it, in microseconds.
    pub fn sync_us(&self) -> Counted {
        self.sync_us.look()
    }

    /// Frames of a group.
    pub fn group_frames(&self) -> Counted {
        self.group_frames.look()
    }

    /// Bytes of a group.
    pub fn group_bytes(&self) -> Counted {
        self.group_bytes.look()
    }
}
