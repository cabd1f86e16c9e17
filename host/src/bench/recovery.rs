//! How long a host takes to be back after it was killed while it took events: the journal's unsealed tail is walked, views and
//! index are folded again.

use super::guest::LAST_HOP;
use super::host::{Host, prepare, stored_bytes};
use super::http::batch;
use super::report::{Durability, Figure};
use super::rig::Scratch;
use super::sample::Sample;
use super::{Bench, Error};

pub const HOW: &str = "a host of its own gets 256 B events over HTTP until its last segment is nearly full, is killed (SIGKILL), and is started \
                       again: from the start of the process until it listens";

const BATCH_EVENTS: usize = 1000;
/// A segment has 64 MiB.
const TAIL_BYTES: u64 = 60 << 20;
const TAIL_BYTES_QUICK: u64 = 15 << 20;

pub fn run(bench: &Bench) -> Result<Vec<Figure>, Error> {
    let class = Durability::Os;
    let (mut back, mut clean, mut tails) = (Sample::default(), Sample::default(), Sample::default());
    for _ in 0..if bench.quick { 1 } else { 3 } {
        let scratch = Scratch::new()?;
        let folder = scratch.path();
        prepare(folder, class)?;
        let (host, _) = Host::start(folder)?;
        let tail = fill(&host, folder, if bench.quick { TAIL_BYTES_QUICK } else { TAIL_BYTES })?;
        let count = host.count(LAST_HOP)?;
        host.kill()?;
        let (host, took) = Host::start(folder)?;
        let found = host.count(LAST_HOP)?;
        if found < count {
            return Err(Error::Host { why: format!("{found} of {count} events are back after the kill") });
        }
        host.stop()?;
        let (host, stopped) = Host::start(folder)?;
        host.stop()?;
        tails.add(tail as f64 / f64::from(1 << 20));
        back.add(took.as_secs_f64() * 1e3);
        clean.add(stopped.as_secs_f64() * 1e3);
    }
    Ok(vec![
        Figure::new("host ready after a kill", class, back.median(), "ms")
            .beside("after a clean stop", clean.median()),
        Figure::new("journal at the kill, one unsealed segment", class, tails.median(), "MiB"),
    ])
}

/// Publishes until the journal has so many bytes; says how many it has.
fn fill(host: &Host, folder: &std::path::Path, bytes: u64) -> Result<u64, Error> {
    let journal = folder.join(".baton/journal");
    let mut next = 0;
    loop {
        for _ in 0..8 {
            host.publish(LAST_HOP, &batch(next, BATCH_EVENTS))?;
            next += BATCH_EVENTS;
        }
        let stored = stored_bytes(&journal);
        if stored >= bytes {
            return Ok(stored);
        }
    }
}
