//! What the mediated shop did, as the host's reports say it: the document of `--json`, and whether all of it is as it should be.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;
use serde_json::Value;

use super::super::super::failure::Failure;
use super::super::super::flow::name_of;
use super::super::Place;
use super::super::facts::{Opening, Stock, verdict};
use crate::model::report::{FlowReport, FlowStatus};
use crate::model::workflow::post::{ATTEMPT, RUN, STEP, mediator_of, processor_of};
use crate::model::workflow::report::{RunDetail, WaitsFor};
use crate::model::workflow::run::Status;

/// What each order that is shipped asks of processors, once each.
const STEPS: [&str; 8] =
    ["create", "confirm", "apply-payment", "reserve", "fulfil", "tell", "ship", "goodbye"];
/// What is asked for an order whose card is declined.
const STEPS_UNDONE: [&str; 6] = ["create", "confirm", "apply-payment", "reserve", "tell-denied", "restock"];
/// What is asked for an order of more copies than there are: it is paid, and then all is undone.
const STEPS_REFUNDED: [&str; 7] =
    ["create", "confirm", "apply-payment", "reserve", "pay-back", "tell-refunded", "restock"];
/// What depends on how many copies are left.
const STEPS_OF_STOCK: [&str; 2] = ["order-stock", "put-in"];
/// The step that may take several attempts.
const PAYMENT: &str = "apply-payment";
/// The queues by which orders come in and are handed on; nothing else of a flow may be on a channel of the shop.
const QUEUES: [&str; 3] = ["order-received", "order-wanted", "large-order"];

/// Everything that was shown.
#[derive(Debug, Serialize)]
pub struct Facts {
    /// Where the shop is.
    pub opening: Opening,
    /// The orders, in their order.
    pub scenes: Vec<Scene>,
    /// What is not as it should be; empty when all is well.
    pub wrong: Vec<String>,
}

/// An order, and what came of it.
#[derive(Debug, Serialize)]
pub struct Scene {
    /// Why it was placed.
    pub story: String,
    /// The book.
    pub sku: String,
    /// Its run, at the end.
    pub run: RunDetail,
    /// Where a run stopped on the way.
    pub stop: Option<Stop>,
    /// Whether an operator resumed it.
    pub resumed: bool,
    /// How often each step was asked of its processor.
    pub commands: BTreeMap<String, u64>,
    /// The stock of the book before it came.
    pub before: Option<Stock>,
    /// The stock at the end.
    pub after: Option<Stock>,
    /// Its flow, at the end.
    pub flow: FlowReport,
    /// What is not as it should be.
    pub wrong: Vec<String>,
}

/// Where a run stopped.
#[derive(Debug, PartialEq, Serialize)]
pub struct Stop {
    /// The step.
    pub step: String,
    /// What it waits for.
    pub waits_for: WaitsFor,
    /// The event, or what went wrong.
    pub detail: String,
}

impl Stop {
    /// Of a run that waits; nothing is wrong with one that does not, but it stopped nowhere.
    pub fn of(run: &RunDetail) -> Option<Self> {
        let point = run.run.at.first()?;
        let (step, detail) = (name_of(&point.task), point.detail.clone());
        Some(Self { step, waits_for: point.waits_for, detail })
    }
}

/// How an order should end.
pub struct Expected {
    status: Status,
    steps: &'static [&'static str],
    payments: u64,
    stop: Option<(&'static str, WaitsFor)>,
    reserved: u32,
}

impl Expected {
    /// Done, after so many attempts at the payment.
    pub fn completed(payments: u64) -> Self {
        Self { status: Status::Completed, steps: &STEPS, payments, stop: None, reserved: 0 }
    }

    /// The payment failed, and what was done beside it is undone.
    pub fn undone() -> Self {
        Self { status: Status::Faulted, steps: &STEPS_UNDONE, payments: 1, stop: None, reserved: 0 }
    }

    /// It failed after the payment, which is given back.
    pub fn refunded() -> Self {
        Self { steps: &STEPS_REFUNDED, ..Self::undone() }
    }

    /// It stops at a step until an event comes.
    pub fn stops_for(self, step: &'static str) -> Self {
        Self { stop: Some((step, WaitsFor::Event)), ..self }
    }

    /// It stops at a step that fails.
    pub fn stops_at(self, step: &'static str) -> Self {
        Self { stop: Some((step, WaitsFor::Operator)), ..self }
    }

    /// So many copies are kept for it, if it is not undone.
    pub fn reserves(self, copies: u32) -> Self {
        let reserved = if self.status == Status::Completed { copies } else { 0 };
        Self { reserved, ..self }
    }

    fn commands(&self) -> BTreeMap<String, u64> {
        let count = |step: &&str| ((*step).to_owned(), if *step == PAYMENT { self.payments } else { 1 });
        self.steps.iter().map(count).collect()
    }
}

impl Scene {
    /// What came of an order, and what of it is wrong.
    pub fn new(
        (story, sku): (&str, &str),
        (run, stop, flow): (RunDetail, Option<Stop>, FlowReport),
        (before, after): (Option<Stock>, Option<Stock>),
        expected: &Expected,
    ) -> Self {
        let commands = counted(&flow, &run.run.id);
        let resumed = stop.as_ref().is_some_and(|stop| stop.waits_for == WaitsFor::Operator);
        let (story, sku, wrong) = (story.to_owned(), sku.to_owned(), Vec::new());
        let mut scene = Self { story, sku, run, stop, resumed, commands, before, after, flow, wrong };
        scene.wrong = scene.all_wrong(expected);
        scene
    }

    fn all_wrong(&self, expected: &Expected) -> Vec<String> {
        let id = &self.run.run.id;
        let checks = [
            self.wrong_end(expected),
            self.wrong_commands(expected),
            self.wrong_stop(expected),
            self.wrong_stock(expected),
            self.wrong_channels(),
            self.wrong_acknowledgements(),
        ];
        checks.into_iter().flatten().map(|wrong| format!("{id}: {wrong}")).collect()
    }

    fn wrong_end(&self, expected: &Expected) -> Option<String> {
        let run = &self.run.run;
        if run.status != expected.status || !run.over {
            return Some(format!("it is {}, not {}", run.status.as_str(), expected.status.as_str()));
        }
        (self.flow.status != FlowStatus::Done).then(|| format!("flow {} is not done", self.flow.flow))
    }

    fn wrong_commands(&self, expected: &Expected) -> Option<String> {
        let mut commands = self.commands.clone();
        commands.retain(|step, _| !STEPS_OF_STOCK.contains(&step.as_str()));
        let mut expected = expected.commands();
        if self.is_taken_back("reserve") {
            expected.remove("restock");
        }
        (commands != expected).then(|| format!("it asked for {commands:?}, and should have for {expected:?}"))
    }

    /// Whether nobody had begun with a step when the run gave up: then there is nothing to undo.
    fn is_taken_back(&self, step: &str) -> bool {
        self.flow.events.iter().any(|event| {
            let text = |name: &str| event.event.get(name).and_then(Value::as_str);
            text("type") == Some("baton.taken-back") && text(STEP).is_some_and(|task| name_of(task) == step)
        })
    }

    fn wrong_stop(&self, expected: &Expected) -> Option<String> {
        let stop = self.stop.as_ref().map(|stop| (stop.step.as_str(), stop.waits_for));
        (stop != expected.stop).then(|| format!("it stopped at {stop:?}, not at {:?}", expected.stop))
    }

    fn wrong_stock(&self, expected: &Expected) -> Option<String> {
        let reserved = |stock: Option<Stock>| stock.map_or(0, |stock| stock.reserved);
        let (before, after) = (reserved(self.before), reserved(self.after));
        let right = before + expected.reserved;
        (after != right).then(|| format!("{after} copies of {} are reserved, not {right}", self.sku))
    }

    /// Nobody but the mediators may hear of what is done.
    fn wrong_channels(&self) -> Option<String> {
        let is_told = |channel: &str| {
            processor_of(channel).is_none() && mediator_of(channel).is_none() && !QUEUES.contains(&channel)
        };
        let told =
            self.flow.events.iter().map(|event| event.channel.as_str()).find(|channel| is_told(channel));
        told.map(|channel| format!("it told something on {channel}"))
    }

    fn wrong_acknowledgements(&self) -> Option<String> {
        let id = &self.run.run.id;
        let mut commands = marks(&self.flow, id, |channel| processor_of(channel).is_some());
        let mut answers = marks(&self.flow, id, |channel| mediator_of(channel).is_some());
        commands.sort_unstable();
        answers.sort_unstable();
        (commands != answers).then(|| format!("{} commands have {} answers", commands.len(), answers.len()))
    }
}

/// The steps and attempts of a run's commands, or of their acknowledgements: both have them.
fn marks(flow: &FlowReport, run: &str, is_there: impl Fn(&str) -> bool) -> Vec<(String, String)> {
    let events = flow.events.iter().filter(|event| is_there(&event.channel));
    let found = events.filter_map(|event| {
        let text = |name: &str| event.event.get(name).and_then(Value::as_str);
        (text(RUN)? == run).then_some((text(STEP)?.to_owned(), text(ATTEMPT)?.to_owned()))
    });
    found.collect()
}

fn counted(flow: &FlowReport, run: &str) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for (step, _) in marks(flow, run, |channel| processor_of(channel).is_some()) {
        *counts.entry(name_of(&step)).or_default() += 1;
    }
    counts
}

impl Facts {
    /// Everything, and what of it is wrong.
    pub fn new(opening: Opening, scenes: Vec<Scene>) -> Self {
        let wrong = scenes.iter().flat_map(|scene| scene.wrong.clone()).collect();
        Self { opening, scenes, wrong }
    }

    /// A failure unless all of it is as it should be.
    pub fn verdict(&self) -> Result<(), Failure> {
        verdict(&self.wrong)
    }
}

/// What a reader may try next.
#[derive(Debug, Serialize)]
pub struct Next {
    /// How to call this program and its host.
    #[serde(flatten)]
    pub place: Place,
    /// A file with an order.
    pub order: PathBuf,
    /// The run that was resumed.
    pub run: String,
    /// Its flow.
    pub flow: String,
}

#[cfg(test)]
#[path = "facts_tests.rs"]
mod tests;
