//! The figures that the host is held to, measured on this machine: `baton bench`. Each stands beside its budget and
//! beside what it is compared with, measured in the same run, and says when an event counted as done.
//!
//! A measurement is a file of its own that makes a `rig` (a host without edges), runs the `guest` or its native
//! twin through it and returns figures for the `report`. It measures the host as it is and has no hooks in it.

mod backlog;
mod crossing;
mod deploy;
mod durable;
mod guest;
mod host;
mod http;
mod jetstream;
mod lanes;
mod lasting;
mod latency;
mod memory;
mod neighbours;
mod pipeline;
mod raw;
mod recovery;
mod report;
mod rig;
mod sample;
mod start;
mod subscriptions;
mod swap;
mod waiting;
mod workflow;

use std::path::PathBuf;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::runtime::{Engine, EngineConfig, Program};

pub use report::{Beside, Budget, Durability, Figure, Report, Section};

/// What to measure, and how long.
#[derive(Clone, Debug, Default)]
pub struct BenchOptions {
    /// This measurement only.
    pub only: Option<String>,
    /// Rougher figures in less than a minute.
    pub quick: bool,
    /// Ten million events where fewer will do: minutes, and 10 GB of the disk.
    pub full: bool,
}

/// Why nothing could be measured.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such measurement.
    #[error("there is no measurement '{name}'; there are: {known}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// What could be.
        known: String,
    },
    /// The processor that is measured could not be built.
    #[error(
        "the processor that is measured could not be built: {why}; it needs cargo with the target wasm32-wasip2 \
         (`rustup target add wasm32-wasip2`) and the source tree that this program was built from"
    )]
    Guest {
        /// What went wrong.
        why: String,
    },
    /// A file could not be used.
    #[error("{file}: {source}")]
    File {
        /// The file or folder.
        file: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Events did not arrive.
    #[error("channel '{channel}' stays at {count} events, {expected} were expected: {why}")]
    Stuck {
        /// The channel.
        channel: String,
        /// What it has.
        count: u64,
        /// What it was to have.
        expected: u64,
        /// What the processor says.
        why: String,
    },
    /// A host that was started as a process did not do what it should.
    #[error("a host that was started to be measured: {why}")]
    Host {
        /// What it did.
        why: String,
    },
    /// Something is missing that only this measurement needs.
    #[error("not run: {why}")]
    NotRun {
        /// What is missing, and where it is to be had.
        why: String,
    },
    /// A thread of a measurement panicked.
    #[error("a thread of the measurement panicked")]
    Panicked,
    /// The system refused.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The journal refused.
    #[error(transparent)]
    Journal(#[from] crate::journal::Error),
    /// The domain did not open.
    #[error(transparent)]
    Open(#[from] crate::channel::OpenError),
    /// Events were not accepted.
    #[error(transparent)]
    Publish(#[from] crate::channel::PublishError),
    /// A channel could not be read.
    #[error(transparent)]
    Read(#[from] crate::channel::ReadError),
    /// A frame was refused.
    #[error(transparent)]
    Refused(#[from] crate::channel::Refused),
    /// A version does not run.
    #[error(transparent)]
    Dispatch(#[from] crate::dispatch::DispatchError),
    /// The engine refused.
    #[error(transparent)]
    Runtime(#[from] crate::runtime::Error),
    /// A call failed.
    #[error(transparent)]
    Call(#[from] crate::runtime::CallError),
    /// A name is none.
    #[error(transparent)]
    Name(#[from] crate::model::name::NameError),
    /// A record is none.
    #[error(transparent)]
    Malformed(#[from] crate::model::record::Malformed),
}

/// What all measurements share.
struct Bench {
    component: Vec<u8>,
    program: Program,
    quick: bool,
    full: bool,
}

impl Bench {
    fn prepare(options: &BenchOptions) -> Result<Self, Error> {
        let component = guest::build()?;
        let engine = Engine::new(EngineConfig::in_process())?;
        let program = engine.load(&component)?;
        Ok(Self { component, program, quick: options.quick, full: options.full })
    }

    /// How long one figure is measured.
    fn time(&self) -> Duration {
        Duration::from_millis(if self.quick { 500 } else { 2500 })
    }

    /// How often a pair is measured.
    fn rounds(&self) -> usize {
        if self.quick { 3 } else { 7 }
    }
}

/// One measurement: its name, what it does, and the code.
struct Measurement {
    name: &'static str,
    how: &'static str,
    run: fn(&Bench) -> Result<Vec<Figure>, Error>,
}

impl Measurement {
    /// What came of it, or why it could not be.
    fn section(&self, bench: &Bench) -> Result<Section, Error> {
        let (figures, not_run) = match (self.run)(bench) {
            Ok(figures) => (figures, None),
            Err(Error::NotRun { why }) => (Vec::new(), Some(why)),
            Err(error) => return Err(error),
        };
        Ok(Section { name: self.name, how: self.how, figures, not_run })
    }
}

/// Those that look at the process's memory come first: later ones leave it larger.
const MEASUREMENTS: [Measurement; 18] = [
    Measurement { name: "memory", how: memory::HOW, run: memory::run },
    Measurement { name: "backlog", how: backlog::HOW, run: backlog::run },
    Measurement { name: "lasting", how: lasting::HOW, run: lasting::run },
    Measurement { name: "workflow", how: workflow::HOW, run: workflow::run },
    Measurement { name: "neighbours", how: neighbours::HOW, run: neighbours::run },
    Measurement { name: "crossing", how: crossing::HOW, run: crossing::run },
    Measurement { name: "pipeline", how: pipeline::HOW, run: pipeline::run },
    Measurement { name: "lanes", how: lanes::HOW, run: lanes::run },
    Measurement { name: "durable", how: durable::HOW, run: durable::run },
    Measurement { name: "jetstream", how: jetstream::HOW, run: jetstream::run },
    Measurement { name: "latency", how: latency::HOW, run: latency::run },
    Measurement { name: "deploy", how: deploy::HOW, run: deploy::run },
    Measurement { name: "swap", how: swap::HOW, run: swap::run },
    Measurement { name: "subscriptions", how: subscriptions::HOW, run: subscriptions::run },
    Measurement { name: "start", how: start::HOW, run: start::run },
    Measurement { name: "waiting", how: waiting::HOW, run: waiting::run },
    Measurement { name: "recovery", how: recovery::HOW, run: recovery::run },
    Measurement { name: "http", how: http::HOW, run: http::run },
];

/// Measures, and shows on stderr how far it is. Blocks for up to three minutes; call it from a plain thread.
pub fn run(options: &BenchOptions) -> Result<Report, Error> {
    let chosen = choose(options.only.as_deref())?;
    let progress = progress(chosen.len() as u64 + 1);
    progress.set_message("building the processor");
    let bench = Bench::prepare(options)?;
    let mut sections = Vec::new();
    for measurement in chosen {
        progress.inc(1);
        progress.set_message(measurement.name);
        sections.push(measurement.section(&bench)?);
    }
    progress.finish_and_clear();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Ok(Report { cores, quick: options.quick, sections })
}

fn choose(only: Option<&str>) -> Result<Vec<&'static Measurement>, Error> {
    let chosen: Vec<_> =
        MEASUREMENTS.iter().filter(|measurement| only.is_none_or(|name| measurement.name == name)).collect();
    if chosen.is_empty() {
        let known = MEASUREMENTS.map(|measurement| measurement.name).join(", ");
        return Err(Error::Unknown { name: only.unwrap_or_default().to_owned(), known });
    }
    Ok(chosen)
}

fn progress(steps: u64) -> ProgressBar {
    let bar = ProgressBar::new(steps);
    if let Ok(style) = ProgressStyle::with_template("{spinner} {pos}/{len} {elapsed} {msg}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_measurement_names_the_known_ones() {
        let error = choose(Some("speed")).err().unwrap().to_string();
        assert!(error.contains("'speed'") && error.contains("memory, backlog, lasting"), "{error}");
        assert_eq!(choose(Some("swap")).unwrap().len(), 1);
        assert_eq!(choose(None).unwrap().len(), MEASUREMENTS.len());
    }
}
