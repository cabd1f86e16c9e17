//! What an operator does with events that failed: has them handled again, or gives them up for good. Frames are bounded, and each is all or
//! nothing: an event is a dead letter or to be handled again, never both and never neither.

use std::collections::BTreeSet;

use crate::model::change::{Control, Draft, ProcessorId};
use crate::model::operation::Operator;
use crate::view::failed::EventRef;
use crate::view::world::World;

use super::Domain;
use super::owner::Refused;

/// The most events of one frame.
const AT_ONCE_MAX: usize = 1_000;

/// Why events were neither redriven nor discarded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Upset {
    /// One of them is no dead letter: it was redriven or discarded before, or never was one.
    #[error(
        "{channel}@{offset} is no dead letter of {processor}: it was redriven or discarded meanwhile, or never was one; nothing was changed"
    )]
    Gone {
        /// The processor.
        processor: String,
        /// The channel of the event.
        channel: String,
        /// Its offset there.
        offset: u64,
    },
    /// The journal takes nothing more.
    #[error(transparent)]
    Refused(#[from] Refused),
}

impl Upset {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Gone { .. } => "no-dead-letter",
            Self::Refused(refused) => refused.code(),
        }
    }
}

impl Domain {
    /// Has dead letters handled again, each at the end of its key. Says whose they are: whoever runs those has to hear of it.
    pub fn redrive(&self, events: &[EventRef]) -> Result<BTreeSet<ProcessorId>, Upset> {
        let is_dead =
            |world: &World, event| world.dead().get(event).is_some_and(|dead| dead.redriven.is_none());
        let redriven = |world: &World, event: EventRef, at| {
            let flow = world.dead().get(event)?.flow;
            Some(Control::Redriven { subscription: event.0, offset: event.1, flow, at })
        };
        self.each_bounded(events, is_dead, redriven)
    }

    /// Gives events up for good: dead letters, and events that hold their keys until somebody looks. Says whose they are.
    pub fn discard(&self, events: &[EventRef], by: Operator) -> Result<BTreeSet<ProcessorId>, Upset> {
        let flow = |world: &World, event: EventRef| {
            let dead = world.dead().get(event).filter(|dead| dead.redriven.is_none()).map(|dead| dead.flow);
            let processor = world.subscriptions().get(event.0 as usize)?.processor;
            let held = world.processors().get(processor as usize)?.held.get(&event);
            dead.or_else(|| Some(held.filter(|held| held.again.is_none())?.flow))
        };
        let rests = |world: &World, event| flow(world, event).is_some();
        let discarded = |world: &World, event: EventRef, _| {
            let flow = flow(world, event)?;
            Some(Control::Discarded { subscription: event.0, offset: event.1, flow, by })
        };
        self.each_bounded(events, rests, discarded)
    }

    /// Has events that failed and are not given up tried again at once.
    pub fn release_events(&self, processor: ProcessorId, events: Vec<EventRef>) -> Result<(), Refused> {
        for part in events.chunks(AT_ONCE_MAX) {
            let mut owner = self.owner();
            let released = Control::Released { processor, events: Some(part.to_vec()) };
            self.0.sequence(&mut owner, Draft::of(&released))?;
        }
        Ok(())
    }

    /// One change for each event, in bounded frames; refuses before the first if one of the events is not as it has to be.
    fn each_bounded(
        &self,
        events: &[EventRef],
        fits: impl Fn(&World, EventRef) -> bool,
        change: impl Fn(&World, EventRef, u64) -> Option<Control>,
    ) -> Result<BTreeSet<ProcessorId>, Upset> {
        let refused = self
            .look(|world| events.iter().find(|event| !fits(world, **event)).map(|event| gone(world, *event)));
        refused.map_or(Ok(()), Err)?;
        let mut processors = BTreeSet::new();
        for part in events.chunks(AT_ONCE_MAX) {
            let mut owner = self.owner();
            // Under the lock nothing comes between: this is the frame's own place.
            let at = self.0.journal.next().0;
            let mut draft = Draft::default();
            for event in part {
                // Somebody else may have had it meanwhile.
                let Some(control) =
                    fits(&owner.world, *event).then(|| change(&owner.world, *event, at)).flatten()
                else {
                    continue;
                };
                draft.control(&control);
                processors.extend(owner.world.subscriptions().get(event.0 as usize).map(|s| s.processor));
            }
            if !draft.is_empty() {
                self.0.sequence(&mut owner, draft)?;
            }
        }
        Ok(processors)
    }
}

fn gone(world: &World, (id, offset): EventRef) -> Upset {
    let subscription = world.subscriptions().get(id as usize);
    let processor = subscription.and_then(|s| world.processors().get(s.processor as usize));
    let channel = subscription.and_then(|s| world.channels().get(s.channel as usize));
    let processor = processor.map(|processor| processor.name.to_string()).unwrap_or_default();
    Upset::Gone { processor, channel: channel.map(|c| c.name.to_string()).unwrap_or_default(), offset }
}
