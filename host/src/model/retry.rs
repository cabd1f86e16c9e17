//! What becomes of an event that failed: tried again after a while, given up as a dead letter, or held until somebody looks. Pure: it is
//! told the time and the chance.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fault::FaultKind;
use super::time::for_people;

/// The most attempts that a policy may ask for.
pub const ATTEMPTS_MAX: u32 = 1_000;
/// The longest delay that a policy may ask for: a week.
pub const DELAY_MS_MAX: u64 = 7 * 24 * 3_600_000;
/// The largest factor between two delays.
pub const FACTOR_MAX: f64 = 100.0;

/// Faults that may be gone when the event is tried again.
const PASSING: [FaultKind; 6] = [
    FaultKind::Retry,
    FaultKind::Trap,
    FaultKind::Deadline,
    FaultKind::CallTime,
    FaultKind::Memory,
    FaultKind::Host,
];

/// How a subscription tries failed events again. What is absent is the host's default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RetryAsk {
    /// How often an event is tried, the first time included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts_max: Option<u32>,
    /// The delay before the second attempt, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<u64>,
    /// How much longer each delay is than the one before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub factor: Option<f64>,
    /// The longest delay, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay_ms_max: Option<u64>,
    /// By how much a delay may be longer by chance, in percent of itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jitter_percent: Option<u32>,
    /// How long an event waits between its attempts in all, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_ms_max: Option<u64>,
    /// The faults after which an event is tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on: Option<Vec<FaultKind>>,
}

impl RetryAsk {
    /// Whether it says nothing.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// The field that no host can follow, and why.
    pub fn fault(&self) -> Option<(&'static str, String)> {
        let over =
            |value: Option<u64>, min: u64, max: u64| value.filter(|value| !(min..=max).contains(value));
        let bounds = [
            ("attempts_max", self.attempts_max.map(u64::from), 1, u64::from(ATTEMPTS_MAX)),
            ("delay_ms", self.delay_ms, 0, DELAY_MS_MAX),
            ("delay_ms_max", self.delay_ms_max, 0, DELAY_MS_MAX),
            ("jitter_percent", self.jitter_percent.map(u64::from), 0, 100),
            ("total_ms_max", self.total_ms_max, 0, 52 * DELAY_MS_MAX),
        ];
        for (field, value, min, max) in bounds {
            if let Some(value) = over(value, min, max) {
                return Some((field, format!("{value} is out of bounds; choose {min} to {max}")));
            }
        }
        let factor = self.factor.filter(|factor| !(1.0..=FACTOR_MAX).contains(factor));
        if let Some(factor) = factor {
            return Some(("factor", format!("{factor} is out of bounds; choose 1 to {FACTOR_MAX}")));
        }
        self.on
            .as_ref()
            .is_some_and(|on| on.contains(&FaultKind::Reject))
            .then(|| ("on", "'reject' says that an event can never be handled; leave it out".to_owned()))
    }
}

/// What follows the last attempt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Then {
    /// The event is a dead letter, and its key goes on.
    #[default]
    Continue,
    /// The event holds its key until somebody looks.
    StayHeld,
}

/// Whether later events of its key wait for an event that failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// They wait: events of one key are handled in order.
    #[default]
    Key,
    /// They pass it: the handler needs no order.
    Pass,
}

/// What an operator allows at most, whatever descriptors ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryCaps {
    /// Attempts.
    pub attempts_max: u32,
    /// One delay, in milliseconds.
    pub delay_ms_max: u64,
    /// All delays of an event together, in milliseconds.
    pub total_ms_max: u64,
}

impl Default for RetryCaps {
    fn default() -> Self {
        Self { attempts_max: 100, delay_ms_max: 24 * 3_600_000, total_ms_max: DELAY_MS_MAX }
    }
}

/// A policy with all that was asked for, and within what is allowed.
#[derive(Clone, Debug, PartialEq)]
pub struct RetryPolicy {
    attempts_max: u32,
    delay_ms: u64,
    factor: f64,
    delay_ms_max: u64,
    /// What the operator allows, chance and what the handler asks for included.
    delay_ms_cap: u64,
    jitter_percent: u32,
    total_ms_max: u64,
    on: Vec<FaultKind>,
    then: Then,
    /// Whether later events of the key wait.
    pub order: Order,
}

/// One attempt that failed.
#[derive(Clone, Copy, Debug)]
pub struct Attempt {
    /// What kind of fault it was.
    pub kind: FaultKind,
    /// Which attempt it was, counted from 1.
    pub number: u32,
    /// All delays before it, in milliseconds: told by no clock, so that none that jumps takes an attempt away.
    pub waited_ms: u64,
    /// The least delay that the handler asked for, in milliseconds.
    pub asked_ms: u64,
    /// Chance, the same for the same attempt.
    pub chance: u64,
}

/// What becomes of the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It is tried again after so many milliseconds.
    Again(u64),
    /// It is a dead letter.
    Dead,
    /// It holds its key until somebody looks.
    Held,
}

impl RetryPolicy {
    /// The policy of a subscription.
    pub fn new(ask: &RetryAsk, then: Then, order: Order, caps: &RetryCaps) -> Self {
        let delay_ms_max = ask.delay_ms_max.unwrap_or(30_000).min(caps.delay_ms_max);
        Self {
            attempts_max: ask.attempts_max.unwrap_or(5).min(caps.attempts_max),
            delay_ms: ask.delay_ms.unwrap_or(200).min(delay_ms_max),
            factor: ask.factor.unwrap_or(2.0),
            delay_ms_max,
            delay_ms_cap: caps.delay_ms_max,
            jitter_percent: ask.jitter_percent.unwrap_or(20),
            total_ms_max: ask.total_ms_max.unwrap_or(15 * 60_000).min(caps.total_ms_max),
            on: ask.on.clone().unwrap_or_else(|| PASSING.to_vec()),
            then,
            order,
        }
    }

    /// Decides after an attempt.
    pub fn next(&self, attempt: &Attempt) -> Next {
        let delay_ms = self.delay_after(attempt);
        let again = self.on.contains(&attempt.kind)
            && attempt.number < self.attempts_max
            && attempt.waited_ms.saturating_add(delay_ms) <= self.total_ms_max;
        match (again, self.then) {
            (true, _) => Next::Again(delay_ms),
            (false, Then::Continue) => Next::Dead,
            (false, Then::StayHeld) => Next::Held,
        }
    }

    /// The delay grows with each attempt up to its bound, then chance makes it a little longer. What the handler asked for is the least,
    /// and the operator's bound the most, with room for chance below it: what fails together is not tried again together.
    fn delay_after(&self, attempt: &Attempt) -> u64 {
        let grown = self.delay_ms as f64 * self.factor.powi(attempt.number.saturating_sub(1) as i32);
        let wanted_ms = (grown.min(self.delay_ms_max as f64) as u64).max(attempt.asked_ms);
        let part =
            |ms: u64, of: u32| (u128::from(ms) * u128::from(self.jitter_percent) / u128::from(of)) as u64;
        let delay_ms = wanted_ms.min(self.delay_ms_cap - part(self.delay_ms_cap, 100 + self.jitter_percent));
        let longer_ms = attempt.chance % part(delay_ms, 100).saturating_add(1);
        delay_ms.saturating_add(longer_ms).min(self.delay_ms_cap)
    }

    /// What it does, in a line.
    pub fn describe(&self) -> String {
        let duration = |ms| for_people(Duration::from_millis(ms));
        let then = match self.then {
            Then::Continue => "a dead letter then",
            Then::StayHeld => "held then",
        };
        format!(
            "{} attempts, {} to {} apart, within {}; {then}",
            self.attempts_max,
            duration(self.delay_ms),
            duration(self.delay_ms_max),
            duration(self.total_ms_max)
        )
    }
}

/// Chance for an attempt at the event at a position: the same whenever it is asked, and spread well.
pub fn chance(position: u64, number: u32) -> u64 {
    let mut z = position.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(u64::from(number));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn policy(ask: RetryAsk, then: Then) -> RetryPolicy {
        RetryPolicy::new(&ask, then, Order::Key, &RetryCaps::default())
    }

    fn attempt(kind: FaultKind, number: u32) -> Attempt {
        Attempt { kind, number, waited_ms: 0, asked_ms: 0, chance: chance(7, number) }
    }

    #[test]
    fn delays_grow_up_to_their_bound_and_chance_adds_a_fifth_at_most() {
        let policy = policy(RetryAsk { attempts_max: Some(100), ..RetryAsk::default() }, Then::Continue);
        for (number, plain) in [(1, 200), (2, 400), (3, 800), (8, 25_600), (9, 30_000), (90, 30_000)] {
            for position in 0..200 {
                let attempt =
                    Attempt { chance: chance(position, number), ..attempt(FaultKind::Trap, number) };
                let next = policy.next(&attempt);
                let fits = |delay_ms: u64| (plain..=plain + plain / 5).contains(&delay_ms);
                assert!(
                    matches!(next, Next::Again(delay_ms) if fits(delay_ms)),
                    "attempt {number}: {next:?}"
                );
            }
        }
    }

    #[test]
    fn the_last_attempt_the_total_time_and_a_reject_end_it() {
        let dies = policy(RetryAsk::default(), Then::Continue);
        assert!(matches!(dies.next(&attempt(FaultKind::Retry, 4)), Next::Again(_)));
        assert_eq!(dies.next(&attempt(FaultKind::Retry, 5)), Next::Dead);
        assert_eq!(dies.next(&attempt(FaultKind::Reject, 1)), Next::Dead);
        assert_eq!(dies.next(&attempt(FaultKind::UndeclaredChannel, 1)), Next::Dead);
        let late = Attempt { waited_ms: 15 * 60_000, ..attempt(FaultKind::Retry, 1) };
        assert_eq!(dies.next(&late), Next::Dead);
        let holds = policy(RetryAsk::default(), Then::StayHeld);
        assert_eq!(holds.next(&attempt(FaultKind::Reject, 1)), Next::Held);
        let only = RetryAsk { on: Some(vec![FaultKind::Retry]), ..RetryAsk::default() };
        assert_eq!(policy(only, Then::Continue).next(&attempt(FaultKind::Trap, 1)), Next::Dead);
    }

    #[test]
    fn a_handler_is_given_at_least_the_delay_that_it_asks_for() {
        let policy = policy(RetryAsk::default(), Then::Continue);
        let asked = Attempt { asked_ms: 60_000, ..attempt(FaultKind::Retry, 1) };
        assert!(matches!(policy.next(&asked), Next::Again(delay_ms) if delay_ms >= 60_000));
        let absurd = Attempt { asked_ms: u64::MAX, ..asked };
        assert_eq!(policy.next(&absurd), Next::Dead);
    }

    #[test]
    fn what_the_operator_allows_counts_for_more_than_what_is_asked() {
        let caps = RetryCaps { attempts_max: 2, delay_ms_max: 50, total_ms_max: 1_000 };
        let ask = RetryAsk { attempts_max: Some(9), delay_ms: Some(9_000), ..RetryAsk::default() };
        let policy = RetryPolicy::new(&ask, Then::Continue, Order::Key, &caps);
        for position in 0..200 {
            for asked_ms in [0, 45, 900, u64::MAX] {
                let chance = chance(position, 1);
                let attempt = Attempt { asked_ms, chance, ..attempt(FaultKind::Retry, 1) };
                assert!(matches!(policy.next(&attempt), Next::Again(42..=50)), "{asked_ms}");
            }
        }
        assert_eq!(policy.next(&attempt(FaultKind::Trap, 2)), Next::Dead);
    }

    #[test]
    fn what_no_host_can_follow_is_named() {
        let field = |ask: RetryAsk| ask.fault().map(|(field, _)| field);
        assert_eq!(field(RetryAsk::default()), None);
        assert_eq!(field(RetryAsk { attempts_max: Some(0), ..RetryAsk::default() }), Some("attempts_max"));
        assert_eq!(field(RetryAsk { delay_ms: Some(u64::MAX), ..RetryAsk::default() }), Some("delay_ms"));
        assert_eq!(field(RetryAsk { factor: Some(0.5), ..RetryAsk::default() }), Some("factor"));
        assert_eq!(field(RetryAsk { factor: Some(f64::NAN), ..RetryAsk::default() }), Some("factor"));
        let on = Some(vec![FaultKind::Reject]);
        assert_eq!(field(RetryAsk { on, ..RetryAsk::default() }), Some("on"));
    }
}
