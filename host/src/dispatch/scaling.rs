//! How many lanes a processor should have: quickly more when events wait, slowly fewer when they do not. It decides on numbers
//! that it is given, and starts nothing.

use std::time::Duration;

use crate::model::operation::Lanes;

use super::work::BATCH_EVENTS_MAX;

/// How often a processor that works is looked at.
pub const LOOK_MS: u64 = 50;
/// How much work may stand before one lane before there is another one.
const LANE_WORK: Duration = Duration::from_millis(20);
/// How long a processor needs fewer lanes than it has before it has fewer.
const FEWER_AFTER_MS: u64 = 5_000;

/// What a processor has to do.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Events that it can handle and has not handled, those in a lane included.
    pub backlog: u64,
    /// How long one takes in a lane, when that is known.
    pub event_time: Option<Duration>,
    /// How many lanes it has now.
    pub lanes: usize,
    /// The time of day.
    pub now_ms: u64,
}

/// A time in which fewer lanes would have done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spare {
    since_ms: u64,
    /// The most that were needed in it.
    needed: usize,
}

/// How many lanes there should be from now on, and what is to be remembered until this is asked again.
pub fn wanted(load: &Load, bounds: Lanes, spare: Option<Spare>) -> (usize, Option<Spare>) {
    let needed = needed(load).clamp(bounds.min() as usize, bounds.max() as usize);
    if needed >= load.lanes {
        return (needed, None);
    }
    // A clock that was set back begins the time anew.
    let spare = spare.filter(|spare| spare.since_ms <= load.now_ms);
    let before = spare.unwrap_or(Spare { since_ms: load.now_ms, needed });
    let spare = Spare { needed: needed.max(before.needed), ..before };
    match load.now_ms - spare.since_ms >= FEWER_AFTER_MS {
        true => (spare.needed, None),
        false => (load.lanes, Some(spare)),
    }
}

/// As many lanes as leave each no more work than it should have before it.
fn needed(load: &Load) -> usize {
    let lanes = match load.event_time {
        Some(time) => u128::from(load.backlog) * time.as_nanos() / LANE_WORK.as_nanos() + 1,
        None => u128::from(load.backlog.div_ceil(BATCH_EVENTS_MAX as u64)),
    };
    usize::try_from(lanes).unwrap_or(usize::MAX)
}

/// How many events make so much work, so that what comes later finds a lane soon.
pub fn batch_events(event_time: Option<Duration>, work: Duration) -> usize {
    let Some(time) = event_time else { return BATCH_EVENTS_MAX };
    let events = work.as_nanos() / time.as_nanos().max(1);
    usize::try_from(events).unwrap_or(BATCH_EVENTS_MAX).clamp(1, BATCH_EVENTS_MAX)
}

/// The time of an event, after one more batch: the latest count most.
pub fn event_time(before: Option<Duration>, batch: Duration, events: usize) -> Option<Duration> {
    let latest = batch / u32::try_from(events.max(1)).unwrap_or(u32::MAX);
    Some(before.map_or(latest, |before| (before * 3 + latest) / 4))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const SECOND: Option<Duration> = Some(Duration::from_secs(1));
    const MICROSECOND: Option<Duration> = Some(Duration::from_micros(1));

    fn bounds() -> Lanes {
        Lanes::new(1, 8).unwrap()
    }

    fn load(backlog: u64, event_time: Option<Duration>, lanes: usize, now_ms: u64) -> Load {
        Load { backlog, event_time, lanes, now_ms }
    }

    #[test]
    fn lanes_follow_the_work_that_stands_before_them_at_once() {
        let lanes = |backlog, time| wanted(&load(backlog, time, 1, 0), bounds(), None);
        assert_eq!(lanes(0, None), (1, None));
        assert_eq!(lanes(64, None), (1, None));
        assert_eq!(lanes(65, None), (2, None));
        assert_eq!(lanes(10_000, MICROSECOND), (1, None));
        assert_eq!(lanes(50_000, MICROSECOND), (3, None));
        assert_eq!(lanes(2, SECOND), (8, None));
        assert_eq!(lanes(u64::MAX, SECOND), (8, None));
    }

    #[test]
    fn there_are_fewer_only_when_fewer_would_have_done_for_long_enough() {
        let mut spare = None;
        let mut at = |backlog: u64, lanes: usize, now_ms: u64| {
            let (wanted, next) = wanted(&load(backlog, SECOND, lanes, now_ms), bounds(), spare);
            spare = next;
            wanted
        };
        assert_eq!(at(0, 8, 0), 8);
        assert_eq!(at(0, 8, FEWER_AFTER_MS - 1), 8);
        assert_eq!(at(9, 8, FEWER_AFTER_MS), 8, "needed again: the time begins anew");
        assert_eq!(at(0, 8, FEWER_AFTER_MS + 1), 8);
        assert_eq!(at(0, 8, 2 * FEWER_AFTER_MS), 8);
        assert_eq!(at(0, 8, 2 * FEWER_AFTER_MS + 1), 1);
    }

    #[test]
    fn there_stay_as_many_as_were_needed_meanwhile() {
        let time = Some(LANE_WORK);
        let (lanes, spare) = wanted(&load(0, time, 8, 0), bounds(), None);
        let (lanes, spare) = wanted(&load(3, time, lanes, 100), bounds(), spare);
        assert_eq!(wanted(&load(0, time, lanes, FEWER_AFTER_MS), bounds(), spare), (4, None));
    }

    #[test]
    fn bounds_hold_whatever_the_load() {
        let two = Lanes::fixed(2);
        assert_eq!(wanted(&load(u64::MAX, SECOND, 2, 0), two, None), (2, None));
        assert_eq!(wanted(&load(0, SECOND, 1, 0), two, None), (2, None));
    }

    #[test]
    fn a_clock_that_is_set_back_delays_and_breaks_nothing() {
        let (_, spare) = wanted(&load(0, None, 8, 90_000), bounds(), None);
        let (lanes, spare) = wanted(&load(0, None, 8, 10), bounds(), spare);
        assert_eq!(lanes, 8);
        assert_eq!(wanted(&load(0, None, 8, 10 + FEWER_AFTER_MS), bounds(), spare), (1, None));
    }

    #[test]
    fn slow_events_are_taken_a_few_at_a_time() {
        let work = Duration::from_millis(1);
        assert_eq!(batch_events(None, work), BATCH_EVENTS_MAX);
        assert_eq!(batch_events(MICROSECOND, work), BATCH_EVENTS_MAX);
        assert_eq!(batch_events(Some(work / 4), work), 4);
        assert_eq!(batch_events(SECOND, work), 1);
        assert_eq!(event_time(None, Duration::from_secs(4), 4), SECOND);
        assert_eq!(event_time(SECOND, Duration::from_secs(10), 2), Some(Duration::from_secs(2)));
    }
}
