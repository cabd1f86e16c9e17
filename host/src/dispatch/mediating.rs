//! Mediators on lanes: the events of a batch go to the mediator, what it wants evaluated is evaluated together, and what follows becomes
//! outcomes. Nothing is decided here.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::channel::Domain;
use crate::mediator::{Emit, Incoming, Mediator, Outcome, Place, Trouble, Work};
use crate::meter::{Histogram, TIMES_MS};
use crate::model::descriptor::Descriptor;
use crate::model::time::parse_rfc3339;
use crate::model::workflow::post::inbox_of;
use crate::model::workflow::step::Evaluation;
use crate::runtime::{
    BatchEvent, CallError, Expressions, Level, NativeCall, NativeHandler, NewEmit, OutcomesBuilder, Verdict,
};
use crate::view::state::ProcessorState;

use super::pool::{Job, Pool};
use super::version::Version;

/// What a mediator on a lane needs.
pub struct Mediating {
    mediator: Arc<Mediator>,
    expressions: Expressions,
    state: Arc<ProcessorState>,
    inbox: Arc<str>,
    queue: Option<Arc<str>>,
    timers: Timers,
    meter: Arc<StepMeter>,
}

/// What a mediator has measured since the host started, whatever its version.
pub struct StepMeter {
    /// Time from a command to its acknowledgement, in milliseconds.
    pub step_ms: Histogram,
    /// How often tasks were tried again.
    pub retries: AtomicU64,
}

impl Default for StepMeter {
    fn default() -> Self {
        Self { step_ms: Histogram::new(TIMES_MS), retries: AtomicU64::new(0) }
    }
}

impl Mediating {
    /// A version of a mediator: the handler of each lane is one of these.
    pub fn version(
        mediator: Mediator,
        descriptor: Descriptor,
        (digest, file): (&str, &str),
        expressions: &Expressions,
        (state, timers, meter): (Arc<ProcessorState>, Timers, Arc<StepMeter>),
    ) -> Version {
        let inbox: Arc<str> = inbox_of(descriptor.name.as_str()).into();
        let queue: Option<Arc<str>> = descriptor.event_queue().map(|queue| queue.as_str().into());
        let expressions = expressions.of(descriptor.name.as_str());
        let mediator = Arc::new(mediator);
        let handler = move || {
            let (mediator, expressions, state) = (mediator.clone(), expressions.clone(), state.clone());
            let (inbox, queue) = (inbox.clone(), queue.clone());
            let (timers, meter) = (timers.clone(), meter.clone());
            let one = Self { mediator, expressions, state, inbox, queue, timers, meter };
            Box::new(one) as Box<dyn NativeHandler>
        };
        Version::native(descriptor, digest, Arc::new(handler)).from_file(file)
    }

    fn incoming<'e>(&self, event: BatchEvent<'e>, time_ms: u64) -> Incoming<'e> {
        const OWN: [&str; 6] = ["id", "source", "type", "subject", "partitionkey", "datacontenttype"];
        let place = match event.channel() {
            channel if channel == &*self.inbox => Place::Inbox,
            channel if Some(channel) == self.queue.as_deref() => Place::Queue,
            _ => Place::Topic,
        };
        let recorded = event.attribute("recordedtime").and_then(|time| parse_rfc3339(time).ok());
        let own = OWN.into_iter().filter_map(|name| Some((name, event.attribute(name)?)));
        Incoming {
            place,
            channel: event.channel(),
            offset: event.offset(),
            key: event.key(),
            time_ms: recorded.unwrap_or(time_ms),
            attributes: own.chain(event.attributes()).collect(),
            bytes: event.data(),
        }
    }

    /// Has everything evaluated that the events need, round by round, until each has come to something.
    fn settle<'m>(
        &'m self,
        mut works: Vec<Result<Work<'m>, Trouble>>,
    ) -> Result<Vec<Result<Outcome, Trouble>>, CallError> {
        loop {
            let needed: Vec<Evaluation> = works.iter().flat_map(evaluations).cloned().collect();
            if needed.is_empty() {
                return Ok(works.into_iter().map(ready).collect());
            }
            let given = self.expressions.evaluate(&needed);
            let given = given.map_err(|error| CallError::Host(error.to_string()))?;
            let mut given = given.into_iter().map(|given| given.map_err(|error| error.to_string()));
            let go_on = |work| match work {
                Ok(Work::Evaluate(pending)) => {
                    let count = pending.evaluations().len();
                    pending.go_on(given.by_ref().take(count).collect())
                }
                other => other,
            };
            works = works.into_iter().map(go_on).collect();
        }
    }
}

fn evaluations<'a>(work: &'a Result<Work<'_>, Trouble>) -> &'a [Evaluation] {
    match work {
        Ok(Work::Evaluate(pending)) => pending.evaluations(),
        _ => &[],
    }
}

fn ready(work: Result<Work<'_>, Trouble>) -> Result<Outcome, Trouble> {
    match work? {
        Work::Ready(outcome) => Ok(outcome),
        Work::Evaluate(_) => Err(Trouble("it needs values and names none".to_owned())),
    }
}

impl NativeHandler for Mediating {
    fn handle(&mut self, call: &NativeCall<'_>, out: &mut OutcomesBuilder) -> Result<(), CallError> {
        let begin = |event| self.mediator.begin(&self.state, &self.incoming(event, call.batch.time_ms()));
        let works = call.batch.events().map(begin).collect();
        for (event, settled) in (0..).zip(self.settle(works)?) {
            match settled {
                Ok(outcome) => {
                    if let Some(note) = &outcome.note {
                        call.calls.log(&call.scope(), event, Level::Info, note);
                    }
                    self.timers.due_at(outcome.due_ms);
                    outcome.step_ms.into_iter().for_each(|ms| self.meter.step_ms.observe(ms));
                    self.meter.retries.fetch_add(outcome.retries, Ordering::Relaxed);
                    write(&outcome, out);
                }
                Err(trouble) => {
                    out.note(&trouble.to_string());
                    out.finish(Verdict::Retry, 0);
                }
            }
        }
        Ok(())
    }
}

fn write(outcome: &Outcome, out: &mut OutcomesBuilder) {
    for emit in &outcome.emits {
        let Emit { channel, ty, subject, partitionkey, datacontenttype, data, attributes } = emit;
        let attributes: Vec<(&str, &str)> =
            attributes.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        out.emit(&NewEmit {
            channel,
            ty: Some(ty),
            subject: subject.as_deref(),
            partitionkey: partitionkey.as_deref(),
            datacontenttype: Some(datacontenttype.as_deref().unwrap_or("application/json")),
            data: Some(data),
            attributes: &attributes,
        });
    }
    for write in &outcome.writes {
        out.write(&write.name, write.value.as_deref(), write.expires_ms);
    }
    out.finish(Verdict::Handled, 0);
}

/// Has timers of runs told when they are due. One that is due before its frame is sequenced is told by the housekeeper a little later.
#[derive(Clone)]
pub struct Timers {
    domain: Domain,
    pool: Weak<Pool>,
}

impl Timers {
    /// Of a domain; threads of the pool tell them.
    pub(super) fn new(domain: &Domain, pool: &Arc<Pool>) -> Self {
        Self { domain: domain.clone(), pool: Arc::downgrade(pool) }
    }

    fn due_at(&self, due_ms: Option<u64>) {
        if let (Some(due_ms), Some(pool)) = (due_ms, self.pool.upgrade()) {
            pool.push_at(due_ms, Arc::new(Sweep(self.domain.clone())));
        }
    }
}

/// Tells the timers that are due.
struct Sweep(Domain);

impl Job for Sweep {
    fn run(&self, _: Duration) -> bool {
        if let Err(refused) = self.0.sweep_expired() {
            tracing::warn!(%refused, "timers of runs that are due were not told; it is tried again");
        }
        false
    }
}
