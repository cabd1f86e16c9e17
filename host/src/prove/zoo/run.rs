//! Runs the animals one after another, and looks at what the host makes of each.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{Interval, interval};

use super::Error;
use super::animals::{self, Animal, End, animals};
use super::neighbour::Neighbour;
use super::report::{Report, Row};
use super::rogue::{self, TRIES, Try};
use crate::config::Settings;
use crate::model::event::Event;
use crate::model::name::{ChannelName, ProcessorName};
use crate::node::{Node, ReadFrom};
use crate::runtime::CompileLimits;

/// How the zoo is run.
pub struct Options {
    /// The `baton` that compiles.
    pub compiler: PathBuf,
    /// What one compilation may use.
    pub compile_limits: CompileLimits,
    /// Events offered to the neighbour each second.
    pub rate: u64,
    /// The guest that tries what a standard library offers, or why there is none.
    pub rogue: Result<Vec<u8>, String>,
}

/// How many events an animal gets.
const EVENTS: u64 = 3;
/// So many end a row of passed limits.
const EVENTS_IN_A_ROW: u64 = 40;
/// How long an animal may take for its events, with what the host does again for them.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long the neighbour is alone at first.
const ALONE: Duration = Duration::from_secs(2);
/// How often somebody looks what became of an animal.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// What may become of a component that is much to compile.
const COMPILED: &str = "handled";
const TOO_MUCH: &str = "refused component-compile-limit";
/// Components are cut at every so many bytes.
const CUT_EVERY: usize = 1000;

/// Runs all of them.
pub async fn run(options: Options) -> Result<Report, Error> {
    let folder = TempDir::new()?;
    let builder = Node::builder().folder(folder.path()).settings(Settings::default());
    let builder = builder.compiler(options.compiler).compile_limits(options.compile_limits);
    let node = builder.start().await?;
    let neighbour = Neighbour::start(&node, options.rate).await?;
    let alone = Instant::now();
    let still = tokio::time::timeout(ALONE, std::future::pending::<()>());
    still.await.unwrap_or_default();
    let alone_p99_ms = neighbour.p99_ms_since(alone).unwrap_or_default();
    let mut zoo = Zoo { node: node.clone(), neighbour, rows: Vec::new(), looks: interval(LOOK_EVERY) };
    for animal in animals()? {
        zoo.show(animal).await?;
    }
    zoo.row_of_limits().await?;
    let mut not_run = Vec::new();
    zoo.cut("neighbour", &animals::neighbour()?).await?;
    match options.rogue {
        Ok(bytes) => {
            zoo.cut(rogue::NAME, &bytes).await?;
            zoo.rogue(bytes).await?;
        }
        Err(why) => not_run.push(format!("what a standard library offers: {why}")),
    }
    let report = Report { neighbour: zoo.neighbour.stop(alone_p99_ms).await?, rows: zoo.rows, not_run };
    node.stop().await;
    Ok(report)
}

struct Zoo {
    node: Node,
    neighbour: Neighbour,
    rows: Vec<Row>,
    looks: Interval,
}

impl Zoo {
    async fn show(&mut self, animal: Animal) -> Result<(), Error> {
        let (began, name) = (Instant::now(), ProcessorName::new(animal.name)?);
        let deployed = self.node.deploy(&name, animal.bytes.into()).await;
        let happened = match deployed {
            Err(error) => format!("refused {}", error.code()),
            Ok(_) => {
                self.publish(animal.name, EVENTS).await?;
                let happened = self.outcome(animal.name, animal.end).await?;
                self.node.undeploy(&name, true).await?;
                happened
            }
        };
        let expected = match animal.end {
            End::Compiled if [COMPILED, TOO_MUCH].contains(&happened.as_str()) => happened.clone(),
            end => end.expected(),
        };
        self.note(animal.name, expected, happened, began);
        Ok(())
    }

    fn note(&mut self, animal: &str, expected: String, happened: String, began: Instant) {
        self.rows.push(Row {
            animal: animal.to_owned(),
            expected,
            happened,
            took_ms: began.elapsed().as_secs_f64() * 1e3,
            neighbour_p99_ms: self.neighbour.p99_ms_since(began),
        });
    }

    /// Publishes so many events, each with a key of its own.
    async fn publish(&self, channel: &str, count: u64) -> Result<(), Error> {
        let keys: Vec<_> = (0..count).map(|number| number.to_string()).collect();
        self.publish_keyed(channel, &keys, &json!({})).await
    }

    async fn publish_keyed(
        &self,
        channel: &str,
        keys: &[impl AsRef<str>],
        data: &Value,
    ) -> Result<(), Error> {
        let event = |key: &str| Event {
            id: uuid::Uuid::now_v7().to_string(),
            source: "/zoo".to_owned(),
            ty: "try".to_owned(),
            subject: Some(key.to_owned()),
            datacontenttype: Some("application/json".to_owned()),
            data: Some(data.to_string().into()),
            ..Event::default()
        };
        let events = keys.iter().map(|key| event(key.as_ref())).collect();
        self.node.publish_all(&ChannelName::new(channel)?, events).await?;
        Ok(())
    }

    /// What the host says of the events of a processor: the expected fault, another one, or that all were handled.
    async fn outcome(&mut self, name: &str, expected: End) -> Result<String, Error> {
        let until = Instant::now() + PATIENCE;
        loop {
            let faults: Vec<_> = self.faults(name).await?.into_keys().collect();
            let handled = self.node.processor(&ProcessorName::new(name)?).map_or(0, |report| report.handled);
            let is_expected = |fault: &String| expected.expected() == format!("fault {fault}");
            if faults.iter().any(is_expected) || (faults.is_empty() && handled >= EVENTS) {
                return Ok(if faults.is_empty() { End::Handled.expected() } else { expected.expected() });
            }
            if let Some(fault) = faults.first() {
                return Ok(format!("fault {fault}"));
            }
            if Instant::now() > until {
                return Ok(format!("nothing in {PATIENCE:?}"));
            }
            self.looks.tick().await;
        }
    }

    /// How often a processor failed in which way.
    async fn faults(&self, name: &str) -> Result<BTreeMap<String, String>, Error> {
        let own = format!("baton_processor_faults_total{{processor=\"{name}\",kind=\"");
        let metrics = self.node.metrics().await?;
        let lines = metrics.lines().filter_map(|line| line.strip_prefix(&own)?.split_once("\"} "));
        Ok(lines.map(|(kind, count)| (kind.to_owned(), count.to_owned())).collect())
    }

    /// A processor that passes limits all the time is paused.
    async fn row_of_limits(&mut self) -> Result<(), Error> {
        let name = "busy-wait";
        let Some(animal) = animals()?.into_iter().find(|animal| animal.name == name) else { return Ok(()) };
        let (began, processor) = (Instant::now(), ProcessorName::new(name)?);
        self.node.deploy(&processor, animal.bytes.into()).await?;
        self.publish(name, EVENTS_IN_A_ROW).await?;
        let mut happened = "not paused".to_owned();
        while began.elapsed() < PATIENCE && happened == "not paused" {
            self.looks.tick().await;
            let paused = self.node.processor(&processor).and_then(|report| report.paused);
            if let Some(paused) = paused {
                happened = format!("paused by {}", paused.by.as_str());
            }
        }
        self.node.undeploy(&processor, true).await?;
        self.note("limits-in-a-row", "paused by host".to_owned(), happened, began);
        Ok(())
    }

    /// A file that is cut off is refused wherever that is.
    async fn cut(&mut self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let (began, mut taken) = (Instant::now(), Vec::new());
        for len in (0..bytes.len()).step_by(CUT_EVERY) {
            let cut = bytes.get(..len).unwrap_or_default().to_vec();
            if self.node.deploy(&ProcessorName::new("cut-off")?, cut.into()).await.is_ok() {
                taken.push(len);
            }
        }
        let said = |taken: &[usize]| match taken {
            [] => "refused wherever it is cut".to_owned(),
            taken => format!("taken when cut at {taken:?}"),
        };
        let animal = format!("{name}, cut at {} places", bytes.len().div_ceil(CUT_EVERY));
        self.note(&animal, said(&[]), said(&taken), began);
        Ok(())
    }

    async fn rogue(&mut self, bytes: Vec<u8>) -> Result<(), Error> {
        // Somebody listens, so that nobody can be refused for want of a listener.
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        let name = ProcessorName::new(rogue::NAME)?;
        self.node.deploy(&name, bytes.into()).await?;
        for one in &TRIES {
            let began = Instant::now();
            let before = (self.seen().await?.len(), self.faults(rogue::NAME).await?);
            let told = json!({"way": one.way, "port": port});
            self.publish_keyed(rogue::NAME, &[one.way], &told).await?;
            let happened = self.outcome_of(one, before).await?;
            self.note(&format!("std: {}", one.way), one.expected(), happened, began);
        }
        self.node.undeploy(&name, true).await?;
        let connected = if listener.accept().is_ok() { "somebody" } else { "nobody" };
        self.note("std: connections", "nobody".to_owned(), connected.to_owned(), Instant::now());
        Ok(())
    }

    async fn outcome_of(
        &mut self,
        one: &Try,
        (said, failed): (usize, BTreeMap<String, String>),
    ) -> Result<String, Error> {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(saw) = self.seen().await?.get(said) {
                return Ok(if saw.contains(one.sees) { one.expected() } else { format!("it saw {saw}") });
            }
            let faults = self.faults(rogue::NAME).await?;
            if let Some((fault, _)) = faults.iter().find(|(kind, count)| failed.get(*kind) != Some(*count)) {
                return Ok(format!("fault {fault}"));
            }
            if Instant::now() > until {
                return Ok(format!("nothing in {PATIENCE:?}"));
            }
            self.looks.tick().await;
        }
    }

    /// What the rogue said so far.
    async fn seen(&self) -> Result<Vec<String>, Error> {
        let page =
            self.node.events(&ChannelName::new(rogue::DONE)?, ReadFrom::Earliest, 1000, Duration::ZERO).await;
        let events = page.map(|page| page.events).unwrap_or_default();
        let text = |event: &Value| Some(event.get("data")?.as_str()?.to_owned());
        Ok(events.iter().filter_map(|recorded| text(&recorded.event)).collect())
    }
}

impl End {
    fn expected(self) -> String {
        match self {
            Self::Refused(code) => format!("refused {code}"),
            Self::Fault(kind) => format!("fault {}", kind.as_str()),
            Self::Handled => "handled".to_owned(),
            Self::Compiled => "compiled or refused".to_owned(),
        }
    }
}

impl Try {
    fn expected(&self) -> String {
        match self.end {
            End::Handled => format!("it saw {}", self.sees),
            end => end.expected(),
        }
    }
}
