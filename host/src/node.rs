//! Stand-in for the node, replaced at the merge: one channel store in memory and canned reports.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, clippy::needless_pass_by_value)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::config::Config;
use crate::model::deployment::Deployment;
use crate::model::event::{Event, EventError, Extension};
use crate::model::name::{ChannelName, ProcessorName};
use crate::model::report::*;

#[derive(Clone)]
pub struct Node(Arc<Inner>);

struct Inner {
    config: Config,
    channels: Mutex<BTreeMap<ChannelName, Vec<Recorded>>>,
    extra: Value,
}

pub enum Awaited {
    Channel(ChannelName),
    Reply,
}
pub enum Answer {
    Event(Recorded),
    Reply(Value),
}
pub enum ReadFrom {
    Earliest,
    Latest,
    Offset(u64),
}
#[derive(Clone, Debug, Default)]
pub struct LogFilter {
    pub processor: Option<ProcessorName>,
    pub flow: Option<String>,
    pub after: u64,
    pub limit: usize,
}

#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    #[error("event {index} of the request: {error}")]
    BadEvent { index: usize, error: EventError },
    #[error("an event with id '{id}' and source '{source_name}' and other content was accepted before")]
    Conflict { id: String, source_name: String },
    #[error("the batch has {bytes} bytes; at most {bytes_max}")]
    TooLarge { bytes: usize, bytes_max: usize },
    #[error("too much is waiting for the disk; try again in {retry_after_s} s")]
    Busy { retry_after_s: u64 },
    #[error("the host takes no events: {reason}")]
    Closed { reason: String },
}
impl PublishError {
    pub fn code(&self) -> &'static str {
        match self {
            Self::BadEvent { .. } => "bad-event",
            Self::Conflict { .. } => "id-conflict",
            Self::TooLarge { .. } => "event-too-large",
            Self::Busy { .. } => "busy",
            Self::Closed { .. } => "closed",
        }
    }
}
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("there is no channel '{name}'")]
    UnknownChannel { name: String },
    #[error("offset {offset} has expired")]
    Expired { offset: u64 },
    #[error("damaged")]
    Damaged {},
}
impl ReadError {
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownChannel { .. } => "unknown-channel",
            Self::Expired { .. } => "expired",
            Self::Damaged {} => "damaged",
        }
    }
}
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    #[error("{message}")]
    Invalid { code: String, message: String },
    #[error("there is no processor '{name}'")]
    UnknownProcessor { name: String },
    #[error("mismatch")]
    NameMismatch {},
    #[error("busy")]
    Busy,
    #[error("failed")]
    Failed {},
}
impl DeployError {
    pub fn code(&self) -> &'static str {
        match self {
            Self::Invalid { .. } => "invalid-component",
            Self::UnknownProcessor { .. } => "unknown-processor",
            Self::NameMismatch {} => "name-mismatch",
            Self::Busy => "busy",
            Self::Failed {} => "failed",
        }
    }
}
#[derive(Debug, thiserror::Error)]
#[error("start")]
pub struct StartError;
impl StartError {
    pub fn code(&self) -> &'static str {
        "start"
    }
}

impl Node {
    pub async fn start(config: Config) -> Result<Node, StartError> {
        let extra = std::fs::read(config.dir.join("fake.json")).ok();
        let extra = extra.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or(json!({}));
        Ok(Self(Arc::new(Inner { config, channels: Mutex::default(), extra })))
    }
    fn extra<T: serde::de::DeserializeOwned>(&self, name: &str) -> Option<T> {
        serde_json::from_value(self.0.extra.get(name)?.clone()).ok()
    }
    pub async fn stop(&self) {
        let _ = self.0.config.drain();
    }
    pub async fn publish(
        &self,
        channel: &ChannelName,
        events: Vec<Event>,
    ) -> Result<Vec<Accepted>, PublishError> {
        for (index, event) in events.iter().enumerate() {
            event.check().map_err(|error| PublishError::BadEvent { index, error })?;
        }
        let mut channels = self.0.channels.lock();
        let list = channels.entry(channel.clone()).or_default();
        let mut accepted = Vec::new();
        for mut event in events {
            let flow = Uuid::now_v7().to_string();
            event.extensions.insert("correlationid".into(), Extension::Text(flow.clone()));
            let offset = list.len() as u64;
            let recorded = "2026-11-23T02:00:00.123456Z".to_owned();
            list.push(Recorded { offset, position: offset, recorded, event: event.to_json() });
            accepted.push(Accepted {
                id: event.id,
                source: event.source,
                channel: channel.to_string(),
                offset,
                position: offset,
                flow,
                duplicate: false,
            });
        }
        Ok(accepted)
    }
    pub async fn await_in_flow(
        &self,
        flow: Uuid,
        awaited: &Awaited,
        timeout: Duration,
    ) -> Result<Option<Answer>, ReadError> {
        if let Awaited::Channel(name) = awaited {
            let flow = Value::from(flow.to_string());
            let channels = self.0.channels.lock();
            let mut all = channels.get(name).into_iter().flatten();
            if let Some(found) = all.find(|event| event.event["correlationid"] == flow) {
                return Ok(Some(Answer::Event(found.clone())));
            }
        }
        tokio::time::sleep(timeout).await;
        Ok(None)
    }
    pub fn channels(&self) -> Vec<ChannelReport> {
        let channels = self.0.channels.lock();
        let report = |(name, events): (&ChannelName, &Vec<Recorded>)| ChannelReport {
            name: name.to_string(),
            kind: "topic".into(),
            first: 0,
            next: events.len() as u64,
            publishers: Vec::new(),
            subscriptions: Vec::new(),
        };
        self.extra("channels").unwrap_or_else(|| channels.iter().map(report).collect())
    }
    pub fn channel(&self, name: &ChannelName) -> Option<ChannelReport> {
        self.channels().into_iter().find(|channel| channel.name == name.as_str())
    }
    pub async fn events(
        &self,
        channel: &ChannelName,
        from: ReadFrom,
        limit: usize,
        wait: Duration,
    ) -> Result<EventPage, ReadError> {
        let page = {
            let channels = self.0.channels.lock();
            let unknown = || ReadError::UnknownChannel { name: channel.to_string() };
            let all = channels.get(channel).ok_or_else(unknown)?;
            let from = match from {
                ReadFrom::Earliest => 0,
                ReadFrom::Latest => all.len(),
                ReadFrom::Offset(offset) => offset as usize,
            };
            let events: Vec<_> = all.iter().skip(from).take(limit).cloned().collect();
            EventPage { channel: channel.to_string(), next: (from + events.len()) as u64, events }
        };
        if page.events.is_empty() {
            tokio::time::sleep(wait).await;
        }
        Ok(page)
    }
    pub fn processors(&self) -> Vec<ProcessorReport> {
        self.extra("processors").unwrap_or_default()
    }
    pub fn processor(&self, name: &ProcessorName) -> Option<ProcessorReport> {
        self.processors().into_iter().find(|processor| processor.name == name.as_str())
    }
    pub async fn resume(&self, name: &ProcessorName) -> Result<ProcessorReport, DeployError> {
        self.processor(name).ok_or_else(|| DeployError::UnknownProcessor { name: name.to_string() })
    }
    pub async fn deploy(&self, _: &ProcessorName, component: Bytes) -> Result<DeployReport, DeployError> {
        if !component.starts_with(b"\0asm") {
            let message = "it is not WebAssembly: it does not start with \\0asm".to_owned();
            return Err(DeployError::Invalid { code: "not-wasm".into(), message });
        }
        match self.extra("deployments") {
            Some(DeploymentList { deployments }) => {
                Ok(DeployReport { deployment: deployments[0].clone(), unchanged: false })
            }
            None => Err(DeployError::Failed {}),
        }
    }
    pub async fn undeploy(&self, name: &ProcessorName, _forget: bool) -> Result<(), DeployError> {
        self.resume(name).await.map(drop)
    }
    pub fn state(&self, name: &ProcessorName, _: Option<&str>, limit: usize) -> Option<Vec<StateEntry>> {
        self.processor(name)?;
        let all: Vec<StateEntry> = self.extra("state").unwrap_or_default();
        Some(all.into_iter().take(limit).collect())
    }
    pub fn deployments(&self) -> Vec<Deployment> {
        self.extra("deployments").unwrap_or_default()
    }
    pub async fn flow(&self, _: Uuid) -> Result<Option<FlowReport>, ReadError> {
        Ok(self.extra("flow"))
    }
    pub fn logs(&self, filter: &LogFilter) -> Vec<LogLine> {
        let all: Vec<LogLine> = self.extra("logs").unwrap_or_default();
        all.into_iter().filter(|line| line.number > filter.after).take(filter.limit).collect()
    }
    pub fn status(&self) -> StatusReport {
        StatusReport {
            version: "0.1.0".into(),
            domain: "default".into(),
            ready: true,
            reason: None,
            started: "2026-11-23T02:00:00.000Z".into(),
            durability: "fsync".into(),
            next_position: 12,
            durable_position: 12,
            channels: self.channels().len() as u64,
            processors: self.processors(),
            problems: self.extra("problems").unwrap_or_default(),
        }
    }
    pub fn metrics(&self) -> String {
        crate::telemetry::render_metrics(&self.status(), &self.channels(), &[])
    }
}
