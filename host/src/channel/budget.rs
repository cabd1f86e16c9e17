//! Notices a flow that explodes, at a fixed cost and without an entry per flow: events are counted in a table of
//! counters that flows share. A counter can only be too high, so a full one asks for an exact count; it never
//! stops a flow by itself.

use std::sync::atomic::{AtomicU32, Ordering};

use uuid::Uuid;

const COUNTERS: usize = 1 << 16;

/// Counts the events of flows, roughly and never too low since the host started.
pub struct FlowBudget {
    counters: Box<[AtomicU32]>,
    events_max: u64,
}

impl FlowBudget {
    /// A budget of so many events for each flow.
    pub fn new(events_max: u64) -> Self {
        Self { counters: (0..COUNTERS).map(|_| AtomicU32::new(0)).collect(), events_max }
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

    /// Whether `more` events could pass the budget; then `exact` counts, and its answer is kept.
    pub fn is_spent<E>(
        &self,
        flow: Uuid,
        more: u64,
        exact: impl FnOnce() -> Result<u64, E>,
    ) -> Result<bool, E> {
        let Some(counter) = self.counter(flow) else { return Ok(false) };
        if u64::from(counter.load(Ordering::Relaxed)) + more <= self.events_max {
            return Ok(false);
        }
        let count = exact()?;
        counter.store(u32::try_from(count).unwrap_or(u32::MAX), Ordering::Relaxed);
        Ok(count + more > self.events_max)
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
        assert!(!budget.is_spent(flow, 3, || Err("not asked")).unwrap());
        for _ in 0..5 {
            budget.count(flow);
        }
        assert!(!budget.is_spent(flow, 1, || Ok::<_, ()>(2)).unwrap());
        assert!(budget.is_spent(flow, 2, || Ok::<_, ()>(2)).unwrap());
    }
}
