//! What is wrong with a definition, where, and what to do.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A place in a text, counted from 1; 0 where it is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Spot {
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
}

/// What kind of mistake it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// It is neither YAML nor JSON.
    Syntax,
    /// A key that the DSL does not have there.
    UnknownKey,
    /// A part of the DSL that Baton does not run.
    Unsupported,
    /// A value of another kind than is wanted, or none.
    Invalid,
    /// A name of something that is not there.
    Reference,
    /// An expression that does not compile.
    Expression,
    /// Tasks that follow on each other without end.
    Cycle,
}

impl Code {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Syntax => "syntax",
            Self::UnknownKey => "unknown-key",
            Self::Unsupported => "unsupported",
            Self::Invalid => "invalid",
            Self::Reference => "reference",
            Self::Expression => "expression",
            Self::Cycle => "cycle",
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Mistake {
    /// What kind of mistake it is.
    pub code: Code,
    /// Where, in the text.
    #[serde(flatten)]
    pub spot: Spot,
    /// Where, in the document: a JSON pointer.
    pub path: String,
    /// What was found, and what was expected.
    pub message: String,
    /// What to use instead.
    pub help: Option<String>,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.spot.line, self.spot.column)?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        self.help.as_ref().map_or(Ok(()), |help| write!(f, "; {help}"))
    }
}
