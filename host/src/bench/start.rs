//! How long a host with many processors takes from the start of its process until it listens and all of them run.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::host::{Host, prepare};
use super::report::{Budget, Durability, Figure};
use super::rig::Scratch;
use super::sample::Sample;
use super::{Bench, Error};

pub const HOW: &str = "a host of its own is stopped and started again with 100 components (20 when quick), each with a digest of its own; \
                       files are in the system's cache, compiled code is kept (warm) or was removed (cold)";

const PROCESSORS: usize = 100;
const PROCESSORS_QUICK: usize = 20;
/// The budget, for all of the processors.
const WARM_MS_MAX: f64 = 150.0;
/// How long the first deployments may take.
const PATIENCE: Duration = Duration::from_secs(120);

pub fn run(bench: &Bench) -> Result<Vec<Figure>, Error> {
    let count = if bench.quick { PROCESSORS_QUICK } else { PROCESSORS };
    let scratch = Scratch::new()?;
    let folder = scratch.path();
    prepare(folder, Durability::Fsync)?;
    let (empty, bare) = Host::start(folder)?;
    empty.stop()?;
    for number in 0..count {
        let file = folder.join("processors").join(format!("{}.wasm", name(number)));
        fs::write(file, renamed(&bench.component, &name(number))?)?;
    }
    deploy(folder, count)?;
    let mut warm = Sample::default();
    for _ in 0..bench.rounds() {
        warm.add(restart(folder, count)?);
    }
    fs::remove_dir_all(folder.join(".baton/cache"))?;
    let cold = restart(folder, count)?;
    let figure = |what: &str, ms: f64| {
        let what = format!("{count} processors, {what} cache, host ready");
        Figure::new(what, Durability::Fsync, ms, "ms").beside("without processors", bare.as_secs_f64() * 1e3)
    };
    let ready = figure("warm", warm.median());
    let ready = if bench.quick { ready } else { ready.budget(Budget::AtMost(WARM_MS_MAX)) };
    Ok(vec![ready, figure("cold", cold)])
}

/// As long as the name of the component that is copied.
fn name(number: usize) -> String {
    format!("c{number:05}")
}

/// The component under another name. Its descriptor names it, perhaps in more than one place; nothing else needs to change.
fn renamed(component: &[u8], name: &str) -> Result<Vec<u8>, Error> {
    const NAMED: &[u8] = b"\"name\":\"copier\"";
    let new = format!("\"name\":\"{name}\"");
    let mut bytes = component.to_vec();
    let places = component.windows(NAMED.len()).enumerate().filter(|(_, window)| *window == NAMED);
    let places: Vec<_> = places.map(|(place, _)| place).collect();
    if places.is_empty() || new.len() != NAMED.len() {
        return Err(Error::Host { why: "the component does not say its name as expected".to_owned() });
    }
    for place in places {
        if let Some(old) = bytes.get_mut(place..place + NAMED.len()) {
            old.copy_from_slice(new.as_bytes());
        }
    }
    Ok(bytes)
}

fn deploy(folder: &Path, count: usize) -> Result<(), Error> {
    let (host, _) = Host::start(folder)?;
    host.await_count("processors run", count, PATIENCE, running)?;
    host.stop()
}

/// How many processors run.
fn running(host: &Host) -> Result<usize, Error> {
    let list = host.get("/v1/processors")?;
    let processors = list.get("processors").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    Ok(processors
        .iter()
        .filter(|processor| processor.get("status").and_then(Value::as_str) == Some("running"))
        .count())
}

/// Milliseconds until it listens. Then all must run.
fn restart(folder: &Path, count: usize) -> Result<f64, Error> {
    let (host, took) = Host::start(folder)?;
    let running = running(&host)?;
    if running != count {
        return Err(Error::Host { why: format!("it listens, and {running} of {count} processors run") });
    }
    host.stop()?;
    Ok(took.as_secs_f64() * 1e3)
}
