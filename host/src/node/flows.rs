//! Questions about flows: one, those that are not done, and waiting until one is. Only what is durable is told.

use std::time::Duration;

use hashbrown::HashSet;
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use crate::channel::{Domain, Signal};
use crate::flows::{EventAsk, Flows, Wanted, WhyError};
use crate::journal::Position;
use crate::model::change::SubscriptionId;
use crate::model::flow::FlowPage;
use crate::model::name::ProcessorName;
use crate::model::report::{FlowReport, FlowStatus};
use crate::model::why::WhyReport;
use crate::view::flow::{FlowFrame, flow_report};

use super::answers::Waiting;
use super::{Node, ReadError};

/// The most frames that one flow report reads.
const FLOW_FRAMES_MAX: usize = 10_000;
/// How long a wait trusts that it would have heard of a change: a removal of a processor is no change of a flow, and may end it.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

impl Node {
    /// A flow: what it caused, who handled what, what is still to do.
    pub async fn flow(&self, flow: Uuid) -> Result<Option<FlowReport>, ReadError> {
        let waiting = self.waiting();
        let flows = self.0.flows.clone();
        let domain = self.0.domain.clone();
        blocking(move || report_flow(&domain, &flows, flow, &waiting)).await
    }

    /// A page of flows.
    pub async fn flows(&self, wanted: Wanted) -> Result<FlowPage, ReadError> {
        let waiting = behind_held(&self.waiting());
        let flows = self.0.flows.clone();
        blocking(move || {
            flows.list(&wanted, &|subscription, offset| waiting.contains(&(subscription, offset)))
        })
        .await
    }

    /// Why a processor did or did not get an event.
    pub async fn why(&self, event: EventAsk, processor: ProcessorName) -> Result<WhyReport, WhyError> {
        let node = self.clone();
        let failed = |error: tokio::task::JoinError| ReadError::Journal { why: error.to_string() };
        tokio::task::spawn_blocking(move || node.0.flows.why(&event, processor.as_str(), |id| node.lanes(id)))
            .await
            .map_err(failed)?
    }

    /// A flow once it is done or stuck, or as it is when the time is over.
    pub async fn settled_flow(&self, flow: Uuid, timeout: Duration) -> Result<Option<FlowReport>, ReadError> {
        let domain = &self.0.domain;
        let deadline = Instant::now() + timeout;
        loop {
            let mut change = domain.wait_in_flow(flow, Signal::Change);
            // What was sequenced before the wait began is in the report once it is durable; what comes later arrives.
            let end = domain.look(|_| domain.visible());
            let durable = timeout_at(deadline, domain.durable().wait(Position(end))).await;
            let Some(report) = self.flow(flow).await? else { return Ok(None) };
            if is_settled(&report) || durable.is_err() || Instant::now() >= deadline {
                return Ok(Some(report));
            }
            // Either way it looks again.
            let _ = timeout_at(deadline.min(Instant::now() + LOOK_AGAIN), change.arrival()).await;
        }
    }
}

/// Whether a flow goes on by itself no more.
pub fn is_settled(report: &FlowReport) -> bool {
    matches!(report.status, FlowStatus::Done | FlowStatus::Stuck)
}

fn behind_held(waiting: &Waiting) -> HashSet<(SubscriptionId, u64)> {
    waiting.iter().map(|(_, subscription, offset)| (*subscription, *offset)).collect()
}

async fn blocking<T: Send + 'static>(
    answer: impl FnOnce() -> Result<T, ReadError> + Send + 'static,
) -> Result<T, ReadError> {
    let answered = tokio::task::spawn_blocking(answer).await;
    answered.map_err(|error| ReadError::Journal { why: error.to_string() })?
}

fn report_flow(
    domain: &Domain,
    flows: &Flows,
    flow: Uuid,
    waiting: &Waiting,
) -> Result<Option<FlowReport>, ReadError> {
    let durable = domain.durable().current();
    let (mut frames, cut) = domain.flow_frames(flow, FLOW_FRAMES_MAX)?;
    frames.retain(|frame| frame.end() <= durable);
    let frames: Vec<_> = frames
        .iter()
        .map(|frame| FlowFrame { position: frame.position.0, time_ms: frame.time_ms, body: &frame.body })
        .collect();
    let waits = behind_held(waiting);
    let waits = |subscription, offset| waits.contains(&(subscription, offset));
    let report = domain.look(|world| flow_report(world, flow, &frames, cut, waits));
    let report = report.map_err(|error| ReadError::Journal { why: error.to_string() })?;
    // What the host decides for itself stands under no flow, and is none.
    let Some(mut report) = report.filter(|_| !flow.is_nil()) else { return Ok(None) };
    flows.complete(flow, &mut report)?;
    Ok(Some(report))
}
