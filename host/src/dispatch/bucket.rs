//! A token bucket: how many events may begin now, at a rate. It is told the time and keeps none of its own.

use crate::model::operation::Rate;

/// How much of the rate may come at once after a rest, beside one event.
const BURST_NS: u64 = 50_000_000;
const NS_OF_MS: u64 = 1_000_000;

/// The bucket of one processor.
#[derive(Clone, Debug)]
pub struct Bucket {
    rate: Rate,
    /// The time that is spent: events may begin for what lies between this and now.
    spent_ns: u64,
}

impl Bucket {
    /// A bucket with one event in it.
    pub fn new(rate: Rate, now_ms: u64) -> Self {
        Self { rate, spent_ns: now_ms.saturating_mul(NS_OF_MS).saturating_sub(rate.interval_ns()) }
    }

    /// The rate that it holds.
    pub fn rate(&self) -> Rate {
        self.rate
    }

    /// How many events may begin now.
    pub fn room(&mut self, now_ms: u64) -> usize {
        let now_ns = now_ms.saturating_mul(NS_OF_MS);
        let burst_ns = BURST_NS + self.rate.interval_ns();
        // A clock that was set back must not stop the processor until it is where it was.
        self.spent_ns = self.spent_ns.clamp(now_ns.saturating_sub(burst_ns), now_ns);
        usize::try_from((now_ns - self.spent_ns) / self.rate.interval_ns()).unwrap_or(usize::MAX)
    }

    /// So many events begin.
    pub fn take(&mut self, events: usize) {
        let time_ns = self.rate.interval_ns().saturating_mul(events as u64);
        self.spent_ns = self.spent_ns.saturating_add(time_ns);
    }

    /// When there is room for one event.
    pub fn next_ms(&self) -> u64 {
        self.spent_ns.saturating_add(self.rate.interval_ns()).div_ceil(NS_OF_MS)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Lets as many events begin as may, every `step_ms`; says how many that were until `end_ms`.
    fn run(bucket: &mut Bucket, from_ms: u64, step_ms: usize, end_ms: u64) -> usize {
        let mut events = 0;
        for now_ms in (from_ms..end_ms).step_by(step_ms) {
            let room = bucket.room(now_ms);
            bucket.take(room);
            events += room;
        }
        events
    }

    #[test]
    fn as_many_begin_as_the_rate_says_however_often_one_looks() {
        for (rate, a_minute) in
            [("1/s", 60), ("100/s", 6000), ("30/m", 30), ("7/s", 420), ("100000/s", 6_000_000)]
        {
            for step_ms in [1, 10, 40] {
                let mut bucket = Bucket::new(rate.parse().unwrap(), 500);
                let events = run(&mut bucket, 500, step_ms, 60_500);
                let tolerance = a_minute / 500 + 1;
                assert!(events.abs_diff(a_minute) <= tolerance, "{rate} every {step_ms} ms: {events}");
            }
        }
    }

    #[test]
    fn a_rest_is_not_caught_up_with() {
        let mut bucket = Bucket::new("1000/s".parse().unwrap(), 0);
        assert_eq!(bucket.room(3_600_000), 51);
        let mut slow = Bucket::new("1/m".parse().unwrap(), 0);
        assert_eq!(slow.room(3_600_000), 1);
    }

    #[test]
    fn it_says_when_the_next_may_begin() {
        let mut bucket = Bucket::new("4/s".parse().unwrap(), 1000);
        assert_eq!(bucket.room(1000), 1);
        bucket.take(1);
        assert_eq!((bucket.room(1249), bucket.next_ms(), bucket.room(1250)), (0, 1250, 1));
    }

    #[test]
    fn a_clock_that_is_set_back_stops_nothing() {
        let mut bucket = Bucket::new("1/s".parse().unwrap(), 1_000_000);
        bucket.take(1);
        assert_eq!(bucket.room(10), 0);
        assert_eq!(bucket.room(1010), 1);
    }
}
