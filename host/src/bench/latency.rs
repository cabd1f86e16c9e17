//! How long one event takes from its publish until the last event that it caused is durable, with nothing else to do.

use std::time::Instant;

use super::guest::CHAIN;
use super::report::{Durability, Figure};
use super::rig::{Rig, Setting, Source, channel};
use super::sample::Sample;
use super::{Bench, Error};
use crate::dispatch::Version;
use crate::journal::Position;

pub const HOW: &str = "one 256 B event at a time, from publish until the last hop's event is durable";

pub fn run(bench: &Bench) -> Result<Vec<Figure>, Error> {
    let mut figures = Vec::new();
    for durability in [Durability::Fsync, Durability::Os] {
        let [one, five] = [latency(bench, durability, 1)?, latency(bench, durability, 5)?];
        for (percentile, which) in [(50, "p50"), (99, "p99")] {
            let (one, five) = (one.percentile(percentile), five.percentile(percentile));
            figures.push(Figure::new(format!("one hop, {which}"), durability, one, "us"));
            // Who waits for the disk at each hop pays for each: what speculation saves.
            let five = Figure::new(format!("five hops, {which}"), durability, five, "us");
            figures.push(five.beside("five times one hop", 5.0 * one));
        }
    }
    Ok(figures)
}

fn latency(bench: &Bench, durability: Durability, hops: usize) -> Result<Sample, Error> {
    let rig = Rig::start(Setting::new(durability))?;
    rig.deploy(&Version::wasm(bench.program.clone(), "bench.wasm", 0))?;
    let start = CHAIN.get(CHAIN.len() - 1 - hops).copied().unwrap_or_default();
    let (channel, mut source) = (channel(start)?, Source::new(1, 256));
    let mut sample = Sample::default();
    let until = Instant::now() + bench.time() / 2;
    while Instant::now() < until {
        let began = Instant::now();
        let end = rig.publish(&channel, source.batch())?;
        // Each hop is one frame of one event, and nothing else is appended meanwhile.
        rig.domain.durable().wait_blocking(Position(end + hops as u64))?;
        sample.add_us(began.elapsed());
    }
    Ok(sample)
}
