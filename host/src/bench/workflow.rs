//! Runs of a workflow: five steps, one after another, each a command to a processor and its acknowledgement; beside five hops of the broker
//! topology through the same processor.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use super::guest::{CHAIN, END};
use super::report::{Budget, Durability, Figure};
use super::rig::{Rig, Setting, Source, channel};
use super::sample::{Sample, own_memory_bytes};
use super::{Bench, Error};
use crate::dispatch::Version;
use crate::mediator::{Mediator, Rules, descriptor};
use crate::model::workflow::definition::Definition;
use crate::model::workflow::read::read;
use crate::runtime::{Engine, EngineConfig, Expressions};

pub const HOW: &str = "a workflow of five steps, each a call of one wasm processor that copies 256 B; the same five hops in the broker \
                       topology beside it";

pub const STEPS: usize = 5;
/// The data of each event.
pub const BYTES: usize = 256;
/// How many runs begin before the next do.
const TOGETHER: [usize; 3] = [1, 100, 10_000];
/// The most events of one publish.
const PUBLISH_EVENTS_MAX: usize = 1_000;
/// What the engine may add to a step at the middle, without the disk.
const ADDED_US_MAX: f64 = 100.0;
/// Waits for an event that never comes.
pub const WAITS: &str = "  - wait: { listen: { to: { one: { with: { type: never }, correlate: { id: { from: .id, expect: '${ $workflow.id }' } } } } } }\n";
/// What a waiting run may take.
const WAITING_KIB_MAX: f64 = 4.0;
pub const WAITING: usize = 100_000;
pub const WAITING_QUICK: usize = 10_000;

/// Nothing that is measured lasts as long.
const RULES: Rules = Rules { keep_ended_ms: 86_400_000, keep_early_ms: 86_400_000 };

/// The names of a workflow that is measured.
pub struct Workflow {
    pub name: &'static str,
    /// The channel that starts runs.
    pub wanted: &'static str,
    /// The channel on which a run says that it is over.
    pub done: &'static str,
}

pub fn run(bench: &Bench) -> Result<Vec<Figure>, Error> {
    let engine = Engine::new(EngineConfig::in_process())?;
    let expressions = Expressions::new(&engine);
    expressions.prepare()?;
    let mut figures = vec![waiting(bench, &expressions)?];
    let plain = plain_steps()?;
    let asking = five_steps("'${ $workflow.input }'")?;
    let class = Durability::Memory;
    let hop = alone(bench, class, None)?.median() / STEPS as f64;
    for (what, definition) in [("", &plain), (", its data an expression", &asking)] {
        let step = alone(bench, class, Some((definition, &expressions)))?.median() / STEPS as f64;
        let figure =
            Figure::new(format!("added to a step, one run at a time, p50{what}"), class, step - hop, "us");
        figures.push(figure.budget(Budget::AtMost(ADDED_US_MAX)).beside("a hop of the broker topology", hop));
    }
    for together in TOGETHER {
        let class = Durability::Fsync;
        let steps = rate(bench, class, together, Some((&plain, &expressions)))?;
        let hops = rate(bench, class, together, None)?;
        let what = format!("steps per second, {together} runs at once");
        figures.push(Figure::new(what, class, steps, "steps/s").beside("hops of the broker topology", hops));
    }
    Ok(figures)
}

type Mediated<'a> = Option<(&'a Arc<Definition>, &'a Expressions)>;

impl Workflow {
    /// The one that copies.
    pub const COPIES: Self = Self { name: "copies", wanted: "copies-wanted", done: "copies-done" };

    /// The text of its definition, with these steps.
    pub fn text(&self, steps: &str) -> String {
        let Self { name, wanted, done } = self;
        format!(
            "document: {{ dsl: '1.0.3', namespace: bench, name: {name}, version: '1.0.0' }}\n\
             schedule: {{ on: {{ one: {{ with: {{ type: {wanted} }} }} }} }}\n\
             do:\n{steps}  - over: {{ emit: {{ event: {{ with: {{ type: {done}, data: {{}} }} }} }} }}\n"
        )
    }

    /// It, with these steps.
    pub fn defined(&self, steps: &str) -> Result<Arc<Definition>, Error> {
        let definition = read(&self.text(steps)).fine();
        let why =
            |mistakes: Vec<_>| Error::Host { why: format!("the workflow that is measured: {mistakes:?}") };
        definition.map(Arc::new).map_err(why)
    }
}

/// A call for each hop, with this data. Handed on as a whole, what a step gives would grow from step to step: it has the event with all its
/// attributes, and in it the data.
fn five_steps(data: &str) -> Result<Arc<Definition>, Error> {
    let step =
        |(number, hop)| format!("  - s{number}: {{ call: copier, with: {{ type: {hop}, data: {data} }} }}\n");
    Workflow::COPIES.defined(&CHAIN.iter().take(STEPS).enumerate().map(step).collect::<String>())
}

/// The same without expressions.
pub fn plain_steps() -> Result<Arc<Definition>, Error> {
    five_steps(&format!("'{}'", "x".repeat(BYTES)))
}

/// A host with the processor, and the mediator if there is one.
fn start(bench: &Bench, durability: Durability, mediated: Mediated<'_>) -> Result<Rig, Error> {
    let rig = Rig::start(Setting::new(durability))?;
    rig.deploy(&Version::wasm(bench.program.clone(), "bench.wasm", 0))?;
    if let Some((definition, expressions)) = mediated {
        mediate(&rig, &Workflow::COPIES, definition, expressions)?;
    }
    Ok(rig)
}

/// Deploys a mediator.
pub fn mediate(
    rig: &Rig,
    workflow: &Workflow,
    definition: &Arc<Definition>,
    expressions: &Expressions,
) -> Result<(), Error> {
    let descriptor = descriptor(definition, &[])?;
    let latest = ("bench".to_owned(), definition.clone());
    let mediator = Mediator::new(workflow.name, latest, BTreeMap::new(), RULES);
    let version = rig.dispatcher.mediator(mediator, descriptor, ("bench", "bench.yaml"), expressions)?;
    rig.deploy(&version)
}

/// Where events begin and end.
fn ends(mediated: Mediated<'_>) -> (&'static str, &'static str) {
    match mediated {
        Some(_) => (Workflow::COPIES.wanted, Workflow::COPIES.done),
        None => (CHAIN[0], END),
    }
}

/// One after another: how long each takes from its publish until its end is seen.
fn alone(bench: &Bench, durability: Durability, mediated: Mediated<'_>) -> Result<Sample, Error> {
    let rig = start(bench, durability, mediated)?;
    let ((from, to), mut source) = (ends(mediated), Source::new(1, BYTES));
    let (from, mut sample) = (channel(from)?, Sample::default());
    let until = Instant::now() + bench.time();
    let mut done = 0;
    while Instant::now() < until {
        let began = Instant::now();
        rig.publish(&from, source.batch())?;
        done += 1;
        rig.spin_for(to, done)?;
        sample.add_us(began.elapsed());
    }
    Ok(sample)
}

/// So many at once, again and again: steps in a second, until all of them are durable.
fn rate(
    bench: &Bench,
    durability: Durability,
    together: usize,
    mediated: Mediated<'_>,
) -> Result<f64, Error> {
    let rig = start(bench, durability, mediated)?;
    let ((from, to), mut source) = (ends(mediated), Source::new(together.min(PUBLISH_EVENTS_MAX), BYTES));
    let from = channel(from)?;
    let (began, mut done) = (Instant::now(), 0);
    while began.elapsed() < bench.time() {
        for _ in 0..together.div_ceil(PUBLISH_EVENTS_MAX) {
            rig.publish(&from, source.batch())?;
        }
        done += together as u64;
        rig.wait_for(to, done)?;
        rig.wait_durable()?;
    }
    Ok((done * STEPS as u64) as f64 / began.elapsed().as_secs_f64())
}

/// Runs that wait for an event that never comes.
fn waiting(bench: &Bench, expressions: &Expressions) -> Result<Figure, Error> {
    let runs = if bench.quick { WAITING_QUICK } else { WAITING };
    let definition = Workflow::COPIES.defined(WAITS)?;
    let rig = start(bench, Durability::Os, Some((&definition, expressions)))?;
    let (wanted, mut source) = (channel(Workflow::COPIES.wanted)?, Source::new(PUBLISH_EVENTS_MAX, BYTES));
    let inbox = "baton.inbox.copies";
    // What all share, and what the host keeps of its latest events, is there before anything is counted.
    let first = runs / 5;
    let mut begin = |from: usize, to: usize| {
        for _ in 0..(to - from) / PUBLISH_EVENTS_MAX {
            rig.publish(&wanted, source.batch())?;
        }
        rig.wait_for(inbox, to as u64)
    };
    begin(0, first)?;
    let before = own_memory_bytes();
    begin(first, first + runs)?;
    let kib = own_memory_bytes().saturating_sub(before) as f64 / 1024.0 / runs as f64;
    let what = format!("memory of a waiting run, of {runs}");
    Ok(Figure::new(what, Durability::Os, kib, "KiB").budget(Budget::AtMost(WAITING_KIB_MAX)))
}
