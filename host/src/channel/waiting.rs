//! Publishers who wait for the first event of their flow on a channel, or for a reply.

use std::sync::atomic::{AtomicUsize, Ordering};

use hashbrown::HashMap;
use parking_lot::Mutex;
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::model::change::ChannelId;

/// What somebody waits for in a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// An event on this channel.
    Event(ChannelId),
    /// A reply.
    Reply,
    /// Anything at all.
    Change,
}

struct Waiter {
    number: u64,
    signal: Signal,
    sender: oneshot::Sender<u64>,
}

/// Everybody who waits.
#[derive(Default)]
pub struct Waiting {
    flows: Mutex<HashMap<Uuid, Vec<Waiter>>>,
    count: AtomicUsize,
    numbers: AtomicUsize,
}

impl Waiting {
    /// Begins to wait. The number ends it again with [`Waiting::forget`].
    pub fn register(&self, flow: Uuid, signal: Signal) -> (u64, oneshot::Receiver<u64>) {
        let (sender, arrival) = oneshot::channel();
        let number = self.numbers.fetch_add(1, Ordering::Relaxed) as u64;
        let mut flows = self.flows.lock();
        flows.entry(flow).or_default().push(Waiter { number, signal, sender });
        self.count.fetch_add(1, Ordering::SeqCst);
        (number, arrival)
    }

    /// Ends a wait.
    pub fn forget(&self, flow: Uuid, number: u64) {
        self.remove(flow, |waiter| waiter.number == number);
    }

    /// Whether anybody waits for anything. Whoever begins to wait while a frame is folded finds what it holds by searching.
    pub fn is_waited(&self) -> bool {
        self.count.load(Ordering::SeqCst) != 0
    }

    /// Tells those who wait for this.
    pub fn notice(&self, signal: Signal, position: u64, flow: Uuid) {
        for waiter in self.remove(flow, |waiter| waiter.signal == signal) {
            // A waiter that timed out in this moment has dropped its end: nobody is left to tell.
            let _ = waiter.sender.send(position);
        }
    }

    fn remove(&self, flow: Uuid, which: impl Fn(&Waiter) -> bool) -> Vec<Waiter> {
        let mut flows = self.flows.lock();
        let Some(waiters) = flows.get_mut(&flow) else { return Vec::new() };
        let removed: Vec<_> = waiters.extract_if(.., |waiter| which(waiter)).collect();
        if waiters.is_empty() {
            flows.remove(&flow);
        }
        self.count.fetch_sub(removed.len(), Ordering::SeqCst);
        removed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_arrival_wakes_those_who_wait_for_it() {
        let waiting = Waiting::default();
        let flow = Uuid::from_u128(1);
        let (_, mut event) = waiting.register(flow, Signal::Event(3));
        let (number, mut reply) = waiting.register(flow, Signal::Reply);
        waiting.notice(Signal::Event(4), 9, flow);
        waiting.notice(Signal::Event(3), 10, flow);
        waiting.notice(Signal::Event(3), 11, flow);
        assert_eq!(event.try_recv(), Ok(10));
        assert!(waiting.is_waited());
        waiting.forget(flow, number);
        assert!(!waiting.is_waited());
        waiting.notice(Signal::Reply, 12, flow);
        assert!(reply.try_recv().is_err());
    }
}
