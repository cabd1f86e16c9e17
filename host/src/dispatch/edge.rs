//! Wakes processors that act outside of a sandbox, which wait for durable: they get an event when the journal has it, not when it is
//! sequenced. One thread for all of them, which wakes once per commit and is there only if there is such a processor.

use std::sync::{Arc, Weak};

use crate::journal::Durable;

use super::Shared;

/// Starts the thread. It ends with the journal or with the dispatcher.
pub fn watch(shared: &Arc<Shared>) -> std::io::Result<()> {
    let (durable, shared) = (shared.domain.durable().clone(), Arc::downgrade(shared));
    let thread = std::thread::Builder::new().name("baton-edge".to_owned());
    thread.spawn(move || run(&durable, &shared)).map(drop)
}

fn run(durable: &Durable, shared: &Weak<Shared>) {
    loop {
        let next = durable.current().plus(1);
        let Some(shared) = shared.upgrade() else { return };
        shared.wake_edge();
        drop(shared);
        if durable.wait_blocking(next).is_err() {
            return;
        }
    }
}
