//! What happens to one batch of a processor: one guest call, one frame. If the call breaks, each event is tried alone, so that
//! only the one to blame is blamed. It knows no lanes and no queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use crate::channel::{Domain, Refused};
use crate::journal::FRAME_BYTES_MAX;
use crate::meter::{COUNTS, Histogram, TIMES_US};
use crate::model::change::{Control, Draft, Skip};
use crate::model::deployment::Deployment;
use crate::model::fault::{Fault, FaultKind};
use crate::model::text::escaped;
use crate::model::time::rfc3339;
use crate::runtime::{self, Batch, CallError, Executor, HostCalls, Outcomes};

use super::breaks::Breaks;
use super::effects::{Cause, EFFECTS_BYTES_MAX, Effects, Refusal};
use super::logs::LogBook;
use super::version::Version;

/// How many characters of a digest tell versions apart for people.
const SHORT_DIGEST: usize = 12;

/// The most characters of a fault's message that are kept.
const FAULT_CHARS_MAX: usize = 2000;

/// A frame with more bytes ends: with the effects of one more event it stays below the journal's bound.
const FRAME_BYTES_FULL: usize = (FRAME_BYTES_MAX - EFFECTS_BYTES_MAX) - (1 << 20);

/// About how many bytes of a frame an event takes beside what its handler returned for it.
const CAUSE_BYTES: usize = 256;

/// What a processor has done since the host started, whatever its version.
pub struct Stats {
    /// Events that were handled.
    pub handled: AtomicU64,
    /// Handlings that failed.
    pub failed: AtomicU64,
    /// The same by kind, in the order of [`FaultKind::ALL`].
    faults: [AtomicU64; FaultKind::ALL.len()],
    /// Time of each guest call, in microseconds.
    pub call_us: Histogram,
    /// Events of each guest call.
    pub batch_events: Histogram,
}

impl Default for Stats {
    fn default() -> Self {
        Self {
            handled: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            faults: Default::default(),
            call_us: Histogram::new(TIMES_US),
            batch_events: Histogram::new(COUNTS),
        }
    }
}

impl Stats {
    /// How often it failed in which way, of those ways that there were.
    pub fn faults(&self) -> Vec<(&'static str, u64)> {
        let counts = FaultKind::ALL.iter().zip(&self.faults);
        let counts = counts.map(|(kind, count)| (kind.as_str(), count.load(Ordering::Relaxed)));
        counts.filter(|(_, count)| *count > 0).collect()
    }

    fn fault(&self, kind: FaultKind) {
        if let Some(count) = self.faults.get(kind as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// What every batch of one deployment is handled with.
pub struct Handling {
    /// The domain that it works in.
    pub domain: Domain,
    /// The processor's name.
    pub name: Arc<str>,
    /// What runs.
    pub version: Version,
    /// Its receipt.
    pub deployment: Arc<Deployment>,
    /// What makes outcomes changes.
    pub effects: Effects,
    /// What its guests may ask.
    pub calls: Arc<dyn HostCalls>,
    /// Where its faults are told.
    pub logs: Arc<LogBook>,
    /// What it has done.
    pub stats: Arc<Stats>,
    /// Whether no further call is to begin.
    pub stopping: AtomicBool,
    /// The limits that it passes one after another.
    pub breaks: Breaks,
}

/// What became of a batch.
pub enum Handled {
    /// It is sequenced; these of its events are held.
    Committed(Vec<usize>),
    /// A newer deployment or a stop came first: what of it did not happen is read again by whoever comes next.
    Fenced,
    /// It could not be committed.
    Failed(String),
}

impl Handling {
    /// All events in one call; if anything goes wrong with that, each alone, so that only the one to blame is blamed.
    /// The first frame takes `skips`, what was filtered on the way to them.
    pub fn attempt(
        &self,
        executor: &mut Option<Executor>,
        causes: &[Cause<'_>],
        batch: &Batch,
        skips: &mut Vec<Skip>,
    ) -> Handled {
        match self.call(executor, batch) {
            Ok(outcomes) => self.commit(causes, batch, Ok(&outcomes), skips),
            Err(error) if causes.len() == 1 => self.commit(causes, batch, Err(&error), skips),
            Err(_) => self.attempt_each(executor, causes, batch, skips),
        }
    }

    /// Records what was filtered where there is nothing to handle.
    pub fn skip(&self, skips: &mut Vec<Skip>) -> Handled {
        let mut draft = Draft::default();
        skips.drain(..).for_each(|skip| draft.skipped(skip));
        self.sequence(draft).map_or_else(|ended| ended, |()| Handled::Committed(Vec::new()))
    }

    fn attempt_each(
        &self,
        executor: &mut Option<Executor>,
        causes: &[Cause<'_>],
        batch: &Batch,
        skips: &mut Vec<Skip>,
    ) -> Handled {
        let mut all_held = Vec::new();
        for (index, cause) in causes.iter().enumerate() {
            let Some(alone) = batch.only(index) else { continue };
            if self.stopping.load(Ordering::SeqCst) {
                return Handled::Fenced;
            }
            match self.attempt(executor, std::slice::from_ref(cause), &alone, skips) {
                Handled::Committed(held) if held.is_empty() => {}
                Handled::Committed(_) => all_held.push(index),
                other => return other,
            }
        }
        Handled::Committed(all_held)
    }

    fn call(&self, executor: &mut Option<Executor>, batch: &Batch) -> Result<Outcomes, CallError> {
        if executor.as_ref().is_none_or(Executor::is_spent) {
            let made = self.version.executor(self.calls.clone());
            *executor = Some(made.map_err(unmade)?);
        }
        let Some(warm) = executor else { return Err(CallError::Spent) };
        let began = Instant::now();
        let outcomes = warm.call(batch);
        self.stats.call_us.observe(u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX));
        self.stats.batch_events.observe(batch.len() as u64);
        if self.version.is_fresh() {
            *executor = None;
        }
        outcomes
    }

    /// Makes a frame of what came back: effects of what was handled, faults of what was not. A frame that would grow too
    /// large ends between two events, and another begins.
    fn commit(
        &self,
        causes: &[Cause<'_>],
        batch: &Batch,
        outcomes: Result<&Outcomes, &CallError>,
        skips: &mut Vec<Skip>,
    ) -> Handled {
        let mut draft = Draft::default();
        draft.reserve(causes.len() * CAUSE_BYTES + outcomes.map_or(0, Outcomes::bytes), causes.len());
        skips.drain(..).for_each(|skip| draft.skipped(skip));
        let mut held = Vec::new();
        let time = rfc3339(batch.time_ms());
        let mut outcomes = outcomes.map(Outcomes::iter);
        for (index, cause) in causes.iter().enumerate() {
            let added = match &mut outcomes {
                Err(error) => Err(Refusal { kind: kind_of(error), message: error.to_string() }),
                Ok(outcomes) => self.effects_of(&mut draft, cause, &time, outcomes.next()),
            };
            if let Err(refusal) = added {
                self.stats.fault(refusal.kind);
                self.breaks.broke(refusal.kind, cause.work.item.position);
                self.hold(&mut draft, cause, refusal);
                held.push(index);
            }
            if draft.len() > FRAME_BYTES_FULL
                && let Err(ended) = self.sequence(std::mem::take(&mut draft))
            {
                return ended;
            }
        }
        if let Err(ended) = self.sequence(draft) {
            return ended;
        }
        let (failed, handled) = (held.len() as u64, (causes.len() - held.len()) as u64);
        if handled > 0 {
            self.breaks.handled();
        }
        self.stats.handled.fetch_add(handled, Ordering::Relaxed);
        self.stats.failed.fetch_add(failed, Ordering::Relaxed);
        Handled::Committed(held)
    }

    fn sequence(&self, draft: Draft) -> Result<(), Handled> {
        if draft.is_empty() {
            return Ok(());
        }
        match self.domain.commit(self.deployment.processor, self.deployment.generation, draft) {
            Ok(_) => Ok(()),
            Err(Refused::Fenced) => Err(Handled::Fenced),
            Err(refused) => Err(Handled::Failed(refused.to_string())),
        }
    }

    fn effects_of(
        &self,
        draft: &mut Draft,
        cause: &Cause<'_>,
        time: &str,
        outcome: Option<crate::runtime::Outcome<'_>>,
    ) -> Result<(), Refusal> {
        let message = "the call gave no outcome for the event".to_owned();
        let outcome = outcome.ok_or(Refusal { kind: FaultKind::Host, message })?;
        self.effects.add(draft, cause, time, &outcome)
    }

    fn hold(&self, draft: &mut Draft, cause: &Cause<'_>, refusal: Refusal) {
        let &Cause { work, subscription, .. } = cause;
        let flow = cause.record.stamp.flow;
        let time_ms = self.domain.now_ms();
        let digest = self.deployment.digest.chars().take(SHORT_DIGEST).collect();
        let message = bounded(&refusal.message);
        let fault = Fault { kind: refusal.kind, message, time_ms, digest };
        let line = format!("{} at offset {}: {}", fault.kind.as_str(), work.item.offset, fault.message);
        self.logs.write(time_ms, &self.name, "error", Some(&flow.to_string()), &line);
        draft.control(&Control::Held {
            subscription,
            offset: work.item.offset,
            position: work.item.position,
            flow,
            key: work.key().to_owned(),
            fault,
        });
    }

    /// Tells that the host paused the processor, and why.
    pub fn tell_paused(&self, why: &str) {
        self.logs.write(self.domain.now_ms(), &self.name, "error", None, &format!("it is paused: {why}"));
        tracing::error!(processor = &*self.name, why, "a processor is paused");
    }

    /// Tells that the processor runs no more, and why.
    pub fn tell_stopped(&self, why: &str) {
        self.logs.write(self.domain.now_ms(), &self.name, "error", None, &format!("it stopped: {why}"));
        tracing::error!(processor = &*self.name, why, "a processor stopped");
    }
}

/// The beginning of a message, in its lines; a guest may have written megabytes, and what steers a terminal.
fn bounded(message: &str) -> String {
    let plain = |text: &str| text.split('\n').map(escaped).collect::<Vec<_>>().join("\n");
    match message.char_indices().nth(FAULT_CHARS_MAX) {
        Some((end, _)) => format!("{}...", plain(message.get(..end).unwrap_or_default())),
        None => plain(message),
    }
}

/// An instance that breaks while it is made is the guest's fault, as in a call.
fn unmade(error: runtime::Error) -> CallError {
    match error {
        runtime::Error::Instantiate(error) => error,
        other => CallError::Host(other.to_string()),
    }
}

fn kind_of(error: &CallError) -> FaultKind {
    match error {
        CallError::Trap { .. } => FaultKind::Trap,
        CallError::Deadline { .. } => FaultKind::Deadline,
        CallError::Memory { .. } => FaultKind::Memory,
        CallError::CallTime { .. } => FaultKind::CallTime,
        CallError::HostCalls { .. } => FaultKind::HostCalls,
        CallError::Output { .. } => FaultKind::Output,
        CallError::Resources { .. } => FaultKind::Resources,
        CallError::Malformed { .. } => FaultKind::Malformed,
        _ => FaultKind::Host,
    }
}
