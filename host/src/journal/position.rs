//! A place in the journal. Knows nothing of files, segments or events.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A place in the journal; every event of a frame has its own: `frame.position` plus the event's index.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Position(pub u64);

impl Position {
    /// The first position of a new journal.
    pub const START: Position = Position(0);

    /// The position that lies `count` places further on.
    #[must_use]
    pub fn plus(self, count: u64) -> Position {
        Position(self.0.saturating_add(count))
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
