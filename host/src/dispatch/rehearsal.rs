//! One event through what runs of a processor, with nothing kept of it: a fresh instance reads the state as it is, and what it returns is
//! shown and not committed. No lane is taken or held up.

use std::sync::Arc;

use crate::channel::ReadError;
use crate::model::change::{Change, ProcessorId};
use crate::model::record::Record;
use crate::model::rehearsal::{Rehearsal, RehearsedEmit, RehearsedWrite};
use crate::model::text::escaped;
use crate::model::time::rfc3339;
use crate::runtime::Batch;
use crate::view::failed::EventRef;

use super::calls::ProcessorCalls;
use super::effects::{Cause, Refusal};
use super::handling::refusal_of;
use super::logs::{LogBook, LogFilter};
use super::{Dispatcher, Shared};

/// The most lines of its log that a rehearsal shows.
const LINES_MAX: usize = 100;

/// Why there is no rehearsal.
#[derive(Debug, thiserror::Error)]
pub enum RehearsalError {
    /// Nothing runs that could try it.
    #[error("the processor does not run; deploy a version that does")]
    NotRunning,
    /// What runs may act outside of a sandbox.
    #[error("the processor acts outside of its sandbox; only what returns its effects can be rehearsed")]
    ActsOutside,
    /// The event cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// No instance could be made.
    #[error(transparent)]
    Runtime(#[from] crate::runtime::Error),
    /// What came of it could not be recorded.
    #[error(transparent)]
    Refused(#[from] crate::channel::Refused),
}

impl RehearsalError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotRunning => "not-running",
            Self::ActsOutside => "acts-outside",
            Self::Read(error) => error.code(),
            Self::Runtime(error) => error.code(),
            Self::Refused(refused) => refused.code(),
        }
    }
}

impl Dispatcher {
    /// What the version that runs would do with an event now.
    pub fn rehearse(&self, processor: ProcessorId, event: EventRef) -> Result<Rehearsal, RehearsalError> {
        self.0.rehearse(processor, event)
    }
}

impl Shared {
    fn rehearse(&self, processor: ProcessorId, event: EventRef) -> Result<Rehearsal, RehearsalError> {
        let running = self.processors.read().get(processor as usize).and_then(|slot| slot.running.clone());
        let running = running.ok_or(RehearsalError::NotRunning)?;
        if running.is_at_the_edge() {
            return Err(RehearsalError::ActsOutside);
        }
        let tried = self.domain.look(|world| world.dead().get(event).map(|dead| dead.count));
        let mut work = running.revive(event)?;
        work.attempt = work.attempt.max(1 + tried.unwrap_or(0));
        let record = Record::parse(&work.item.record)
            .map_err(|error| ReadError::Journal { why: error.to_string() })?;
        let version = running.version();
        let logs = Arc::new(LogBook::default());
        let calls = ProcessorCalls { logs: logs.clone(), ..ProcessorCalls::clone(running.calls()) };
        let time_ms = self.domain.now_ms();
        let mut batch = Batch::new(time_ms, work.item.position);
        let (channel, replays) = running.source(work.source).ok_or(RehearsalError::NotRunning)?;
        batch.push(&channel, work.key(), work.item.offset, work.attempt, work.item.time_ms, &record);
        let outcomes = version.executor(Arc::new(calls))?.call(&batch);
        let cause = Cause { work: &work, record, subscription: event.0, replays, marks: None };
        let mut rehearsal = Rehearsal {
            channel: channel.to_string(),
            offset: work.item.offset,
            key: work.key().to_owned(),
            attempt: work.attempt,
            digest: running.deployment().digest.clone(),
            ..Rehearsal::default()
        };
        match outcomes.map(|outcomes| running.effects(&cause, &rfc3339(time_ms), &outcomes)) {
            Ok(Ok(draft)) => {
                draft.changes().map_while(Result::ok).for_each(|change| self.show(&change, &mut rehearsal))
            }
            Ok(Err(refusal)) => fail(refusal, &mut rehearsal),
            Err(error) => fail(refusal_of(&error), &mut rehearsal),
        }
        let lines = logs.read(&LogFilter { limit: LINES_MAX, ..LogFilter::default() });
        rehearsal.log = lines.into_iter().map(|line| line.message).collect();
        Ok(rehearsal)
    }

    pub(super) fn show(&self, change: &Change<'_>, rehearsal: &mut Rehearsal) {
        let value = |bytes: &[u8]| {
            serde_json::from_slice(bytes)
                .unwrap_or_else(|_| String::from_utf8_lossy(bytes).into_owned().into())
        };
        match change {
            Change::Event { channel, record, .. } => {
                let Ok(record) = Record::parse(record) else { return };
                let name = |world: &crate::view::world::World| {
                    Some(world.channels().get(*channel as usize)?.name.to_string())
                };
                rehearsal.emits.push(RehearsedEmit {
                    channel: self.domain.look(name).unwrap_or_default(),
                    ty: record.parts.ty.to_owned(),
                    subject: record.parts.subject.map(str::to_owned),
                    data: record.parts.data.map(value),
                });
            }
            Change::StateSet { name, value: written, .. } => {
                rehearsal
                    .writes
                    .push(RehearsedWrite { name: (*name).to_owned(), value: Some(value(written)) });
            }
            Change::StateDelete { name, .. } => {
                rehearsal.writes.push(RehearsedWrite { name: (*name).to_owned(), value: None });
            }
            Change::Reply { data, .. } => rehearsal.reply = Some(value(data)),
            _ => {}
        }
    }
}

pub(super) fn fail(refusal: Refusal, rehearsal: &mut Rehearsal) {
    rehearsal.fault = Some(format!("{}: {}", refusal.kind.as_str(), escaped(&refusal.message)));
}
