//! A new subscriber on a long backlog: how fast it catches up, and how much memory the process needs for that.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::guest::{END, LAST_HOP};
use super::report::{Budget, Durability, Figure};
use super::rig::{Rig, Setting, Source, channel};
use super::sample::own_memory_bytes;
use super::{Bench, Error};
use crate::dispatch::Version;

pub const HOW: &str =
    "a guest is deployed on a channel with a million 256 B events (200,000 when quick) and copies them all";

const PUBLISH_EVENTS: usize = 1024;
const LOOK_EVERY: Duration = Duration::from_millis(5);

pub fn run(bench: &Bench) -> Result<Vec<Figure>, Error> {
    let class = Durability::Os;
    let rig = Rig::start(Setting::new(class))?;
    let (hop, mut source) = (channel(LAST_HOP)?, Source::new(PUBLISH_EVENTS, 256));
    let batches = if bench.quick { 196 } else { 977 };
    let began = Instant::now();
    for _ in 0..batches {
        rig.publish(&hop, source.batch())?;
    }
    rig.wait_durable()?;
    let events = (batches * PUBLISH_EVENTS) as u64;
    let published = events as f64 / began.elapsed().as_secs_f64();
    let before = own_memory_bytes();
    let (caught_up, peak) = watched(|| catch_up(bench, &rig, events))?;
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    Ok(vec![
        Figure::new("catching up", class, events as f64 / caught_up.as_secs_f64(), "events/s")
            .beside("published before at", published),
        Figure::new("peak memory of the process (RssAnon)", class, mib(peak), "MiB")
            .budget(Budget::AtMost(300.0))
            .beside("before the subscriber came", mib(before)),
    ])
}

fn catch_up(bench: &Bench, rig: &Rig, events: u64) -> Result<Duration, Error> {
    let began = Instant::now();
    rig.deploy(&Version::wasm(bench.program.clone(), "bench.wasm", 0))?;
    rig.wait_for(END, events)?;
    rig.wait_durable()?;
    Ok(began.elapsed())
}

/// Does the work, and looks meanwhile how much memory the process has at most.
fn watched<T>(work: impl FnOnce() -> Result<T, Error>) -> Result<(T, u64), Error> {
    let (done, peak) = (AtomicBool::new(false), AtomicU64::new(0));
    let result = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                peak.fetch_max(own_memory_bytes(), Ordering::Relaxed);
                std::thread::sleep(LOOK_EVERY);
            }
        });
        let result = work();
        done.store(true, Ordering::Relaxed);
        result
    });
    Ok((result?, peak.into_inner()))
}
