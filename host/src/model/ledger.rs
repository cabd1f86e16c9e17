//! The book of a subscription as it is told: where every event is that it accepted.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Every event that a subscription accepted is one of these; the sum is checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ledger {
    /// All events of the channel from its start on.
    pub accepted: u64,
    /// Handled, and what came of it is kept.
    pub acked: u64,
    /// Not passed by its filter.
    pub filtered: u64,
    /// In flight, waiting behind one that failed, or still to come.
    pub to_do: u64,
    /// Failed, and tried again by itself.
    pub parked: u64,
    /// Failed, and held until somebody looks.
    pub held: u64,
    /// Given up: dead letters.
    pub dead: u64,
    /// Given up for good, because an operator said so.
    pub discarded: u64,
    /// Gone before it was decided.
    pub expired: u64,
}

impl Ledger {
    /// How many events too few (or, below zero, too many) are accounted for. It is 0, or Baton has a fault.
    pub fn difference(&self) -> i64 {
        let Self { accepted, acked, filtered, to_do, parked, held, dead, discarded, expired } = *self;
        let told = acked + filtered + to_do + parked + held + dead + discarded + expired;
        i64::try_from(i128::from(accepted) - i128::from(told)).unwrap_or(i64::MAX)
    }
}

/// A book that does not balance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LedgerAlarm {
    /// Whose book.
    pub processor: String,
    /// Of which channel.
    pub channel: String,
    /// How many events too few are accounted for; below zero too many.
    pub difference: i64,
}
