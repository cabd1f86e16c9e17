//! Errors of a run, in the form of RFC 9457 with the types of the DSL; what catches them, and when a step is tried again.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::expression::{Expression, Template};

/// Where the types of the DSL's own errors begin.
pub const TYPES: &str = "https://serverlessworkflow.io/spec/1.0.0/errors/";

/// The DSL's own errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The definition asks for what cannot be.
    Configuration,
    /// Data does not match its schema.
    Validation,
    /// An expression failed, or gave what cannot be used in its place.
    Expression,
    /// Access was refused.
    Authorization,
    /// A task or workflow took too long.
    Timeout,
    /// A processor did not do what it was told.
    Communication,
    /// The engine could not go on.
    Runtime,
}

impl Kind {
    /// The last part of its type, and its status.
    fn words(self) -> (&'static str, u16) {
        match self {
            Self::Configuration => ("configuration", 400),
            Self::Validation => ("validation", 400),
            Self::Expression => ("expression", 400),
            Self::Authorization => ("authorization", 403),
            Self::Timeout => ("timeout", 408),
            Self::Communication => ("communication", 500),
            Self::Runtime => ("runtime", 500),
        }
    }
}

/// An error of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Error {
    /// What kind of error it is: a URI.
    #[serde(rename = "type")]
    pub ty: String,
    /// Its status, as in HTTP.
    pub status: u16,
    /// The task in which it came up: a JSON pointer into the definition.
    #[serde(default)]
    pub instance: String,
    /// What kind of error it is, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Error {
    /// One of the DSL's own.
    pub fn new(kind: Kind, instance: impl Into<String>, detail: impl Into<String>) -> Self {
        let (name, status) = kind.words();
        Self {
            ty: format!("{TYPES}{name}"),
            status,
            instance: instance.into(),
            title: None,
            detail: Some(detail.into()),
        }
    }
}

/// An error as a definition names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorTemplate {
    /// What kind of error it is: a URI.
    #[serde(rename = "type")]
    pub ty: Template,
    /// Its status, as in HTTP.
    pub status: u16,
    /// The task in which it came up; absent, the one that raises it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<Template>,
    /// What kind of error it is, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<Template>,
    /// What happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<Template>,
}

/// What a `try` catches and what follows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Catch {
    /// The fields that an error must have; none: every error is caught.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub with: Map<String, Value>,
    /// The variable that holds the error.
    #[serde(rename = "as")]
    pub variable: String,
    /// An error is caught only if this gives true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<Expression>,
    /// An error is not caught if this gives true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub except_when: Option<Expression>,
    /// How the tasks are tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// What is done once they are not tried again.
    #[serde(rename = "do", skip_serializing_if = "Option::is_none")]
    pub tasks: Option<Vec<super::task::Task>>,
}

/// How tasks that failed are tried again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Retry {
    /// Only if this gives true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<Expression>,
    /// Not if this gives true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub except_when: Option<Expression>,
    /// The delay before the first retry, in milliseconds.
    pub delay_ms: u64,
    /// How delays grow.
    pub backoff: Backoff,
    /// The least and the most that chance adds to a delay, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jitter_ms: Option<(u64, u64)>,
    /// The most retries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count_max: Option<u32>,
    /// The longest that one attempt may take, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt_ms_max: Option<u64>,
    /// The longest that all attempts and delays may take, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_ms_max: Option<u64>,
}

/// How the delays between attempts grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Backoff {
    /// Not at all.
    #[default]
    Constant,
    /// By the first delay each time.
    Linear,
    /// To the double each time.
    Exponential,
}

/// The longest delay before a retry: a week.
pub const DELAY_MS_MAX: u64 = 7 * 24 * 3_600_000;

impl Retry {
    /// The delay before a retry, the first of which is number 1, or none if there is none any more. `elapsed_ms` is since the first attempt
    /// began.
    pub fn delay_before(&self, number: u32, elapsed_ms: u64, chance: u64) -> Option<u64> {
        let grown = match self.backoff {
            Backoff::Constant => self.delay_ms,
            Backoff::Linear => self.delay_ms.saturating_mul(u64::from(number)),
            Backoff::Exponential => {
                let doublings = number.saturating_sub(1).min(63);
                self.delay_ms.saturating_mul(1 << doublings)
            }
        };
        let (from, to) = self.jitter_ms.unwrap_or_default();
        let jitter = from.saturating_add(chance % to.saturating_sub(from).saturating_add(1));
        let delay = grown.saturating_add(jitter).min(DELAY_MS_MAX);
        let is_counted_out = self.count_max.is_some_and(|max| number > max);
        let is_late = self.total_ms_max.is_some_and(|max| elapsed_ms.saturating_add(delay) > max);
        (!is_counted_out && !is_late).then_some(delay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delays(retry: &Retry, chance: u64) -> Vec<Option<u64>> {
        (1..=4).map(|number| retry.delay_before(number, 0, chance)).collect()
    }

    #[test]
    fn delays_stay_grow_by_the_first_or_double() {
        let retry = |backoff| Retry { delay_ms: 100, backoff, ..Retry::default() };
        assert_eq!(delays(&retry(Backoff::Constant), 0), [Some(100); 4]);
        assert_eq!(delays(&retry(Backoff::Linear), 0), [Some(100), Some(200), Some(300), Some(400)]);
        assert_eq!(delays(&retry(Backoff::Exponential), 0), [Some(100), Some(200), Some(400), Some(800)]);
        assert_eq!(retry(Backoff::Exponential).delay_before(u32::MAX, 0, 0), Some(DELAY_MS_MAX));
    }

    #[test]
    fn chance_adds_between_the_two_bounds_of_the_jitter() {
        let retry = Retry { delay_ms: 100, jitter_ms: Some((10, 20)), ..Retry::default() };
        for chance in 0..100 {
            let delay = retry.delay_before(1, 0, chance);
            assert!(delay.is_some_and(|delay| (110..=120).contains(&delay)), "{delay:?}");
        }
        assert!(retry.delay_before(1, 0, u64::MAX).is_some());
    }

    #[test]
    fn the_count_and_the_total_time_end_it() {
        let counted = Retry { count_max: Some(2), ..Retry::default() };
        assert_eq!(delays(&counted, 0), [Some(0), Some(0), None, None]);
        let timed = Retry { delay_ms: 100, total_ms_max: Some(1_000), ..Retry::default() };
        assert_eq!(timed.delay_before(1, 900, 0), Some(100));
        assert_eq!(timed.delay_before(1, 901, 0), None);
    }
}
