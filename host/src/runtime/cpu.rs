//! The time that CPUs give a thread: how much it had, and work that stands behind all other and has what nobody else wants.

use std::panic::resume_unwind;
use std::thread::{Builder, scope};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// How long this thread had a CPU so far.
pub(super) fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

/// Does it, and says how long this thread had a CPU for it.
pub(super) fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let began = cpu_time();
    let done = work();
    (done, cpu_time().saturating_sub(began))
}

/// Does it on a thread of its own, and waits. The thread never goes back to being like others, which the system allows a privileged process only:
/// so nothing may be done here that holds a lock for which others wait.
pub(super) fn behind_all<T: Send>(work: impl FnOnce() -> T + Send) -> std::io::Result<T> {
    scope(|scope| {
        let stand_behind = || {
            step_back();
            work()
        };
        let thread = Builder::new().name("baton-behind".to_owned()).spawn_scoped(scope, stand_behind)?;
        Ok(thread.join().unwrap_or_else(|panic| resume_unwind(panic)))
    })
}

/// `SCHED_IDLE`: who wakes takes the CPU from such a thread at once, and a CPU that does nothing else counts as free. A nice value does
/// neither.
#[cfg(target_os = "linux")]
fn step_back() {
    use thread_priority::{
        NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy, set_thread_priority_and_policy,
        thread_native_id,
    };
    let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
    if let Err(error) = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, idle) {
        tracing::debug!(?error, "the system refuses to let a thread stand behind all others");
    }
}

/// Other systems have nothing that is the same.
#[cfg(not(target_os = "linux"))]
fn step_back() {}

#[cfg(all(test, target_os = "linux"))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use thread_priority::{NormalThreadSchedulePolicy, ThreadSchedulePolicy, thread_schedule_policy};

    #[test]
    fn it_is_done_behind_all_and_the_caller_stays_where_it_was() {
        let before = thread_schedule_policy().unwrap();
        let during = behind_all(|| thread_schedule_policy().unwrap()).unwrap();
        assert_eq!(during, ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle));
        assert_eq!(thread_schedule_policy().unwrap(), before);
    }

    #[test]
    #[should_panic(expected = "as it was said")]
    fn a_panic_is_the_callers() {
        let _ = behind_all::<()>(|| resume_unwind(Box::new("as it was said")));
    }
}
