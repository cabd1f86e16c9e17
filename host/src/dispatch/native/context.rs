//! What a native handler may ask of the host.

use serde::de::DeserializeOwned;

use crate::runtime::{Level, NativeCall};

use super::outcome::Rejected;

/// The host as a handler sees it for one event. Nothing here changes anything: what is to change is the outcome.
pub struct Context<'a> {
    call: NativeCall<'a>,
    event: u32,
}

impl<'a> Context<'a> {
    pub(super) fn new(call: &NativeCall<'a>, event: u32) -> Self {
        Self { call: *call, event }
    }

    /// A value of the state of the event's key, as it was before the event. An error, a fault of the event, if it is no such value.
    pub fn state<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Rejected> {
        let Some(bytes) = self.state_bytes(name)? else { return Ok(None) };
        let value = serde_json::from_slice(&bytes);
        value
            .map(Some)
            .map_err(|error| Rejected::retry(format!("state '{name}' is not as expected: {error}")))
    }

    /// The bytes of a value of the state of the event's key, as they were before the event.
    pub fn state_bytes(&self, name: &str) -> Result<Option<Vec<u8>>, Rejected> {
        let value = self.call.calls.state(&self.call.scope(), self.event, name);
        value.map_err(|error| Rejected::retry(error.to_string()))
    }

    /// A setting of the processor: `[processor.NAME.config]` in `baton.toml`.
    pub fn config(&self, name: &str) -> Option<String> {
        self.call.calls.config(name)
    }

    /// The host's time, in milliseconds since the Unix epoch.
    pub fn now_ms(&self) -> u64 {
        self.call.scope().time_ms()
    }

    /// Writes a line into the processor's log, at level `info`.
    pub fn log(&self, message: &str) {
        self.call.calls.log(&self.call.scope(), self.event, Level::Info, message);
    }

    /// Writes a line into the processor's log, at level `warn`.
    pub fn warn(&self, message: &str) {
        self.call.calls.log(&self.call.scope(), self.event, Level::Warn, message);
    }
}
