//! The thread that the follower runs on. It looks now and then whether there is something new; nobody ever waits for it.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::Follower;

/// How often it looks.
const INTERVAL: Duration = Duration::from_millis(20);
/// How long it stays away after an error.
const PAUSE: Duration = Duration::from_secs(1);

/// A follower at work.
pub struct Following {
    stop: Arc<Stop>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Stop {
    asked: Mutex<bool>,
    changed: Condvar,
}

impl Following {
    /// Starts the thread.
    pub fn start(follower: Follower) -> std::io::Result<Self> {
        let stop = Arc::new(Stop::default());
        let asked = stop.clone();
        let thread = std::thread::Builder::new().name("baton-follower".to_owned());
        let thread = thread.spawn(move || run(follower, &asked))?;
        Ok(Self { stop, thread: Some(thread) })
    }

    /// Ends it; what it has not told yet is told after the next start. The journal must still be open.
    pub fn stop(mut self) {
        *self.stop.asked.lock() = true;
        self.stop.changed.notify_all();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that follows flows panicked; the next start looks at them anew");
        }
    }
}

fn run(mut follower: Follower, stop: &Stop) {
    let mut pause = INTERVAL;
    while !stop.waits(pause) {
        pause = match follower.round() {
            Ok(()) => INTERVAL,
            Err(error) => {
                tracing::warn!(%error, "flows are not followed for a moment; it is tried again");
                PAUSE
            }
        };
    }
}

impl Stop {
    /// Waits for the next round. Says whether there is none.
    fn waits(&self, pause: Duration) -> bool {
        let mut asked = self.asked.lock();
        if !*asked {
            self.changed.wait_for(&mut asked, pause);
        }
        *asked
    }
}
