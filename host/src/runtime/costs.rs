//! Whether what somebody has evaluated cost much of late. It decides on times that it is given.

use std::time::{Duration, Instant};

/// From when on a call is costly.
const COSTLY: Duration = Duration::from_millis(20);
/// How long that is remembered, and as long that there was no CPU time for what stands behind all others.
const MEMORY: Duration = Duration::from_secs(10);

/// What is remembered.
#[derive(Default)]
pub(super) struct Costs {
    costly: Option<Instant>,
    starved: Option<Instant>,
}

impl Costs {
    /// Whether the next call is to stand behind all others: one was costly, and there is CPU time to spare.
    pub fn stand_behind(&self, now: Instant) -> bool {
        let of_late = |at: Option<Instant>| at.is_some_and(|at| now.saturating_duration_since(at) < MEMORY);
        of_late(self.costly) && !of_late(self.starved)
    }

    /// A call took so much CPU time. Says whether that is news.
    pub fn took(&mut self, time: Duration, now: Instant) -> bool {
        let was_known = self.stand_behind(now);
        if time >= COSTLY {
            self.costly = Some(now);
        }
        !was_known && self.stand_behind(now)
    }

    /// A call that stood behind all others had no CPU in its time.
    pub fn starved(&mut self, now: Instant) {
        self.starved = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn who_was_costly_stands_behind_all_for_a_while() {
        let (mut costs, at) = (Costs::default(), Instant::now());
        assert!(!costs.took(19 * MS, at) && !costs.stand_behind(at));
        assert!(costs.took(20 * MS, at) && costs.stand_behind(at));
        assert!(!costs.took(MS, at + 5_000 * MS), "what is quick now is no news");
        assert!(costs.stand_behind(at + 9_999 * MS));
        assert!(!costs.stand_behind(at + MEMORY));
        assert!(!costs.took(20 * MS, at + 9_999 * MS), "it was known");
        assert!(costs.stand_behind(at + MEMORY), "each costly call counts anew");
    }

    #[test]
    fn who_has_no_cpu_there_stands_among_others_again() {
        let (mut costs, at) = (Costs::default(), Instant::now());
        costs.took(20 * MS, at);
        costs.starved(at + MS);
        assert!(!costs.stand_behind(at + MS));
        assert!(!costs.took(20 * MS, at + 9_000 * MS), "that changes nothing for now");
        assert!(costs.stand_behind(at + MS + MEMORY));
    }
}
