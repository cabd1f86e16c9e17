//! A data folder as a host leaves it that was stopped: segments, of which the oldest are gone, checkpoints, views, index files, kept
//! bytes, compiled code. And what such a folder answers.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::super::ProveError;
use super::handlers::{BAD, COUNT, RELAY, TICKS, TOCKS};
use super::rig::scratch;
use crate::config::{Settings, Size};
use crate::dispatch::{Native, Outcome, Rejected};
use crate::model::event::Event;
use crate::model::name::{ChannelName, NameError, ProcessorName};
use crate::model::retention::SizeBound;
use crate::node::{DeadWish, Node, ReadFrom};

const PATIENCE: Duration = Duration::from_secs(30);
/// So small that a folder of a few hundred kilobytes has many segments.
const SEGMENT_BYTES_MAX: u64 = 24 << 10;
/// How much of a channel is kept.
const KEPT_BYTES: u64 = 12 << 10;
const EVENTS: u64 = 300;
/// So many that most of the views is state.
const KEYS: u64 = 97;
/// From here on there are bad keys: a dead letter keeps everything behind it.
const BAD_FROM: u64 = 200;
/// Of so many events the flow of one is looked at.
const FLOWS_EACH: usize = 15;
/// The name of the component that passes on what it gets.
const COPY: &str = "copy";

/// A folder of a host that was stopped.
pub struct Cold {
    folder: TempDir,
    runtime: Runtime,
    /// What it answers.
    pub answers: Value,
}

fn failed(error: impl std::fmt::Display) -> ProveError {
    ProveError::Host(error.to_string())
}

impl Cold {
    /// Lets a host run for a while and stops it. `component` is one that passes on what it gets.
    pub fn make(component: Vec<u8>) -> Result<Self, ProveError> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let folder = scratch()?;
        let answers = runtime.block_on(async {
            run(folder.path(), component).await?;
            answers(folder.path()).await.map_err(failed)
        })?;
        Ok(Self { folder, runtime, answers })
    }

    /// Every file that the host keeps, from the folder on; what is locked or says which process runs is none.
    pub fn files(&self) -> Result<Vec<PathBuf>, ProveError> {
        let mut files = Vec::new();
        collect(&self.data(), &mut files)?;
        files.retain(|file| file.metadata().is_ok_and(|found| found.len() > 0));
        files.sort();
        let below = files.iter().filter_map(|file| file.strip_prefix(self.folder.path()).ok());
        Ok(below.map(Path::to_owned).collect())
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join(".baton")
    }

    /// A copy of all of it.
    pub fn copy(&self) -> Result<TempDir, ProveError> {
        let copy = scratch()?;
        copy_folder(self.folder.path(), copy.path())?;
        Ok(copy)
    }

    /// What a host answers that runs on this folder, or why there is none.
    pub fn ask(&self, folder: &Path) -> Result<Value, String> {
        self.runtime.block_on(answers(folder))
    }
}

fn settings() -> Settings {
    let mut settings = Settings::default();
    settings.journal.segment_bytes_max = Size::of(SEGMENT_BYTES_MAX);
    settings.journal.reserve_bytes = Size::of(0);
    settings.retention.bytes = Some(SizeBound(Some(KEPT_BYTES)));
    settings.limits.dedupe_ids_max = 1;
    settings.limits.workers = Some(1);
    settings
}

async fn start(folder: &Path) -> Result<Node, String> {
    let builder = Node::builder().folder(folder).settings(settings()).compile_in_process();
    builder.start().await.map_err(|error| error.to_string())
}

/// Counts the events of a key, passes them on, and gives bad ones up.
fn relay() -> Native {
    let relay = Native::new(RELAY, "1").subscribe(TICKS).publishes("counted").speculate();
    relay.handler(|event, cx| {
        if event.key().starts_with(BAD) {
            return Err(Rejected::reject("the shelf is broken"));
        }
        let count = cx.state::<u64>(COUNT)?.unwrap_or(0) + 1;
        let last = String::from_utf8_lossy(event.bytes());
        Outcome::handled().set(COUNT, &count)?.set("last", &last)?.emit_json("counted", &count)?.reply(&count)
    })
}

async fn run(folder: &Path, component: Vec<u8>) -> Result<(), ProveError> {
    std::fs::create_dir_all(folder.join("processors"))?;
    let node = start(folder).await.map_err(failed)?;
    let name = ProcessorName::new(COPY).map_err(failed)?;
    node.deploy(&name, component.into()).await.map_err(failed)?;
    node.native(relay()).await.map_err(failed)?;
    node.hold_back();
    for number in 0..EVENTS {
        let channel = if number % 3 == 0 { COPY } else { TICKS };
        node.publish(channel, event(number)).await.map_err(failed)?;
        if number % 25 == 0 && !node.run_until_quiet(PATIENCE) {
            return Err(failed("the processors of the proof do not end"));
        }
        if number % 100 == 99 {
            node.trim(false).await.map_err(failed)?;
        }
    }
    let is_quiet = node.run_until_quiet(PATIENCE);
    node.stop().await;
    is_quiet.then_some(()).ok_or_else(|| failed("the processors of the proof do not end"))
}

fn event(number: u64) -> Event {
    let kind = if number > BAD_FROM && number.is_multiple_of(11) { BAD } else { "key" };
    Event {
        id: number.to_string(),
        source: "/prove".into(),
        ty: "tick".into(),
        subject: Some(format!("{kind}-{}", number % KEYS)),
        data: Some(vec![b'a' + (number % 26) as u8; 400].into()),
        ..Event::default()
    }
}

/// Everything that the folder knows of its events, or the first refusal.
async fn answers(folder: &Path) -> Result<Value, String> {
    let node = start(folder).await?;
    let told = tell(&node).await;
    node.stop().await;
    told
}

async fn tell(node: &Node) -> Result<Value, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let mut told = Vec::new();
    for channel in [TICKS, COPY, "counted", TOCKS] {
        let name = ChannelName::new(channel).map_err(|error: NameError| text(&error))?;
        let page = node.events(&name, ReadFrom::Earliest, usize::MAX, Duration::ZERO).await;
        let page = page.map_err(|error| text(&error))?;
        for recorded in page.events.iter().step_by(FLOWS_EACH) {
            let recorded = json!(recorded);
            let flow = recorded.pointer("/event/correlationid").and_then(Value::as_str).unwrap_or_default();
            let flow = flow.parse().map_err(|error: uuid::Error| text(&error))?;
            told.push(json!(node.flow(flow).await.map_err(|error| text(&error))?));
        }
        told.push(json!(page));
    }
    for processor in [RELAY, COPY] {
        let name = ProcessorName::new(processor).map_err(|error: NameError| text(&error))?;
        let report = node.processor(&name).ok_or_else(|| format!("nobody knows {processor}"))?;
        told.push(json!([report.digest, report.version, report.subscriptions, report.dead]));
        told.push(json!(node.state(&name, None, usize::MAX)));
    }
    let dead = node.dead(&DeadWish::default(), None, usize::MAX).await.map_err(|error| text(&error))?;
    told.push(json!(dead));
    Ok(Value::Array(told))
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => collect(&entry.path(), files)?,
            false => files.push(entry.path()),
        }
    }
    Ok(())
}

fn copy_folder(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        match entry.file_type()?.is_dir() {
            true => copy_folder(&entry.path(), &target)?,
            false => drop(std::fs::copy(entry.path(), target)?),
        }
    }
    Ok(())
}
