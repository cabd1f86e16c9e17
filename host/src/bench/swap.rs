//! What a swap does to a processor under load: how long its lanes stand still, how much later events in flight come
//! through, and whether all of them do, once and in order.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hashbrown::HashMap;

use super::guest::{END, LAST_HOP};
use super::report::{Budget, Durability, Figure};
use super::rig::{Rig, Setting, Source, channel};
use super::sample::Sample;
use super::{Bench, Error};
use crate::channel::Reader;
use crate::dispatch::Version;
use crate::model::event::Event;
use crate::model::record::Record;

pub const HOW: &str =
    "a guest is replaced again and again; pauses under a publisher at full speed, delays of single events";

const PUBLISH_EVENTS: usize = 256;
const KEYS: usize = 1000;
const BETWEEN_SWAPS: Duration = Duration::from_millis(5);

pub fn run(bench: &Bench) -> Result<Vec<Figure>, Error> {
    let (pauses, wrong) = pauses(bench)?;
    let calm = delays(bench, false)?;
    let swapped = delays(bench, true)?;
    let class = Durability::Memory;
    let added = (swapped.percentile(99) - calm.percentile(99)).max(0.0);
    Ok(vec![
        Figure::new("pause of a lane, p50", class, pauses.median(), "us"),
        Figure::new("pause of a lane, p99", class, pauses.percentile(99), "us"),
        Figure::new("events lost, doubled or out of order", class, wrong as f64, "events")
            .budget(Budget::AtMost(0.0)),
        Figure::new("one event while swaps go on, p50", class, swapped.median(), "us")
            .beside("without swaps", calm.median()),
        Figure::new("one event while swaps go on, p99", class, swapped.percentile(99), "us")
            .beside("without swaps", calm.percentile(99)),
        Figure::new("added by swaps at p99", class, added, "us").budget(Budget::AtMost(1000.0)),
    ])
}

fn version(bench: &Bench) -> Version {
    Version::wasm(bench.program.clone(), "bench.wasm", 0)
}

/// Swaps under a publisher at full speed; then every event is looked at.
fn pauses(bench: &Bench) -> Result<(Sample, u64), Error> {
    let rig = Rig::start(Setting::new(Durability::Memory))?;
    rig.deploy(&version(bench))?;
    let mut pauses = Sample::default();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let publisher = scope.spawn(|| publish_keyed(&rig, &stop));
        let swapped = swap_for(bench, &rig, &mut pauses);
        stop.store(true, Ordering::Relaxed);
        publisher.join().map_err(|_| Error::Panicked)??;
        swapped
    })?;
    rig.wait_for(END, rig.count(LAST_HOP))?;
    rig.wait_durable()?;
    Ok((pauses, wrong(&rig)?))
}

fn swap_for(bench: &Bench, rig: &Rig, pauses: &mut Sample) -> Result<(), Error> {
    let until = Instant::now() + bench.time() / 2;
    while Instant::now() < until {
        std::thread::sleep(BETWEEN_SWAPS);
        let deployment = rig.dispatcher.deploy(&version(bench))?;
        deployment.pauses_us.iter().for_each(|us| pauses.add(*us as f64));
    }
    Ok(())
}

fn publish_keyed(rig: &Rig, stop: &AtomicBool) -> Result<(), Error> {
    let (hop, mut source) = (channel(LAST_HOP)?, Source::new(PUBLISH_EVENTS, 256));
    let mut next = 0;
    while !stop.load(Ordering::Relaxed) {
        let mut events: Vec<Event> = source.batch().to_vec();
        for event in &mut events {
            event.subject = Some(format!("key-{}", next % KEYS));
            next += 1;
        }
        rig.publish(&hop, &events)?;
    }
    Ok(())
}

/// How many events of the start have no place, two places or a wrong place at the end.
fn wrong(rig: &Rig) -> Result<u64, Error> {
    let mut expected = by_key(rig, LAST_HOP, |record| Some(record.parts.id))?;
    let found = by_key(rig, END, |record| record.stamp.causationid)?;
    let mut wrong = 0;
    for (key, found) in found {
        let expected = expected.remove(&key).unwrap_or_default();
        let in_place = found.iter().zip(&expected).filter(|(found, expected)| found == expected).count();
        wrong += found.len().max(expected.len()) - in_place;
    }
    Ok((wrong + expected.values().map(Vec::len).sum::<usize>()) as u64)
}

type Ids = HashMap<String, Vec<String>>;

fn by_key(rig: &Rig, channel: &str, id: for<'a> fn(&Record<'a>) -> Option<&'a str>) -> Result<Ids, Error> {
    let mut ids = Ids::new();
    let number = rig.domain.look(|world| world.channel_id(channel)).unwrap_or_default();
    let mut reader = Reader::new(rig.domain.clone(), number, 0);
    while let Some(item) = reader.take()? {
        let record = Record::parse(&item.record)?;
        let key = record.parts.subject.unwrap_or_default().to_owned();
        ids.entry(key).or_default().push(id(&record).unwrap_or_default().to_owned());
    }
    Ok(ids)
}

/// How long single events take from publish until their outcome is visible.
fn delays(bench: &Bench, swaps: bool) -> Result<Sample, Error> {
    let rig = Rig::start(Setting::new(Durability::Memory))?;
    rig.deploy(&version(bench))?;
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let single = scope.spawn(|| single_events(&rig, &stop));
        let swapped = match swaps {
            true => swap_for(bench, &rig, &mut Sample::default()),
            false => {
                std::thread::sleep(bench.time() / 2);
                Ok(())
            }
        };
        stop.store(true, Ordering::Relaxed);
        let sample = single.join().map_err(|_| Error::Panicked)?;
        swapped.and(sample)
    })
}

fn single_events(rig: &Rig, stop: &AtomicBool) -> Result<Sample, Error> {
    let (hop, mut source) = (channel(LAST_HOP)?, Source::new(1, 256));
    let mut sample = Sample::default();
    let mut sent = 0;
    while !stop.load(Ordering::Relaxed) {
        let began = Instant::now();
        let mut seen = rig.publish(&hop, source.batch())?;
        sent += 1;
        while rig.count(END) < sent {
            while rig.domain.visible() == seen {
                std::thread::yield_now();
            }
            seen = rig.domain.visible();
        }
        sample.add_us(began.elapsed());
    }
    Ok(sample)
}
