//! What one call takes of the host: how long the guest runs by itself, how long with what the host does for it, and how often it
//! asks. Times are counted in the engine's ticks, so that a host call costs two additions and no look at a clock; or, for a guest that asks the host
//! for nothing, and while an instance is made, in CPU time of its thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use wasmtime::{CallHook, UpdateDeadline};

use super::cpu::cpu_time;
use super::engine::{TICK, ticks};
use super::error::CallError;
use crate::model::bounds::Bounds;

/// The meters of one instance.
pub(super) struct Usage {
    bounds: Bounds,
    ticks: Arc<AtomicU64>,
    /// The tick in which the call began.
    began: u64,
    /// The tick in which it called the host last.
    left: u64,
    /// How many ticks host calls took.
    in_host: u64,
    host_calls: u64,
    /// The CPU time of its thread when the call began, if that is what counts.
    cpu: Option<Duration>,
}

impl Usage {
    pub fn new(bounds: Bounds, ticks: Arc<AtomicU64>) -> Self {
        let mut usage = Self { bounds, ticks, began: 0, left: 0, in_host: 0, host_calls: 0, cpu: None };
        usage.begin();
        usage
    }

    /// Counts CPU time as its own time, from now on, or that of the clock again. A call is one thread's where CPU time counts.
    pub fn count_cpu_time(&mut self, counts: bool) {
        self.cpu = counts.then(cpu_time);
    }

    /// Begins a call.
    pub fn begin(&mut self) {
        self.cpu = self.cpu.map(|_| cpu_time());
        (self.began, self.in_host, self.host_calls) = (self.now(), 0, 0);
    }

    /// How many ticks the guest has until somebody looks again.
    pub fn first_look(&self) -> u64 {
        ticks(self.bounds.event_time_ms_max.min(self.bounds.call_time_ms_max))
    }

    /// The guest goes to the host, or comes back.
    pub fn crosses(&mut self, hook: CallHook) -> Result<(), CallError> {
        match hook {
            CallHook::CallingHost => {
                self.left = self.now();
                self.host_calls += 1;
                let max = self.bounds.host_calls_max;
                if self.host_calls > max {
                    return Err(CallError::HostCalls { max });
                }
            }
            CallHook::ReturningFromHost => self.in_host += self.now() - self.left,
            CallHook::CallingWasm | CallHook::ReturningFromWasm => {}
        }
        Ok(())
    }

    /// Its time is over, unless host calls or other threads took some of it.
    pub fn look(&self) -> Result<UpdateDeadline, CallError> {
        self.finish()?;
        match ticks(self.bounds.event_time_ms_max).checked_sub(self.own()) {
            None | Some(0) => Err(CallError::Deadline { ms: self.bounds.event_time_ms_max }),
            Some(left) => Ok(UpdateDeadline::Continue(left)),
        }
    }

    /// A host call that blocks lets the guest's own time pass unnoticed: so this is asked again when the call is over.
    pub fn finish(&self) -> Result<(), CallError> {
        let ms = self.bounds.call_time_ms_max;
        if self.took() < ticks(ms) { Ok(()) } else { Err(CallError::CallTime { ms }) }
    }

    /// How long a host call may wait for others: a tenth of what is left is the guest's, to do something about it.
    pub fn wait_max(&self) -> Duration {
        let left = ticks(self.bounds.call_time_ms_max).saturating_sub(self.took());
        TICK.saturating_mul(u32::try_from(left).unwrap_or(u32::MAX)) * 9 / 10
    }

    fn own(&self) -> u64 {
        match self.cpu {
            Some(began) => (cpu_time().saturating_sub(began).as_millis() / TICK.as_millis()) as u64,
            None => self.took() - self.in_host.min(self.took()),
        }
    }

    fn took(&self) -> u64 {
        self.now() - self.began
    }

    fn now(&self) -> u64 {
        self.ticks.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::descriptor::Limits;

    #[test]
    fn who_waits_for_a_cpu_is_broken_off_by_the_clock_and_not_by_cpu_time() {
        let (counter, bounds) = (
            Arc::new(AtomicU64::new(7)),
            Bounds { event_time_ms_max: 50, call_time_ms_max: 1_000, ..Bounds::of(&Limits::default()) },
        );
        let mut usage = Usage::new(bounds, counter.clone());
        usage.count_cpu_time(true);
        counter.fetch_add(ticks(500), Ordering::Relaxed);
        assert!(matches!(usage.look(), Ok(UpdateDeadline::Continue(1..))));
        usage.count_cpu_time(false);
        assert_eq!(usage.look().err(), Some(CallError::Deadline { ms: 50 }));
        usage.count_cpu_time(true);
        counter.fetch_add(ticks(500), Ordering::Relaxed);
        assert_eq!(usage.look().err(), Some(CallError::CallTime { ms: 1_000 }));
    }
}
