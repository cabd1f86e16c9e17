//! A mediator beside another that does badly: how much longer its steps take then.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::report::{Budget, Durability, Figure};
use super::rig::{Rig, Source, channel};
use super::sample::Sample;
use super::workflow::{BYTES, STEPS, Workflow, mediate, plain_steps};
use super::{Bench, Error};
use crate::dispatch::Version;
use crate::model::name::ProcessorName;
use crate::model::operation::Operator;
use crate::runtime::{Engine, EngineConfig, Expressions};

pub const HOW: &str = "a workflow of five steps, one run after another, beside a mediator that is paused, flooded, or evaluates what never ends";

/// How many times as long the slowest steps may take.
const TIMES_MAX: f64 = 2.0;
/// The most events that wait for the mediator that is flooded.
const FLOOD_MAX: u64 = 20_000;
/// How many runs of the other mediator wait or are stuck at one time.
const RUNS: usize = 64;

/// The other mediator: its steps, and how it does.
struct Neighbour {
    what: &'static str,
    steps: &'static str,
    paused: bool,
    /// How many of its events may wait before no more are published.
    ahead: u64,
}

const NEIGHBOURS: [Neighbour; 3] = [
    Neighbour { what: "paused", steps: QUICK, paused: true, ahead: FLOOD_MAX },
    Neighbour { what: "flooded", steps: QUICK, paused: false, ahead: FLOOD_MAX },
    Neighbour { what: "stuck in an expression", steps: ENDLESS, paused: false, ahead: RUNS as u64 },
];
const QUICK: &str = "  - note: { set: { size: '${ length }' } }\n";
const ENDLESS: &str = "  - note: { set: { size: '${ [range(1e15)] | length }' } }\n";

const OTHER: Workflow = Workflow { name: "others", wanted: "others-wanted", done: "others-done" };

pub fn run(bench: &Bench) -> Result<Vec<Figure>, Error> {
    let engine = Engine::new(EngineConfig::in_process())?;
    let expressions = Expressions::new(&engine);
    expressions.prepare()?;
    let alone = steps(bench, &expressions, None)?;
    let mut figures = vec![Figure::new("step, p99, alone", Durability::Fsync, alone, "us")];
    for neighbour in &NEIGHBOURS {
        let beside = steps(bench, &expressions, Some(neighbour))?;
        let what = format!("step, p99, beside one that is {}, over alone", neighbour.what);
        let figure =
            Figure::new(what, Durability::Fsync, beside / alone, "x").budget(Budget::AtMost(TIMES_MAX));
        figures.push(figure.beside("us", beside));
    }
    Ok(figures)
}

/// What a step takes, at the 99th of a hundred runs, in microseconds.
fn steps(bench: &Bench, expressions: &Expressions, neighbour: Option<&Neighbour>) -> Result<f64, Error> {
    let rig = Rig::start(super::rig::Setting::new(Durability::Fsync))?;
    rig.deploy(&Version::wasm(bench.program.clone(), "bench.wasm", 0))?;
    mediate(&rig, &Workflow::COPIES, &plain_steps()?, expressions)?;
    if let Some(neighbour) = neighbour {
        mediate(&rig, &OTHER, &OTHER.defined(neighbour.steps)?, expressions)?;
        if neighbour.paused {
            let name = ProcessorName::new(OTHER.name)?;
            rig.dispatcher.pause(&name, "it is measured beside another".to_owned(), Operator::Host)?;
        }
    }
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let feeding = neighbour.map(|neighbour| scope.spawn(|| feed(&rig, neighbour, &stop)));
        let sample = measured(bench, &rig);
        stop.store(true, Ordering::Relaxed);
        if let Some(feeding) = feeding {
            feeding.join().map_err(|_| Error::Host { why: "the publisher panicked".to_owned() })??;
        }
        sample.map(|sample| sample.percentile(99) / STEPS as f64)
    })
}

/// One run after another.
fn measured(bench: &Bench, rig: &Rig) -> Result<Sample, Error> {
    let Workflow { wanted, done, .. } = Workflow::COPIES;
    let (wanted, mut source, mut sample) = (channel(wanted)?, Source::new(1, BYTES), Sample::default());
    let until = Instant::now() + bench.time();
    let mut count = 0;
    while Instant::now() < until {
        let began = Instant::now();
        rig.publish(&wanted, source.batch())?;
        count += 1;
        rig.wait_for(done, count)?;
        sample.add_us(began.elapsed());
    }
    Ok(sample)
}

/// Gives the other mediator events until it is to stop.
fn feed(rig: &Rig, neighbour: &Neighbour, stop: &AtomicBool) -> Result<(), Error> {
    let (wanted, mut source) = (channel(OTHER.wanted)?, Source::new(RUNS, BYTES));
    let mut published = 0;
    while !stop.load(Ordering::Relaxed) {
        if published < rig.count(OTHER.done) + neighbour.ahead {
            rig.publish(&wanted, source.batch())?;
            published += RUNS as u64;
        } else {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }
    Ok(())
}
