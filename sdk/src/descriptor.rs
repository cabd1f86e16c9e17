//! What the `#[processor]` attribute writes down: the descriptor, and the handler that it describes.

use crate::context::Context;
use crate::event::Event;
use crate::fault::{Fault, Handled};

/// A processor as the `#[processor]` attribute describes it.
#[derive(Debug)]
pub struct Descriptor {
    /// The whole descriptor, as it stands in the component for the host to read.
    pub json: &'static str,
    /// The name by which it is known.
    pub name: &'static str,
    /// The channels whose events it gets.
    pub subscriptions: &'static [Subscription],
    /// The channels it may publish on.
    pub publishes: &'static [&'static str],
}

/// One channel that a processor reads.
#[derive(Debug)]
pub struct Subscription {
    /// The channel.
    pub channel: &'static str,
    /// How an event's key is found: `default`, `single`, an attribute's name, or a JSON pointer.
    pub key: &'static str,
}

/// A processor that is not one function but handles its events by a type of its own.
pub trait Processor {
    /// Handles one event. Decode its data by [`Event::decode`], mostly by a look at its channel.
    fn handle(event: Event<'_>, cx: &mut Context<'_>) -> Handled;
}

/// A descriptor and its handler; made by the `#[processor]` attribute.
#[derive(Clone, Copy, Debug)]
pub struct Definition {
    /// What the processor says of itself.
    pub descriptor: &'static Descriptor,
    /// What it does.
    pub handle: fn(Event<'_>, &mut Context<'_>) -> Handled,
}

impl Descriptor {
    /// Why the processor may not publish on a channel, if so.
    pub(crate) fn refuses(&self, channel: &str) -> Option<Fault> {
        (!self.publishes.contains(&channel)).then(|| self.undeclared(channel))
    }

    #[cold]
    fn undeclared(&self, channel: &str) -> Fault {
        Fault::retry(format_args!(
            "processor '{}' does not declare that it publishes on '{channel}'; it declares {:?}; \
             add the channel to publishes(..) of its #[processor] attribute",
            self.name, self.publishes
        ))
    }
}
