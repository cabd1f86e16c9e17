//! Processors in the application's own code: what such a processor says of itself, and the way from a batch to its handler and back.
//! It is a durable subscription like any other; only the sandbox is missing. It decides nothing about frames.
//!
//! A native handler may act on the world, so it gets an event only when that is durable, one at a time, and the next of its lane
//! only when what came of the one before is durable too. A handler that acts on nothing says so ([`Native::speculate`]) and runs as a guest does:
//! in batches, ahead of the disk.

mod context;
mod outcome;
mod received;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::model::descriptor::{CONTRACT, Descriptor, DescriptorError, SubscriptionAsk};
use crate::model::name::{ChannelName, NameError, ProcessorName};
use crate::runtime::{CallError, NativeCall, NativeHandler, OutcomesBuilder, Verdict};

use super::version::Version;

pub use context::Context;
pub use outcome::{Emit, Outcome, Rejected};
pub use received::Received;

/// What a handler returns for one event.
pub type Handled = Result<Outcome, Rejected>;

type Handle = dyn Fn(&Received<'_>, &Context<'_>) -> Handled + Send + Sync;

/// A processor in the application's own code.
///
/// ```
/// use baton::{Native, Outcome};
///
/// let audit = Native::new("audit", "1.0.0")
///     .subscribe_by("order-created", "/customer")
///     .publishes("audited")
///     .handler(|event, cx| {
///         let seen: u64 = cx.state("seen")?.unwrap_or(0) + 1;
///         Outcome::handled().set("seen", &seen)?.emit_json("audited", &seen)
///     });
/// # let _ = audit;
/// ```
#[derive(Clone)]
pub struct Native {
    descriptor: Result<Descriptor, DescriptorError>,
    speculates: bool,
    handle: Option<Arc<Handle>>,
}

impl std::fmt::Debug for Native {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Native").field("descriptor", &self.descriptor).finish_non_exhaustive()
    }
}

impl Native {
    /// A processor under a name. A new `version`, or a change of what it says of itself, is a new deployment with a receipt.
    pub fn new(name: &str, version: &str) -> Self {
        let named = ProcessorName::new(name).map_err(|error| wrong("name", &error));
        let descriptor = named.and_then(|name| {
            read(json!({ "contract": CONTRACT, "name": name, "version": version, "subscriptions": [] }))
        });
        Self { descriptor, speculates: false, handle: None }
    }

    /// One line for people.
    #[must_use]
    pub fn describe(self, description: &str) -> Self {
        self.with(|descriptor| {
            description.clone_into(&mut descriptor.description);
            Ok(())
        })
    }

    /// Gets the events of a channel from the oldest on, in order by their default key.
    #[must_use]
    pub fn subscribe(self, channel: &str) -> Self {
        self.ask(channel, "default", "earliest")
    }

    /// Gets the events of a channel from the oldest on, in order by `key`: `single`, an attribute, or a JSON pointer into the data.
    #[must_use]
    pub fn subscribe_by(self, channel: &str, key: &str) -> Self {
        self.ask(channel, key, "earliest")
    }

    /// Gets the events of a channel that are published after its first deployment.
    #[must_use]
    pub fn subscribe_latest(self, channel: &str) -> Self {
        self.ask(channel, "default", "latest")
    }

    /// Gets the events of a channel as the ask says, with all that a component's descriptor may say of a subscription.
    #[must_use]
    pub fn subscription(self, ask: SubscriptionAsk) -> Self {
        self.with(|descriptor| {
            descriptor.subscriptions.push(ask);
            Ok(())
        })
    }

    fn ask(self, channel: &str, key: &str, start: &str) -> Self {
        self.with(|descriptor| {
            let channel = ChannelName::new(channel).map_err(|error| wrong("subscriptions", &error))?;
            descriptor.subscriptions.push(read(json!({ "channel": channel, "key": key, "start": start }))?);
            Ok(())
        })
    }

    /// May publish on a channel.
    #[must_use]
    pub fn publishes(self, channel: &str) -> Self {
        self.with(|descriptor| {
            let channel = ChannelName::new(channel).map_err(|error| wrong("publishes", &error))?;
            descriptor.publishes.push(channel);
            Ok(())
        })
    }

    /// How many events with different keys it may handle at a time, on threads of the host.
    #[must_use]
    pub fn concurrency(self, lanes: u32) -> Self {
        self.with(|descriptor| {
            descriptor.concurrency = lanes;
            Ok(())
        })
    }

    /// The handler acts on nothing but what it returns, so it may see events that a crash takes back, causes and effects
    /// together. It runs as guests do: in batches, without waiting for the disk.
    #[must_use]
    pub fn speculate(mut self) -> Self {
        self.speculates = true;
        self
    }

    /// What is done with an event. It runs on a thread of the host's pool and may block: another thread takes that one's place, up to
    /// `limits.threads_max`. For asynchronous code keep a `tokio::runtime::Handle` and call its `block_on`. A panic is a fault of the event. A handler
    /// that holds a `Node` keeps the host from ending by itself: call `stop`.
    #[must_use]
    pub fn handler(
        mut self,
        handle: impl Fn(&Received<'_>, &Context<'_>) -> Handled + Send + Sync + 'static,
    ) -> Self {
        self.handle = Some(Arc::new(handle));
        self
    }

    fn with(mut self, change: impl FnOnce(&mut Descriptor) -> Result<(), DescriptorError>) -> Self {
        if let Ok(descriptor) = &mut self.descriptor
            && let Err(error) = change(descriptor)
        {
            self.descriptor = Err(error);
        }
        self
    }

    /// The version that it is, or what is wrong with what it says of itself.
    pub(crate) fn version(self) -> Result<Version, DescriptorError> {
        let descriptor = self.descriptor?;
        descriptor.check()?;
        let why = "there is none; say what is done with an event".to_owned();
        let handle = self.handle.ok_or(DescriptorError { field: "handler".to_owned(), why })?;
        let digest = format!("native:{}", descriptor.version);
        let factory = Arc::new(move || Box::new(Adapter(handle.clone())) as Box<dyn NativeHandler>);
        let version = Version::native(descriptor, &digest, factory);
        Ok(if self.speculates { version } else { version.at_the_edge() })
    }
}

/// Reads a part of a descriptor as a component's is read: what is not said has the same defaults.
fn read<T: DeserializeOwned>(part: Value) -> Result<T, DescriptorError> {
    serde_json::from_value(part)
        .map_err(|error| DescriptorError { field: ".".to_owned(), why: error.to_string() })
}

fn wrong(field: &str, error: &NameError) -> DescriptorError {
    DescriptorError { field: field.to_owned(), why: error.to_string() }
}

/// Takes a batch apart, and puts what came back into the rows that guests give too.
struct Adapter(Arc<Handle>);

impl NativeHandler for Adapter {
    fn handle(&mut self, call: &NativeCall<'_>, out: &mut OutcomesBuilder) -> Result<(), CallError> {
        for (index, event) in (0..).zip(call.batch.events()) {
            let handle = || (self.0)(&Received::new(event), &Context::new(call, index));
            match catch_unwind(AssertUnwindSafe(handle)) {
                Ok(Ok(outcome)) => outcome.write(out),
                Ok(Err(rejected)) => rejected.write(out),
                Err(panic) => {
                    out.note(&format!("the handler panicked: {}", words(&*panic)));
                    out.finish(Verdict::Retry, 0);
                }
            }
        }
        Ok(())
    }
}

fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without words")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn why(native: Native) -> String {
        native.version().err().unwrap().to_string()
    }

    #[test]
    fn what_is_wrong_is_said_by_its_field() {
        let done = |native: Native| native.handler(|_, _| Ok(Outcome::handled()));
        assert!(why(done(Native::new("Audit", "1").subscribe("a"))).contains("'name'"));
        assert!(why(done(Native::new("audit", "1"))).contains("'subscriptions'"));
        assert!(why(done(Native::new("audit", "1").subscribe("a b"))).contains("'subscriptions'"));
        assert!(why(done(Native::new("audit", "1").subscribe("a").publishes(""))).contains("'publishes'"));
        assert!(why(done(Native::new("audit", "1").subscribe("a").concurrency(0))).contains("'concurrency'"));
        assert!(why(Native::new("audit", "1").subscribe("a")).contains("'handler'"));
    }

    #[test]
    fn its_version_is_its_digest() {
        let native = Native::new("audit", "1.2").subscribe_latest("a").subscribe_by("b", "single");
        let version = native.handler(|_, _| Ok(Outcome::handled())).version().unwrap();
        assert_eq!(version.deployable().digest, "native:1.2");
        assert_eq!(version.descriptor().subscriptions.len(), 2);
    }
}
