//! Why a filter passed an event or did not: the rules that decided, each with what it wanted and what it found.

use std::fmt;

use super::{Comparison, Dialect, Filter};
use crate::model::record::Record;

/// A filter's decision on one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruling {
    /// Whether the event is wanted.
    pub passes: bool,
    /// The comparisons without which it would have been decided otherwise: of an `any` that passed the first that held, of
    /// one that did not all; of an `all` that passed all, of one that did not the first that did not hold.
    pub rules: Vec<Rule>,
}

/// One comparison that decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Where it stands, such as `filter.all[1].prefix.subject`.
    pub path: String,
    /// How it compares.
    pub dialect: Dialect,
    /// The text that it compares with.
    pub expected: String,
    /// What the event has; nothing when it lacks the attribute.
    pub found: Option<String>,
    /// Whether the comparison held.
    pub holds: bool,
}

impl Filter {
    /// Decides as [`Filter::passes`] does, and says why.
    pub fn ruling(&self, record: &Record<'_>) -> Ruling {
        self.rule("filter", record)
    }

    fn rule(&self, path: &str, record: &Record<'_>) -> Ruling {
        match self {
            Self::Compare(dialect, all) => {
                let path = format!("{path}.{}", dialect.name());
                decide(true, all.iter().map(|one| one.ruling(&path, *dialect, record)))
            }
            Self::All(filters) => decide(true, each(filters, &format!("{path}.all"), record)),
            Self::Any(filters) => decide(false, each(filters, &format!("{path}.any"), record)),
            Self::Not(filter) => {
                let Ruling { passes, rules } = filter.rule(&format!("{path}.not"), record);
                Ruling { passes: !passes, rules }
            }
        }
    }
}

fn each(filters: &[Filter], path: &str, record: &Record<'_>) -> impl Iterator<Item = Ruling> {
    filters.iter().enumerate().map(move |(index, filter)| filter.rule(&format!("{path}[{index}]"), record))
}

/// The first part that is not as it is `unless`; without one, all parts together.
fn decide(unless: bool, parts: impl Iterator<Item = Ruling>) -> Ruling {
    let mut rules = Vec::new();
    for part in parts {
        if part.passes != unless {
            return part;
        }
        rules.extend(part.rules);
    }
    Ruling { passes: unless, rules }
}

impl Comparison {
    fn ruling(&self, path: &str, dialect: Dialect, record: &Record<'_>) -> Ruling {
        let holds = self.holds(dialect, record);
        let rule = Rule {
            path: format!("{path}.{}", self.attribute.name()),
            dialect,
            expected: self.text.to_string(),
            found: self.attribute.look(record, |value| value.map(str::to_owned)),
            holds,
        };
        Ruling { passes: holds, rules: vec![rule] }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = match self.dialect {
            Dialect::Exact => "is",
            Dialect::Prefix => "begins with",
            Dialect::Suffix => "ends with",
        };
        write!(f, "{} {verb} {:?}: ", self.path, self.expected)?;
        match (self.holds, &self.found) {
            (true, Some(found)) => write!(f, "yes, {found:?}"),
            (_, Some(found)) => write!(f, "no, it is {found:?}"),
            (_, None) => write!(f, "no, the event has none"),
        }
    }
}
