//! Commands of mediators, as the lanes of a processor see them: which are taken back, and how one ends that is not carried out. It evaluates
//! nothing and knows no runs: a mediator's state says what it wants no more.

use std::sync::Arc;

use hashbrown::HashMap;
use parking_lot::Mutex;

use crate::channel::Domain;
use crate::mediator::{LEFT, Unwanted};
use crate::model::change::{Draft, Skip};
use crate::model::fault::Fault;
use crate::model::time::rfc3339;
use crate::model::workflow::command::Outcome;
use crate::model::workflow::post::{Marks, gave_up};
use crate::view::state::ProcessorState;

use super::effects::Cause;
use super::handling::{Fate, Handled, Handling};

/// What mediators want no more.
pub struct Commands {
    domain: Domain,
    /// The state of each mediator; it stays the same as long as the host runs.
    mediators: Mutex<HashMap<String, Arc<ProcessorState>>>,
}

impl Commands {
    /// Those of a domain.
    pub fn new(domain: &Domain) -> Self {
        Self { domain: domain.clone(), mediators: Mutex::default() }
    }

    /// Whether the mediator wants a command no more.
    pub fn is_taken_back(&self, marks: &Marks) -> bool {
        let Some(state) = self.state_of(&marks.mediator) else { return false };
        let left = state.get(&marks.run, LEFT, self.domain.now_ms());
        left.is_some_and(|left| Unwanted::read(&left.bytes).has(&marks.step, marks.attempt))
    }

    fn state_of(&self, mediator: &str) -> Option<Arc<ProcessorState>> {
        let mut mediators = self.mediators.lock();
        if let Some(state) = mediators.get(mediator) {
            return Some(state.clone());
        }
        let state = self.domain.look(|world| {
            let id = world.processor_id(mediator)?;
            Some(world.processors().get(id as usize)?.state.clone())
        })?;
        mediators.insert(mediator.to_owned(), state.clone());
        Some(state)
    }
}

impl Handling {
    /// Whether an event is a command that is wanted no more.
    pub(super) fn is_taken_back(&self, cause: &Cause<'_>) -> bool {
        cause.marks.as_ref().is_some_and(|marks| self.commands.is_taken_back(marks))
    }

    /// Ends a command that is wanted no more: no guest sees it.
    pub(super) fn take_back(&self, cause: &Cause<'_>, skips: &mut Vec<Skip>) -> Handled {
        let mut draft = Draft::default();
        skips.drain(..).for_each(|skip| draft.skipped(skip));
        self.end_command(&mut draft, cause, Outcome::TakenBack);
        self.sequence(draft).map_or_else(|ended| ended, |()| Handled::Committed(Vec::new()))
    }

    /// Ends a command with its last fault: that is the acknowledgement, and there is no dead letter.
    pub(super) fn give_up_command(&self, draft: &mut Draft, cause: &Cause<'_>, fault: &Fault) -> Fate {
        self.end_command(draft, cause, gave_up(fault.kind.as_str(), &fault.message));
        Fate::Told
    }

    fn end_command(&self, draft: &mut Draft, cause: &Cause<'_>, outcome: Outcome) {
        draft.decided(cause.subscription, cause.work.item.offset, cause.record.stamp.flow);
        let Some(marks) = &cause.marks else { return };
        let time = rfc3339(self.domain.now_ms());
        if let Err(refusal) = self.effects.acknowledge(draft, cause, marks, &time, outcome) {
            tracing::error!(run = marks.run, why = refusal.message, "a command was not acknowledged");
        }
    }
}
