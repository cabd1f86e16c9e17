//! What it costs to hand events to a guest and to take its outcomes back, without anything around it.

use std::sync::Arc;
use std::time::Instant;

use uuid::Uuid;

use super::guest::{Copier, LAST_HOP};
use super::report::{Budget, Durability, Figure};
use super::sample::Sample;
use super::{Bench, Error};
use crate::model::record::{Parts, Record, Stamp, encode};
use crate::runtime::{Batch, Executor, NoHostCalls};

pub const HOW: &str = "one call from batch to checked outcomes; the guest copies each event (SDK, one emit)";

/// How many calls one timing takes together.
const CALLS: usize = 200;
const SIZES: [(usize, &str); 3] = [(64, "64 B"), (256, "256 B"), (4096, "4 KiB")];
const BATCHES: [usize; 2] = [1, 64];

pub fn run(bench: &Bench) -> Result<Vec<Figure>, Error> {
    let mut figures = Vec::new();
    for events in BATCHES {
        for (bytes, size) in SIZES {
            let batch = batch(events, bytes)?;
            let (wasm, native) = pair(bench, &batch)?;
            let what = format!("per event, batch {events}, {size}");
            let figure = Figure::new(what, Durability::None, wasm, "ns").beside("native", native);
            figures.push(match (events, bytes) {
                (64, 256) => figure.budget(Budget::AtMost(150.0)),
                (1, 256) => figure.budget(Budget::AtMost(750.0)),
                _ => figure,
            });
        }
    }
    Ok(figures)
}

fn pair(bench: &Bench, batch: &Batch) -> Result<(f64, f64), Error> {
    let mut wasm = Executor::Wasm(bench.program.instantiate(Arc::new(NoHostCalls))?);
    let mut native = Executor::native(Box::new(Copier), Arc::new(NoHostCalls));
    let (mut wasm_ns, mut native_ns) = (Sample::default(), Sample::default());
    let until = Instant::now() + bench.time() / 4;
    while Instant::now() < until {
        wasm_ns.add(timing(&mut wasm, batch)?);
        native_ns.add(timing(&mut native, batch)?);
    }
    Ok((wasm_ns.median(), native_ns.median()))
}

/// Nanoseconds per event.
fn timing(executor: &mut Executor, batch: &Batch) -> Result<f64, Error> {
    let began = Instant::now();
    for _ in 0..CALLS {
        std::hint::black_box(executor.call(batch)?);
    }
    Ok(began.elapsed().as_secs_f64() * 1e9 / (CALLS * batch.len()) as f64)
}

/// Events as the guest gets them.
pub fn batch(events: usize, bytes: usize) -> Result<Batch, Error> {
    let mut batch = Batch::new(1_800_000_000_000, 7);
    let data = vec![b'x'; bytes];
    for n in 0..events {
        let id = format!("event-{n}");
        let parts = Parts {
            id: &id,
            source: "/bench",
            ty: "measured",
            datacontenttype: Some("application/octet-stream"),
            data: Some(&data),
            ..Parts::default()
        };
        let stamp = Stamp { flow: Uuid::nil(), cause: None, causationid: None, hops: 0 };
        let mut record = Vec::new();
        encode(&mut record, &parts, &stamp, std::iter::empty());
        batch.push(LAST_HOP, &id, n as u64, 1, 1_800_000_000_000, &Record::parse(&record)?);
    }
    Ok(batch)
}
