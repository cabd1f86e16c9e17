//! The whole way of an event in memory: lane, guest, frame, fold, next channel. The events wait on their channel when
//! the clock starts; what their publisher costs is no part of it.

use std::time::{Duration, Instant};

use super::guest::{END, LAST_HOP, native};
use super::report::{Budget, Durability, Figure};
use super::rig::{Rig, Setting, Source, channel};
use super::sample::{Sample, cpu_time};
use super::{Bench, Error};
use crate::dispatch::Version;

pub const HOW: &str = "256 B events that wait on a channel, one lane, one worker, journal in memory, until the last is on the next channel; as many have gone before them, so that the host's memory is in use";

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
        let mut source = Source::new(PUBLISH_EVENTS, EVENT_BYTES);
        let name = &version.descriptor().name;
        through(&rig, &mut source, version)?;
        rig.dispatcher.undeploy(name, false)?;
        let (wall, cpu) = through(&rig, &mut source, version)?;
        self.wall.add(wall);
        self.cpu.add(cpu);
        Ok(())
    }
}

/// Events that are published first, and then come through; nanoseconds for each of them, by the clock and on processors.
fn through(rig: &Rig, source: &mut Source, version: &Version) -> Result<(f64, f64), Error> {
    let channel = channel(LAST_HOP)?;
    for _ in 0..BATCHES {
        rig.publish(&channel, source.batch())?;
    }
    rig.wait_durable()?;
    let (cpu, began) = (cpu_time(), Instant::now());
    rig.deploy(version)?;
    rig.wait_for(END, rig.count(LAST_HOP))?;
    let wall = began.elapsed();
    rig.wait_durable()?;
    let each = |time: Duration| time.as_secs_f64() * 1e9 / (BATCHES * PUBLISH_EVENTS) as f64;
    Ok((each(wall), each(cpu_time() - cpu)))
}
