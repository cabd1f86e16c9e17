//! How far the journal is durable, as a handle that anyone may keep. Only the writer moves it; it never goes back,
//! and once the journal has ended it never moves again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Condvar, Mutex};
use tokio::sync::watch;

use super::{Error, Position};

/// A handle on the durable position: everything before it survives a crash.
///
/// Waiters are all woken at each commit, and each looks for itself: what is queued while one commit runs
/// joins the next, so a waiter is woken for nothing at most once.
#[derive(Clone, Debug)]
pub struct Durable {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    position: AtomicU64,
    ended: Mutex<Option<Ended>>,
    moved_blocking: Condvar,
    moved: watch::Sender<()>,
}

/// Why a durable position will not move any more.
#[derive(Clone, Debug)]
pub(super) enum Ended {
    Closed,
    NoRoom(String),
    Failed(String),
}

impl Ended {
    pub(super) fn error(&self) -> Error {
        match self {
            Ended::Closed => Error::Closed,
            Ended::NoRoom(why) => Error::NoRoom { why: why.clone() },
            Ended::Failed(why) => Error::Failed { why: why.clone() },
        }
    }
}

impl Durable {
    /// Everything before this position is durable.
    pub fn current(&self) -> Position {
        Position(self.shared.position.load(Ordering::Acquire))
    }

    /// Waits until everything before `position` is durable, or says why it never will be.
    pub async fn wait(&self, position: Position) -> Result<(), Error> {
        let mut moved = self.shared.moved.subscribe();
        loop {
            if let Some(answer) = self.look(position, self.shared.ended.lock().as_ref()) {
                return answer;
            }
            if moved.changed().await.is_err() {
                return Err(Error::Closed);
            }
        }
    }

    /// As [`Durable::wait`], for a plain thread.
    pub fn wait_blocking(&self, position: Position) -> Result<(), Error> {
        let mut ended = self.shared.ended.lock();
        loop {
            if let Some(answer) = self.look(position, ended.as_ref()) {
                return answer;
            }
            self.shared.moved_blocking.wait(&mut ended);
        }
    }

    /// Refuses once the journal was closed or has failed.
    pub fn check(&self) -> Result<(), Error> {
        match self.shared.ended.lock().as_ref() {
            Some(ended) => Err(ended.error()),
            None => Ok(()),
        }
    }

    pub(super) fn new(position: Position) -> Self {
        let shared = Shared {
            position: AtomicU64::new(position.0),
            ended: Mutex::new(None),
            moved_blocking: Condvar::new(),
            moved: watch::Sender::new(()),
        };
        Self { shared: Arc::new(shared) }
    }

    pub(super) fn publish(&self, position: Position) {
        let ended = self.shared.ended.lock();
        if ended.is_none() {
            self.shared.position.store(position.0, Ordering::Release);
        }
        self.wake(ended);
    }

    /// The first end stays: a close after a failure is still a failure.
    pub(super) fn end(&self, why: Ended) {
        let mut ended = self.shared.ended.lock();
        ended.get_or_insert(why);
        self.wake(ended);
    }

    fn wake(&self, ended: parking_lot::MutexGuard<'_, Option<Ended>>) {
        drop(ended);
        self.shared.moved_blocking.notify_all();
        self.shared.moved.send_replace(());
    }

    fn look(&self, position: Position, ended: Option<&Ended>) -> Option<Result<(), Error>> {
        if self.current() >= position {
            return Some(Ok(()));
        }
        ended.map(|ended| Err(ended.error()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_blocking_wait_ends_with_the_commit() {
        let durable = Durable::new(Position(0));
        let waiter = std::thread::spawn({
            let durable = durable.clone();
            move || durable.wait_blocking(Position(3))
        });
        durable.publish(Position(2));
        durable.publish(Position(3));
        waiter.join().unwrap().unwrap();
    }

    #[tokio::test]
    async fn an_async_wait_ends_with_the_commit_or_the_failure() {
        let durable = Durable::new(Position(0));
        let both = tokio::join!(durable.wait(Position(1)), durable.wait(Position(2)), async {
            durable.publish(Position(1));
            tokio::task::yield_now().await;
            durable.end(Ended::Failed("the disk is gone".into()));
        });
        both.0.unwrap();
        assert_eq!(both.1.unwrap_err().code(), "journal-failed");
    }

    #[test]
    fn nothing_becomes_durable_after_the_end() {
        let durable = Durable::new(Position(5));
        durable.end(Ended::Failed("torn".into()));
        durable.end(Ended::Closed);
        durable.publish(Position(9));
        assert_eq!(durable.current(), Position(5));
        assert_eq!(durable.check().unwrap_err().code(), "journal-failed");
        durable.wait_blocking(Position(5)).unwrap();
        assert!(durable.wait_blocking(Position(6)).is_err());
    }
}
