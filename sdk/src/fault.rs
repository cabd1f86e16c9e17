//! How a handler ends: it told something, told on purpose nothing, or could not handle the event.

use std::fmt::{self, Display};
use std::time::Duration;

/// What a handler returns.
pub type Handled = Result<Told, Fault>;

/// Proof that a handler told what it did. Only publishing makes one, or saying that there is
/// [nothing to tell](crate::Context::nothing_to_tell).
#[derive(Debug)]
pub struct Told(());

impl Told {
    pub(crate) fn new() -> Self {
        Self(())
    }
}

/// Why an event was not handled. Nothing of what the handler did is committed.
///
/// *Reject* is about the event: no processor will ever handle it. *Retry* is about everything else,
/// the processor and what surrounds it: later, or in a mended version, the same event may go through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    kind: FaultKind,
    message: String,
}

/// Whether trying again may help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// It may, after this time at least; `None` leaves it to the host.
    Retry {
        /// The shortest time to wait.
        after: Option<Duration>,
    },
    /// It never will.
    Reject,
}

impl Fault {
    /// The event could not be handled now; trying again may help.
    pub fn retry(message: impl Display) -> Self {
        Self { kind: FaultKind::Retry { after: None }, message: message.to_string() }
    }

    /// The event could not be handled now; trying again may help once this time has passed.
    pub fn retry_after(after: Duration, message: impl Display) -> Self {
        Self { kind: FaultKind::Retry { after: Some(after) }, message: message.to_string() }
    }

    /// The event can never be handled.
    pub fn reject(message: impl Display) -> Self {
        Self { kind: FaultKind::Reject, message: message.to_string() }
    }

    /// Whether trying again may help.
    pub fn kind(&self) -> FaultKind {
        self.kind
    }

    /// What went wrong.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Whether this is a reject.
    pub fn is_reject(&self) -> bool {
        self.kind == FaultKind::Reject
    }
}

impl Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            FaultKind::Retry { after: None } => write!(f, "retry: {}", self.message),
            FaultKind::Retry { after: Some(after) } => {
                write!(f, "retry after {after:?}: {}", self.message)
            }
            FaultKind::Reject => write!(f, "reject: {}", self.message),
        }
    }
}

impl std::error::Error for Fault {}

/// JSON that a handler reads by itself came with the event, so it is the event that is wrong.
impl From<serde_json::Error> for Fault {
    fn from(error: serde_json::Error) -> Self {
        Self::reject(error)
    }
}

/// Turns any error, or a missing value, into a fault that says what was being done.
pub trait OrFault<T> {
    /// Trying again may help.
    fn or_retry(self, doing: impl Display) -> Result<T, Fault>;
    /// Trying again never helps.
    fn or_reject(self, doing: impl Display) -> Result<T, Fault>;
}

impl<T, E: Display> OrFault<T> for Result<T, E> {
    fn or_retry(self, doing: impl Display) -> Result<T, Fault> {
        self.map_err(|error| Fault::retry(format_args!("{doing}: {error}")))
    }

    fn or_reject(self, doing: impl Display) -> Result<T, Fault> {
        self.map_err(|error| Fault::reject(format_args!("{doing}: {error}")))
    }
}

impl<T> OrFault<T> for Option<T> {
    fn or_retry(self, doing: impl Display) -> Result<T, Fault> {
        self.ok_or_else(|| Fault::retry(doing))
    }

    fn or_reject(self, doing: impl Display) -> Result<T, Fault> {
        self.ok_or_else(|| Fault::reject(doing))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn any_error_becomes_a_fault_that_says_what_was_done() {
        let fault = "x".parse::<u32>().or_reject("reading the quantity").unwrap_err();
        assert_eq!(fault.to_string(), "reject: reading the quantity: invalid digit found in string");
        let fault = None::<u32>.or_retry("no level yet").unwrap_err();
        assert_eq!(fault.kind(), FaultKind::Retry { after: None });
    }

    #[test]
    fn json_errors_reject() {
        let error = serde_json::from_str::<u32>("{").unwrap_err();
        assert!(Fault::from(error).is_reject());
    }
}
