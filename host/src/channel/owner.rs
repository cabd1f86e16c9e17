//! The domain's owner: the one place where a frame gets its position. Whoever holds its lock checks, sequences and
//! folds a frame, and nothing else changes what the frames add up to.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::MutexGuard;

use crate::journal::{Frame, Journal, Position};
use crate::model::change::{Change, Changes, ChannelId, Control, Draft, ProcessorId, Skip};
use crate::model::name::ChannelName;
use crate::model::record::flow_of;
use crate::model::runs::Runs;
use crate::view::index::Notes;
use crate::view::world::{Subscription, World};

use super::flows::flow_in;
use super::reader::ReadError;
use super::waiting::Signal;
use super::{Domain, Inner};

/// What only the holder of the owner's lock may change.
pub(super) struct Owner {
    pub(super) world: World,
}

/// The owner while somebody holds its lock. It is given back first, and then the writer is woken if there is something for it: it may run
/// at once in the place of who wakes it, and then nobody waits for a lock meanwhile.
pub(super) struct Held<'a> {
    pub(super) owner: MutexGuard<'a, Owner>,
    pub(super) writer: WakesWriter<'a>,
}

impl Deref for Held<'_> {
    type Target = Owner;

    fn deref(&self) -> &Owner {
        &self.owner
    }
}

impl DerefMut for Held<'_> {
    fn deref_mut(&mut self) -> &mut Owner {
        &mut self.owner
    }
}

/// Wakes the journal's writer when it is dropped, if frames were queued.
pub(super) struct WakesWriter<'a> {
    journal: &'a dyn Journal,
    is_due: bool,
}

impl Drop for WakesWriter<'_> {
    fn drop(&mut self) {
        if self.is_due {
            self.journal.wake_writer();
        }
    }
}

/// A draft with everything that can be said of it before it has its place. It is made without the owner's lock.
#[derive(Default)]
pub(super) struct Drafted {
    pub(super) draft: Draft,
    notes: Notes,
}

/// Why a frame was not sequenced. Nothing of it happened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// A newer deployment of the processor, or its removal, came first.
    #[error("a newer deployment of the processor came first")]
    Fenced,
    /// An event in it is decided already.
    #[error("the event at offset {offset} of subscription {subscription} is decided already")]
    Decided {
        /// The subscription.
        subscription: u32,
        /// The event's offset.
        offset: u64,
    },
    /// The journal could not be read, and what was asked for stands on what it holds.
    #[error("{0}")]
    Unreadable(#[from] ReadError),
    /// The disk is full, and what is kept back of it for control is used up.
    #[error(
        "the disk is full, and so is what is kept back of it for control; free room on it and try again: {why}"
    )]
    NoRoom {
        /// The journal's refusal.
        why: String,
    },
    /// The journal takes nothing more.
    #[error("the journal takes nothing more: {0}")]
    Closed(String),
}

impl Refused {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreadable(error) => error.code(),
            Self::NoRoom { .. } => "disk-full",
            Self::Fenced | Self::Decided { .. } | Self::Closed(_) => "domain-closed",
        }
    }
}

/// Where a frame stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sequenced {
    /// The frame's position.
    pub position: u64,
    /// The next frame's: once this much is durable, so is the frame.
    pub end: u64,
}

impl Domain {
    /// Sequences what a lane of a processor made, if the lane's deployment is still the one that runs.
    pub fn commit(
        &self,
        processor: ProcessorId,
        generation: u64,
        draft: Draft,
    ) -> Result<Sequenced, Refused> {
        let drafted = self.0.drafted(draft);
        let mut owner = self.owner_with_room(drafted.draft.len())?;
        owner.check(processor, generation, &drafted.draft)?;
        let (sequenced, runs) = self.0.place(&mut owner, drafted)?;
        let woken = owner.readers_of(&runs);
        self.give_back(owner);
        self.wake(woken);
        Ok(sequenced)
    }

    /// Sequences what the host itself decides and tells.
    pub fn commit_as_host(&self, draft: Draft) -> Result<Sequenced, Refused> {
        let mut owner = self.owner_with_room(draft.len())?;
        owner.check_decisions(&draft)?;
        let (sequenced, runs) = self.0.sequence(&mut owner, draft)?;
        let woken = owner.readers_of(&runs);
        self.give_back(owner);
        self.wake(woken);
        Ok(sequenced)
    }

    /// Lanes that are faster than the disk wait here, without the lock, until so many bytes have room behind what waits; and all of
    /// them while the disk is full.
    fn owner_with_room(&self, bytes: usize) -> Result<Held<'_>, Refused> {
        let journal = &self.0.journal;
        loop {
            let durable = journal.durable().current();
            let owner = self.0.hold();
            let is_short = journal.room().is_short();
            if !is_short && self.0.has_room(bytes) {
                return Ok(owner);
            }
            drop(owner);
            if is_short {
                self.wait_for_room()?;
                continue;
            }
            let next = Position(durable.0 + 1);
            journal.durable().wait_blocking(next).map_err(|error| Refused::Closed(error.to_string()))?;
        }
    }
}

impl Domain {
    fn wait_for_room(&self) -> Result<(), Refused> {
        let journal = &self.0.journal;
        if journal.room().wait_blocking() {
            return Ok(());
        }
        let ended = journal.durable().check().err();
        Err(Refused::Closed(ended.map_or_else(|| "the host stops".to_owned(), |error| error.to_string())))
    }
}

impl Inner {
    /// Takes the owner's lock.
    pub(super) fn hold(&self) -> Held<'_> {
        let writer = WakesWriter { journal: self.journal.as_ref(), is_due: false };
        Held { owner: self.owner.lock(), writer }
    }

    /// Whether so many bytes may be queued behind what waits for the disk.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        let waits = self.journal.undurable_bytes();
        waits == 0 || waits + bytes as u64 <= self.limits.undurable_bytes_max
    }

    /// Takes from a draft what its frame will leave in the index, and counts its events against the budgets of their flows: a
    /// frame that is refused after all has counted too much, which an exact count puts right.
    pub(super) fn drafted(&self, draft: Draft) -> Drafted {
        let mut notes = Notes::for_events(draft.events() as usize);
        for change in draft.changes().map_while(Result::ok) {
            notes.fold(&change);
            if let Change::Event { record, .. } = change
                && let Some(flow) = flow_of(record)
            {
                self.budget.count(flow);
            }
        }
        Drafted { draft, notes }
    }

    /// [`Inner::place`] for a draft that was made under the lock: mostly control, for which room is kept back when the disk is full.
    pub(super) fn sequence(&self, owner: &mut Held<'_>, draft: Draft) -> Result<(Sequenced, Runs), Refused> {
        let refused = |error: crate::journal::Error| Refused::NoRoom { why: error.to_string() };
        self.journal.room().check_control().map_err(refused)?;
        self.place(owner, self.drafted(draft))
    }

    /// Gives a frame its position, folds it and makes it visible. `Refused` means that nothing happened.
    pub(super) fn place(&self, owner: &mut Held<'_>, drafted: Drafted) -> Result<(Sequenced, Runs), Refused> {
        let Drafted { mut draft, notes } = drafted;
        let width = draft.events().max(1);
        let plain = draft.plain_decisions();
        let mut runs = Runs::default();
        let body = Bytes::from(draft.finish(|channel| runs.next(channel, || owner.end_of(channel))));
        let position = self.journal.next().0;
        let time_ms = self.clock.now_ms();
        let frame = Frame { position: Position(position), width, time_ms, body };
        let appended =
            self.journal.queue(frame.clone()).map_err(|error| Refused::Closed(error.to_string()))?;
        owner.writer.is_due = true;
        if appended.starts_segment {
            self.index.start_block(position);
        }
        self.index.note(position, time_ms, &runs, &notes);
        match plain {
            Some(decisions) => owner.world.fold_plain(&runs, &decisions),
            None => Changes::new(&frame.body).map_while(Result::ok).for_each(|c| owner.world.fold(&c)),
        }
        self.notice(&frame);
        if !runs.is_empty() {
            let durable = self.journal.durable().current().0;
            self.tail.push(Arc::new(frame), &runs, durable);
        }
        let end = position + u64::from(width);
        self.tail.show(end);
        Ok((Sequenced { position, end }, runs))
    }

    /// Tells those who wait for something in a flow: mostly nobody does. Who begins to wait looks through the owner's lock at what
    /// is there.
    fn notice(&self, frame: &Frame) {
        if !self.waiting.is_waited() {
            return;
        }
        let position = frame.position.0;
        for change in Changes::new(&frame.body).map_while(Result::ok) {
            let Some(flow) = flow_in(&change) else { continue };
            match change {
                Change::Event { channel, .. } => self.waiting.notice(Signal::Event(channel), position, flow),
                Change::Reply { .. } => self.waiting.notice(Signal::Reply, position, flow),
                _ => {}
            }
            self.waiting.notice(Signal::Change, position, flow);
        }
    }
}

impl Owner {
    fn check(&self, processor: ProcessorId, generation: u64, draft: &Draft) -> Result<(), Refused> {
        let current = self.world.processors().get(processor as usize).filter(|p| p.deployed);
        let current = current.and_then(|p| p.deployment.as_ref()).map(|d| d.generation);
        if current != Some(generation) {
            return Err(Refused::Fenced);
        }
        self.check_decisions(draft)
    }

    fn check_decisions(&self, draft: &Draft) -> Result<(), Refused> {
        for &(subscription, offset) in draft.decisions() {
            let known = self.world.subscriptions().get(subscription as usize);
            let is_decided = |s: &Subscription| {
                s.decided.contains(offset) && !self.world.is_revived((subscription, offset))
            };
            if known.is_none_or(is_decided) {
                return Err(Refused::Decided { subscription, offset });
            }
        }
        draft.skips().iter().try_for_each(|skip| self.check_skip(*skip))
    }

    fn check_skip(&self, Skip { subscription, from, to }: Skip) -> Result<(), Refused> {
        match self.world.subscriptions().get(subscription as usize) {
            Some(known) if !known.decided.contains_any(from, to) => Ok(()),
            _ => Err(Refused::Decided { subscription, offset: from }),
        }
    }

    fn end_of(&self, channel: ChannelId) -> u64 {
        self.world.channels().get(channel as usize).map_or(0, |channel| channel.next)
    }

    pub(super) fn readers_of(&self, runs: &Runs) -> Vec<ProcessorId> {
        let channels = runs.iter().filter_map(|run| self.world.channels().get(run.channel as usize));
        let subscriptions = channels.flat_map(|channel| &channel.subscriptions);
        subscriptions.filter_map(|s| Some(self.world.subscriptions().get(*s as usize)?.processor)).collect()
    }

    /// The number of a channel; a new one gets a change in `draft`, unless it is among those `created` there.
    pub(super) fn channel(
        &self,
        name: &ChannelName,
        draft: &mut Draft,
        created: &mut Vec<ChannelName>,
    ) -> ChannelId {
        if let Some(id) = self.world.channel_id(name.as_str()) {
            return id;
        }
        let known = self.world.channels().len();
        if let Some(place) = created.iter().position(|other| other == name) {
            return (known + place) as ChannelId;
        }
        let channel = (known + created.len()) as ChannelId;
        created.push(name.clone());
        draft.control(&Control::ChannelCreated { channel, name: name.clone() });
        channel
    }
}
