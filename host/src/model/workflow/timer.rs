//! Timers of runs: names in the state of a mediator that end when the timer is due. Whoever sweeps them says so in the inbox, in the same frame.

use serde::{Deserialize, Serialize};

use super::command::What;
use super::post::Message;
use super::task::TaskRef;

/// What the names of timers begin with.
pub const TIMER: &str = "timer ";

/// A timer of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Timer {
    /// Its number in the run.
    pub number: u64,
    /// The task that it is for; empty for the workflow.
    pub task: TaskRef,
    /// The run's flow.
    pub flow: String,
    /// When it was set, in milliseconds since the Unix epoch.
    pub set_ms: u64,
    /// How long after that it is due, in milliseconds.
    pub after_ms: u64,
    /// The channel of the event that had it set.
    pub channel: String,
    /// That event's number there.
    pub offset: u64,
}

impl Timer {
    /// Its name in the state.
    pub fn name(number: u64) -> String {
        format!("{TIMER}{number}")
    }

    /// When it is due; never 0, which would be never.
    pub fn due_ms(&self) -> u64 {
        self.set_ms.saturating_add(self.after_ms).max(1)
    }

    /// What its run is told.
    pub fn message(&self) -> Message {
        Message::Run(What::Due { timer: self.number })
    }

    /// Reads what was written.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}
