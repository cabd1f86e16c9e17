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
/// The most events that wait for the mediator that is flooded.
const FLOOD_MAX: u64 = 20_000;
/// How many runs of the other mediator wait or are stuck at one time.
const RUNS: usize = 64;

/// The other mediator: its steps, and how it does.
struct Neighbour {
    what: &'static str,
    steps: &'static str,
    paused: bool,
    floods: bool,
    /// How many of its events may wait before no more are published.
    ahead: u64,
}

const NEIGHBOURS: [Neighbour; 3] = [
    Neighbour { what: "paused", steps: QUICK, paused: true, floods: false, ahead: FLOOD_MAX },
    Neighbour { what: "flooded", steps: QUICK, paused: false, floods: true, ahead: FLOOD_MAX },
    Neighbour {
        what: "stuck in an expression",
        steps: ENDLESS,
        paused: false,
        floods: false,
        ahead: RUNS as u64,
    },
];
const QUICK: &str = "  - note: { set: { size: '${ length }' } }\n";
const ENDLESS: &str = "  - note: { set: { size: '${ [range(1e15)] | length }' } }\n";

const OTHER: Workflow = Workflow { name: "others", wanted: "others-wanted", done: "others-done" };

pub fn run(bench: &Bench) -> Result<Vec<Figure>, Error> {
    let engine = Engine::new(EngineConfig::in_process())?;
    let expressions = Expressions::new(&engine);
    expressions.prepare()?;
    let class = Durability::Fsync;
    let alone = steps(bench, &expressions, None)?;
    let busy = while_busy(|| steps(bench, &expressions, None))?;
    let mut figures = vec![
        Figure::new("step, p99, alone", class, alone, "us")
            .beside("while others keep all processors busy", busy),
    ];
    for neighbour in &NEIGHBOURS {
        let beside = steps(bench, &expressions, Some(neighbour))?;
        // What is flooded may have all processors; then the system's scheduler sets what can be had.
        let (than, baseline) =
            if neighbour.floods { ("while others keep all processors busy", busy) } else { ("alone", alone) };
        let what = format!("step, p99, beside a mediator that is {}, over {than}", neighbour.what);
        let times = Figure::new(what, class, beside / baseline, "x").budget(Budget::AtMost(TIMES_MAX));
        figures.push(times.beside("over alone", beside / alone));
    }
    Ok(figures)
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
