//! Many measurements of one thing, and what they come to. Timings on a shared machine err to one side only, so a
//! comparison takes the lowest or the middle, never the mean.

use std::path::Path;
use std::time::{Duration, Instant};

/// Measurements of one thing.
#[derive(Default)]
pub struct Sample(Vec<f64>);

impl Sample {
    /// Adds one.
    pub fn add(&mut self, value: f64) {
        self.0.push(value);
    }

    /// Adds a time, in microseconds.
    pub fn add_us(&mut self, time: Duration) {
        self.add(time.as_secs_f64() * 1e6);
    }

    /// The value that so many of a hundred do not exceed; 0 without any.
    pub fn percentile(&self, of_hundred: usize) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len().saturating_sub(1);
        sorted.get((sorted.len() * of_hundred / 100).min(last)).copied().unwrap_or_default()
    }

    /// The middle one.
    pub fn median(&self) -> f64 {
        self.percentile(50)
    }

    /// The lowest one.
    pub fn lowest(&self) -> f64 {
        self.percentile(0)
    }
}

/// How long something took.
pub fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let began = Instant::now();
    let result = work();
    (result, began.elapsed())
}

/// How long all threads that this process has now have been on a processor together.
pub fn cpu_time() -> Duration {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    tasks.map(|task| cpu_time_of(&task.path())).sum()
}

/// How long this thread has been on a processor.
pub fn own_cpu_time() -> Duration {
    cpu_time_of(Path::new("/proc/thread-self"))
}

fn cpu_time_of(task: &Path) -> Duration {
    let text = std::fs::read_to_string(task.join("schedstat")).unwrap_or_default();
    let ns = text.split_whitespace().next().and_then(|ns| ns.parse().ok());
    Duration::from_nanos(ns.unwrap_or_default())
}

/// How much memory of its own this process holds, in bytes.
pub fn own_memory_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or_default() << 10
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let mut sample = Sample::default();
        assert_eq!(sample.median(), 0.0);
        (1..=100).rev().for_each(|n| sample.add(f64::from(n)));
        assert_eq!((sample.lowest(), sample.median(), sample.percentile(99)), (1.0, 51.0, 100.0));
    }
}
