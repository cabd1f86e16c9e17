//! Runs of events that a filter did not pass and that no frame says yet. It is bounded; it decides nothing.

use crate::model::change::{Skip, SubscriptionId};

/// The most events that are filtered before what was decided on them is recorded.
const SKIPPED_EVENTS_MAX: u64 = 16_384;
/// The most runs of filtered events in one frame.
const SKIPS_MAX: usize = 1024;

/// Filtered events that no frame says yet.
#[derive(Default)]
pub struct Skipped {
    runs: Vec<Skip>,
    events: u64,
}

impl Skipped {
    /// Adds an event of a subscription; they come in order.
    pub fn push(&mut self, subscription: SubscriptionId, offset: u64) {
        self.events += 1;
        let mut latest = self.runs.iter_mut().rev();
        match latest.find(|run| run.subscription == subscription).filter(|run| run.to == offset) {
            Some(run) => run.to += 1,
            None => self.runs.push(Skip { subscription, from: offset, to: offset + 1 }),
        }
    }

    /// Whether a frame has to say what there is before more comes.
    pub fn is_full(&self) -> bool {
        self.events >= SKIPPED_EVENTS_MAX || self.runs.len() >= SKIPS_MAX
    }

    /// Moves the runs into `to`, which is empty.
    pub fn take(&mut self, to: &mut Vec<Skip>) {
        std::mem::swap(&mut self.runs, to);
        self.events = 0;
    }
}
