//! What the index will note of a frame, taken from its changes before the frame has its place: hashes cost more than noting
//! them, and need nobody's lock.

use uuid::Uuid;

use crate::model::change::{Change, Changes};
use crate::model::record::Identity;

use super::hash;

/// The hashes of what a frame's changes name, in their order.
#[derive(Clone, Debug, Default)]
pub struct Notes {
    pub(super) flows: Vec<u64>,
    pub(super) ids: Vec<u64>,
}

impl Notes {
    /// Those of a whole body.
    pub fn of(body: &[u8]) -> Self {
        let mut notes = Self::default();
        Changes::new(body).map_while(Result::ok).for_each(|change| notes.fold(&change));
        notes
    }

    /// Room for so many events.
    pub fn for_events(count: usize) -> Self {
        Self { flows: Vec::with_capacity(count), ids: Vec::with_capacity(count) }
    }

    /// Adds those of one change.
    pub fn fold(&mut self, change: &Change<'_>) {
        match change {
            Change::Event { channel, record, .. } => {
                let Ok(identity) = Identity::of(record) else { return };
                self.flow(identity.flow);
                self.ids.push(hash::of_identity(*channel, identity.source, identity.id));
            }
            Change::Decided { flow, .. } | Change::Reply { flow, .. } => self.flow(*flow),
            Change::Control(control) => {
                control.flow().into_iter().for_each(|flow| self.flow(flow));
            }
            Change::StateSet { .. } | Change::StateDelete { .. } | Change::Skipped(_) => {}
        }
    }

    /// What a handling decides and what it emits mostly follow one another: one note serves both.
    fn flow(&mut self, flow: Uuid) {
        let hash = hash::of_flow(flow);
        if self.flows.last() != Some(&hash) {
            self.flows.push(hash);
        }
    }
}
