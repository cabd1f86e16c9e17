//! Lets a disk stand still: whoever changes something waits. So what is queued behind one call is known exactly, and goes to the disk in
//! one group.

use parking_lot::{Condvar, Mutex};

use super::Simulated;

/// Where calls wait.
#[derive(Default)]
pub(super) struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    closed: bool,
    waiting: usize,
}

impl Gate {
    pub(super) fn pass(&self) {
        let mut state = self.state.lock();
        if !state.closed {
            return;
        }
        state.waiting += 1;
        self.changed.notify_all();
        while state.closed {
            self.changed.wait(&mut state);
        }
        state.waiting -= 1;
    }

    fn set(&self, closed: bool) {
        self.state.lock().closed = closed;
        self.changed.notify_all();
    }
}

impl Simulated {
    /// From now on every call that changes something waits.
    pub fn stand_still(&self) {
        self.gate.set(true);
    }

    /// Waits until a call waits.
    pub fn await_caller(&self) {
        let mut state = self.gate.state.lock();
        while state.closed && state.waiting == 0 {
            self.gate.changed.wait(&mut state);
        }
    }

    /// Lets all calls go on.
    pub fn go_on(&self) {
        self.gate.set(false);
    }
}
