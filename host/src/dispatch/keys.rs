//! How a source finds the keys of its events.

use std::sync::Arc;

use crate::channel::{Item, ReadError};
use crate::model::descriptor::{Descriptor, KeyChoice, SubscriptionAsk};
use crate::model::record::Record;

use super::work::Key;

/// How the key of an event is found.
pub enum Keys {
    /// As the subscription asks.
    Asked(KeyChoice),
    /// Of commands: as the processor asks for the channel that has the name of the command's type. So a command has the key, and sees the
    /// state, that the same event has in the broker topology.
    Commands(Vec<(Arc<str>, KeyChoice)>),
    /// Of events that start runs of this mediator: each is a run of its own, and the key is its id.
    Runs(Arc<str>),
}

impl Keys {
    /// Of a subscription that a descriptor asks for.
    pub fn asked(descriptor: &Descriptor, ask: &SubscriptionAsk) -> Self {
        match descriptor.event_queue() {
            Some(queue) if *queue == ask.channel => Self::Runs(descriptor.name.as_str().into()),
            _ => Self::Asked(ask.key.clone()),
        }
    }

    /// Of a processor's queue.
    pub fn commands(descriptor: &Descriptor) -> Self {
        let asks = descriptor.subscriptions.iter();
        Self::Commands(asks.map(|ask| (ask.channel.as_str().into(), ask.key.clone())).collect())
    }

    /// Whether the events are commands.
    pub fn are_commands(&self) -> bool {
        matches!(self, Self::Commands(_))
    }

    /// The key of an event.
    pub fn of(&self, item: &Item) -> Result<Key, ReadError> {
        match self {
            Self::Asked(choice) => Key::of(choice, item),
            Self::Runs(mediator) => Ok(Key::Owned(format!("{mediator}-{}", item.position).into())),
            Self::Commands(choices) => {
                let record = Record::parse(&item.record);
                let record = record.map_err(|error| ReadError::Journal { why: error.to_string() })?;
                let choice = choices.iter().find(|(channel, _)| **channel == *record.parts.ty);
                Key::of(choice.map_or(&KeyChoice::Default, |(_, choice)| choice), item)
            }
        }
    }

    /// How the subscription asks for keys.
    pub fn choice(&self) -> KeyChoice {
        match self {
            Self::Asked(choice) => choice.clone(),
            _ => KeyChoice::Default,
        }
    }
}
