//! The channels of one domain: who may append, what is accepted, who reads from where. One owner sequences every
//! frame; everybody else holds a [`Domain`], which is a cheap handle. It runs no guest and knows no HTTP.
//!
//! A frame's way: [`Domain::publish`] (`known` ids) or [`Domain::commit`] -> `owner` (check, position, fold) -> journal -> durable.
//! A reader's way: `reader` -> `tail`, or else the index and the journal.

mod budget;
mod control;
mod dedupe;
mod expiry;
mod failed;
mod flows;
mod keeper;
mod open;
mod owner;
mod posting;
mod print;
mod publish;
mod reader;
mod sizes;
mod starts;
mod sweep;
mod tail;
mod trim;
#[cfg(test)]
mod trim_tests;
mod waiting;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hashbrown::HashMap;
use parking_lot::{Mutex, MutexGuard, RwLock};

use crate::clock::Clock;
use crate::journal::{Durable, Journal, Shortage};
use crate::model::change::{ChannelId, ProcessorId};
use crate::model::name::ChannelName;
use crate::view::index::Index;
use crate::view::world::World;

use budget::FlowBudget;
use dedupe::Dedupe;
use keeper::Behind;
use owner::{Held, Owner, WakesWriter};
use tail::Tail;
use trim::Upkeep;
use waiting::Waiting;

pub use control::{Deployable, HostSubscription, Reset};
pub use dedupe::Window;
pub use failed::Upset;
pub use flows::{FlowWait, flow_in};
pub use keeper::Keeper;
pub use open::{OpenError, Parts};
pub use owner::{Refused, Sequenced};
pub use publish::{Admitted, PublishError};
pub use reader::{Places, ReadError, Reader};
pub use tail::Item;
pub use trim::{Exclusive, Fate, TrimError, Trimmed};
pub use waiting::Signal;

/// Bounds of a domain.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How many handlings may lie between an initiating event and one that it caused.
    pub hops_max: u16,
    /// How many events one flow may have.
    pub flow_events_max: u64,
    /// How much may wait for the disk before publishers are sent away and lanes wait.
    pub undurable_bytes_max: u64,
    /// How many bytes of the latest frames stay in memory.
    pub tail_bytes_max: usize,
    /// How far back published ids are remembered.
    pub dedupe: Window,
}

/// Hears which processors have something new to read. Called after every frame: it must be quick and must not
/// call the domain.
pub trait Listener: Send + Sync {
    /// There are new events for this processor.
    fn events_for(&self, processor: ProcessorId);
}

/// A handle on the domain.
#[derive(Clone)]
pub struct Domain(Arc<Inner>);

struct Inner {
    /// The ids that were published. Publishers take it before the owner, and nobody takes it after.
    known: Mutex<Dedupe>,
    owner: Mutex<Owner>,
    /// The numbers of channels that were published on: a channel keeps its number.
    numbers: RwLock<HashMap<ChannelName, ChannelId>>,
    /// How many wait for the owner to look or to control.
    in_line: AtomicUsize,
    journal: Arc<dyn Journal>,
    index: Index,
    tail: Tail,
    budget: FlowBudget,
    waiting: Waiting,
    upkeep: Upkeep,
    behind: Mutex<Behind>,
    clock: Arc<dyn Clock>,
    /// When timers were looked after last.
    looked: Mutex<sweep::Looked>,
    limits: Limits,
    listener: RwLock<Option<Arc<dyn Listener>>>,
}

impl Domain {
    /// Names the one who hears of new events.
    pub fn listen(&self, listener: Arc<dyn Listener>) {
        *self.0.listener.write() = Some(listener);
    }

    /// Ends what [`Domain::listen`] began.
    pub fn end_listening(&self) {
        *self.0.listener.write() = None;
    }

    fn wake(&self, processors: Vec<ProcessorId>) {
        if processors.is_empty() {
            return;
        }
        if let Some(listener) = self.0.listener.read().as_ref() {
            processors.into_iter().for_each(|processor| listener.events_for(processor));
        }
    }

    /// What the frames so far add up to. Whoever looks holds up the domain: be brief.
    pub fn look<T>(&self, look: impl FnOnce(&World) -> T) -> T {
        look(&self.owner().world)
    }

    /// The owner, for those who look or control: publishers and lanes let them pass.
    fn owner(&self) -> Held<'_> {
        self.0.in_line.fetch_add(1, Ordering::SeqCst);
        let owner = self.0.hold();
        self.0.in_line.fetch_sub(1, Ordering::SeqCst);
        owner
    }

    /// Gives the owner back after a frame. A thread that takes the lock again at once would keep it for good; it is
    /// handed over if somebody is in line, and only then, because that costs a wake-up. The writer is woken when what this returns is dropped.
    fn give_back<'a>(&self, Held { owner, writer }: Held<'a>) -> WakesWriter<'a> {
        match self.0.in_line.load(Ordering::SeqCst) {
            0 => drop(owner),
            _ => MutexGuard::unlock_fair(owner),
        }
        writer
    }

    /// How far the journal is durable.
    pub fn durable(&self) -> &Durable {
        self.0.journal.durable()
    }

    /// Why it takes no events, if it takes none: the journal has ended, or the disk is full.
    pub fn closed(&self) -> Option<String> {
        let ended = self.durable().check().err().map(|error| error.to_string());
        ended.or_else(|| Some(closed_by(&self.journal().room().shortage()?)))
    }

    /// Everything below this position can be read, in every channel.
    pub fn visible(&self) -> u64 {
        self.0.tail.visible()
    }

    /// The journal underneath.
    pub fn journal(&self) -> &dyn Journal {
        self.0.journal.as_ref()
    }

    /// The time of day.
    pub fn now_ms(&self) -> u64 {
        self.0.clock.now_ms()
    }

    /// The clock that it asks.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.0.clock
    }

    /// The domain's bounds.
    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// How many published ids are remembered, and how far back they go in milliseconds.
    pub fn dedupe_extent(&self) -> (usize, u64) {
        let now_ms = self.now_ms();
        self.0.known.lock().extent(now_ms)
    }
}

fn closed_by(shortage: &Shortage) -> String {
    let Shortage { why, wanted_bytes, blocked } = shortage;
    let control = match blocked {
        true => "and what is kept back of it for control is used up: nothing is recorded",
        false => "control goes on by what is kept back of it",
    };
    let mib = wanted_bytes.div_ceil(1 << 20);
    format!("the disk is full, {control}; with {mib} MiB free on it the host goes on by itself ({why})")
}
