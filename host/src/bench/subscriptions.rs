//! What subscriptions cost that have nothing to do with an event, and what it takes to give one event to a thousand subscribers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::guest::{END, LAST_HOP, native};
use super::report::{Budget, Durability, Figure};
use super::rig::{Rig, Setting, Source, channel};
use super::sample::{Sample, cpu_time};
use super::{Bench, Error};
use crate::dispatch::Version;
use crate::model::descriptor::{Descriptor, SUBSCRIPTIONS_MAX, SubscriptionAsk};
use crate::model::name::ProcessorName;
use crate::runtime::{CallError, NativeCall, NativeHandler, OutcomesBuilder, Verdict};

pub const HOW: &str = "native processors, journal in memory, one worker; elsewhere: processors with up to 64 subscriptions each on other \
                       channels; fan-out: from publish until every subscriber has decided it";

const ELSEWHERE: [usize; 3] = [1, 100, 10_000];
const SUBSCRIBERS: usize = 1000;
const PUBLISH_EVENTS: usize = 1024;
const BATCHES: usize = 32;
/// More than this over the lowest is not flat.
const SLOPE_MAX: f64 = 1.1;

pub fn run(bench: &Bench) -> Result<Vec<Figure>, Error> {
    let mut figures = elsewhere(bench)?;
    figures.extend(fan_out(bench)?);
    Ok(figures)
}

/// In turn, so that a busy moment of the machine hits all alike.
fn elsewhere(bench: &Bench) -> Result<Vec<Figure>, Error> {
    let mut samples = ELSEWHERE.map(|_| Sample::default());
    for _ in 0..bench.rounds() {
        for (count, sample) in ELSEWHERE.into_iter().zip(&mut samples) {
            sample.add(cost(bench, count)?);
        }
    }
    let class = Durability::Memory;
    let costs = samples.map(|sample| sample.lowest());
    let [one, .., most] = costs;
    let rows = ELSEWHERE.into_iter().zip(costs);
    let mut figures: Vec<_> = rows
        .map(|(count, ns)| {
            Figure::new(format!("per event, {count} subscriptions elsewhere"), class, ns, "ns")
        })
        .collect();
    let slope = Figure::new("10,000 elsewhere / 1 elsewhere", class, most / one, "x");
    figures.push(slope.budget(Budget::AtMost(SLOPE_MAX)));
    Ok(figures)
}

/// Nanoseconds of processor time per event of a channel that one processor copies.
fn cost(bench: &Bench, subscriptions: usize) -> Result<f64, Error> {
    let rig = Rig::start(Setting { workers: 1, ..Setting::new(Durability::Memory) })?;
    let mut left = subscriptions;
    while left > 0 {
        let count = left.min(SUBSCRIPTIONS_MAX);
        rig.deploy(&idle(bench, left, |place| format!("other-{left}-{place}"), count)?)?;
        left -= count;
    }
    let (hop, mut source) = (channel(LAST_HOP)?, Source::new(PUBLISH_EVENTS, 256));
    for _ in 0..BATCHES {
        rig.publish(&hop, source.batch())?;
    }
    rig.wait_durable()?;
    let events = (BATCHES * PUBLISH_EVENTS) as u64;
    let cpu = cpu_time();
    rig.deploy(&native(bench.program.descriptor().clone()))?;
    rig.wait_for(END, events)?;
    rig.wait_durable()?;
    Ok((cpu_time() - cpu).as_secs_f64() * 1e9 / events as f64)
}

/// Single events to a thousand subscribers.
fn fan_out(bench: &Bench) -> Result<Vec<Figure>, Error> {
    let rig = Rig::start(Setting::new(Durability::Memory))?;
    for number in 0..SUBSCRIBERS {
        rig.deploy(&idle(bench, number, |_| LAST_HOP.to_owned(), 1)?)?;
    }
    let (hop, mut source) = (channel(LAST_HOP)?, Source::new(1, 256));
    let (mut sample, mut sent) = (Sample::default(), 0);
    let until = Instant::now() + bench.time() / 2;
    while Instant::now() < until {
        let began = Instant::now();
        rig.publish(&hop, source.batch())?;
        sent += 1;
        while !all_decided(&rig, sent) {
            std::thread::sleep(Duration::from_micros(100));
        }
        sample.add(began.elapsed().as_secs_f64() * 1e3);
    }
    let class = Durability::Memory;
    Ok(vec![
        Figure::new("one event to 1,000 subscribers, p50", class, sample.median(), "ms")
            .beside("for each of them, us", sample.median() * 1e3 / SUBSCRIBERS as f64),
        Figure::new("one event to 1,000 subscribers, p99", class, sample.percentile(99), "ms"),
    ])
}

fn all_decided(rig: &Rig, count: u64) -> bool {
    rig.domain
        .look(|world| world.subscriptions().iter().all(|subscription| subscription.decided.cursor() >= count))
}

/// A processor that is done with everything at once, on so many channels.
fn idle(
    bench: &Bench,
    number: usize,
    name: impl Fn(usize) -> String,
    subscriptions: usize,
) -> Result<Version, Error> {
    let place = |place| {
        Ok(SubscriptionAsk {
            channel: channel(&name(place))?,
            key: Default::default(),
            start: Default::default(),
            filter: None,
            retry: Default::default(),
            then: Default::default(),
            order: Default::default(),
        })
    };
    let descriptor = Descriptor {
        name: ProcessorName::new(format!("idle-{number}"))?,
        subscriptions: (0..subscriptions).map(place).collect::<Result<_, Error>>()?,
        publishes: Vec::new(),
        ..bench.program.descriptor().clone()
    };
    Ok(Version::native(descriptor, &format!("idle-{number}"), Arc::new(|| Box::new(Idle))))
}

struct Idle;

impl NativeHandler for Idle {
    fn handle(&mut self, call: &NativeCall<'_>, out: &mut OutcomesBuilder) -> Result<(), CallError> {
        call.batch.events().for_each(|_| out.finish(Verdict::Handled, 0));
        Ok(())
    }
}
