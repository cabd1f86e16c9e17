//! The limits of one compilation, and the only place that asks the system to hold them.

use std::time::Duration;

use rustix::process::{Resource, Rlimit, nice, setrlimit};

/// What one compilation may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompileLimits {
    /// Processor time of all its threads, in seconds.
    pub cpu_s_max: u64,
    /// Addresses, and so memory.
    pub memory_bytes_max: u64,
    /// Time by the clock.
    pub time_max: Duration,
    /// Code that comes out.
    pub code_bytes_max: u64,
}

impl Default for CompileLimits {
    fn default() -> Self {
        Self {
            cpu_s_max: 60,
            memory_bytes_max: 4 << 30,
            time_max: Duration::from_secs(90),
            code_bytes_max: 512 << 20,
        }
    }
}

/// How far a compilation stands behind lanes and everything else that the host does.
const NICE: i32 = 10;
/// Standard input, output and error: with no room for another, no file and no socket can be opened.
const FILES_MAX: u64 = 3;
/// What it may write into a file: its standard error.
pub const FILE_BYTES_MAX: u64 = 64 << 10;

/// Puts this process under limits, for good. Before it starts a thread.
pub fn confine(cpu_s_max: u64, memory_bytes_max: u64) -> std::io::Result<()> {
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    nice(NICE)?;
    // The second one ends a process that does not end itself.
    limit(Resource::Cpu, cpu_s_max, cpu_s_max + 1)?;
    limit(Resource::As, memory_bytes_max, memory_bytes_max)?;
    limit(Resource::Fsize, FILE_BYTES_MAX, FILE_BYTES_MAX)?;
    limit(Resource::Core, 0, 0)?;
    limit(Resource::Nofile, FILES_MAX, FILES_MAX)
}

fn limit(resource: Resource, soft: u64, hard: u64) -> std::io::Result<()> {
    Ok(setrlimit(resource, Rlimit { current: Some(soft), maximum: Some(hard) })?)
}
