//! Events consumed, processed and produced in a second until their outcome is durable, and what one commit costs
//! beside the bare disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::guest::{END, LAST_HOP};
use super::raw::RawFile;
use super::report::{Budget, Durability, Figure};
use super::rig::{Rig, Scratch, Setting, Source, channel};
use super::sample::{Sample, cpu_time, own_cpu_time};
use super::{Bench, Error};
use crate::dispatch::Version;
use crate::journal::storage::Files;
use crate::journal::{Frame, Journal, Options, SegmentJournal};

pub const HOW: &str = "256 B events, published in batches of 1,024, through one guest on one lane, until what it emitted is durable";

const EVENT_BYTES: usize = 256;
const PUBLISH_EVENTS: usize = 1024;
const COMMIT_ROUNDS: usize = 150;
/// Ten times what a native consumer reached on NATS JetStream without syncs, on a machine with two cores.
const RATE_MIN: f64 = 840_000.0;

pub fn run(bench: &Bench) -> Result<Vec<Figure>, Error> {
    let mut figures = Vec::new();
    for durability in [Durability::Fsync, Durability::Os] {
        let waiting = waiting(bench, durability)?;
        figures.extend(throughput("waiting events", bench, durability, &waiting)?);
        let published = while_published(bench, durability)?;
        figures.extend(throughput("while they are published", bench, durability, &published)?);
    }
    figures.push(commit(bench)?);
    Ok(figures)
}

fn throughput(
    which: &str,
    bench: &Bench,
    durability: Durability,
    measured: &Throughput,
) -> Result<[Figure; 2], Error> {
    let raw = raw(measured, durability, bench.time() / 2)?;
    let rate = Figure::new(format!("{which}: throughput"), durability, measured.rate, "events/s")
        .beside("raw append of the same bytes", raw);
    let rate = match durability {
        Durability::Fsync => rate.budget(Budget::AtLeast(RATE_MIN)),
        _ => rate,
    };
    let cpu = Figure::new(format!("{which}: processor time per event"), durability, measured.cpu_ns, "ns")
        .beside("bytes in the journal", measured.event_bytes);
    Ok([rate, cpu])
}

/// What was measured, for each event: also how long all threads ran for it, and how many bytes the journal wrote.
pub struct Throughput {
    /// Events in a second.
    pub rate: f64,
    cpu_ns: f64,
    event_bytes: f64,
}

/// What there was when the clock started.
struct Began {
    at: Instant,
    cpu: Duration,
    bytes: u64,
}

impl Began {
    fn now(rig: &Rig) -> Self {
        Self { bytes: stored_bytes(rig), cpu: cpu_time(), at: Instant::now() }
    }

    /// What came of it since. `gone` is the processor time of threads that have ended meanwhile.
    fn throughput(&self, rig: &Rig, events: u64, gone: Duration) -> Throughput {
        let events = events as f64;
        let cpu = (cpu_time() + gone).saturating_sub(self.cpu);
        Throughput {
            rate: events / self.at.elapsed().as_secs_f64(),
            cpu_ns: cpu.as_secs_f64() * 1e9 / events,
            event_bytes: (stored_bytes(rig) - self.bytes) as f64 / events,
        }
    }
}

fn stored_bytes(rig: &Rig) -> u64 {
    rig.domain.journal().segments().iter().map(|segment| segment.bytes).sum()
}

fn version(bench: &Bench) -> Version {
    Version::wasm(bench.program.clone(), "bench.wasm", 0)
}

/// Events that are durable when the clock starts.
pub fn waiting(bench: &Bench, durability: Durability) -> Result<Throughput, Error> {
    let rig = Rig::start(Setting::new(durability))?;
    let (hop, mut source) = (channel(LAST_HOP)?, Source::new(PUBLISH_EVENTS, EVENT_BYTES));
    let batches = if bench.quick { 200 } else { 1000 };
    for _ in 0..batches {
        rig.publish(&hop, source.batch())?;
    }
    rig.wait_durable()?;
    let events = (batches * PUBLISH_EVENTS) as u64;
    let began = Began::now(&rig);
    rig.deploy(&version(bench))?;
    rig.wait_for(END, events)?;
    rig.wait_durable()?;
    Ok(began.throughput(&rig, events, Duration::ZERO))
}

/// A publisher runs as fast as it can beside the guest; both share the machine.
pub fn while_published(bench: &Bench, durability: Durability) -> Result<Throughput, Error> {
    let rig = Rig::start(Setting::new(durability))?;
    rig.deploy(&version(bench))?;
    let stop = AtomicBool::new(false);
    let began = Began::now(&rig);
    let publisher = std::thread::scope(|scope| {
        let publisher = scope.spawn(|| publish_until(&rig, &stop));
        std::thread::sleep(bench.time());
        stop.store(true, Ordering::Relaxed);
        publisher.join().map_err(|_| Error::Panicked)?
    })?;
    rig.wait_for(END, rig.count(LAST_HOP))?;
    rig.wait_durable()?;
    Ok(began.throughput(&rig, rig.count(END), publisher))
}

/// Returns the processor time that the publisher took.
fn publish_until(rig: &Rig, stop: &AtomicBool) -> Result<Duration, Error> {
    let (hop, mut source) = (channel(LAST_HOP)?, Source::new(PUBLISH_EVENTS, EVENT_BYTES));
    while !stop.load(Ordering::Relaxed) {
        rig.publish(&hop, source.batch())?;
    }
    Ok(own_cpu_time())
}

/// How many events a second the bare disk takes, with as many bytes for each.
fn raw(of: &Throughput, durability: Durability, time: Duration) -> Result<f64, Error> {
    let bytes = vec![b'x'; (of.event_bytes * PUBLISH_EVENTS as f64) as usize];
    let appends = RawFile::create(durability)?.appends_per_second(&bytes, time)?;
    Ok(appends * PUBLISH_EVENTS as f64)
}

/// One frame of 1,024 events through the journal, in turn with the same bytes on the bare disk.
fn commit(bench: &Bench) -> Result<Figure, Error> {
    let scratch = Scratch::new()?;
    let storage = Arc::new(Files::open(scratch.path())?);
    let journal = SegmentJournal::open(storage, Options::default())?;
    let mut raw = RawFile::create(Durability::Fsync)?;
    let body = Bytes::from(vec![b'x'; PUBLISH_EVENTS * EVENT_BYTES]);
    let (mut journal_us, mut raw_us) = (Sample::default(), Sample::default());
    for _ in 0..if bench.quick { COMMIT_ROUNDS / 3 } else { COMMIT_ROUNDS } {
        journal_us.add_us(append(&journal, &body)?);
        raw_us.add_us(raw.append(&body)?);
    }
    let ratio = journal_us.median() / raw_us.median();
    Ok(Figure::new("one commit of 1,024 events / raw append, medians", Durability::Fsync, ratio, "x")
        .budget(Budget::AtMost(1.3))
        .beside("raw, microseconds", raw_us.median()))
}

fn append(journal: &SegmentJournal, body: &Bytes) -> Result<Duration, Error> {
    let began = Instant::now();
    let width = PUBLISH_EVENTS as u32;
    journal.append(Frame { position: journal.next(), width, time_ms: 1, body: body.clone() })?;
    journal.durable().wait_blocking(journal.next())?;
    Ok(began.elapsed())
}
