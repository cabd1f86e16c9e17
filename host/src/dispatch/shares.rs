//! How much of the threads' time went into whose work of late; how much one does at once, and how long one rests who has more to do, while
//! others work too. It decides on times that it is given, and stops nobody.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How long what somebody did counts, once to twice.
pub const MOMENT: Duration = Duration::from_millis(50);
/// How much one does at once whom nobody waits for, and as much of a job as counts for the rest after it. What is paid once for a batch is
/// a tenth of that or less.
const JOB: Duration = Duration::from_micros(500);
/// How many times less that is for each part of a thread that others had: it is how long a step of theirs waits that is interrupted.
const SHORTER: f64 = 8.0;
/// How long a rest is for each part of a thread that others had, in times of the job; and the most.
const RESTS: f64 = 4.0;
const RESTS_MAX: f64 = 2.0;

/// The time that owners had, now and a moment before.
#[derive(Default)]
pub struct Shares {
    now: Window,
    before: Window,
}

/// The time that owners had since something began.
#[derive(Default)]
struct Window {
    began: Option<Instant>,
    by_owner: HashMap<usize, Duration>,
    all: Duration,
}

impl Window {
    fn others(&self, owner: usize) -> Duration {
        self.all - self.by_owner.get(&owner).copied().unwrap_or_default()
    }

    fn has_others(&self, owner: usize) -> bool {
        self.by_owner.len() > usize::from(self.by_owner.contains_key(&owner))
    }
}

impl Shares {
    /// An owner has something to do.
    pub fn begins(&mut self, owner: usize, now: Instant) {
        self.turn(now);
        self.now.by_owner.entry(owner).or_default();
    }

    /// A job of an owner who has nothing more to do took so long.
    pub fn ends(&mut self, owner: usize, took: Duration, now: Instant) {
        self.turn(now);
        *self.now.by_owner.entry(owner).or_default() += took;
        self.now.all += took;
    }

    /// Whether somebody else had something to do a moment ago.
    pub fn others_are_awake(&self, owner: usize, now: Instant) -> bool {
        self.windows(now).any(|window| window.has_others(owner))
    }

    /// How much an owner should do at once: the less, the more of a thread others had.
    pub fn job(&self, owner: usize, now: Instant) -> Duration {
        JOB.div_f64(1.0 + SHORTER * self.part_of_others(owner, now))
    }

    /// How long an owner rests after a job that took so long: the longer, the more of a thread others had.
    pub fn rest(&self, owner: usize, took: Duration, now: Instant) -> Duration {
        took.min(JOB).mul_f64((RESTS * self.part_of_others(owner, now)).min(RESTS_MAX))
    }

    /// How much of a thread others had.
    fn part_of_others(&self, owner: usize, now: Instant) -> f64 {
        let began = self.windows(now).filter_map(|window| window.began).min();
        let elapsed = began.map_or(Duration::ZERO, |began| now.saturating_duration_since(began));
        let others: Duration = self.windows(now).map(|window| window.others(owner)).sum();
        if elapsed.is_zero() { 0.0 } else { others.as_secs_f64() / elapsed.as_secs_f64() }
    }

    /// Those windows that count.
    fn windows(&self, now: Instant) -> impl Iterator<Item = &Window> {
        let age = self.now.began.map(|began| now.saturating_duration_since(began));
        let counts = |ages: u32| age.is_some_and(|age| age < MOMENT * ages);
        let (present, before) = (counts(2).then_some(&self.now), counts(1).then_some(&self.before));
        present.into_iter().chain(before)
    }

    fn turn(&mut self, now: Instant) {
        let age = self.now.began.map(|began| now.saturating_duration_since(began));
        if age.is_some_and(|age| age < MOMENT) {
            return;
        }
        std::mem::swap(&mut self.now, &mut self.before);
        let is_old = age.is_none_or(|age| age >= MOMENT * 2);
        for window in [Some(&mut self.now), is_old.then_some(&mut self.before)].into_iter().flatten() {
            window.by_owner.clear();
            window.all = Duration::ZERO;
            window.began = None;
        }
        self.now.began = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const US: Duration = Duration::from_micros(1);

    #[test]
    fn others_are_awake_for_a_moment_or_two_after_they_had_something_to_do() {
        let (mut shares, at) = (Shares::default(), Instant::now());
        assert!(!shares.others_are_awake(1, at), "nobody was ever there");
        shares.begins(1, at);
        assert!(!shares.others_are_awake(1, at), "nobody else is there");
        shares.begins(2, at + MS);
        assert!(shares.others_are_awake(1, at + MS));
        shares.begins(1, at + 51 * MS);
        assert!(shares.others_are_awake(1, at + 51 * MS), "it was in the window before");
        assert!(!shares.others_are_awake(1, at + 101 * MS));
        shares.begins(1, at + 102 * MS);
        assert!(!shares.others_are_awake(1, at + 102 * MS));
        shares.begins(1, at + 900 * MS);
        assert!(shares.others_are_awake(2, at + 900 * MS) && !shares.others_are_awake(1, at + 900 * MS));
    }

    #[test]
    fn an_owner_does_less_at_once_and_rests_as_others_work() {
        let (mut shares, at) = (Shares::default(), Instant::now());
        let took = 400 * US;
        shares.begins(1, at);
        shares.ends(1, took, at + MS);
        assert_eq!(shares.rest(1, took, at + MS), Duration::ZERO, "nobody else is there");
        assert_eq!(shares.job(1, at + MS), JOB);
        shares.ends(2, MS, at + 10 * MS);
        assert_eq!(shares.rest(1, took, at + 10 * MS), 160 * US, "others had a tenth of a thread");
        shares.ends(2, 8 * MS, at + 10 * MS);
        assert_eq!(shares.rest(1, took, at + 10 * MS), 2 * took, "others had nearly all of one");
        assert_eq!(shares.job(1, at + 18 * MS), JOB / 5, "others had half of one");
        assert_eq!(shares.job(2, at + 18 * MS).as_micros(), 424, "the other had a little");
        assert_eq!(shares.rest(1, 30 * MS, at + 10 * MS), 2 * JOB);
        assert_eq!(shares.rest(1, took, at + 500 * MS), Duration::ZERO, "that was long ago");
    }
}
