//! The whole way of an event in memory: lane, guest, frame, fold, next channel. The events wait on their channel when
//! the clock starts; what their publisher costs is no part of it.

use std::time::Instant;

use super::guest::{END, LAST_HOP, native};
use super::report::{Budget, Durability, Figure};
use super::rig::{Rig, Setting, Source, channel};
use super::sample::{Sample, cpu_time};
use super::{Bench, Error};
use crate::dispatch::Version;

pub const HOW: &str = "256 B events that wait on a channel, one lane, one worker, journal in memory, until the last is on the next channel";

const EVENT_BYTES: usize = 256;
const PUBLISH_EVENTS: usize = 1024;
/// As much as the host keeps in memory, in and out together.
const BATCHES: usize = 32;
const ROUNDS_PER_PAIR: usize = 5;

pub fn run(bench: &Bench) -> Result<Vec<Figure>, Error> {
    let rounds = ROUNDS_PER_PAIR * bench.rounds();
    let wasm = Version::wasm(bench.program.clone(), "bench.wasm", 0);
    let native = native(bench.program.descriptor().clone());
    let (mut wasm_ns, mut native_ns) = (Timings::default(), Timings::default());
    for _ in 0..rounds {
        wasm_ns.add(&wasm)?;
        native_ns.add(&native)?;
    }
    let ratio = 100.0 * native_ns.wall.lowest() / wasm_ns.wall.lowest();
    let class = Durability::Memory;
    Ok(vec![
        Figure::new("per event, all threads together (one core)", class, wasm_ns.cpu.lowest(), "ns")
            .budget(Budget::AtMost(1000.0))
            .beside("native", native_ns.cpu.lowest()),
        Figure::new("per event, by the clock", class, wasm_ns.wall.lowest(), "ns")
            .beside("native", native_ns.wall.lowest()),
        Figure::new("events per second, one lane", class, 1e9 / wasm_ns.wall.lowest(), "events/s")
            .beside("native", 1e9 / native_ns.wall.lowest()),
        Figure::new("wasm pipeline / native pipeline", class, ratio, "%").budget(Budget::AtLeast(85.0)),
    ])
}

/// Nanoseconds per event.
#[derive(Default)]
struct Timings {
    wall: Sample,
    cpu: Sample,
}

impl Timings {
    fn add(&mut self, version: &Version) -> Result<(), Error> {
        let rig = Rig::start(Setting { workers: 1, ..Setting::new(Durability::Memory) })?;
        let (channel, mut source) = (channel(LAST_HOP)?, Source::new(PUBLISH_EVENTS, EVENT_BYTES));
        for _ in 0..BATCHES {
            rig.publish(&channel, source.batch())?;
        }
        rig.wait_durable()?;
        let events = (BATCHES * PUBLISH_EVENTS) as u64;
        let (cpu, began) = (cpu_time(), Instant::now());
        rig.deploy(version)?;
        rig.wait_for(END, events)?;
        self.wall.add(began.elapsed().as_secs_f64() * 1e9 / events as f64);
        rig.wait_durable()?;
        self.cpu.add((cpu_time() - cpu).as_secs_f64() * 1e9 / events as f64);
        Ok(())
    }
}
