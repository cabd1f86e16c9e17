//! The kinds of power cut that are looked at.

use super::{Call, Chance, Fate, Image, Simulated};

/// What a power cut does to what is not synced. Each kind finds other faults, so each is tried for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// All of it is lost.
    Nothing,
    /// What was written up to some moment is kept, and nothing behind it.
    Prefix,
    /// Each call is kept or lost for itself.
    Subset,
    /// The same, and writes are torn into sectors of 512 bytes.
    Sectors,
    /// The same, and writes are torn at any byte.
    Bytes,
}

impl Cut {
    /// All kinds.
    pub const ALL: [Cut; 5] = [Cut::Nothing, Cut::Prefix, Cut::Subset, Cut::Sectors, Cut::Bytes];

    /// What it keeps, in a few words.
    pub fn name(self) -> &'static str {
        match self {
            Cut::Nothing => "none of it kept",
            Cut::Prefix => "a prefix kept",
            Cut::Subset => "a random subset kept",
            Cut::Sectors => "torn at 512 bytes",
            Cut::Bytes => "torn at any byte",
        }
    }

    fn fate(self, call: &Call, chance: &mut Chance) -> Fate {
        let torn = match (self, call) {
            (Cut::Sectors, Call::Write(..)) => Some(Fate::Sectors(chance.number())),
            (Cut::Bytes, Call::Write(_, _, bytes)) => Some(Fate::Torn(chance.below(used(bytes) + 1))),
            _ => None,
        };
        match (self, chance.below(3)) {
            (Cut::Nothing, _) | (_, 0) => Fate::Lost,
            (_, 1) => torn.unwrap_or(Fate::Kept),
            _ => Fate::Kept,
        }
    }
}

/// Where the zeros begin that a write ends with: they are most of it, and torn there it is whole.
fn used(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)
}

impl Simulated {
    /// The files after a power cut of this kind that came when `count` calls had returned.
    pub fn cut(&self, count: usize, cut: Cut, chance: &mut Chance) -> Image {
        let mut left = chance.below(self.unsynced(count) + 1);
        self.crash(count, |_, call| {
            if cut != Cut::Prefix {
                return cut.fate(call, chance);
            }
            let kept = left > 0;
            left = left.saturating_sub(1);
            if kept { Fate::Kept } else { Fate::Lost }
        })
    }
}
