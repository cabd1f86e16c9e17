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

fn run(domain: &Domain, store: Option<Store>, stop: &Stop) {
    let mut behind = Behind { store, pending: None, written: None };
    loop {
        let last = stop.wait();
        if let Err(error) = domain.sweep_expired() {
            tracing::warn!(%error, "expired state was not swept");
        }
        if let Err(why) = behind.write(domain) {
            tracing::error!(why, "views were not written behind; it is tried again");
        }
        if last || domain.durable().check().is_err() {
            return;
        }
    }
}

/// What is written behind. Rows that could not be written come before any others.
struct Behind {
    store: Option<Store>,
    pending: Option<(Rows, Position)>,
    written: Option<Position>,
}

impl Behind {
    fn write(&mut self, domain: &Domain) -> Result<(), String> {
        let durable = domain.durable().current();
        if self.pending.is_none() && self.written != Some(domain.journal().next()) {
            self.pending = Some(take(domain)?);
        }
        if let Some((rows, position)) = &self.pending {
            if let Some(store) = &mut self.store {
                store.write(rows, position.0).map_err(|error| error.to_string())?;
            }
            self.written = Some(*position);
            self.pending = None;
        }
        domain.0.index.write_closed(durable.0).map_err(|error| error.to_string())
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

/// Takes what changed, and waits until it is durable.
///
/// Rows may be newer than the position that is written with them, never older, and all of them are durable: folding
/// the frames from that position on again ends at the same values.
fn take(domain: &Domain) -> Result<(Rows, Position), String> {
    let (mut rows, states, position) = rows(domain);
    for (processor, state) in (0..).zip(states) {
        rows.state.push((processor, state.take_dirty()));
    }
    let end = domain.journal().next();
    domain.durable().wait_blocking(end).map_err(|error| error.to_string())?;
    Ok((rows, position))
}

fn rows(domain: &Domain) -> (Rows, Vec<Arc<ProcessorState>>, Position) {
    let mut owner = domain.owner();
    let rows = owner.world.take_dirty();
    let states = owner.world.processors().iter().map(|processor| processor.state.clone()).collect();
    (rows, states, domain.0.journal.next())
}
