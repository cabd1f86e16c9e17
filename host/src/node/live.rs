//! Where channels end, for those who follow them: one look at the views for all of them together, at most once per
//! pace, and none while nobody follows. It knows offsets, never events.

use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Semaphore, SemaphorePermit, watch};
use tokio::task::AbortHandle;
use tokio::time::MissedTickBehavior;

use crate::channel::Domain;
use crate::journal::Position;
use crate::model::change::ChannelId;

use super::ReadError;

/// How often one looks, at most: what is durable is told so much later at worst.
const PACE: Duration = Duration::from_millis(10);

/// What those who follow share, while there are any.
pub struct Live {
    watching: Mutex<Weak<Watching>>,
    turn: Semaphore,
}

impl Default for Live {
    fn default() -> Self {
        Self { watching: Mutex::default(), turn: Semaphore::new(1) }
    }
}

struct Watching {
    durable_ends: watch::Receiver<Vec<u64>>,
    task: AbortHandle,
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Live {
    /// Begins to follow. Needs the asynchronous runtime.
    pub fn ends(&self, domain: &Domain) -> Ends {
        let mut shared = self.watching.lock();
        let watching = shared.upgrade().unwrap_or_else(|| {
            let watching = Arc::new(watch_ends(domain.clone()));
            *shared = Arc::downgrade(&watching);
            watching
        });
        Ends { durable_ends: watching.durable_ends.clone(), _watching: watching }
    }

    /// Waits for the right to read for somebody who follows: all of them together take one thread's time at most, so that
    /// whoever publishes and handles has the others. `None` only if nobody may any more.
    pub async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        self.turn.acquire().await.ok()
    }
}

fn watch_ends(domain: Domain) -> Watching {
    let (tell, durable_ends) = watch::channel(Vec::new());
    let task = tokio::spawn(async move {
        let mut pace = tokio::time::interval(PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // It ends with the journal, or is ended with the last who follows.
        while tell_ends(&domain, &tell).await.is_ok() {
            pace.tick().await;
        }
    });
    Watching { durable_ends, task: task.abort_handle() }
}

/// Tells the ends once they are durable, then waits until something more is.
async fn tell_ends(domain: &Domain, tell: &watch::Sender<Vec<u64>>) -> Result<(), crate::journal::Error> {
    let (ends, visible) = domain.look(|world| {
        let ends: Vec<u64> = world.channels().iter().map(|channel| channel.next).collect();
        (ends, domain.visible())
    });
    domain.durable().wait(Position(visible)).await?;
    tell.send_replace(ends);
    domain.durable().wait(Position(visible + 1)).await
}

/// Where channels end, durably.
pub struct Ends {
    durable_ends: watch::Receiver<Vec<u64>>,
    _watching: Arc<Watching>,
}

impl Ends {
    /// The durable end of a channel, once it is past an offset.
    pub async fn past(&mut self, channel: ChannelId, offset: u64) -> Result<u64, ReadError> {
        let end = |ends: &Vec<u64>| ends.get(channel as usize).copied().unwrap_or(0);
        let ends = self.durable_ends.wait_for(|ends| end(ends) > offset).await;
        ends.map(|ends| end(&ends)).map_err(ended)
    }

    /// Waits until something more is durable than there was at the last look.
    pub async fn moved(&mut self) -> Result<(), ReadError> {
        self.durable_ends.changed().await.map_err(ended)
    }
}

fn ended(_: watch::error::RecvError) -> ReadError {
    ReadError::Journal { why: "it has ended, and nothing more comes".to_owned() }
}
