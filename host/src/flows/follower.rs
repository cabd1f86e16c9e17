//! The host's own subscriber: follows the flows that begin on the channels that `baton.toml` names, and tells `done` and `overdue`
//! exactly once each. Its undecided offsets on a channel are the flows that it follows: the frame that decides an initiating event
//! carries what is told of its flow. It reads durable frames only, on a thread of its own, and holds up nobody.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, VecDeque};

use hashbrown::{HashMap, HashSet};
use uuid::Uuid;

use crate::channel::{Domain, ReadError, Reader, Refused, flow_in};
use crate::journal::{Frame, Position};
use crate::model::change::{Change, Changes, ChannelId, Control, Draft, ProcessorId, SubscriptionId};
use crate::model::flow::{FlowRule, TOLD};
use crate::model::name::{ChannelName, ProcessorName};
use crate::model::record::Record;
use crate::model::report::FlowStatus;
use crate::view::decided::AHEAD_MAX;

use super::moment::Moment;
use super::runs::Mediators;
use super::told::{OVERDUE, Told, Verdict};
use super::trace::{Left, Origin, Trace, trace};
use super::{Facts, Flows, standing};

/// About how many bytes of the journal are read at once.
const READ_BYTES: usize = 1 << 20;
/// The most events of a flow that are watched at one time; if it has more, what is left is found again once these are decided.
const WATCHED_MAX: usize = 16;
/// The most things that one frame tells.
const TOLD_AT_ONCE: usize = 256;
/// The most offsets that one frame passes over.
const SKIPPED_AT_ONCE: usize = 10_000;

/// Why a round ended early.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// The journal could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// What was to be told was not taken.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// A name is none.
    #[error("'{0}' is no name")]
    Name(String),
}

/// Follows flows.
pub struct Follower {
    flows: Flows,
    processor: ProcessorId,
    told: ChannelId,
    channels: HashMap<ChannelId, Followed>,
    /// Everything below this position was read; nothing was read yet.
    read: Option<u64>,
    watched: HashMap<Uuid, Watched>,
    deadlines: BinaryHeap<Reverse<(u64, Uuid)>>,
    /// Flows of which something was decided since they were last looked at.
    touched: HashSet<Uuid>,
    /// Offsets of followed channels that no flow begins at, or that are too far back.
    skipped: Vec<(SubscriptionId, u64)>,
}

/// A channel whose flows are followed.
struct Followed {
    name: String,
    subscription: SubscriptionId,
    rule: FlowRule,
    /// The offset behind the last event that was read.
    end: u64,
}

/// A flow that is followed.
struct Watched {
    origin: Origin,
    latest_ms: u64,
    events: u64,
    ended: bool,
    overdue_told: bool,
    /// Events of it that were not decided by all when they were last looked at.
    left: Vec<(ChannelId, u64)>,
    /// It has more such events than these.
    has_more: bool,
    /// Its runs.
    runs: BTreeSet<String>,
}

impl Watched {
    fn new(origin: Origin, overdue_told: bool) -> Self {
        let latest_ms = origin.time_ms;
        Self {
            origin,
            latest_ms,
            events: 0,
            ended: false,
            overdue_told,
            left: Vec::new(),
            has_more: false,
            runs: BTreeSet::new(),
        }
    }

    fn watch(&mut self, channel: ChannelId, offset: u64) {
        match self.left.len() < WATCHED_MAX {
            true => self.left.push((channel, offset)),
            false => self.has_more = true,
        }
    }
}

impl Follower {
    /// Subscribes to every channel that has a rule, from its next event on unless it was subscribed before. None without rules.
    pub fn new(flows: &Flows) -> Result<Option<Self>, FollowError> {
        let shared = &flows.0;
        if shared.rules.is_empty() {
            return Ok(None);
        }
        let follower =
            ProcessorName::new(super::FOLLOWER).map_err(|_| FollowError::Name(super::FOLLOWER.to_owned()))?;
        let name = |text: &str| ChannelName::new(text).map_err(|_| FollowError::Name(text.to_owned()));
        let told = shared.domain.host_channel(&name(TOLD)?)?;
        let mut channels = HashMap::new();
        let mut processor = 0;
        for (channel, rule) in &shared.rules {
            let host = shared.domain.host_subscription(&follower, &name(channel)?)?;
            processor = host.processor;
            let (name, rule, subscription) = (channel.clone(), rule.clone(), host.subscription);
            channels.insert(host.channel, Followed { name, subscription, rule, end: 0 });
        }
        Ok(Some(Self {
            flows: flows.clone(),
            processor,
            told,
            channels,
            read: None,
            watched: HashMap::new(),
            deadlines: BinaryHeap::new(),
            touched: HashSet::new(),
            skipped: Vec::new(),
        }))
    }

    /// Reads what became durable, and tells what is to be told now. After an error the next round looks at everything anew.
    pub fn round(&mut self) -> Result<(), FollowError> {
        if self.read == Some(self.domain().visible()) && !self.is_due(self.domain().now_ms()) {
            return Ok(());
        }
        let moment = Moment::now(self.domain());
        let read = self.read.take();
        moment.wait_durable(self.domain())?;
        let goes_on = match read {
            Some(read) => self.read_on(read, &moment)?,
            None => false,
        };
        if !goes_on {
            self.begin(&moment)?;
        }
        let told = self.judge(&moment)?;
        self.skip()?;
        self.tell(&told)?;
        self.read = Some(moment.position);
        Ok(())
    }

    fn domain(&self) -> &Domain {
        &self.flows.0.domain
    }

    fn is_due(&self, now_ms: u64) -> bool {
        self.deadlines.peek().is_some_and(|Reverse((deadline_ms, _))| *deadline_ms <= now_ms)
    }

    /// Reads the frames from one position to another. Says no when something in them changed who reads what: then all has to be looked
    /// at anew.
    fn read_on(&mut self, from: u64, moment: &Moment) -> Result<bool, FollowError> {
        let (mut at, to) = (from, moment.position);
        while at < to {
            let frames = self.domain().journal().read(Position(at), READ_BYTES);
            let frames = frames.map_err(|error| ReadError::Journal { why: error.to_string() })?;
            let Some(last) = frames.last() else { return Ok(false) };
            at = last.end().0;
            for frame in frames.iter().filter(|frame| frame.position.0 < to) {
                if !self.frame(frame, &moment.mediators) {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    fn frame(&mut self, frame: &Frame, mediators: &Mediators) -> bool {
        let mut next = frame.position.0;
        for change in Changes::new(&frame.body).map_while(Result::ok) {
            if changes_readers(&change) {
                return false;
            }
            let Some(flow) = flow_in(&change) else {
                if decides_unnamed(&change) {
                    self.touched.extend(self.watched.keys());
                }
                continue;
            };
            if let Change::Event { channel, offset, record } = change {
                self.event(flow, channel, offset, frame.time_ms, record);
                if let Some(watched) = self.watched.get_mut(&flow)
                    && let Ok(record) = Record::parse(record)
                {
                    watched.runs.extend(mediators.run_of(channel, next, &record));
                }
                next += 1;
            } else if let Some(watched) = self.watched.get_mut(&flow) {
                watched.latest_ms = watched.latest_ms.max(frame.time_ms);
                self.touched.insert(flow);
            }
        }
        true
    }

    fn event(&mut self, flow: Uuid, channel: ChannelId, offset: u64, time_ms: u64, record: &[u8]) {
        if !self.channels.contains_key(&channel) && !self.watched.contains_key(&flow) {
            return;
        }
        let Ok(record) = Record::parse(record) else { return };
        if let Some(followed) = self.channels.get_mut(&channel) {
            followed.end = offset + 1;
            match record.stamp.cause {
                Some(_) => self.skipped.push((followed.subscription, offset)),
                None => self.watch(flow, Watched::new(Origin::of(channel, offset, time_ms, &record), false)),
            }
        }
        let Some(watched) = self.watched.get_mut(&flow) else { return };
        let rule = self.channels.get(&watched.origin.channel).map(|followed| &followed.rule);
        watched.ended |= rule.is_some_and(|rule| rule.ends.iter().any(|end| end == record.parts.ty));
        watched.latest_ms = watched.latest_ms.max(time_ms);
        watched.events += 1;
        watched.watch(channel, offset);
        self.touched.insert(flow);
    }

    fn watch(&mut self, flow: Uuid, watched: Watched) {
        let Some(followed) = self.channels.get(&watched.origin.channel) else { return };
        if let Some(deadline_ms) = followed.rule.deadline_ms.filter(|_| !watched.overdue_told) {
            self.deadlines.push(Reverse((watched.origin.time_ms.saturating_add(deadline_ms), flow)));
        }
        self.watched.insert(flow, watched);
    }

    /// Looks at everything anew: the flows that it follows are those whose initiating events it has not decided.
    fn begin(&mut self, moment: &Moment) -> Result<(), FollowError> {
        self.watched.clear();
        self.deadlines.clear();
        self.touched.clear();
        self.skipped.clear();
        let channels: Vec<ChannelId> = self.channels.keys().copied().collect();
        for channel in channels {
            let begun = self.begun(moment, channel)?;
            self.take_up(moment, &begun)?;
        }
        Ok(())
    }

    /// The flows of the undecided initiating events of a channel, the latest if there are more than may be followed.
    fn begun(&mut self, moment: &Moment, channel: ChannelId) -> Result<Vec<Uuid>, FollowError> {
        let Some((subscription, decided)) = moment.followed(channel) else { return Ok(Vec::new()) };
        let mut reader = Reader::new(self.domain().clone(), channel, decided.cursor());
        let (mut begun, mut end) = (VecDeque::new(), decided.cursor());
        while let Some(item) = reader.take()?.filter(|item| item.position < moment.position) {
            end = item.offset + 1;
            if decided.contains(item.offset) {
                continue;
            }
            match Record::parse(&item.record).ok().filter(|record| record.stamp.cause.is_none()) {
                Some(record) => begun.push_back((item.offset, record.stamp.flow)),
                None => self.skipped.push((subscription, item.offset)),
            }
            while begun.front().is_some_and(|(offset, _)| offset + AHEAD_MAX < end) {
                self.skipped.extend(begun.pop_front().map(|(offset, _)| (subscription, offset)));
            }
        }
        self.channels.get_mut(&channel).into_iter().for_each(|followed| followed.end = end);
        Ok(begun.into_iter().map(|(_, flow)| flow).collect())
    }

    fn take_up(&mut self, moment: &Moment, flows: &[Uuid]) -> Result<(), FollowError> {
        let shared = self.flows.0.clone();
        let mut rest = flows;
        while !rest.is_empty() {
            let traces = trace(&shared.domain, moment, rest, &shared.types)?;
            rest = rest.get(traces.len()..).unwrap_or_default();
            for (flow, trace) in traces {
                let told = self.is_overdue_told(flow);
                let Some(watched) = self.watched_from(trace, told) else { continue };
                self.watch(flow, watched);
                self.touched.insert(flow);
            }
        }
        Ok(())
    }

    fn watched_from(&self, trace: Trace, overdue_told: bool) -> Option<Watched> {
        let rule = &self.channels.get(&trace.origin.as_ref()?.channel)?.rule;
        let ended = rule.ends.iter().any(|end| trace.types.contains(end));
        let has_more = trace.left_count > trace.left.len() as u64;
        let mut left: Vec<_> = trace.left.iter().map(|left| (left.channel, left.offset)).collect();
        left.dedup();
        let Trace { latest_ms, events, origin, runs, .. } = trace;
        Some(Watched {
            latest_ms,
            events,
            ended,
            left,
            has_more,
            runs,
            ..Watched::new(origin?, overdue_told)
        })
    }

    fn is_overdue_told(&self, flow: Uuid) -> bool {
        self.domain().look(|world| {
            let follower = world.processors().get(self.processor as usize);
            follower.is_some_and(|follower| follower.state.get(&flow.to_string(), OVERDUE, 0).is_some())
        })
    }

    /// What is to be told at a moment up to which everything was read.
    fn judge(&mut self, moment: &Moment) -> Result<Vec<Told>, FollowError> {
        let touched = std::mem::take(&mut self.touched);
        let unsure: Vec<Uuid> = touched.iter().copied().filter(|flow| self.shrink(moment, *flow)).collect();
        self.take_up(moment, &unsure)?;
        self.touched.clear();
        let mut told = Vec::new();
        for flow in touched {
            if self.status(moment, flow) == Some(FlowStatus::Done) {
                told.extend(self.told(moment, flow, Verdict::Done));
            }
        }
        while self.is_due(moment.now_ms) {
            let Some(Reverse((_, flow))) = self.deadlines.pop() else { break };
            if self.status(moment, flow) != Some(FlowStatus::Done) {
                told.extend(self.told(moment, flow, Verdict::Overdue));
            }
        }
        let done: HashSet<Uuid> = told.iter().map(|one: &Told| one.flow).collect();
        told.extend(self.beyond(moment).into_iter().filter(|one| !done.contains(&one.flow)));
        Ok(told)
    }

    /// What is watched of a flow shrinks to what is left. Says whether it has to be looked at anew, because more may be left.
    fn shrink(&mut self, moment: &Moment, flow: Uuid) -> bool {
        let Some(watched) = self.watched.get_mut(&flow) else { return false };
        watched.left.retain(|(channel, offset)| moment.left(*channel, *offset).next().is_some());
        watched.left.is_empty() && watched.has_more
    }

    fn status(&self, moment: &Moment, flow: Uuid) -> Option<FlowStatus> {
        let watched = self.watched.get(&flow)?;
        let rule = &self.channels.get(&watched.origin.channel)?.rule;
        let facts = Facts {
            left: !watched.left.is_empty() || watched.has_more || moment.is_running(&watched.runs),
            held: false,
            ended: watched.ended,
            started_ms: watched.origin.time_ms,
            now_ms: moment.now_ms,
        };
        Some(standing(Some(rule), facts).status)
    }

    fn told(&self, moment: &Moment, flow: Uuid, verdict: Verdict) -> Option<Told> {
        let watched = self.watched.get(&flow)?;
        let followed = self.channels.get(&watched.origin.channel)?;
        let left = watched.left.iter().flat_map(|&(channel, offset)| {
            moment.left(channel, offset).map(move |subscription| Left { subscription, channel, offset })
        });
        let left: Vec<Left> = left.take(WATCHED_MAX).collect();
        Some(Told {
            verdict,
            flow,
            subscription: followed.subscription,
            offset: watched.origin.offset,
            tell: followed.rule.tell,
            overdue_told: watched.overdue_told,
            channel: followed.name.clone(),
            id: watched.origin.id.clone(),
            source: watched.origin.source.clone(),
            subject: watched.origin.subject.clone(),
            started_ms: watched.origin.time_ms,
            latest_ms: watched.latest_ms,
            now_ms: moment.now_ms,
            events: watched.events,
            held: left.iter().any(|left| moment.is_stuck(left.subscription, left.offset)),
            waits_for: self.flows.0.waits_for(moment, &left, &|_, _| false),
        })
    }

    /// The oldest flows of channels that have more than may be followed.
    fn beyond(&self, moment: &Moment) -> Vec<Told> {
        let mut told = Vec::new();
        for (channel, followed) in &self.channels {
            let cursor = moment.followed(*channel).map_or(followed.end, |(_, decided)| decided.cursor());
            if cursor + AHEAD_MAX >= followed.end {
                continue;
            }
            let old =
                |origin: &Origin| origin.channel == *channel && origin.offset + AHEAD_MAX < followed.end;
            let old = self.watched.iter().filter(|(_, watched)| old(&watched.origin));
            told.extend(old.filter_map(|(flow, _)| self.told(moment, *flow, Verdict::Unfollowed)));
        }
        told
    }

    /// Decides what no flow is followed from.
    fn skip(&mut self) -> Result<(), FollowError> {
        for part in std::mem::take(&mut self.skipped).chunks(SKIPPED_AT_ONCE) {
            let mut draft = Draft::default();
            part.iter().for_each(|(subscription, offset)| draft.decided(*subscription, *offset, Uuid::nil()));
            self.domain().commit_as_host(draft)?;
        }
        Ok(())
    }

    /// Records what is told, and forgets what is over.
    fn tell(&mut self, told: &[Told]) -> Result<(), FollowError> {
        for part in told.chunks(TOLD_AT_ONCE) {
            let mut draft = Draft::default();
            part.iter().for_each(|one| one.draft(&mut draft, self.processor, self.told));
            if !draft.is_empty() {
                self.domain().commit_as_host(draft)?;
            }
            for one in part {
                match one.verdict {
                    Verdict::Overdue => {
                        self.watched
                            .get_mut(&one.flow)
                            .into_iter()
                            .for_each(|watched| watched.overdue_told = true);
                    }
                    Verdict::Done | Verdict::Unfollowed => drop(self.watched.remove(&one.flow)),
                }
            }
        }
        Ok(())
    }
}

/// Whether a change that names no flow may decide events of any.
fn decides_unnamed(change: &Change<'_>) -> bool {
    !matches!(change, Change::StateSet { .. } | Change::StateDelete { .. } | Change::Control(_))
}

/// Whether a change makes somebody read something else than before.
fn changes_readers(change: &Change<'_>) -> bool {
    let Change::Control(control) = change else { return false };
    !matches!(
        **control,
        Control::ChannelCreated { .. }
            | Control::ProcessorNamed { .. }
            | Control::Switched { .. }
            | Control::Held { .. }
            | Control::Died { .. }
            | Control::Redriven { .. }
            | Control::Discarded { .. }
            | Control::Released { .. }
            | Control::Paused { .. }
            | Control::Resumed { .. }
            | Control::Scaled { .. }
            | Control::Approved { .. }
    )
}
