//! Flows as a whole: which are not done, how each stands under the rules of `baton.toml`, and the host's own follower that tells `done`
//! and `overdue`. Everything is computed when it is asked, from positions and the flow index; nothing here is on the way of an event.
//!
//! `moment` is who had decided what at one time, `trace` what the frames say of flows, `standing` the decision; `list` and `show`
//! answer, `follower` tells.

mod find;
mod follower;
mod list;
mod moment;
mod runs;
mod standing;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests;
mod thread;
mod told;
mod trace;
mod why;

use std::sync::Arc;

use hashbrown::{HashMap, HashSet};
use parking_lot::Mutex;
use uuid::Uuid;

use crate::channel::{Domain, ReadError};
use crate::model::change::{ChannelId, SubscriptionId};
use crate::model::flow::{FlowRule, FlowRules};
use crate::model::report::{FlowReport, FlowStatus};
use crate::model::time::rfc3339;

use moment::Moment;
use runs::{InProgress, Mediators};
use standing::{Facts, Standing, standing};
use trace::{Origin, Trace, trace};

pub use find::{EventAsk, FindError};
pub use follower::{FollowError, Follower};
pub use list::{After, Wanted};
pub use thread::Following;
pub use why::{Lanes, WhyError};

/// The name under which the host follows flows: it has subscriptions, and is no processor that anybody deploys.
pub const FOLLOWER: &str = "baton.flows";

/// Says of a subscription's offset whether it waits behind a held event: the lanes know.
pub type Waits<'a> = &'a dyn Fn(SubscriptionId, u64) -> bool;

/// Answers questions about flows. A cheap handle.
#[derive(Clone)]
pub struct Flows(Arc<Shared>);

struct Shared {
    domain: Domain,
    rules: FlowRules,
    /// All types that end flows.
    types: HashSet<String>,
    names: Mutex<HashMap<ChannelId, Arc<str>>>,
    /// Held while a list is made: one at a time, because each may look at a million events.
    listing: Mutex<()>,
}

impl Flows {
    /// For the flows of a domain, under these rules.
    pub fn new(domain: &Domain, rules: FlowRules) -> Self {
        let types = rules.values().flat_map(|rule| rule.ends.iter().cloned()).collect();
        let (names, listing) = (Mutex::default(), Mutex::default());
        Self(Arc::new(Shared { domain: domain.clone(), rules, types, names, listing }))
    }

    /// Completes the report of a flow by what its channel's rule says.
    pub fn complete(&self, flow: Uuid, report: &mut FlowReport) -> Result<(), ReadError> {
        let shared = &self.0;
        if shared.rules.is_empty() && shared.domain.look(|world| Mediators::of(world).is_empty()) {
            return Ok(());
        }
        let moment = Moment::now(&shared.domain);
        moment.wait_durable(&shared.domain)?;
        let traces = trace(&shared.domain, &moment, &[flow], &shared.types)?;
        let Some((_, trace)) = traces.into_iter().next() else { return Ok(()) };
        let trace = Trace { held: report.status == FlowStatus::Stuck, ..trace };
        let left = report.status != FlowStatus::Done;
        let stands = shared.standing(&moment, &Trace { left_count: left.into(), ..trace });
        report.status = stands.status;
        report.overdue = stands.overdue;
        report.deadline = stands.deadline_ms.map(rfc3339);
        report.reason = stands.reason;
        Ok(())
    }
}

impl Shared {
    /// A channel keeps its name: it is asked for once.
    fn channel_name(&self, channel: ChannelId) -> Arc<str> {
        let mut names = self.names.lock();
        let name = names.entry(channel).or_insert_with(|| {
            self.domain.look(|world| {
                world
                    .channels()
                    .get(channel as usize)
                    .map_or_else(Arc::default, |one| one.name.as_str().into())
            })
        });
        name.clone()
    }

    fn rule(&self, moment: &Moment, origin: &Origin) -> Option<&FlowRule> {
        let rule = self.rules.get(&*self.channel_name(origin.channel))?;
        moment.is_ruled(origin.channel, origin.offset).then_some(rule)
    }

    fn standing(&self, moment: &Moment, trace: &Trace) -> Standing {
        let rule = trace.origin.as_ref().and_then(|origin| self.rule(moment, origin));
        let in_progress = |run: &String| moment.mediators.in_progress(run, moment.now_ms);
        let mut runs: Vec<InProgress> = trace.runs.iter().filter_map(in_progress).collect();
        runs.sort_by_key(|run| !run.faulted);
        let facts = Facts {
            left: trace.left_count > 0 || !runs.is_empty(),
            held: trace.held || runs.first().is_some_and(|run| run.faulted),
            ended: rule.is_some_and(|rule| rule.ends.iter().any(|end| trace.types.contains(end))),
            started_ms: trace.origin.as_ref().map_or(trace.latest_ms, |origin| origin.time_ms),
            now_ms: moment.now_ms,
        };
        let standing = standing(rule, facts);
        let reason = runs.into_iter().next().map(|run| run.reason);
        Standing { reason: reason.or(standing.reason), ..standing }
    }
}
