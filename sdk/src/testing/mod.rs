//! Delivers events to a processor as to a plain function: state in memory, a clock that stands still, no wasm, no host.
//!
//! An event takes the same way as in a component: into a batch's arena, through the handler, out of the outcome's
//! rows. What a test asks wrongly panics with what to mend; a handler that panics fails the test as such.
#![allow(clippy::panic, reason = "a test kit fails a test by a panic that says why")]

mod delivered;
mod event;
mod filter;
mod key;
mod memory;

use std::collections::HashSet;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::descriptor::Definition;
use crate::run::run;
use crate::wire::Output;

pub use crate::host::Level;
use crate::http::{HttpError, Request, Response};
pub use delivered::{Delivered, Emitted};
use event::Inbox;
pub use event::{TestEvent, event};
use memory::Memory;

/// A processor on a bench: deliver events, look at what it did.
pub struct TestKit {
    definition: Definition,
    memory: Memory,
    /// Used again by each call, as an instance does.
    output: Output,
    delivered: u64,
}

impl TestKit {
    /// Puts a processor on the bench, with no state yet. The clock begins at 2026-01-01T00:00:00Z.
    pub fn new(definition: Definition) -> Self {
        Self { definition, memory: Memory::default(), output: Output::new(), delivered: 0 }
    }

    /// Gives the processor a setting.
    #[must_use]
    pub fn config(mut self, name: &str, value: &str) -> Self {
        self.memory.config.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Gives the processor a secret.
    #[must_use]
    pub fn secret(mut self, name: &str, value: &str) -> Self {
        self.memory.secrets.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Says what answers the processor's requests.
    #[must_use]
    pub fn http(mut self, server: impl Fn(&Request) -> Result<Response, HttpError> + 'static) -> Self {
        self.memory.server = Some(Box::new(server));
        self
    }

    /// The requests so far, oldest first.
    pub fn requests(&self) -> Vec<Request> {
        self.memory.requests.borrow().clone()
    }

    /// Delivers one event and commits what the handler did, unless it ends in a fault. An event that the subscription's
    /// filter does not pass does not reach the handler: see [`Delivered::filtered`].
    pub fn deliver(&mut self, event: TestEvent) -> Delivered {
        match self.deliver_batch([event]).pop() {
            Some(delivered) => delivered,
            None => panic!("the processor gave no outcome"),
        }
    }

    /// Delivers several events in one call, as a host does; no two may have the same key.
    pub fn deliver_batch(&mut self, events: impl IntoIterator<Item = TestEvent>) -> Vec<Delivered> {
        let (mut inbox, mut passed) = (Inbox::default(), Vec::new());
        for event in events {
            passed.push(filter::passes(self.definition.descriptor, &event));
            if passed.last() == Some(&true) {
                inbox.add(self.definition.descriptor, event, self.delivered);
            }
            self.delivered += 1;
        }
        let mut handled = self.handle(&inbox).into_iter();
        let each = passed.into_iter().filter_map(|passed| match passed {
            true => handled.next(),
            false => Some(Delivered::not_passed()),
        });
        each.collect()
    }

    fn handle(&mut self, inbox: &Inbox) -> Vec<Delivered> {
        if inbox.keys.is_empty() {
            return Vec::new();
        }
        assert_distinct(&inbox.keys);
        self.memory.begin(&inbox.keys);
        run(&self.definition, inbox.batch(), &self.memory, &mut self.output);
        let delivered = delivered::read(inbox, &self.output, self.memory.take_logs());
        self.output.trim();
        for (key, delivered) in inbox.keys.iter().zip(&delivered) {
            self.memory.commit(key, delivered.writes());
        }
        delivered
    }

    /// A value of the state of a key, as it is committed.
    pub fn state<T: DeserializeOwned>(&self, key: &str, name: &str) -> Option<T> {
        let bytes = self.memory.read(key, name)?;
        match serde_json::from_slice(&bytes) {
            Ok(value) => Some(value),
            Err(error) => panic!("state '{name}' of key '{key}' does not decode as asked: {error}"),
        }
    }

    /// Writes a value into the state of a key, as if an earlier event had done so.
    pub fn set_state<T: Serialize + ?Sized>(&mut self, key: &str, name: &str, value: &T) {
        self.memory.write(key, name, event::json(value));
    }

    /// Lets time pass.
    pub fn advance(&mut self, time: Duration) {
        let time_ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.memory.now_ms = self.memory.now_ms.saturating_add(time_ms);
    }

    /// Sets the clock, in milliseconds since the Unix epoch.
    pub fn set_now_ms(&mut self, now_ms: u64) {
        self.memory.now_ms = now_ms;
    }
}

fn assert_distinct(keys: &[String]) {
    let mut seen = HashSet::new();
    if let Some(key) = keys.iter().find(|key| !seen.insert(*key)) {
        panic!(
            "two events of one batch have the key '{key}'; a host never does that, deliver them one by one"
        );
    }
}
