//! From the bytes of a component to the first event that it has handled. The watcher's wait for a file to settle is no
//! part of it.

use std::time::{Duration, Instant};

use super::guest::{END, LAST_HOP};
use super::report::{Budget, Durability, Figure};
use super::rig::{Rig, Scratch, Setting, Source, channel};
use super::sample::{Sample, timed};
use super::{Bench, Error};
use crate::dispatch::Version;
use crate::runtime::{Compiler, Engine, EngineConfig};

pub const HOW: &str = "from the file's bytes to the first event handled, while one waits";

pub fn run(bench: &Bench) -> Result<Vec<Figure>, Error> {
    let (mut cold, mut known) = (Sample::default(), Sample::default());
    let (mut over, mut floor) = (Sample::default(), Sample::default());
    for _ in 0..bench.rounds() {
        let scratch = Scratch::new()?;
        let bare = compile_time(bench)?;
        let first = first_event(bench, &engine(&scratch)?)?;
        let again = first_event(bench, &engine(&scratch)?)?;
        floor.add(ms(bare));
        cold.add(ms(first));
        over.add(ms(first) - ms(bare));
        known.add(ms(again));
    }
    let size = format!("{} KB", bench.component.len() / 1000);
    let class = Durability::Fsync;
    Ok(vec![
        Figure::new(format!("new component of {size}, p50"), class, cold.median(), "ms")
            .beside("bare compile time", floor.median()),
        Figure::new("new component, over the bare compile time, p50", class, over.median(), "ms")
            .budget(Budget::AtMost(60.0)),
        Figure::new("known digest, p50", class, known.median(), "ms").budget(Budget::AtMost(10.0)),
    ])
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn engine(scratch: &Scratch) -> Result<Engine, Error> {
    let cache_dir = Some(scratch.path().join("cache"));
    Ok(Engine::new(EngineConfig {
        cache_dir,
        compiler: Compiler::of_this_program(),
        ..EngineConfig::default()
    })?)
}

/// What the compiler alone takes.
fn compile_time(bench: &Bench) -> Result<Duration, Error> {
    Ok(Engine::new(EngineConfig::in_process())?.load(&bench.component)?.compile_time())
}

fn first_event(bench: &Bench, engine: &Engine) -> Result<Duration, Error> {
    let rig = Rig::start(Setting::new(Durability::Fsync))?;
    rig.publish(&channel(LAST_HOP)?, Source::new(1, 256).batch())?;
    rig.wait_durable()?;
    let began = Instant::now();
    let (program, load) = timed(|| engine.load(&bench.component));
    rig.deploy(&Version::wasm(program?, "bench.wasm", load.as_micros() as u64))?;
    rig.wait_for(END, 1)?;
    Ok(began.elapsed())
}
