//! Waiting for something that can be observed. The only place in the tests that sleeps.

use std::thread;
use std::time::{Duration, Instant, SystemTime};

/// No more than a test that fails should take, and enough for a machine that does four times as much beside it.
const PATIENCE: Duration = Duration::from_secs(240);
const SOON: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(5);

/// A moment that is far enough away to see what comes before it, in milliseconds since the Unix epoch.
pub fn soon_ms() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    (now + SOON).as_millis() as u64
}

/// Asks until there is an answer. An answer that never comes ends the test with `what` it waited for.
pub fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(started.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain: {what}");
        thread::sleep(PAUSE);
    }
}
