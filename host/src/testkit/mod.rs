//! A topology on a bench: the real components in the real engine, with a journal in memory and a clock that stands still, in an ordinary test.
//! It drives a node through its front door and looks at what came of it; it never decides what is right, but for `scenario`, which compares with
//! what somebody wrote down.
//!
//! What is published waits until [`Topology::run_until_quiet`], which runs on one worker thread until nothing is left that can be handled: the same
//! test gives the same events in the same order. Only flow ids differ from run to run.
//!
//! ```no_run
//! use baton::testkit::{TestError, Topology, given};
//! use serde_json::json;
//!
//! # fn main() -> Result<(), TestError> {
//! let mut shop = Topology::new().crate_dir(env!("CARGO_MANIFEST_DIR")).wasm("guests/payment.wasm").build()?;
//! let order = shop.publish(given("place-order").id("1").json(&json!({"sku": "moby-dick"}))?)?;
//! shop.run_until_quiet()?;
//! assert_eq!(shop.emitted("order-created")?[0].data["order_id"], "order-1");
//! assert_eq!(shop.reply(&order)?, Some(json!({"order_id": "order-1"})));
//! assert!(shop.faults().is_empty());
//! # Ok(())
//! # }
//! ```

mod builder;
mod components;
mod error;
mod given;
pub mod scenario;
mod seen;

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::runtime::{Handle, Runtime};

use crate::clock::{Clock, ManualClock};
use crate::model::name::ProcessorName;
use crate::model::report::{Accepted, FlowReport, LogLine, ProcessorReport};
use crate::node::{DEAD_PAGE_MAX, DeadWish, LogFilter, Node, ReadFrom};

pub use builder::TopologyBuilder;
pub use error::TestError;
pub use given::{Given, given};
pub use seen::{Emitted, HeldEvent};

/// The clock begins at 2026-01-01T00:00:00Z.
const BEGINNING_MS: u64 = 1_767_225_600_000;
/// How long a run may take before it counts as endless; a guest that does not end is stopped by its own limit long before.
const PATIENCE: Duration = Duration::from_secs(60);
/// The most events of a channel, log lines and values of state that are looked at.
const SEEN_MAX: usize = 100_000;

/// Processors on a bench.
pub struct Topology {
    node: Node,
    clock: Arc<ManualClock>,
    handle: Handle,
    /// Absent only while it is dropped.
    runtime: Option<Runtime>,
    published: u64,
}

impl Topology {
    /// What it is made of comes next: see [`TopologyBuilder`].
    #[allow(clippy::new_ret_no_self, reason = "a test reads as one sentence that ends in build")]
    pub fn new() -> TopologyBuilder {
        TopologyBuilder::default()
    }

    /// Publishes an event. It is handled when [`Topology::run_until_quiet`] is called.
    pub fn publish(&mut self, given: Given) -> Result<Accepted, TestError> {
        self.published += 1;
        let (channel, event) = given.event(self.published, self.clock.now_ms());
        let published = self.wait(self.node.publish(&channel, event));
        published.map_err(|error| TestError::Publish { channel, code: error.code(), why: error.to_string() })
    }

    /// Runs until nothing is left that can be handled: all else is held after a fault, or waits behind what is held.
    pub fn run_until_quiet(&mut self) -> Result<(), TestError> {
        match self.node.run_until_quiet(PATIENCE) {
            true => Ok(()),
            false => Err(TestError::Endless { seconds: PATIENCE.as_secs(), busy: self.busy() }),
        }
    }

    fn busy(&self) -> Vec<String> {
        let lag = |report: &ProcessorReport| report.subscriptions.iter().map(|one| one.lag).sum::<u64>();
        let busy = self.node.processors().into_iter().filter(|report| lag(report) > 0);
        let why = |report: &ProcessorReport| {
            report.reason.as_ref().map_or_else(String::new, |why| format!(" ({why})"))
        };
        busy.map(|report| format!("{} has {} events to handle{}", report.name, lag(&report), why(&report)))
            .collect()
    }

    /// Lets time pass. What waits for a time is handled in the next run.
    pub fn advance(&mut self, time: Duration) {
        self.clock.advance(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
    }

    /// The time on the bench, in milliseconds since the Unix epoch.
    pub fn now_ms(&self) -> u64 {
        self.clock.now_ms()
    }

    /// What processors published on a channel, oldest first; nothing for a channel that nobody knows.
    pub fn emitted(&self, channel: &str) -> Result<Vec<Emitted>, TestError> {
        let name = channel.parse().map_err(|error| TestError::Name { why: format!("{error}") })?;
        if self.node.channel(&name).is_none() {
            return Ok(Vec::new());
        }
        let mut from = ReadFrom::Earliest;
        let mut emitted = Vec::new();
        loop {
            let page = self.wait(self.node.events(&name, from, SEEN_MAX, Duration::ZERO));
            let page = page.map_err(|error| TestError::Host { why: error.to_string() })?;
            if page.events.is_empty() {
                return Ok(emitted);
            }
            from = ReadFrom::Offset(page.next);
            emitted.extend(page.events.into_iter().filter_map(|event| Emitted::of(channel, event)));
        }
    }

    /// The channels that there are, by name.
    pub fn channels(&self) -> Vec<String> {
        self.node.channels().into_iter().map(|channel| channel.name).collect()
    }

    /// A value of a processor's state, if it is there; what is no JSON comes as base64.
    pub fn state(&self, processor: &str, key: &str, name: &str) -> Result<Option<Value>, TestError> {
        let values = self.states(processor, Some(key))?;
        Ok(values.into_iter().find(|(_, found, _)| found == name).map(|(_, _, value)| value))
    }

    /// A processor's state, of one key or of all: key, name, value.
    pub fn states(
        &self,
        processor: &str,
        key: Option<&str>,
    ) -> Result<Vec<(String, String, Value)>, TestError> {
        let unknown = || TestError::UnknownProcessor { name: processor.to_owned(), known: self.names() };
        let name: ProcessorName = processor.parse().map_err(|_| unknown())?;
        let entries = self.node.state(&name, key, SEEN_MAX).ok_or_else(unknown)?;
        let value = |value: Option<Value>, base64: Option<String>| value.or(base64.map(Value::String));
        let row = |entry: crate::model::report::StateEntry| {
            Some((entry.key, entry.name, value(entry.value, entry.value_base64)?))
        };
        Ok(entries.into_iter().filter_map(row).collect())
    }

    /// The processors on the bench, by name.
    pub fn names(&self) -> Vec<String> {
        self.node.processors().into_iter().map(|report| report.name).collect()
    }

    /// Every event that failed, by processor, oldest first: those that are tried again or held, then the dead letters.
    pub fn faults(&self) -> Vec<HeldEvent> {
        let held = |report: ProcessorReport| {
            let name = report.name;
            report.held.into_iter().map(move |held| HeldEvent::of(&name, held)).collect::<Vec<_>>()
        };
        let dead = self.wait(self.node.dead(&DeadWish::default(), None, DEAD_PAGE_MAX));
        let dead =
            dead.map(|page| page.letters).unwrap_or_default().into_iter().filter_map(HeldEvent::of_dead);
        self.node.processors().into_iter().flat_map(held).chain(dead).collect()
    }

    /// What a published event caused, who handled what, and what is left.
    pub fn flow(&self, published: &Accepted) -> Result<FlowReport, TestError> {
        let lost = || TestError::Host { why: format!("the flow {} is not there", published.flow) };
        let flow = published.flow.parse().map_err(|_| lost())?;
        let report =
            self.wait(self.node.flow(flow)).map_err(|error| TestError::Host { why: error.to_string() })?;
        report.ok_or_else(lost)
    }

    /// The first reply to a published event or to what it caused.
    pub fn reply(&self, published: &Accepted) -> Result<Option<Value>, TestError> {
        let report = self.flow(published)?;
        let mut handlings = report.events.into_iter().flat_map(|event| event.handlings);
        Ok(handlings.find_map(|handling| handling.reply))
    }

    /// What a processor wrote into its log, and what the host wrote about it.
    pub fn logs(&self, processor: &str) -> Vec<LogLine> {
        let filter = LogFilter { processor: processor.parse().ok(), limit: SEEN_MAX, ..LogFilter::default() };
        self.node.logs(&filter)
    }

    /// The node itself, for whatever else there is to ask.
    pub fn node(&self) -> &Node {
        &self.node
    }

    fn wait<T: Send>(&self, what: impl Future<Output = T> + Send) -> T {
        builder::wait(&self.handle, what)
    }
}

impl Drop for Topology {
    fn drop(&mut self) {
        let node = self.node.clone();
        self.wait(async move { node.stop().await });
        // A runtime that is simply dropped complains when it is dropped by an asynchronous test.
        self.runtime.take().into_iter().for_each(Runtime::shutdown_background);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
mod tests;
