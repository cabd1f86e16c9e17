//! What a handler can do about its event. All of it is written down for the host to commit; nothing
//! happens at once, except that log lines are written.

use std::fmt::Display;
use std::time::{Duration, SystemTime};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::descriptor::Descriptor;
use crate::emit::Emit;
use crate::fault::{Fault, Handled, OrFault, Told};
use crate::host::{Host, Level};
use crate::http::{HttpError, Request, Response};
use crate::state::State;
use crate::wire::{Mark, Output, Span};

/// The handler's means for one event: publish, state, reply, config, log.
pub struct Context<'a> {
    pub(crate) host: &'a dyn Host,
    pub(crate) output: &'a mut Output,
    pub(crate) descriptor: &'static Descriptor,
    /// The event's index in its batch.
    pub(crate) event: u32,
    /// What the output held before this event.
    pub(crate) start: Mark,
    pub(crate) reply: Span,
    pub(crate) note: Span,
}

impl<'a> Context<'a> {
    pub(crate) fn new(
        descriptor: &'static Descriptor,
        event: u32,
        host: &'a dyn Host,
        output: &'a mut Output,
    ) -> Self {
        let start = output.mark();
        Self { host, output, descriptor, event, start, reply: Span::ABSENT, note: Span::ABSENT }
    }

    /// Publishes a value as JSON. Subject and partition key are those of the event at hand, the type is
    /// the channel's name; [`emit`](Self::emit) sets them and more.
    pub fn publish<T: Serialize + ?Sized>(&mut self, channel: &str, data: &T) -> Handled {
        self.emit(channel).json(data)
    }

    /// Begins an event to publish. Nothing is published before one of its last methods: `json`, `bytes`, `no_data`.
    pub fn emit(&mut self, channel: &str) -> Emit<'_, 'a> {
        Emit::new(self, channel)
    }

    /// Says on purpose that this event needs no answer to anyone, and why.
    pub fn nothing_to_tell(&mut self, reason: impl Display) -> Handled {
        self.note = self.output.put(reason.to_string().as_bytes());
        Ok(Told::new())
    }

    /// Answers the one who published the initiating event and waits. The last reply counts.
    pub fn reply<T: Serialize + ?Sized>(&mut self, answer: &T) -> Result<(), Fault> {
        self.reply = self.output.put_json(answer).or_retry("writing the reply")?;
        Ok(())
    }

    /// The state of the event's key.
    pub fn state(&mut self) -> State<'_, 'a> {
        State::new(self)
    }

    /// A setting that the operator gave to this processor.
    pub fn config(&self, name: &str) -> Option<String> {
        self.host.config(name)
    }

    /// A setting that is written as JSON.
    pub fn config_json<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Fault> {
        self.config(name)
            .map(|text| serde_json::from_str(&text).or_retry(format_args!("reading config '{name}'")))
            .transpose()
    }

    /// A secret that the processor asks for by `secrets(..)` and the operator granted.
    pub fn secret(&self, name: &str) -> Option<String> {
        #[cfg(target_family = "wasm")]
        return crate::guest::secret(name);
        #[cfg(not(target_family = "wasm"))]
        self.host.secret(name)
    }

    /// Calls an HTTP server that the processor asks for by `http(..)` and the operator granted.
    pub fn http(&self, request: Request) -> Result<Response, HttpError> {
        #[cfg(target_family = "wasm")]
        return crate::guest::http(self.event, &request);
        #[cfg(not(target_family = "wasm"))]
        self.host.http(&request)
    }

    /// The host's clock, which stands still while a call runs.
    pub fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(self.host.now_ms())
    }

    /// Writes a line to the processor's log for those who develop it.
    pub fn log_debug(&self, message: impl Display) {
        self.log(Level::Debug, message);
    }

    /// Writes a line to the processor's log.
    pub fn log_info(&self, message: impl Display) {
        self.log(Level::Info, message);
    }

    /// Writes a line to the processor's log about something that an operator should know.
    pub fn log_warn(&self, message: impl Display) {
        self.log(Level::Warn, message);
    }

    /// Writes a line to the processor's log about something that an operator should mend.
    pub fn log_error(&self, message: impl Display) {
        self.log(Level::Error, message);
    }

    fn log(&self, level: Level, message: impl Display) {
        self.host.log(self.event, level, &message.to_string());
    }
}
