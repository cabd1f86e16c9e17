//! Reading a flow as it goes on: its events and handlings as they become durable, to its end. A flow is reported anew when
//! something became durable, now and then, and one flow at a time for all readers together: they cost one thread at most.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior};
use uuid::Uuid;

use crate::model::report::FlowNews;
use crate::view::flow_news::FlowTold;

use super::live::Ends;
use super::{Node, ReadError};

/// How often a reader looks at its flow, at most.
const PACE: Duration = Duration::from_millis(100);

/// A flow that is read while it goes on.
pub struct FlowFollower {
    node: Node,
    flow: Uuid,
    moved: Ends,
    pace: Interval,
    told: FlowTold,
    ready: VecDeque<FlowNews>,
    ended: bool,
}

impl Node {
    /// Follows a flow from its beginning; `None` if there is none. Needs the asynchronous runtime.
    pub async fn follow_flow(&self, flow: Uuid) -> Result<Option<FlowFollower>, ReadError> {
        let moved = self.0.live.ends(&self.0.domain);
        let Some(report) = self.flow(flow).await? else { return Ok(None) };
        let mut pace = tokio::time::interval(PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (told, ready) = (FlowTold::default(), VecDeque::new());
        let mut follower = FlowFollower { node: self.clone(), flow, moved, pace, told, ready, ended: false };
        follower.ready.extend(follower.told.news(&report));
        Ok(Some(follower))
    }
}

impl FlowFollower {
    /// What is new, as soon as it is durable; `None` behind the end.
    pub async fn next(&mut self) -> Result<Option<FlowNews>, ReadError> {
        loop {
            if let Some(news) = self.ready.pop_front() {
                self.ended = matches!(news, FlowNews::End(_));
                return Ok(Some(news));
            }
            if self.ended {
                return Ok(None);
            }
            self.moved.moved().await?;
            self.pace.tick().await;
            let _turn = self.node.0.live.turn().await;
            if let Some(report) = self.node.flow(self.flow).await? {
                self.ready.extend(self.told.news(&report));
            }
        }
    }
}
