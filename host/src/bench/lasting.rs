//! What stays of many events: memory of the process once it is quiet, and bytes on the disk.

use std::time::Duration;

use super::guest::{END, LAST_HOP};
use super::host::stored_bytes;
use super::report::{Budget, Durability, Figure};
use super::rig::{Rig, Setting, Source, channel};
use super::sample::own_memory_bytes;
use super::{Bench, Error};
use crate::dispatch::Version;

pub const HOW: &str = "256 B events are published in batches of 1,024 and copied by a guest: 10,000,000 with --full, else 1,000,000 \
                       (200,000 when quick); memory (RssAnon) three seconds after the last";

const PUBLISH_EVENTS: usize = 1024;
/// How many events may wait for the guest: memory is to be measured, not a backlog.
const AHEAD_MAX: u64 = 100_000;
const QUIET: Duration = Duration::from_secs(3);

pub fn run(bench: &Bench) -> Result<Vec<Figure>, Error> {
    let class = Durability::Os;
    let events: u64 = match (bench.full, bench.quick) {
        (true, _) => 10_000_000,
        (_, true) => 200_000,
        _ => 1_000_000,
    };
    let rig = Rig::start(Setting::new(class))?;
    rig.deploy(&Version::wasm(bench.program.clone(), "bench.wasm", 0))?;
    let (hop, mut source) = (channel(LAST_HOP)?, Source::new(PUBLISH_EVENTS, 256));
    let before = own_memory_bytes();
    let (mut sent, mut tenth) = (0, None);
    while sent < events {
        rig.publish(&hop, source.batch())?;
        sent += PUBLISH_EVENTS as u64;
        rig.wait_for(END, sent.saturating_sub(AHEAD_MAX))?;
        if sent >= events / 10 && tenth.is_none() {
            tenth = Some(own_memory_bytes());
        }
    }
    rig.wait_for(END, sent)?;
    rig.wait_durable()?;
    std::thread::sleep(QUIET);
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let each = |bytes: u64| bytes as f64 / (2 * sent) as f64;
    let journal: u64 = rig.domain.journal().segments().iter().map(|segment| segment.bytes).sum();
    let views = rig.folder().map_or(0, |folder| stored_bytes(&folder.join("views")));
    Ok(vec![
        Figure::new(format!("memory after {events} events, quiet"), class, mib(own_memory_bytes()), "MiB")
            .budget(Budget::AtMost(300.0))
            .beside("after a tenth of them, at work", mib(tenth.unwrap_or(before))),
        Figure::new("journal, for each event in and each that was emitted", class, each(journal), "B"),
        Figure::new("views and index, for each of the same", class, each(views), "B"),
    ])
}
