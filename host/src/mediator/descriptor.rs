//! What a mediator says of itself, as a processor's descriptor: what it reads and where it publishes.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::descriptor::{Descriptor, MEDIATOR_CONTRACT, Start, SubscriptionAsk};
use crate::model::name::{ChannelName, NameError, ProcessorName};
use crate::model::retry::{RetryAsk, Then};
use crate::model::workflow::definition::Definition;
use crate::model::workflow::post::{inbox_of, queue_of};
use crate::model::workflow::task::{Action, TaskRef};

/// On how many lanes the runs of a mediator go on.
const LANES: u32 = 2;
/// A run goes on when what keeps its message from being handled is mended: it is tried again for a while, then held.
const ATTEMPTS_MAX: u32 = 10;

/// The descriptor of a mediator: its event queue and version are those of its latest definition, its channels those of all that runs are on.
pub fn descriptor(latest: &Definition, others: &[&Definition]) -> Result<Descriptor, NameError> {
    let all = || std::iter::once(latest).chain(others.iter().copied());
    let name = ProcessorName::new(latest.document.name.as_str())?;
    let inbox = ChannelName::new(inbox_of(name.as_str()))?;
    let mut subscriptions = vec![ask(inbox.clone(), Start::Earliest, "partitionkey")];
    if let Some(on) = &latest.on {
        subscriptions.push(ask(ChannelName::new(on.ty.as_str())?, Start::Earliest, "id"));
    }
    let (mut topics, mut publishes) = (BTreeSet::new(), BTreeSet::from([inbox]));
    for definition in all() {
        topics.extend(listens_of(definition).map(ChannelName::new).collect::<Result<Vec<_>, _>>()?);
        let queues =
            calls_of(definition).into_iter().map(|(_, processor)| ChannelName::new(queue_of(&processor)));
        publishes.extend(queues.collect::<Result<Vec<_>, _>>()?);
        publishes.extend(emits_of(definition).map(ChannelName::new).collect::<Result<Vec<_>, _>>()?);
    }
    subscriptions.extend(topics.into_iter().map(|topic| ask(topic, Start::Latest, "id")));
    let document = &latest.document;
    let description = document.summary.as_ref().or(document.title.as_ref()).cloned().unwrap_or_default();
    Ok(Descriptor {
        contract: MEDIATOR_CONTRACT.to_owned(),
        name,
        version: document.version.clone(),
        description,
        subscriptions,
        publishes: publishes.into_iter().collect(),
        concurrency: LANES,
        instance: Default::default(),
        limits: Default::default(),
        capabilities: Default::default(),
        schemas: BTreeMap::new(),
    })
}

fn ask(channel: ChannelName, start: Start, key: &str) -> SubscriptionAsk {
    SubscriptionAsk {
        channel,
        key: key.to_owned().into(),
        start,
        filter: None,
        retry: RetryAsk { attempts_max: Some(ATTEMPTS_MAX), ..RetryAsk::default() },
        then: Then::StayHeld,
        order: Default::default(),
    }
}

/// The processors that a definition calls, each with a task that does.
pub fn calls_of(definition: &Definition) -> Vec<(TaskRef, String)> {
    let mut calls: Vec<(TaskRef, String)> = Vec::new();
    for task in definition.all() {
        if let Action::Call(call) = &task.action
            && !calls.iter().any(|(_, known)| *known == call.processor)
        {
            calls.push((task.at.clone(), call.processor.clone()));
        }
    }
    calls
}

fn listens_of(definition: &Definition) -> impl Iterator<Item = &str> {
    let filters = definition.all().into_iter().filter_map(|task| match &task.action {
        Action::Listen(listen) => Some(listen.filters.iter()),
        _ => None,
    });
    filters.flatten().map(|filter| filter.ty.as_str())
}

/// The types that are published; a reader refuses those that are expressions.
fn emits_of(definition: &Definition) -> impl Iterator<Item = &str> {
    definition.all().into_iter().filter_map(|task| match &task.action {
        Action::Emit(event) => event.ty.0.as_str(),
        _ => None,
    })
}
