//! Reading a run as it goes on: all that is known of it whenever it changes, to its end. As with flows, one is looked at when something became
//! durable, now and then, and one at a time for all readers together.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior};

use crate::model::workflow::report::RunDetail;

use super::live::Ends;
use super::{Node, RunError};

/// How often a reader looks at its run, at most.
const PACE: Duration = Duration::from_millis(100);

/// A run that is read while it goes on.
pub struct RunFollower {
    node: Node,
    id: String,
    moved: Ends,
    pace: Interval,
    /// What was told last was made of this.
    kept: Option<Arc<[u8]>>,
    told: Option<RunDetail>,
    ready: Option<RunDetail>,
}

impl Node {
    /// Follows a run from how it is now on. Needs the asynchronous runtime.
    pub async fn follow_run(&self, id: &str) -> Result<RunFollower, RunError> {
        let moved = self.0.live.ends(&self.0.domain);
        let kept = self.run_as_kept(id);
        let ready = Some(self.run(id).await?);
        let mut pace = tokio::time::interval(PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(RunFollower { node: self.clone(), id: id.to_owned(), moved, pace, kept, told: None, ready })
    }
}

impl RunFollower {
    /// The run when it has changed, once that is durable; `None` behind its end.
    pub async fn next(&mut self) -> Result<Option<RunDetail>, RunError> {
        loop {
            if let Some(ready) = self.ready.take().filter(|ready| self.told.as_ref() != Some(ready)) {
                self.told = Some(ready.clone());
                return Ok(Some(ready));
            }
            if self.told.as_ref().is_some_and(|told| told.run.over) {
                return Ok(None);
            }
            self.moved.moved().await?;
            self.pace.tick().await;
            let kept = self.node.run_as_kept(&self.id);
            if kept.is_none() || kept != self.kept {
                let _turn = self.node.0.live.turn().await;
                self.ready = Some(self.node.run(&self.id).await?);
                self.kept = kept;
            }
        }
    }
}
