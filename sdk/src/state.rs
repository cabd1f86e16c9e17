//! The state of the event's key. Reads see the event's own earlier writes, then what is committed.

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::context::Context;
use crate::fault::{Fault, OrFault};
use crate::wire::{Span, WriteRow};

/// Named values that belong to this processor and the event's key. Nobody else writes them.
pub struct State<'c, 'a> {
    cx: &'c mut Context<'a>,
}

impl<'c, 'a> State<'c, 'a> {
    pub(crate) fn new(cx: &'c mut Context<'a>) -> Self {
        Self { cx }
    }

    /// Reads a value. One that does not decode is a retry: a version that knows its shape may read it.
    pub fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Fault> {
        self.get_bytes(name)
            .map(|bytes| serde_json::from_slice(&bytes).or_retry(format_args!("reading state '{name}'")))
            .transpose()
    }

    /// Reads a value, or makes the default one.
    pub fn get_or_default<T: DeserializeOwned + Default>(&self, name: &str) -> Result<T, Fault> {
        Ok(self.get(name)?.unwrap_or_default())
    }

    /// Reads a value as it was written.
    pub fn get_bytes(&self, name: &str) -> Option<Vec<u8>> {
        match self.own_write(name) {
            Some(write) => write.value.bytes(&self.cx.output.arena).map(<[u8]>::to_vec),
            None => self.cx.host.state(self.cx.event, name),
        }
    }

    /// Writes a value.
    pub fn set<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), Fault> {
        self.write_json(name, value, 0)
    }

    /// Writes a value that is gone after a while.
    pub fn set_for<T: Serialize + ?Sized>(
        &mut self,
        name: &str,
        value: &T,
        lifetime: Duration,
    ) -> Result<(), Fault> {
        let lifetime_ms = u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX);
        let expires_ms = self.cx.host.now_ms().saturating_add(lifetime_ms);
        self.write_json(name, value, expires_ms)
    }

    /// Writes a value as it is.
    pub fn set_bytes(&mut self, name: &str, value: &[u8]) {
        let value = self.cx.output.put(value);
        self.write(name, value, 0);
    }

    /// Deletes a value.
    pub fn delete(&mut self, name: &str) {
        self.write(name, Span::ABSENT, 0);
    }

    fn write_json<T: Serialize + ?Sized>(
        &mut self,
        name: &str,
        value: &T,
        expires_ms: u64,
    ) -> Result<(), Fault> {
        let doing = format_args!("writing state '{name}'");
        let value = self.cx.output.put_json(value).or_retry(doing)?;
        self.write(name, value, expires_ms);
        Ok(())
    }

    fn write(&mut self, name: &str, value: Span, expires_ms: u64) {
        let name = self.cx.output.put(name.as_bytes());
        self.cx.output.writes.push(WriteRow { name, value, expires_ms });
    }

    /// The last write of this name while this event was handled.
    fn own_write(&self, name: &str) -> Option<&WriteRow> {
        let output = &self.cx.output;
        let writes = output.writes.get(self.cx.start.writes..)?;
        writes.iter().rev().find(|write| write.name.bytes(&output.arena) == Some(name.as_bytes()))
    }
}
