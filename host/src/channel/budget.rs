//! Notices a flow that explodes, at a fixed cost and without an entry per flow: events are counted in a table of
//! counters that flows share. A counter can only be too high, so a full one asks for an exact count; it never
//! stops a flow by itself.

use std::sync::atomic::{AtomicU32, Ordering};

use hashbrown::HashSet;
use parking_lot::Mutex;
use uuid::Uuid;

const COUNTERS: usize = 1 << 16;
/// The most flows at their end that are remembered.
const SPENT_MAX: usize = 1024;

/// Counts the events of flows, roughly and never too low since the host started.
pub struct FlowBudget {
    counters: Box<[AtomicU32]>,
    events_max: u64,
    /// Flows that were counted and are at their end: a flow never gets smaller, so they are not counted again.
    spent: Mutex<HashSet<Uuid>>,
}

impl FlowBudget {
    /// A budget of so many events for each flow.
    pub fn new(events_max: u64) -> Self {
        let counters = (0..COUNTERS).map(|_| AtomicU32::new(0)).collect();
        Self { counters, events_max, spent: Mutex::default() }
    }

    fn counter(&self, flow: Uuid) -> Option<&AtomicU32> {
        let bytes = flow.as_bytes();
        self.counters.get(usize::from(u16::from_le_bytes([bytes[14], bytes[15]])))
    }

    /// Counts one event of a flow.
    pub fn count(&self, flow: Uuid) {
        if let Some(counter) = self.counter(flow) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether `more` events could pass the budget; then `exact` counts, up to the number that it is given, and its
    /// answer is kept.
    pub fn is_spent<E>(
        &self,
        flow: Uuid,
        more: u64,
        exact: impl FnOnce(u64) -> Result<u64, E>,
    ) -> Result<bool, E> {
        let Some(counter) = self.counter(flow) else { return Ok(false) };
        if u64::from(counter.load(Ordering::Relaxed)) + more <= self.events_max {
            return Ok(false);
        }
        if self.spent.lock().contains(&flow) {
            return Ok(true);
        }
        let count = exact(self.events_max)?;
        counter.store(u32::try_from(count).unwrap_or(u32::MAX), Ordering::Relaxed);
        if count >= self.events_max {
            self.remember(flow);
        }
        Ok(count + more > self.events_max)
    }

    fn remember(&self, flow: Uuid) {
        let mut spent = self.spent.lock();
        if spent.len() >= SPENT_MAX {
            spent.clear();
        }
        spent.insert(flow);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_an_exact_count_stops_a_flow() {
        let budget = FlowBudget::new(3);
        let flow = Uuid::from_u128(1);
        assert!(!budget.is_spent(flow, 3, |_| Err("not asked")).unwrap());
        for _ in 0..5 {
            budget.count(flow);
        }
        assert!(!budget.is_spent(flow, 1, |_| Ok::<_, ()>(2)).unwrap());
        assert!(budget.is_spent(flow, 2, |_| Ok::<_, ()>(2)).unwrap());
    }

    #[test]
    fn a_spent_flow_is_counted_once() {
        let budget = FlowBudget::new(3);
        let flow = Uuid::from_u128(1);
        (0..3).for_each(|_| budget.count(flow));
        assert!(budget.is_spent(flow, 1, Ok::<_, ()>).unwrap());
        assert!(budget.is_spent(flow, 1, |_| Err("counted again")).unwrap());
    }
}
