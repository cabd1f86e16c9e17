//! Keeps house: sweeps expired state, and writes views behind: a thread that takes what changed now and then, waits until the journal has it durable, and
//! stores it. It lags; it never leads, because a view must not know what a crash could take back.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::journal::Position;
use crate::view::state::ProcessorState;
use crate::view::store::Store;
use crate::view::world::Rows;

use super::Domain;

/// How often views are written behind.
const INTERVAL: Duration = Duration::from_millis(250);

/// The thread that writes views behind.
pub struct Keeper {
    stop: Arc<Stop>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Stop {
    asked: Mutex<bool>,
    changed: Condvar,
}

impl Keeper {
    pub(super) fn start(domain: Domain, store: Option<Store>) -> Self {
        let stop = Arc::new(Stop::default());
        let asked = stop.clone();
        let run = move || run(&domain, store, &asked);
        let thread = std::thread::Builder::new().name("baton-keeper".to_owned()).spawn(run);
        if let Err(error) = &thread {
            tracing::error!(%error, "views are not written behind: the thread did not start");
        }
        Self { stop, thread: thread.ok() }
    }

    /// Writes once more and ends. The journal must still be open.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        *self.stop.asked.lock() = true;
        self.stop.changed.notify_all();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that writes views panicked; they are folded again at the next start");
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.end();
    }
}

fn run(domain: &Domain, mut store: Option<Store>, stop: &Stop) {
    let mut written = None;
    loop {
        let last = stop.wait();
        if let Err(error) = domain.sweep_expired() {
            tracing::warn!(%error, "expired state was not swept");
        }
        if written != Some(domain.journal().next()) {
            match write(domain, store.as_mut()) {
                Ok(position) => written = Some(position),
                Err(why) => {
                    tracing::error!(
                        why,
                        "views are not written any more; they are folded again at the next start"
                    );
                    return;
                }
            }
        }
        if last {
            return;
        }
    }
}

impl Stop {
    /// Waits for the next round. Says whether it is the last.
    fn wait(&self) -> bool {
        let mut asked = self.asked.lock();
        if !*asked {
            self.changed.wait_for(&mut asked, INTERVAL);
        }
        *asked
    }
}

/// Writes what changed, and says up to which position.
///
/// Rows may be newer than the position that is written with them, never older, and all of them are durable: folding
/// the frames from that position on again ends at the same values.
fn write(domain: &Domain, store: Option<&mut Store>) -> Result<Position, String> {
    let (mut rows, states, position) = take(domain);
    for (processor, state) in (0..).zip(states) {
        rows.state.push((processor, state.take_dirty()));
    }
    let behind = domain.journal().next();
    domain.durable().wait_blocking(behind).map_err(|error| error.to_string())?;
    if let Some(store) = store {
        store.write(&rows, position.0).map_err(|error| error.to_string())?;
    }
    domain.0.index.write_closed(behind.0).map_err(|error| error.to_string())?;
    Ok(position)
}

fn take(domain: &Domain) -> (Rows, Vec<Arc<ProcessorState>>, Position) {
    let mut owner = domain.owner();
    let rows = owner.world.take_dirty();
    let states = owner.world.processors().iter().map(|processor| processor.state.clone()).collect();
    (rows, states, domain.0.journal.next())
}
