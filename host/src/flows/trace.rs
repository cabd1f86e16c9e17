//! What the frames say of flows: where each began, how many events it has, what of it is left. Many flows are traced in one walk, which
//! reads each frame once.

use std::collections::BTreeSet;

use hashbrown::{HashMap, HashSet};
use uuid::Uuid;

use crate::channel::{Domain, ReadError, flow_in};
use crate::journal::Frame;
use crate::model::change::{Change, Changes, ChannelId, SubscriptionId};
use crate::model::record::Record;

use super::moment::Moment;

/// The most frames that one walk reads, unless one flow alone has more.
pub const WALK_FRAMES_MAX: usize = 200_000;
/// The most events of a flow whose readers are named.
pub const LEFT_SHOWN_MAX: usize = 16;

/// The most runs of a flow that are looked at.
const RUNS_MAX: usize = 1_000;

/// A flow up to a moment.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// The event that it began with.
    pub origin: Option<Origin>,
    /// How many events it has.
    pub events: u64,
    /// When the latest thing of it was recorded.
    pub latest_ms: u64,
    /// The types among those that were asked for that it has.
    pub types: Vec<String>,
    /// What is left of it to do, what is stuck first, at most [`LEFT_SHOWN_MAX`].
    pub left: Vec<Left>,
    /// How much is left of it to do.
    pub left_count: u64,
    /// Whether some of what is left is held, or a dead letter.
    pub held: bool,
    /// Its runs, at most [`RUNS_MAX`].
    pub runs: BTreeSet<String>,
}

/// An initiating event.
#[derive(Clone, Debug)]
pub struct Origin {
    /// Its channel.
    pub channel: ChannelId,
    /// Its place there.
    pub offset: u64,
    /// When it was recorded.
    pub time_ms: u64,
    /// Its id.
    pub id: String,
    /// Where it came from.
    pub source: String,
    /// What it is about.
    pub subject: Option<String>,
}

/// An event that somebody is still to decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// By whom.
    pub subscription: SubscriptionId,
    /// Where it is.
    pub channel: ChannelId,
    /// Its place there.
    pub offset: u64,
}

/// Traces flows up to a moment that is durable: the first of `flows`, as many as one walk may read. `types` are the event types to look for.
pub fn trace(
    domain: &Domain,
    moment: &Moment,
    flows: &[Uuid],
    types: &HashSet<String>,
) -> Result<Vec<(Uuid, Trace)>, ReadError> {
    let mut flows = flows;
    let mut frames = domain.frames_of(flows)?;
    while frames.len() > WALK_FRAMES_MAX && flows.len() > 1 {
        flows = flows.get(..flows.len() / 2).unwrap_or_default();
        frames = domain.frames_of(flows)?;
    }
    let traces = flows.iter().map(|flow| (*flow, Trace::default())).collect();
    let mut walk = Walk { moment, types, traces };
    domain.visit(&frames, moment.position, |frame| walk.frame(frame))?;
    let mut traces = walk.traces;
    Ok(flows.iter().filter_map(|flow| Some((*flow, traces.remove(flow)?))).collect())
}

struct Walk<'a> {
    moment: &'a Moment,
    types: &'a HashSet<String>,
    traces: HashMap<Uuid, Trace>,
}

impl Walk<'_> {
    fn frame(&mut self, frame: &Frame) {
        let mut next = frame.position.0;
        for change in Changes::new(&frame.body).map_while(Result::ok) {
            let position = next;
            next += u64::from(matches!(change, Change::Event { .. }));
            let Some(flow) = flow_in(&change) else { continue };
            let Some(trace) = self.traces.get_mut(&flow) else { continue };
            trace.latest_ms = trace.latest_ms.max(frame.time_ms);
            if let Change::Event { channel, offset, record } = change
                && let Ok(record) = Record::parse(record)
            {
                trace.event(self.moment, self.types, channel, offset, frame.time_ms, &record);
                let run = self.moment.mediators.run_of(channel, position, &record);
                trace.runs.extend(run.filter(|_| trace.runs.len() < RUNS_MAX));
            }
        }
    }
}

impl Trace {
    fn event(
        &mut self,
        moment: &Moment,
        types: &HashSet<String>,
        channel: ChannelId,
        offset: u64,
        time_ms: u64,
        record: &Record<'_>,
    ) {
        self.events += 1;
        let ty = record.parts.ty;
        if types.contains(ty) && !self.types.iter().any(|known| known == ty) {
            self.types.push(ty.to_owned());
        }
        if record.stamp.cause.is_none() && self.origin.is_none() {
            self.origin = Some(Origin::of(channel, offset, time_ms, record));
        }
        for subscription in moment.left(channel, offset) {
            self.left_count += 1;
            let left = Left { subscription, channel, offset };
            if moment.is_stuck(subscription, offset) {
                self.held = true;
                self.left.insert(0, left);
            } else {
                self.left.push(left);
            }
            self.left.truncate(LEFT_SHOWN_MAX);
        }
    }
}

impl Origin {
    /// An initiating event.
    pub fn of(channel: ChannelId, offset: u64, time_ms: u64, record: &Record<'_>) -> Self {
        Self {
            channel,
            offset,
            time_ms,
            id: record.parts.id.to_owned(),
            source: record.parts.source.to_owned(),
            subject: record.parts.subject.map(str::to_owned),
        }
    }
}
