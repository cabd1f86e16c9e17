//! The processors of the proof, in native code that acts on nothing but what it returns: one passes ticks on and counts them, the other
//! counts what was passed on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::super::ProveError;
use crate::dispatch::Version;
use crate::model::descriptor::Descriptor;
use crate::runtime::{CallError, NativeCall, NativeHandler, NewEmit, OutcomesBuilder, Verdict};

/// The channel that is published on.
pub const TICKS: &str = "ticks";
/// The channel that the relay passes on to.
pub const TOCKS: &str = "tocks";
/// The processor that passes on.
pub const RELAY: &str = "relay";
/// The processor that counts what was passed on.
pub const TALLY: &str = "tally";
/// Keys that begin like this fail until they are mended.
pub const BAD: &str = "bad";
/// Where both count.
pub const COUNT: &str = "count";

/// How many there were, and what their numbers add up to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    pub events: u64,
    pub sum: u64,
}

impl Count {
    /// One more.
    pub fn with(self, number: u64) -> Self {
        Self { events: self.events + 1, sum: self.sum + number }
    }

    /// Both together.
    pub fn and(self, other: Self) -> Self {
        Self { events: self.events + other.events, sum: self.sum + other.sum }
    }

    /// As it stands in the state.
    pub fn to_text(self) -> String {
        format!("{} {}", self.events, self.sum)
    }

    /// Reads it from the state.
    pub fn read(text: &[u8]) -> Option<Self> {
        let (events, sum) = std::str::from_utf8(text).ok()?.split_once(' ')?;
        Some(Self { events: events.parse().ok()?, sum: sum.parse().ok()? })
    }
}

/// The number of a tick or a tock: what stands before the first sign that is no digit.
pub fn number_of(data: &[u8]) -> Option<u64> {
    let digits = data.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(data.len());
    std::str::from_utf8(data.get(..digits)?).ok()?.parse().ok()
}

/// The version that passed a tock on.
pub fn version_of(data: &[u8]) -> Option<u32> {
    std::str::from_utf8(data).ok()?.split_once(':')?.1.parse().ok()
}

/// A tock.
pub fn tock(number: u64, version: u32) -> String {
    format!("{number}:{version}")
}

struct Handler {
    /// Passes on as this version; without one it only counts.
    passes_on: Option<u32>,
    mended: Arc<AtomicBool>,
}

impl NativeHandler for Handler {
    fn handle(&mut self, call: &NativeCall<'_>, out: &mut OutcomesBuilder) -> Result<(), CallError> {
        for index in 0..call.batch.len() {
            let verdict = self.handle_one(call, index, out);
            out.finish(verdict.unwrap_or(Verdict::Retry), 0);
        }
        Ok(())
    }
}

impl Handler {
    fn handle_one(&self, call: &NativeCall<'_>, index: usize, out: &mut OutcomesBuilder) -> Option<Verdict> {
        let event = call.batch.event(index)?;
        if event.key().starts_with(BAD) && self.passes_on.is_some() && !self.mended.load(Ordering::SeqCst) {
            out.note("the shelf is broken");
            return Some(Verdict::Reject);
        }
        let number = number_of(event.data()?)?;
        let before = call.calls.state(&call.scope(), index as u32, COUNT).ok()?;
        let before = before.as_deref().and_then(Count::read).unwrap_or_default();
        out.write(COUNT, Some(before.with(number).to_text().as_bytes()), 0);
        if let Some(version) = self.passes_on {
            let data = tock(number, version);
            out.emit(&NewEmit { channel: TOCKS, data: Some(data.as_bytes()), ..NewEmit::default() });
            out.reply(number.to_string().as_bytes());
        }
        Some(Verdict::Handled)
    }
}

/// A version of the relay.
pub fn relay(version: u32, mended: &Arc<AtomicBool>) -> Result<Version, ProveError> {
    let reads = format!(r#"{{"channel":"{TICKS}","start":"earliest","retry":{{"attempts_max":1}}}}"#);
    native(RELAY, version, &reads, &format!(r#""{TOCKS}""#), Some(version), mended)
}

/// The one that counts.
pub fn tally() -> Result<Version, ProveError> {
    let reads = format!(r#"{{"channel":"{TOCKS}","start":"earliest"}}"#);
    native(TALLY, 1, &reads, "", None, &Arc::default())
}

fn native(
    name: &str,
    version: u32,
    reads: &str,
    publishes: &str,
    passes_on: Option<u32>,
    mended: &Arc<AtomicBool>,
) -> Result<Version, ProveError> {
    let json = format!(
        r#"{{"contract":"baton:processor@0.1.0","name":"{name}","version":"{version}","subscriptions":[{reads}],"publishes":[{publishes}]}}"#
    );
    let descriptor = Descriptor::from_json(json.as_bytes());
    let descriptor = descriptor.map_err(|error| ProveError::Host(error.to_string()))?;
    let mended = mended.clone();
    let make = move || Box::new(Handler { passes_on, mended: mended.clone() }) as Box<dyn NativeHandler>;
    Ok(Version::native(descriptor, &format!("{name}-{version}"), Arc::new(make)))
}
