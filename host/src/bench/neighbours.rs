//! A mediator beside another that does badly: how much longer its steps take then.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Instant;

use super::guest::Copier;
use super::report::{Budget, Durability, Figure};
use super::rig::{Rig, Setting, Source, channel};
use super::sample::Sample;
use super::workflow::{BYTES, STEPS, Workflow, mediate, plain_steps};
use super::{Bench, Error};
use crate::dispatch::Version;
use crate::model::name::ProcessorName;
use crate::model::operation::Operator;
use crate::runtime::{
    CallError, Engine, EngineConfig, Expressions, NativeCall, NativeHandler, OutcomesBuilder,
};

pub const HOW: &str = "a workflow of five steps, one run after another, beside a mediator that is paused, flooded, or evaluates what never ends; and beside threads that only keep \
                       the processors busy";

/// How many times as long the slowest steps may take.
const TIMES_MAX: f64 = 2.0;
/// How often each is measured; the median of these is told.
const ROUNDS: usize = 3;
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

/// Steps beside a neighbour, round by round: how long they take, and how many times as long as alone.
#[derive(Default)]
struct Beside {
    us: Sample,
    times: Sample,
}

pub fn run(bench: &Bench) -> Result<Vec<Figure>, Error> {
    let engine = Engine::new(EngineConfig::in_process())?;
    let expressions = Expressions::new(&engine);
    expressions.prepare()?;
    let (mut alone_us, mut besides) = (Sample::default(), NEIGHBOURS.map(|_| Beside::default()));
    for _ in 0..ROUNDS {
        let alone = steps(bench, &expressions, None)?;
        alone_us.add(alone);
        for (neighbour, beside) in NEIGHBOURS.iter().zip(&mut besides) {
            let us = steps(bench, &expressions, Some(neighbour))?;
            beside.us.add(us);
            beside.times.add(us / alone);
        }
    }
    let busy = while_busy(|| steps(bench, &expressions, None))?;
    let class = Durability::Fsync;
    let alone = Figure::new("step, p99, alone", class, alone_us.median(), "us")
        .beside("while others keep all processors busy", busy);
    let beside = NEIGHBOURS.iter().zip(&besides).map(|(neighbour, Beside { us, times })| {
        let what = format!("step, p99, beside a mediator that is {}, over alone", neighbour.what);
        let figure = Figure::new(what, class, times.median(), "x").budget(Budget::AtMost(TIMES_MAX));
        figure.beside("microseconds", us.median())
    });
    Ok(std::iter::once(alone).chain(beside).collect())
}

/// Measures while as many threads as there are processors do nothing but keep them busy: what is left is what the system's scheduler gives.
fn while_busy<T>(measure: impl FnOnce() -> T) -> T {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        let measured = measure();
        stop.store(true, Ordering::Relaxed);
        measured
    })
}

/// What a step takes, at the 99th of a hundred, in microseconds.
fn steps(bench: &Bench, expressions: &Expressions, neighbour: Option<&Neighbour>) -> Result<f64, Error> {
    let rig = Rig::start(Setting::new(Durability::Fsync))?;
    let (begun, commands) = mpsc::channel();
    let descriptor = bench.program.descriptor().clone();
    let timed = move || Box::new(Timed { begun: begun.clone(), copier: Copier }) as Box<dyn NativeHandler>;
    rig.deploy(&Version::native(descriptor, "timed", Arc::new(timed)))?;
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
        let ran = runs(bench, &rig);
        stop.store(true, Ordering::Relaxed);
        if let Some(feeding) = feeding {
            feeding.join().map_err(|_| Error::Host { why: "the publisher panicked".to_owned() })??;
        }
        ran.map(|()| between(&commands).percentile(99))
    })
}

/// The processor of the steps, which notes when each command came.
struct Timed {
    begun: Sender<Instant>,
    copier: Copier,
}

impl NativeHandler for Timed {
    fn handle(&mut self, call: &NativeCall<'_>, out: &mut OutcomesBuilder) -> Result<(), CallError> {
        // Nobody hears it once the measurement is over.
        let _ = self.begun.send(Instant::now());
        self.copier.handle(call, out)
    }
}

/// From one command of a run to its next: a whole step.
fn between(commands: &Receiver<Instant>) -> Sample {
    let (mut sample, times) = (Sample::default(), commands.try_iter().collect::<Vec<_>>());
    for run in times.chunks_exact(STEPS) {
        run.iter().zip(run.iter().skip(1)).for_each(|(begun, next)| sample.add_us(*next - *begun));
    }
    sample
}

/// One run after another.
fn runs(bench: &Bench, rig: &Rig) -> Result<(), Error> {
    let Workflow { wanted, done, .. } = Workflow::COPIES;
    let (wanted, mut source) = (channel(wanted)?, Source::new(1, BYTES));
    let until = Instant::now() + bench.time();
    let mut count = 0;
    while Instant::now() < until {
        rig.publish(&wanted, source.batch())?;
        count += 1;
        rig.wait_for(done, count)?;
    }
    Ok(())
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
