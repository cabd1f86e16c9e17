//! The host calls that a guest may make: one of the three seams. It says what a guest may ask and in what words;
//! dispatch answers.

use std::sync::Arc;
use std::time::Duration;

use super::batch::{Batch, BatchEvent};
use super::bindings::Level;
use super::outside::{HttpFailure, HttpFailureKind, HttpRequest, HttpResponse, Sockets};

/// What the host offers to a running guest. Calls come from the thread that runs the guest and hold it up: an
/// implementation answers from memory where it can, never waits for another guest, and never panics.
pub trait HostCalls: Send + Sync {
    /// The value of `name` in the state of the key of the batch's event at `event`, as it was before that event.
    /// The runtime has checked that the event exists and that the name is within its bound.
    fn state(&self, scope: &CallScope<'_>, event: u32, name: &str) -> Result<Option<Vec<u8>>, HostFailure>;

    /// Takes one line of the processor's log. Bounded by the runtime: see `LogLimits`.
    fn log(&self, scope: &CallScope<'_>, event: u32, level: Level, message: &str);

    /// A setting that the operator gave to this processor.
    fn config(&self, name: &str) -> Option<String>;

    /// A secret that this processor may read.
    fn secret(&self, _name: &str) -> Option<String> {
        None
    }

    /// Calls an HTTP server for the batch's event at `event`; `index` counts the requests of the call from 0. It may hold the thread up for as
    /// long as it says.
    fn http(
        &self,
        _scope: &CallScope<'_>,
        _event: u32,
        _index: u64,
        _request: &HttpRequest,
        _time_max: Duration,
    ) -> Result<HttpResponse, HttpFailure> {
        let message = "nothing outside can be reached here".to_owned();
        Err(HttpFailure { kind: HttpFailureKind::Denied, message })
    }

    /// What the sockets of its instances may reach; without it there are none.
    fn sockets(&self) -> Option<Arc<dyn Sockets>> {
        None
    }
}

/// Why the host could not answer. The event is not to blame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct HostFailure(pub String);

/// The call that a host call belongs to.
#[derive(Clone, Copy, Debug)]
pub struct CallScope<'a> {
    batch: &'a Batch,
}

impl<'a> CallScope<'a> {
    /// The scope of a call with this batch.
    pub fn new(batch: &'a Batch) -> Self {
        Self { batch }
    }

    /// What clocks show during the call, in milliseconds since the Unix epoch.
    pub fn time_ms(&self) -> u64 {
        self.batch.time_ms()
    }

    /// An event of the batch; none while an instance is being made.
    pub fn event(&self, event: u32) -> Option<BatchEvent<'a>> {
        self.batch.event(event as usize)
    }

    /// The key of an event.
    pub fn key(&self, event: u32) -> Option<&'a str> {
        self.event(event).map(|event| event.key())
    }

    /// The flow that an event belongs to, by which a line of the log is found.
    pub fn flow(&self, event: u32) -> Option<&'a str> {
        self.event(event)?.attribute("correlationid")
    }
}

/// Answers nothing: for a trial run, and where no state is wanted.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoHostCalls;

impl HostCalls for NoHostCalls {
    fn state(&self, _: &CallScope<'_>, _: u32, _: &str) -> Result<Option<Vec<u8>>, HostFailure> {
        Ok(None)
    }

    fn log(&self, _: &CallScope<'_>, _: u32, _: Level, _: &str) {}

    fn config(&self, _: &str) -> Option<String> {
        None
    }
}
