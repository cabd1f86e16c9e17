//! Keeps house: sweeps expired state, lets events expire, and writes views behind: a thread that takes what changed now and then, waits until the journal has it durable, and
//! stores it. It lags; it never leads, because a view must not know what a crash could take back.

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::journal::{Position, Room};
use crate::model::ledger::LedgerAlarm;
use crate::view::ledger::audit;
use crate::view::state::ProcessorState;
use crate::view::store::Store;
use crate::view::world::Rows;

use super::Domain;

/// How often views are written behind.
const INTERVAL: Duration = Duration::from_millis(250);
/// After so many rounds the books of all subscriptions are held against what is there: ten seconds.
const AUDIT_ROUNDS: u32 = 40;
/// After so many rounds what is due expires: a minute.
const TRIM_ROUNDS: u32 = 240;

/// The thread that writes views behind.
pub struct Keeper {
    stop: Arc<Stop>,
    room: Room,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Stop {
    asked: Mutex<bool>,
    changed: Condvar,
}

impl Keeper {
    pub(super) fn start(domain: Domain) -> Self {
        let stop = Arc::new(Stop::default());
        let (asked, room) = (stop.clone(), domain.journal().room().clone());
        let run = move || run(&domain, &asked);
        let thread = std::thread::Builder::new().name("baton-keeper".to_owned()).spawn(run);
        if let Err(error) = &thread {
            tracing::error!(%error, "views are not written behind: the thread did not start");
        }
        Self { stop, room, thread: thread.ok() }
    }

    /// Writes once more and ends. The journal must still be open. Waits for no room on a full disk, nor does anybody else from then on.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.room.end();
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

fn run(domain: &Domain, stop: &Stop) {
    let mut trouble = None;
    for round in 1.. {
        let last = stop.wait();
        // What is left of a full disk is for control.
        let is_short = domain.journal().room().is_short();
        if !is_short && let Err(error) = domain.sweep_expired() {
            tracing::warn!(%error, "expired state was not swept");
        }
        let written = domain.0.behind.lock().write(domain).err();
        if let Some(why) = written.as_ref().filter(|_| written != trouble) {
            tracing::error!(
                why,
                "views are not written behind; it is tried again, and nothing is lost: the journal has it all"
            );
        }
        trouble = written;
        if last || domain.durable().check().is_err() {
            // Nobody else may hold the file when the next host opens it.
            domain.0.behind.lock().store = None;
            return;
        }
        if round % AUDIT_ROUNDS == 0 {
            domain.look(audit).iter().for_each(tell);
        }
        if round % TRIM_ROUNDS == 0
            && let Err(error) = domain.trim_by_itself()
        {
            tracing::error!(%error, "what is due to expire stays; it is tried again");
        }
    }
}

fn tell(alarm: &LedgerAlarm) {
    let LedgerAlarm { processor, channel, difference } = alarm;
    tracing::error!(
        processor,
        channel,
        difference,
        "the book of a subscription does not balance: this is a fault of Baton"
    );
}

/// What is written behind. Rows that could not be written come before any others.
pub(super) struct Behind {
    store: Option<Store>,
    pending: Option<(Rows, Position)>,
    written: Option<Position>,
}

impl Behind {
    pub(super) fn new(store: Option<Store>) -> Self {
        Self { store, pending: None, written: None }
    }

    /// Copies what was written last into a new file. Says which position it reflects.
    pub(super) fn copy_to(&self, path: &Path) -> Result<Position, String> {
        let (store, written) = self.store.as_ref().zip(self.written).ok_or("the views are closed")?;
        store.copy_to(path).map_err(|error| error.to_string())?;
        Ok(written)
    }

    pub(super) fn write(&mut self, domain: &Domain) -> Result<(), String> {
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
