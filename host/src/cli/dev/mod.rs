//! `baton dev`: a host for the one who writes a processor. It builds what is saved, deploys what was built, and shows the
//! processors' words, faults and receipts in one terminal. A crate that does not compile leaves the version before running.

mod feed;
mod sources;
mod watch;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use bytes::Bytes;
use clap::Args;

use super::Shared;
use super::build::{self, Built, Words};
use super::demo::host::Host;
use super::failure::{Exit, Failure};
use super::output::Out;
use crate::config::{Config, Sources};
use crate::model::name::ProcessorName;
use crate::model::report::DeployReport;
use crate::model::time::for_people;
use crate::telemetry;
use feed::{Feed, Line};
use sources::Crate;
use watch::Saves;

/// Where the host of a crate keeps its data: beside what cargo builds, so that it is ignored and cleaned with it.
const DATA: &str = "target/baton-dev";

/// `baton dev`
#[derive(Args)]
#[command(after_long_help = "\
Examples:
  baton new greeter && cd greeter && baton dev
  baton dev plugins --events       every crate in a folder, and each event that is published
  baton dev --fresh                without the events and the state of before

Save a source file: it is built and deployed. What does not compile leaves the version before running.")]
pub struct DevArgs {
    /// The crate of a processor, a workspace, or a folder with several.
    #[arg(value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// The address to listen on [default: 127.0.0.1:7077, or a free port if that is taken].
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// The folder for data [default: DIR/target/baton-dev].
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Empty the folder for data first.
    #[arg(long)]
    fresh: bool,
    /// Show every event that is published.
    #[arg(long)]
    events: bool,
    /// More arguments for cargo.
    #[arg(last = true, value_name = "CARGO ARGUMENTS")]
    cargo: Vec<String>,
}

/// Serves, builds and deploys until somebody ends it.
pub fn run(args: DevArgs, shared: &Shared) -> Result<(), Failure> {
    telemetry::start_log("error");
    let crates = sources::find(&args.dir)?;
    let data = args.data.clone().unwrap_or_else(|| args.dir.join(DATA));
    prepare(&data, args.fresh)?;
    let host = Host::start_with(config(&args.dir, &data)?, args.listen)?;
    let out = shared.out();
    let feed = Feed::new(&host, out, args.events);
    feed.tell(&Line::host(format!("listening on {}, data in {}", host.server(), data.display())))?;
    feed.tell(&Line::host(format!("watching {}; Ctrl-C ends", sources::names(&crates))))?;
    let stopped = feed.follow();
    let dev = Dev { host: &host, feed: &feed, crates: &crates, cargo: &args.cargo, out };
    let result = dev.work(&stopped);
    host.stop();
    result
}

/// The settings of the crate's own baton.toml, with the data and the components in a folder of their own.
fn config(dir: &Path, data: &Path) -> Result<Config, Failure> {
    let data = std::path::absolute(data).unwrap_or_else(|_| data.to_owned());
    let sources = Sources::of_process().flag("--data", "data", Some(data.display()));
    let config = Config::load_with(dir, sources).map_err(|error| Failure::config(&error))?;
    Ok(config.with_processors_dir(data.join("processors")).approving_itself())
}

/// Makes the folder, and empties it if asked. What is no data of a host is not touched.
fn prepare(data: &Path, fresh: bool) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::failed(format!("cannot use {}: {error}", data.display()));
    if fresh && data.is_dir() {
        let mut entries = std::fs::read_dir(data).map_err(failed)?;
        if entries.next().is_some() && !data.join("journal").is_dir() {
            let why = format!("{} holds no data of a host, so --fresh does not empty it", data.display());
            return Err(Failure::new(Exit::Usage, why));
        }
        std::fs::remove_dir_all(data).map_err(failed)?;
    }
    std::fs::create_dir_all(data).map_err(failed)
}

/// What the loop works with.
struct Dev<'a> {
    host: &'a Host,
    feed: &'a Feed,
    crates: &'a [Crate],
    cargo: &'a [String],
    out: Out,
}

impl Dev<'_> {
    /// Builds each crate whose sources are not those of its last build, then waits for the next save.
    fn work(&self, stopped: &Receiver<()>) -> Result<(), Failure> {
        let saves = Saves::watch(self.crates);
        let mut built = vec![None; self.crates.len()];
        let mut greeted = false;
        while !self.host.is_stopping() {
            let mut busy = false;
            for (one, built) in self.crates.iter().zip(&mut built) {
                let print = one.print();
                if *built != Some(print) {
                    *built = Some(print);
                    busy = true;
                    greeted = self.build(one, greeted)? || greeted;
                }
            }
            if !busy && !saves.wait(stopped) {
                break;
            }
        }
        Ok(())
    }

    /// Builds one crate and deploys what came out. Says whether it told how to publish.
    fn build(&self, one: &Crate, greeted: bool) -> Result<bool, Failure> {
        self.feed.tell(&Line::host(format!("building {}", one.name)))?;
        let began = Instant::now();
        let quiet: Vec<String> =
            ["--quiet".to_owned()].into_iter().chain(self.cargo.iter().cloned()).collect();
        let components = match build::build(&one.folder, &quiet, Words::Shown) {
            Ok(components) => components,
            Err(_) if self.host.is_stopping() => return Ok(false),
            Err(failure) => {
                let line = format!("{failure}\n{} does not build; what ran before goes on", one.name);
                self.feed.tell(&Line::bad("build-failed", &one.name, line))?;
                return Ok(false);
            }
        };
        let took = began.elapsed();
        for component in &components {
            let deployed = self.deploy(component, took)?;
            if let Some(name) = deployed.filter(|_| !greeted) {
                self.greet(one, &name)?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Deploys a component. Gives its name when it runs.
    fn deploy(&self, component: &Built, build: Duration) -> Result<Option<ProcessorName>, Failure> {
        let Some(name) = component.name.as_ref().and_then(|name| ProcessorName::new(name.as_str()).ok())
        else {
            let file = component.file.display();
            let why = component.problem.as_deref().unwrap_or("it has no name");
            self.feed.tell(&Line::bad("no-processor", "", format!("{file} is no processor: {why}")))?;
            return Ok(None);
        };
        let bytes = std::fs::read(&component.file).map_err(|error| Failure::failed(error.to_string()))?;
        let began = Instant::now();
        let deployed = self.host.threads().block_on(self.host.node().deploy(&name, Bytes::from(bytes)));
        match deployed {
            Ok(report) => {
                let line = receipt(&report, build, build + began.elapsed());
                self.feed.tell(&Line::deployed(&name, &report, line))?;
                Ok(Some(name))
            }
            Err(error) => {
                let line = format!("not deployed; what ran before goes on: {error}");
                self.feed.tell(&Line::bad(error.code(), name.as_str(), line))?;
                Ok(None)
            }
        }
    }

    /// Says how to publish a first event.
    fn greet(&self, one: &Crate, name: &ProcessorName) -> Result<(), Failure> {
        let report = self.host.node().processor(name);
        let channel =
            report.and_then(|report| Some(report.descriptor.subscriptions.first()?.channel.to_string()));
        let Some(channel) = channel else { return Ok(()) };
        let command =
            one.example(&channel).unwrap_or_else(|| format!("baton publish {channel} --data '{{}}'"));
        let server = match self.host.server() {
            super::SERVER_DEFAULT => String::new(),
            server => format!(" --server {server}"),
        };
        if !self.out.json {
            self.feed.tell(&Line::host(format!("in another terminal: {command}{server}")))?;
        }
        Ok(())
    }
}

/// `version 2, in 1.2 s: build 0.9 s, load 0.2 s, pause 0.1 ms (generation 3)`
fn receipt(report: &DeployReport, build: Duration, whole: Duration) -> String {
    let deployment = &report.deployment;
    if report.unchanged {
        return format!("unchanged after a build of {}: the same bytes run already", for_people(build));
    }
    let load = Duration::from_micros(deployment.load_us);
    let pause = deployment.pauses_us.iter().max().map(|us| Duration::from_micros(*us));
    let pause = pause.map_or_else(String::new, |pause| format!(", pause {}", for_people(pause)));
    format!(
        "version {}, in {}: build {}, load {}{pause} (generation {})",
        deployment.descriptor.version,
        for_people(whole),
        for_people(build),
        for_people(load),
        deployment.generation
    )
}
