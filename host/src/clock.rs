//! The time of day, and how much time passes, as a seam: the host asks a `Clock`, and a test turns its own. Nothing else in the host reads
//! the system's clock for a time that is recorded.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Tells the time of day.
pub trait Clock: Send + Sync + 'static {
    /// Milliseconds since the Unix epoch. May go backwards, as clocks of machines do.
    fn now_ms(&self) -> u64;

    /// Milliseconds since some moment, which nobody sets: what passes here passed. A clock that is never set need not say more than the time.
    fn passed_ms(&self) -> u64 {
        self.now_ms()
    }
}

/// The machine's clock.
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_ms(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    fn passed_ms(&self) -> u64 {
        static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);
        u64::try_from(BEGAN.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// A clock that stands until it is moved.
#[derive(Default)]
pub struct ManualClock {
    shows: AtomicU64,
    passed: AtomicU64,
}

impl ManualClock {
    /// A clock that shows this time.
    pub fn at(now_ms: u64) -> Self {
        Self { shows: AtomicU64::new(now_ms), passed: AtomicU64::new(0) }
    }

    /// Moves it on.
    pub fn advance(&self, ms: u64) {
        self.shows.fetch_add(ms, Ordering::SeqCst);
        self.passed.fetch_add(ms, Ordering::SeqCst);
    }

    /// Sets it, without any time passing.
    pub fn set(&self, now_ms: u64) {
        self.shows.store(now_ms, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now_ms(&self) -> u64 {
        self.shows.load(Ordering::SeqCst)
    }

    fn passed_ms(&self) -> u64 {
        self.passed.load(Ordering::SeqCst)
    }
}
