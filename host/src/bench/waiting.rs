//! A host with many runs that wait: how long it takes to start, and to say which they are.

use std::fs;
use std::time::Duration;

use serde_json::Value;

use super::host::{Host, prepare};
use super::http::batch;
use super::report::{Durability, Figure};
use super::rig::Scratch;
use super::sample::timed;
use super::workflow::{WAITING, WAITING_QUICK, WAITS, Workflow};
use super::{Bench, Error};

pub const HOW: &str = "a host of its own with runs that all wait for an event is stopped, or killed (SIGKILL), and started again: until it listens; \
                       then it is asked for the latest hundred runs";

const BATCH_EVENTS: usize = 1_000;
/// How long it may take until all of them wait.
const PATIENCE: Duration = Duration::from_secs(300);

pub fn run(bench: &Bench) -> Result<Vec<Figure>, Error> {
    let runs = if bench.quick { WAITING_QUICK } else { WAITING };
    let class = Durability::Fsync;
    let Workflow { name, wanted, .. } = Workflow::COPIES;
    let scratch = Scratch::new()?;
    let folder = scratch.path();
    prepare(folder, class)?;
    fs::create_dir(folder.join("mediators"))?;
    fs::write(folder.join(format!("mediators/{name}.yaml")), Workflow::COPIES.text(WAITS))?;
    let (host, _) = Host::start(folder)?;
    for from in (0..runs).step_by(BATCH_EVENTS) {
        host.publish(wanted, &batch(from, BATCH_EVENTS))?;
    }
    all_wait(&host, runs)?;
    host.stop()?;
    let (host, stopped) = Host::start(folder)?;
    host.kill()?;
    let (host, killed) = Host::start(folder)?;
    all_wait(&host, runs)?;
    let (page, listed) = timed(|| host.get("/v1/runs?limit=100"));
    let shown = page?.get("runs").and_then(Value::as_array).map_or(0, Vec::len);
    host.stop()?;
    let ms = |took: Duration| took.as_secs_f64() * 1e3;
    Ok(vec![
        Figure::new(format!("{runs} waiting runs, host ready after a kill"), class, ms(killed), "ms")
            .beside("after a clean stop", ms(stopped)),
        Figure::new(format!("the latest {shown} of {runs} runs"), class, ms(listed), "ms"),
    ])
}

/// Waits until so many runs wait.
fn all_wait(host: &Host, runs: usize) -> Result<(), Error> {
    host.await_count("runs wait", runs, PATIENCE, |host| {
        let report = host.get("/v1/workflows")?;
        let waiting = report.pointer("/workflows/0/runs/waiting").and_then(Value::as_u64).unwrap_or(0);
        Ok(usize::try_from(waiting).unwrap_or(usize::MAX))
    })
}
