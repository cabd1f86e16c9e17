//! The whole way over loopback HTTP: a publisher posts batches, a processor copies, a consumer reads pages. All of them, and
//! the JSON that both sides write and read, share the machine.

use std::fmt::Write as _;
use std::fs;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::guest::{END, LAST_HOP};
use super::host::{Host, prepare};
use super::report::{Durability, Figure};
use super::rig::Scratch;
use super::{Bench, Error};

pub const HOW: &str = "a host of its own; 256 B events as CloudEvents JSON over one connection each way: batches of 1,000 that are answered when \
                       durable, pages of 1,000";

const BATCH_EVENTS: usize = 1000;
const DATA: &str = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// A batch as it is posted, from this event's number on.
pub fn batch(first: usize, count: usize) -> String {
    let mut text = String::with_capacity(count * 420);
    for number in first..first + count {
        text.push(if number == first { '[' } else { ',' });
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            r#"{{"specversion":"1.0","id":"event-{number}","source":"/bench","type":"measured","datacontenttype":"text/plain","data":"{DATA}{DATA}{DATA}{DATA}"}}"#
        );
    }
    text.push(']');
    text
}

pub fn run(bench: &Bench) -> Result<Vec<Figure>, Error> {
    let class = Durability::Fsync;
    let scratch = Scratch::new()?;
    let folder = scratch.path();
    prepare(folder, class)?;
    let (host, _) = Host::start(folder)?;
    let (published, count) = publish(&host, bench.time())?;
    let consumed = consume(&host, LAST_HOP, 0, count)?;
    fs::write(folder.join("processors/copier.wasm"), &bench.component)?;
    while host.count(END).unwrap_or_default() < count {
        std::thread::sleep(LOOK_EVERY);
    }
    let (way, both) = whole_way(&host, count, bench.time())?;
    host.stop()?;
    let rate = |events: u64, time: Duration| events as f64 / time.as_secs_f64();
    Ok(vec![
        Figure::new("published", class, rate(count, published), "events/s"),
        Figure::new("consumed by pages", class, rate(count, consumed), "events/s"),
        Figure::new(
            "consume-process-produce, published and consumed over HTTP",
            class,
            rate(way, both),
            "events/s",
        ),
    ])
}

/// Publishes for so long; how long it took, and how many it were.
fn publish(host: &Host, time: Duration) -> Result<(Duration, u64), Error> {
    publish_from(host, 0, time)
}

fn publish_from(host: &Host, first: u64, time: Duration) -> Result<(Duration, u64), Error> {
    let (began, mut next) = (Instant::now(), first as usize);
    while began.elapsed() < time {
        host.publish(LAST_HOP, &batch(next, BATCH_EVENTS))?;
        next += BATCH_EVENTS;
    }
    Ok((began.elapsed(), next as u64 - first))
}

/// Reads a channel by pages until it has read so many events.
fn consume(host: &Host, channel: &str, from: u64, count: u64) -> Result<Duration, Error> {
    let (began, mut next) = (Instant::now(), from);
    while next < from + count {
        let path = format!("/v1/channels/{channel}/events?from={next}&limit={BATCH_EVENTS}&wait=10s");
        let page = host.get(&path)?;
        let after = page.get("next").and_then(Value::as_u64).unwrap_or_default();
        if after <= next {
            return Err(Error::Host {
                why: format!("'{channel}' ends at {after}, and {} were expected", from + count),
            });
        }
        next = after;
    }
    Ok(began.elapsed())
}

/// A publisher and a consumer at once; how many events came through, until the consumer had the last.
fn whole_way(host: &Host, first: u64, time: Duration) -> Result<(u64, Duration), Error> {
    let began = Instant::now();
    std::thread::scope(|scope| {
        let publisher = scope.spawn(|| publish_from(host, first, time));
        let mut next = first;
        while !publisher.is_finished() {
            next = consume_page(host, next)?;
        }
        let (_, count) = publisher.join().map_err(|_| Error::Panicked)??;
        consume(host, END, next, (first + count).saturating_sub(next))?;
        Ok((count, began.elapsed()))
    })
}

fn consume_page(host: &Host, from: u64) -> Result<u64, Error> {
    let page = host.get(&format!("/v1/channels/{END}/events?from={from}&limit={BATCH_EVENTS}&wait=20ms"))?;
    Ok(page.get("next").and_then(Value::as_u64).unwrap_or(from))
}
