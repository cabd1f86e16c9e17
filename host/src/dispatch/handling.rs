//! What happens to one batch of a processor: one guest call, one frame. If the call breaks, each event is tried alone, so that
//! only the one to blame is blamed. It knows no lanes and no queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::channel::{Domain, Refused};
use crate::journal::FRAME_BYTES_MAX;
use crate::meter::{COUNTS, Histogram, TIMES_US};
use crate::model::change::{Again, Control, Draft, Skip};
use crate::model::deployment::Deployment;
use crate::model::fault::{Fault, FaultKind};
use crate::model::retry::{Attempt, Next, RetryPolicy, chance};
use crate::model::text::escaped;
use crate::model::time::{for_people, rfc3339};
use crate::runtime::{self, Batch, CallError, Executor, Outcomes};
use crate::view::failed::EventRef;
use crate::view::world::World;

use super::breaks::Breaks;
use super::calls::ProcessorCalls;
use super::commands::Commands;
use super::effects::{Cause, EFFECTS_BYTES_MAX, Effects, Refusal};
use super::logs::LogBook;
use super::suspects::{ENDS_MAX, Suspects};
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
    pub calls: Arc<ProcessorCalls>,
    /// Where its faults are told.
    pub logs: Arc<LogBook>,
    /// What it has done.
    pub stats: Arc<Stats>,
    /// Whether no further call is to begin.
    pub stopping: AtomicBool,
    /// How each of its sources tries failed events again.
    pub policies: Vec<RetryPolicy>,
    /// The limits that it passes one after another.
    pub breaks: Breaks,
    /// The events that may have ended the host.
    pub suspects: Arc<Suspects>,
    /// Which commands are wanted no more.
    pub commands: Commands,
}

/// What became of a batch.
pub enum Handled {
    /// It is sequenced; these of its events failed.
    Committed(Vec<Failed>),
    /// A newer deployment or a stop came first: what of it did not happen is read again by whoever comes next.
    Fenced,
    /// It could not be committed.
    Failed(String),
}

/// An event of a batch that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failed {
    /// Its place in the batch.
    pub index: usize,
    /// What becomes of it.
    pub fate: Fate,
}

/// What becomes of an event that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is tried again, then or when somebody says so.
    Parked(Option<Again>),
    /// It is a dead letter.
    Dead,
    /// It was a command, and its mediator is told.
    Told,
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
        if causes.iter().any(|cause| self.is_taken_back(cause)) {
            return match causes {
                [unwanted] => self.take_back(unwanted, skips),
                _ => self.attempt_each(executor, causes, batch, skips),
            };
        }
        let ends = causes.iter().find_map(|cause| self.suspects.ends(cause.event()));
        if let Some(ends) = ends {
            return match causes {
                [suspect] => self.attempt_alone(executor, suspect, ends, batch, skips),
                _ => self.attempt_each(executor, causes, batch, skips),
            };
        }
        self.suspects.hold(causes.iter().map(Cause::event), 0);
        match self.call(executor, batch) {
            Ok(outcomes) => self.commit(causes, batch, Ok(&outcomes), skips),
            Err(error) if causes.len() == 1 => self.commit(causes, batch, Err(&error), skips),
            Err(_) => self.attempt_each(executor, causes, batch, skips),
        }
    }

    /// An event with which the host ended: while no other such event is handled, and not at all when it ended with it too often.
    fn attempt_alone(
        &self,
        executor: &mut Option<Executor>,
        suspect: &Cause<'_>,
        ends: u8,
        batch: &Batch,
        skips: &mut Vec<Skip>,
    ) -> Handled {
        let _alone = self.suspects.alone();
        let causes = std::slice::from_ref(suspect);
        let handled = if ends >= ENDS_MAX {
            self.give_up(suspect, ends, skips)
        } else {
            self.suspects.hold([suspect.event()].into_iter(), ends);
            match self.call(executor, batch) {
                Ok(outcomes) => self.commit(causes, batch, Ok(&outcomes), skips),
                Err(error) => self.commit(causes, batch, Err(&error), skips),
            }
        };
        if matches!(handled, Handled::Committed(_)) {
            self.suspects.cleared(suspect.event());
        }
        handled
    }

    /// Records an attempt for each end of the host, and that there is no further one.
    fn give_up(&self, suspect: &Cause<'_>, ends: u8, skips: &mut Vec<Skip>) -> Handled {
        let &Cause { work, subscription, .. } = suspect;
        let (offset, position, flow) = (work.item.offset, work.item.position, suspect.record.stamp.flow);
        let message = "the host ended while it was handled; it was alone when that came again".to_owned();
        let digest = self.deployment.digest.chars().take(SHORT_DIGEST).collect();
        let time_ms = self.domain.now_ms();
        let fault = Fault { kind: FaultKind::KilledHost, message, time_ms, digest, frames: Vec::new() };
        self.stats.fault(FaultKind::KilledHost);
        self.tell_fault(suspect, &fault, Next::Dead);
        let (mut draft, key) = (Draft::default(), work.key().to_owned());
        skips.drain(..).for_each(|skip| draft.skipped(skip));
        for _ in 1..ends {
            let (key, fault) = (key.clone(), fault.clone());
            let again = Some(Again::NOW);
            draft.control(&Control::Held { subscription, offset, position, flow, key, fault, again });
        }
        let fate = match suspect.marks {
            Some(_) => self.give_up_command(&mut draft, suspect, &fault),
            None => {
                draft.died(&Control::Died { subscription, offset, position, flow, key, fault });
                Fate::Dead
            }
        };
        let gave_up = Failed { index: 0, fate };
        self.sequence(draft).map_or_else(|ended| ended, |()| Handled::Committed(vec![gave_up]))
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
        let mut all_failed = Vec::new();
        for (index, cause) in causes.iter().enumerate() {
            let Some(alone) = batch.only(index) else { continue };
            if self.stopping.load(Ordering::SeqCst) {
                return Handled::Fenced;
            }
            match self.attempt(executor, std::slice::from_ref(cause), &alone, skips) {
                Handled::Committed(failed) => {
                    all_failed.extend(failed.first().map(|one| Failed { index, ..*one }))
                }
                other => return other,
            }
        }
        Handled::Committed(all_failed)
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
        let mut failed = Vec::new();
        let time = rfc3339(batch.time_ms());
        let mut outcomes = outcomes.map(Outcomes::iter);
        for (index, cause) in causes.iter().enumerate() {
            let added = match &mut outcomes {
                Err(error) => Err(refusal_of(error)),
                Ok(outcomes) => self.effects_of(&mut draft, cause, &time, outcomes.next()),
            };
            if let Err(refusal) = added {
                self.stats.fault(refusal.kind);
                self.breaks.broke(refusal.kind, cause.work.item.position);
                let fate = self.fail(&mut draft, cause, refusal);
                failed.push(Failed { index, fate });
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
        let (faults, handled) = (failed.len() as u64, (causes.len() - failed.len()) as u64);
        if handled > 0 {
            self.breaks.handled();
        }
        self.stats.handled.fetch_add(handled, Ordering::Relaxed);
        self.stats.failed.fetch_add(faults, Ordering::Relaxed);
        Handled::Committed(failed)
    }

    pub(super) fn sequence(&self, draft: Draft) -> Result<(), Handled> {
        if draft.is_empty() {
            return Ok(());
        }
        match self.domain.commit(self.deployment.processor, self.deployment.generation, draft) {
            Ok(_) => Ok(()),
            Err(Refused::Fenced) => Err(Handled::Fenced),
            Err(refused) => Err(Handled::Failed(refused.to_string())),
        }
    }

    /// Adds what an outcome changes to a draft, or says why nothing of it is taken.
    pub fn effects_of(
        &self,
        draft: &mut Draft,
        cause: &Cause<'_>,
        time: &str,
        outcome: Option<crate::runtime::Outcome<'_>>,
    ) -> Result<(), Refusal> {
        let message = "the call gave no outcome for the event".to_owned();
        let outcome = outcome.ok_or_else(|| Refusal::new(FaultKind::Host, message))?;
        self.effects.add(draft, cause, time, &outcome)
    }

    /// Records that an event failed, and what becomes of it.
    fn fail(&self, draft: &mut Draft, cause: &Cause<'_>, refusal: Refusal) -> Fate {
        let &Cause { work, subscription, .. } = cause;
        let (offset, position, flow) = (work.item.offset, work.item.position, cause.record.stamp.flow);
        let time_ms = self.domain.now_ms();
        let next = self.next(cause, &refusal);
        let digest = self.deployment.digest.chars().take(SHORT_DIGEST).collect();
        let Refusal { kind, message, frames, .. } = refusal;
        let message = self.calls.secrets.hidden(&message);
        let fault = Fault { kind, message: bounded(&message), time_ms, digest, frames };
        self.tell_fault(cause, &fault, next);
        let key = work.key().to_owned();
        let again = match next {
            Next::Dead | Next::Held if cause.marks.is_some() => {
                return self.give_up_command(draft, cause, &fault);
            }
            Next::Dead => {
                draft.died(&Control::Died { subscription, offset, position, flow, key, fault });
                return Fate::Dead;
            }
            Next::Held => None,
            Next::Again(after_ms) => Some(Again { at_ms: time_ms.saturating_add(after_ms), after_ms }),
        };
        draft.control(&Control::Held { subscription, offset, position, flow, key, fault, again });
        Fate::Parked(again)
    }

    fn next(&self, cause: &Cause<'_>, refusal: &Refusal) -> Next {
        let &Cause { work, subscription, .. } = cause;
        let Some(policy) = self.policies.get(work.source) else { return Next::Dead };
        let known = |world: &World| counted(world, (subscription, work.item.offset));
        let before = if work.attempt == 1 { None } else { self.domain.look(known) };
        let (counted, waited_ms) = before.unwrap_or_default();
        policy.next(&Attempt {
            kind: refusal.kind,
            number: counted + 1,
            waited_ms,
            asked_ms: refusal.after_ms,
            chance: chance(work.item.position, work.attempt),
        })
    }

    fn tell_fault(&self, cause: &Cause<'_>, fault: &Fault, next: Next) {
        let then = match next {
            Next::Again(after_ms) => {
                format!("tried again in {}", for_people(Duration::from_millis(after_ms)))
            }
            Next::Dead | Next::Held if cause.marks.is_some() => {
                "given up: the mediator that sent the command is told".to_owned()
            }
            Next::Dead => "given up: it is a dead letter".to_owned(),
            Next::Held => "held until somebody looks".to_owned(),
        };
        let line = format!(
            "{} at offset {}, attempt {}: {}; {then}",
            fault.kind.as_str(),
            cause.work.item.offset,
            cause.work.attempt,
            fault.message
        );
        let flow = cause.record.stamp.flow.to_string();
        self.logs.write(fault.time_ms, &self.name, "error", Some(&flow), &line);
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

/// How many attempts at an event count so far, and how long it waited between them. A dead letter that was redriven begins anew.
fn counted(world: &World, event: EventRef) -> Option<(u32, u64)> {
    let processor = world.subscriptions().get(event.0 as usize)?.processor;
    Some(world.processors().get(processor as usize)?.held.get(&event)?.counted())
}

/// Why a call that broke is no outcome.
pub fn refusal_of(error: &CallError) -> Refusal {
    let frames = match error {
        CallError::Trap { frames, .. } => frames.clone(),
        _ => Vec::new(),
    };
    Refusal { frames, ..Refusal::new(kind_of(error), error.to_string()) }
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
