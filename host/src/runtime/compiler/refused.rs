//! Components that passed a limit of the compiler or broke it: whoever brings the same bytes again is refused at once, so that nobody
//! keeps the compiler busy by asking twice.

use std::collections::VecDeque;

use crate::runtime::error::Error;

/// The most components that are remembered; the oldest is forgotten.
const REFUSED_MAX: usize = 256;

/// What was refused since the host started.
#[derive(Default)]
pub struct Refused(VecDeque<(String, Why)>);

enum Why {
    Limit(String),
    Broke(String),
}

impl Refused {
    /// Remembers a component by its digest, if the same bytes would end in the same way.
    pub fn note(&mut self, digest: &str, error: &Error) {
        let why = match error {
            Error::CompileLimit { what } => Why::Limit(what.clone()),
            Error::CompilerBroke { why } => Why::Broke(why.clone()),
            _ => return,
        };
        if self.0.len() == REFUSED_MAX {
            self.0.pop_front();
        }
        self.0.push_back((digest.to_owned(), why));
    }

    /// Why a component was refused before.
    pub fn error_of(&self, digest: &str) -> Option<Error> {
        let (_, why) = self.0.iter().find(|(refused, _)| refused == digest)?;
        Some(match why {
            Why::Limit(what) => Error::CompileLimit { what: what.clone() },
            Why::Broke(why) => Error::CompilerBroke { why: why.clone() },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_so_many_are_remembered_and_only_what_would_end_alike() {
        let mut refused = Refused::default();
        refused.note("passing", &Error::NoCompiler);
        for number in 0..=REFUSED_MAX {
            refused.note(&number.to_string(), &Error::CompileLimit { what: "9 s".to_owned() });
        }
        let is_known = |digest: &str| refused.error_of(digest).is_some();
        assert_eq!(["passing", "0", "1"].map(is_known), [false, false, true]);
    }
}
