//! What a native handler returns: an outcome, or why there is none. Plain values; the host commits them.

use std::time::Duration;

use serde::Serialize;

use crate::runtime::{NewEmit, OutcomesBuilder, Verdict};

/// What is to happen because of an event: all of it is committed together with the acknowledgement.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    emits: Vec<Emit>,
    writes: Vec<(String, Option<Vec<u8>>)>,
    reply: Option<Vec<u8>>,
    note: Option<String>,
}

/// An event to publish. What it does not say, it inherits from its cause or gets from the host.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Emit {
    /// Where to; the processor must say that it publishes there.
    pub channel: String,
    /// Its type; the channel's name unless set.
    pub ty: Option<String>,
    /// Its subject.
    pub subject: Option<String>,
    /// Its partition key.
    pub partitionkey: Option<String>,
    /// The media type of the data.
    pub datacontenttype: Option<String>,
    /// The data.
    pub data: Option<Vec<u8>>,
    /// Extensions.
    pub extensions: Vec<(String, String)>,
}

/// Why an event was not handled. Nothing is committed; the event's key is held until it is tried again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Rejected {
    why: String,
    verdict: Verdict,
    after_ms: u64,
}

impl Rejected {
    /// The event may go through later, or in another version.
    pub fn retry(why: impl Into<String>) -> Self {
        Self { why: why.into(), verdict: Verdict::Retry, after_ms: 0 }
    }

    /// The event may go through after a while.
    pub fn retry_after(after: Duration, why: impl Into<String>) -> Self {
        let after_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
        Self { after_ms, ..Self::retry(why) }
    }

    /// The event can never be handled.
    pub fn reject(why: impl Into<String>) -> Self {
        Self { why: why.into(), verdict: Verdict::Reject, after_ms: 0 }
    }

    pub(super) fn write(&self, out: &mut OutcomesBuilder) {
        out.note(&self.why);
        out.finish(self.verdict, self.after_ms);
    }
}

impl Outcome {
    /// The event is handled, and nothing else is to happen.
    pub fn handled() -> Self {
        Self::default()
    }

    /// Publishes JSON on a channel.
    pub fn emit_json(self, channel: &str, data: &impl Serialize) -> Result<Self, Rejected> {
        let data = Some(json(channel, data)?);
        let datacontenttype = Some("application/json".to_owned());
        Ok(self.emit(Emit { channel: channel.to_owned(), datacontenttype, data, ..Emit::default() }))
    }

    /// Publishes an event.
    #[must_use]
    pub fn emit(mut self, emit: Emit) -> Self {
        self.emits.push(emit);
        self
    }

    /// Sets a value in the state of the event's key, as JSON.
    pub fn set(self, name: &str, value: &impl Serialize) -> Result<Self, Rejected> {
        let value = json(name, value)?;
        Ok(self.set_bytes(name, value))
    }

    /// Sets a value in the state of the event's key.
    #[must_use]
    pub fn set_bytes(mut self, name: &str, value: Vec<u8>) -> Self {
        self.writes.push((name.to_owned(), Some(value)));
        self
    }

    /// Deletes a value from the state of the event's key.
    #[must_use]
    pub fn delete(mut self, name: &str) -> Self {
        self.writes.push((name.to_owned(), None));
        self
    }

    /// Answers the one who published the initiating event and waits.
    pub fn reply(mut self, value: &impl Serialize) -> Result<Self, Rejected> {
        self.reply = Some(json("reply", value)?);
        Ok(self)
    }

    /// Says why nothing is told.
    #[must_use]
    pub fn because(mut self, why: &str) -> Self {
        self.note = Some(why.to_owned());
        self
    }

    pub(super) fn write(&self, out: &mut OutcomesBuilder) {
        for emit in &self.emits {
            let attributes: Vec<_> =
                emit.extensions.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            out.emit(&NewEmit {
                channel: &emit.channel,
                ty: emit.ty.as_deref(),
                subject: emit.subject.as_deref(),
                partitionkey: emit.partitionkey.as_deref(),
                datacontenttype: emit.datacontenttype.as_deref(),
                data: emit.data.as_deref(),
                attributes: &attributes,
            });
        }
        self.writes.iter().for_each(|(name, value)| out.write(name, value.as_deref(), 0));
        self.reply.iter().for_each(|reply| out.reply(reply));
        self.note.iter().for_each(|note| out.note(note));
        out.finish(Verdict::Handled, 0);
    }
}

fn json(what: &str, value: &impl Serialize) -> Result<Vec<u8>, Rejected> {
    serde_json::to_vec(value)
        .map_err(|error| Rejected::reject(format!("'{what}' cannot be written as JSON: {error}")))
}
