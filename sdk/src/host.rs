//! The few things that a handler asks the host while it runs. One implementation speaks to the real
//! host, the other is the test kit's.
//!
//! Secrets and HTTP are not among them in a component: a host refuses one that imports them and does not ask for them, and what is behind a trait
//! is imported whether it is used or not.

#[cfg(not(target_family = "wasm"))]
use crate::http::{HttpError, Request, Response};

/// How much a log line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For those who develop the processor.
    Debug,
    /// What happens.
    Info,
    /// What an operator should know.
    Warn,
    /// What an operator should mend.
    Error,
}

/// The host's side of a call.
pub trait Host {
    /// A value of the key of the event with this index, as it was before the event.
    fn state(&self, event: u32, name: &str) -> Option<Vec<u8>>;
    /// Writes a log line.
    fn log(&self, event: u32, level: Level, message: &str);
    /// A setting.
    fn config(&self, name: &str) -> Option<String>;
    /// A secret.
    #[cfg(not(target_family = "wasm"))]
    fn secret(&self, name: &str) -> Option<String>;
    /// Calls an HTTP server.
    #[cfg(not(target_family = "wasm"))]
    fn http(&self, request: &Request) -> Result<Response, HttpError>;
    /// Milliseconds since the Unix epoch.
    fn now_ms(&self) -> u64;
}
