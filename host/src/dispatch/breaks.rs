//! Limits that a processor passes on one event after another, with none handled between: whoever does that costs all others time
//! and does nobody any good. Retries and dead letters isolate an event; this is about a version that does not work at all.
//!
//! Only limits count. A trap is over in microseconds, and its event is set aside as the subscription says; a deadline costs a
//! second of a core for every event.

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use crate::model::fault::FaultKind;

/// So many events in a row, each counted once however often it is tried, and the processor is paused.
pub const LIMIT_FAULTS_IN_A_ROW_MAX: usize = 16;

/// The row of one deployment.
#[derive(Default)]
pub struct Breaks {
    /// Whether there is a row: what is handled asks nothing else.
    begun: AtomicBool,
    /// The positions of its events.
    row: Mutex<Vec<u64>>,
}

impl Breaks {
    /// An event at a position has failed.
    pub fn broke(&self, kind: FaultKind, position: u64) {
        if kind.is_limit() {
            let mut row = self.row.lock();
            if row.len() < LIMIT_FAULTS_IN_A_ROW_MAX && !row.contains(&position) {
                row.push(position);
            }
            self.begun.store(true, Ordering::Relaxed);
        }
    }

    /// An event was handled: there is no row, unless it was too long already.
    pub fn handled(&self) {
        if !self.has_begun() {
            return;
        }
        let mut row = self.row.lock();
        if row.len() < LIMIT_FAULTS_IN_A_ROW_MAX {
            row.clear();
            self.begun.store(false, Ordering::Relaxed);
        }
    }

    /// Whether there is a row: then events are tried one by one, so that it ends as soon as it may.
    pub fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Relaxed)
    }

    /// Says whether there are too many, once; then another row begins.
    pub fn take_too_many(&self) -> bool {
        if !self.has_begun() {
            return false;
        }
        let mut row = self.row.lock();
        let too_many = row.len() >= LIMIT_FAULTS_IN_A_ROW_MAX;
        if too_many {
            row.clear();
            self.begun.store(false, Ordering::Relaxed);
        }
        too_many
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn too_many(events: impl IntoIterator<Item = (FaultKind, u64)>) -> bool {
        let breaks = Breaks::default();
        events.into_iter().for_each(|(kind, position)| breaks.broke(kind, position));
        breaks.take_too_many()
    }

    #[test]
    fn so_many_events_in_a_row_are_too_many_once() {
        let breaks = Breaks::default();
        (0..LIMIT_FAULTS_IN_A_ROW_MAX as u64)
            .for_each(|position| breaks.broke(FaultKind::Deadline, position));
        breaks.handled();
        assert!(
            breaks.take_too_many() && !breaks.take_too_many(),
            "what comes later in a batch hides nothing"
        );
    }

    #[test]
    fn one_event_counts_once_and_what_is_no_limit_not_at_all() {
        assert!(!too_many((0..100).map(|n| (FaultKind::Memory, n % 3))));
        assert!(!too_many((0..100).map(|n| (FaultKind::Trap, n))));
        assert!(!too_many((0..100).map(|n| (FaultKind::Retry, n))));
    }

    #[test]
    fn an_event_that_is_handled_ends_the_row() {
        let breaks = Breaks::default();
        for position in 0..100 {
            breaks.broke(FaultKind::Emits, position);
            if position % 10 == 9 {
                breaks.handled();
            }
            assert!(!breaks.take_too_many());
        }
    }
}
