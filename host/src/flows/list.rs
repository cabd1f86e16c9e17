//! Lists of flows: those that are not done, oldest first, and those that are, newest first. Bounded and paged; what was not looked
//! at is said.

use hashbrown::HashMap;
use uuid::Uuid;

use crate::channel::{Domain, ReadError};
use crate::journal::Position;
use crate::model::change::{Change, Changes, SubscriptionId};
use crate::model::flow::{FlowPage, FlowSummary, WaitsFor};
use crate::model::name::RESERVED;
use crate::model::record::Record;
use crate::model::report::{FlowStatus, HandlingStatus};
use crate::model::time::rfc3339;

use super::moment::Moment;
use super::trace::{Left, Trace, trace};
use super::{Flows, Shared, Waits};

/// The most flows that are looked at for one answer.
const EXAMINED_MAX: usize = 10_000;
/// The most positions of the journal that are walked back for one answer.
const WALKED_BACK_MAX: u64 = 200_000;
/// How many positions are walked back at once.
const STEP: u64 = 4096;
/// About how many bytes of the journal are read at once.
const READ_BYTES: usize = 1 << 20;
/// How many flows are traced at once, at least.
const TRACED_AT_ONCE: usize = 64;

/// Which flows are wanted.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Only those that stand so; without it all that are not done.
    pub status: Option<FlowStatus>,
    /// Only those that began at least so many milliseconds ago.
    pub older_than_ms: u64,
    /// Only those that began on this channel.
    pub channel: Option<String>,
    /// At most so many.
    pub limit: usize,
    /// Where the page before ended.
    pub after: Option<After>,
}

/// Where a page ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// Of flows that are not done: the last one that was looked at.
    Flow(Uuid),
    /// Of flows that are done: everything from this position on was looked at.
    Position(u64),
}

impl After {
    /// Reads what [`FlowPage::next`] said.
    pub fn parse(text: &str) -> Option<Self> {
        text.parse().map(Self::Position).or_else(|_| text.parse().map(Self::Flow)).ok()
    }
}

impl Flows {
    /// A page of flows, as they stood at one moment; all of it is durable.
    pub fn list(&self, wanted: &Wanted, waits: Waits<'_>) -> Result<FlowPage, ReadError> {
        let shared = &self.0;
        let _one = shared.listing.lock();
        let moment = Moment::now(&shared.domain);
        moment.wait_durable(&shared.domain)?;
        let page = FlowPage {
            flows: Vec::new(),
            next: None,
            incomplete: false,
            asked: rfc3339(moment.now_ms),
            position: moment.position,
        };
        let mut list = List { shared, moment: &moment, wanted, waits, page };
        match wanted.status {
            Some(FlowStatus::Done) => list.done()?,
            _ => list.open()?,
        }
        Ok(list.page)
    }
}

struct List<'a> {
    shared: &'a Shared,
    moment: &'a Moment,
    wanted: &'a Wanted,
    waits: Waits<'a>,
    page: FlowPage,
}

impl List<'_> {
    fn is_full(&self) -> bool {
        self.page.flows.len() >= self.wanted.limit
    }

    /// Flows that are not done. Their ids begin with the time at which they began, so that the order of the ids is that of time.
    fn open(&mut self) -> Result<(), ReadError> {
        let mut left = self.candidates()?;
        left.sort_unstable();
        let mut rest = left.as_slice();
        let mut examined = 0;
        while !rest.is_empty() {
            let (now, _) = rest.split_at(rest.len().min(TRACED_AT_ONCE.max(self.wanted.limit)));
            let traces = trace(&self.shared.domain, self.moment, now, &self.shared.types)?;
            for (flow, trace) in traces {
                if self.is_full() || examined == EXAMINED_MAX {
                    return Ok(());
                }
                (examined, rest) = (examined + 1, rest.get(1..).unwrap_or_default());
                self.offer(flow, &trace);
                self.page.next = (!rest.is_empty()).then(|| flow.to_string());
            }
        }
        Ok(())
    }

    fn candidates(&mut self) -> Result<Vec<Uuid>, ReadError> {
        // The clock may have been set back since a flow began.
        let began_by = match self.wanted.older_than_ms {
            0 => u64::MAX,
            age_ms => self.moment.now_ms.saturating_sub(age_ms),
        };
        let after = match self.wanted.after {
            Some(After::Flow(flow)) => flow,
            _ => Uuid::nil(),
        };
        let flows = match self.wanted.status {
            Some(FlowStatus::Stuck) => self.moment.stuck_flows(),
            _ => {
                let (flows, cut) = self.moment.open_flows(&self.shared.domain, &self.shared.unended())?;
                self.page.incomplete = cut;
                flows
            }
        };
        Ok(flows.into_iter().filter(|flow| *flow > after && began_ms(*flow) <= began_by).collect())
    }

    /// Flows that are done, from the newest back.
    fn done(&mut self) -> Result<(), ReadError> {
        let mut end = match self.wanted.after {
            Some(After::Position(position)) => position.min(self.moment.position),
            _ => self.moment.position,
        };
        let first = self.shared.domain.journal().first().0;
        let stop = first.max(end.saturating_sub(WALKED_BACK_MAX));
        while end > stop {
            let start = stop.max(end.saturating_sub(STEP));
            let mut begun = begun_between(&self.shared.domain, start, end)?;
            begun.reverse();
            for part in begun.chunks(TRACED_AT_ONCE) {
                let flows: Vec<Uuid> = part.iter().map(|(_, flow)| *flow).collect();
                let traces = self.traces(&flows)?;
                for (position, flow) in part {
                    if self.is_full() {
                        return Ok(());
                    }
                    traces.get(flow).into_iter().for_each(|trace| self.offer(*flow, trace));
                    self.page.next = Some(position.to_string());
                }
            }
            end = start;
            self.page.next = (end > first).then(|| end.to_string());
        }
        Ok(())
    }

    /// All of them, in as many walks as that takes.
    fn traces(&self, flows: &[Uuid]) -> Result<HashMap<Uuid, Trace>, ReadError> {
        let mut traces = HashMap::new();
        while let Some(rest) = flows.get(traces.len()..).filter(|rest| !rest.is_empty()) {
            traces.extend(trace(&self.shared.domain, self.moment, rest, &self.shared.types)?);
        }
        Ok(traces)
    }

    /// Takes a flow into the page if it is wanted.
    fn offer(&mut self, flow: Uuid, trace: &Trace) {
        let Some(origin) = &trace.origin else { return };
        let channel = self.shared.channel_name(origin.channel);
        let standing = self.shared.standing(self.moment, trace);
        let on_channel = match &self.wanted.channel {
            Some(wanted) => *channel == **wanted,
            None => standing.status != FlowStatus::Done || !channel.starts_with(RESERVED),
        };
        let old = self.moment.now_ms.saturating_sub(origin.time_ms) >= self.wanted.older_than_ms;
        let stands = match self.wanted.status {
            None => standing.status != FlowStatus::Done,
            Some(FlowStatus::Overdue) => standing.overdue,
            Some(status) => standing.status == status,
        };
        if on_channel && old && stands {
            self.page.flows.push(FlowSummary {
                flow: flow.to_string(),
                status: standing.status,
                overdue: standing.overdue,
                deadline: standing.deadline_ms.map(rfc3339),
                reason: standing.reason.clone(),
                channel: channel.to_string(),
                offset: origin.offset,
                id: origin.id.clone(),
                subject: origin.subject.clone(),
                started: rfc3339(origin.time_ms),
                latest: rfc3339(trace.latest_ms),
                events: trace.events,
                waits_for: self.shared.waits_for(self.moment, &trace.left, self.waits),
                waits_for_count: trace.left_count,
            });
        }
    }
}

impl Shared {
    /// The channels whose flows may be quiet and not done.
    fn unended(&self) -> Vec<u32> {
        let unended = self.rules.iter().filter(|(_, rule)| !rule.ends.is_empty());
        self.domain.look(|world| unended.filter_map(|(channel, _)| world.channel_id(channel)).collect())
    }

    /// What is left of a flow, with the names of things.
    pub(super) fn waits_for(&self, moment: &Moment, left: &[Left], waits: Waits<'_>) -> Vec<WaitsFor> {
        if left.is_empty() {
            return Vec::new();
        }
        let status = |id: SubscriptionId, offset| match (moment.failed(id, offset), waits(id, offset)) {
            (Some(status), _) => status,
            (None, true) => HandlingStatus::Waiting,
            (None, false) => HandlingStatus::Pending,
        };
        self.domain.look(|world| {
            let named = |left: &Left| {
                let processor = world.subscriptions().get(left.subscription as usize)?.processor;
                let processor = world.processors().get(processor as usize)?;
                let held = processor.held.get(&(left.subscription, left.offset)).map(|held| &held.fault);
                let dead = || world.dead().get((left.subscription, left.offset))?.attempts.last();
                Some(WaitsFor {
                    processor: processor.name.to_string(),
                    channel: world.channels().get(left.channel as usize)?.name.to_string(),
                    offset: left.offset,
                    status: status(left.subscription, left.offset),
                    fault: held.or_else(dead).cloned(),
                })
            };
            left.iter().filter_map(named).collect()
        })
    }
}

/// The flows that began in a range of positions, ascending.
fn begun_between(domain: &Domain, start: u64, end: u64) -> Result<Vec<(u64, Uuid)>, ReadError> {
    let mut begun = Vec::new();
    let mut at = start;
    while at < end {
        let frames = domain.journal().read(Position(at), READ_BYTES);
        let frames = frames.map_err(|error| ReadError::Journal { why: error.to_string() })?;
        let Some(last) = frames.last() else { break };
        at = last.end().0;
        for frame in &frames {
            let mut position = frame.position.0;
            for change in Changes::new(&frame.body).map_while(Result::ok) {
                let Change::Event { record, .. } = change else { continue };
                if (start..end).contains(&position)
                    && let Ok(record) = Record::parse(record)
                    && record.stamp.cause.is_none()
                {
                    begun.push((position, record.stamp.flow));
                }
                position += 1;
            }
        }
    }
    Ok(begun)
}

/// When a flow began: the host's ids say it.
fn began_ms(flow: Uuid) -> u64 {
    (flow.as_u128() >> 80) as u64
}
