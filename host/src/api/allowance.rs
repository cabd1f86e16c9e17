//! How often each token may ask: so many times a second, with as many at once after a rest. It is told the time and keeps none of
//! its own.

use hashbrown::HashMap;
use parking_lot::Mutex;

use crate::model::name::TokenName;

/// How many names are remembered; then all begin anew with a rest behind them.
const NAMES_MAX: usize = 10_000;
const NS_OF_MS: u64 = 1_000_000;
const NS_OF_S: u64 = 1_000_000_000;

/// What the tokens of one host may ask.
pub struct Allowance {
    interval_ns: u64,
    /// By token, the time up to which it is spent.
    spent_ns: Mutex<HashMap<TokenName, u64>>,
}

impl Allowance {
    /// So many requests a second for each.
    pub fn new(per_s: u32) -> Self {
        Self { interval_ns: NS_OF_S / u64::from(per_s.max(1)), spent_ns: Mutex::default() }
    }

    /// Takes one request, or says in how many seconds there is room for one.
    pub fn take(&self, name: &TokenName, now_ms: u64) -> Result<(), u64> {
        let now_ns = now_ms.saturating_mul(NS_OF_MS);
        let mut all = self.spent_ns.lock();
        if all.len() >= NAMES_MAX {
            all.clear();
        }
        let spent = all.entry_ref(name).or_default();
        // A clock that was set back must not shut anybody out until it is where it was.
        *spent = (*spent).clamp(now_ns.saturating_sub(NS_OF_S), now_ns);
        let room_ns = now_ns - *spent;
        if room_ns < self.interval_ns {
            return Err((self.interval_ns - room_ns).div_ceil(NS_OF_S));
        }
        *spent += self.interval_ns;
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn admitted(allowance: &Allowance, name: &str, asks: usize, now_ms: u64) -> usize {
        let name = name.parse().unwrap();
        (0..asks).filter(|_| allowance.take(&name, now_ms).is_ok()).count()
    }

    #[test]
    fn after_a_rest_a_seconds_worth_comes_at_once_and_then_the_rate() {
        let allowance = Allowance::new(100);
        assert_eq!(admitted(&allowance, "a", 1_000, 10_000), 100);
        assert_eq!(admitted(&allowance, "b", 50, 10_000), 50);
        assert_eq!(admitted(&allowance, "a", 1_000, 10_500), 50);
        assert_eq!(allowance.take(&"a".parse().unwrap(), 10_500), Err(1));
    }

    #[test]
    fn a_clock_that_is_set_back_shuts_nobody_out() {
        let allowance = Allowance::new(100);
        admitted(&allowance, "a", 1_000, 1_000_000);
        assert_eq!(admitted(&allowance, "a", 1_000, 5_000), 0);
        assert_eq!(admitted(&allowance, "a", 1_000, 5_500), 50);
    }
}
