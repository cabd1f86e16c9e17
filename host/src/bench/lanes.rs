//! What a second lane brings: a handler that keeps a core busy, on one lane and on two, in turn.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::guest::{Copier, END, LAST_HOP};
use super::report::{Budget, Durability, Figure};
use super::rig::{Rig, Setting, Source, channel};
use super::sample::Sample;
use super::{Bench, Error};
use crate::dispatch::Version;
use crate::runtime::{CallError, NativeCall, NativeHandler, OutcomesBuilder};

pub const HOW: &str = "256 B events that wait on a channel, each with a key of its own and 20 us of work for one core; native handler, \
     two workers, journal in memory";

const EVENTS_EACH: usize = 1024;
const BATCHES: usize = 8;
const EVENT_TIME: Duration = Duration::from_micros(20);
/// How many turns the work of one event is measured with before.
const TURNS: u64 = 20_000_000;

pub fn run(bench: &Bench) -> Result<Vec<Figure>, Error> {
    let turns = turns_of(EVENT_TIME);
    let (mut one, mut two) = (Sample::default(), Sample::default());
    for _ in 0..bench.rounds() {
        one.add(time(bench, 1, turns)?);
        two.add(time(bench, 2, turns)?);
    }
    let class = Durability::Memory;
    let per_second = |sample: &Sample| 1.0 / sample.lowest();
    Ok(vec![
        Figure::new("two lanes / one lane", class, one.lowest() / two.lowest(), "x")
            .budget(Budget::AtLeast(1.6)),
        Figure::new("events per second, two lanes", class, per_second(&two), "events/s")
            .beside("one lane", per_second(&one)),
    ])
}

/// Seconds per event.
fn time(bench: &Bench, lanes: u32, turns: u64) -> Result<f64, Error> {
    let rig = Rig::start(Setting { workers: 2, ..Setting::new(Durability::Memory) })?;
    let (channel, mut source) = (channel(LAST_HOP)?, Source::new(EVENTS_EACH, 256));
    for _ in 0..BATCHES {
        rig.publish(&channel, source.batch())?;
    }
    rig.wait_durable()?;
    let mut descriptor = bench.program.descriptor().clone();
    descriptor.concurrency = lanes;
    let events = (BATCHES * EVENTS_EACH) as u64;
    let began = Instant::now();
    rig.deploy(&Version::native(descriptor, "burner", Arc::new(move || Box::new(Burner { turns }))))?;
    rig.wait_for(END, events)?;
    Ok(began.elapsed().as_secs_f64() / events as f64)
}

/// Works for a while on every event, and copies it then.
struct Burner {
    turns: u64,
}

impl NativeHandler for Burner {
    fn handle(&mut self, call: &NativeCall<'_>, out: &mut OutcomesBuilder) -> Result<(), CallError> {
        (0..call.batch.len()).for_each(|_| burn(self.turns));
        Copier.handle(call, out)
    }
}

/// So much work, however long it takes: a core that is taken away is not made up for.
fn burn(turns: u64) {
    let mut number = black_box(1_u64);
    for turn in 0..turns {
        number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(turn);
    }
    black_box(number);
}

fn turns_of(time: Duration) -> u64 {
    let began = Instant::now();
    burn(TURNS);
    let turns = TURNS as f64 * time.as_secs_f64() / began.elapsed().as_secs_f64();
    turns as u64
}
