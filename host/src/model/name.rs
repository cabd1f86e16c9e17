//! Names of channels, processors and tokens: what may be written where.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The most characters that a name may have.
pub const NAME_LEN_MAX: usize = 128;

/// Why a text is not a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not a {what} name: {why}")]
pub struct NameError {
    what: &'static str,
    text: String,
    why: String,
}

fn check(what: &'static str, text: &str) -> Result<(), NameError> {
    let refuse = |why: &str| {
        Err(NameError { what, text: text.chars().take(NAME_LEN_MAX).collect(), why: why.to_owned() })
    };
    if text.is_empty() {
        return refuse("it is empty");
    }
    if text.len() > NAME_LEN_MAX {
        return refuse(&format!("it is longer than {NAME_LEN_MAX} characters"));
    }
    if !text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit()) {
        return refuse("it must start with a lower-case letter or a digit");
    }
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
    match text.chars().find(|c| !allowed(*c)) {
        Some(c) => refuse(&format!("{c:?} is not allowed; use lower-case letters, digits, '-', '_' and '.'")),
        None => Ok(()),
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Takes a text as a name, or says what is wrong with it.
            pub fn new(text: impl Into<String>) -> Result<Self, NameError> {
                let text = text.into();
                check($what, &text)?;
                Ok(Self(text))
            }

            /// Whether it is one of the host's own names: see [`RESERVED`].
            pub fn is_reserved(&self) -> bool {
                self.0.starts_with(RESERVED)
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl std::str::FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

/// Names that begin so are the host's own.
pub const RESERVED: &str = "baton.";

name!(
    /// The name of a channel, such as `order-created`.
    ChannelName,
    "channel"
);
name!(
    /// The name of a processor, such as `payment`.
    ProcessorName,
    "processor"
);
name!(
    /// The name of a token, such as `shop-frontend`.
    TokenName,
    "token"
);

impl TokenName {
    /// The name of the token that the user of the host's machine has: see [`crate::access`].
    pub fn local() -> Self {
        Self("local".to_owned())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn names_are_lower_case_words() {
        for good in ["a", "order-created", "baton.flows", "v2_x", "9lives"] {
            assert_eq!(ChannelName::new(good).map(String::from), Ok(good.to_owned()));
        }
        for bad in ["", "-a", "Order", "a/b", "a b", "ä", &"x".repeat(129)] {
            assert!(ProcessorName::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_of_the_host_begin_with_its_own() {
        let reserved = |name: &str| ChannelName::new(name).unwrap().is_reserved();
        assert!(reserved("baton.flows") && !reserved("baton") && !reserved("batons.x"));
    }

    #[test]
    fn a_refusal_names_the_text_and_the_mend() {
        let error = ChannelName::new("a/b").unwrap_err().to_string();
        assert!(error.contains("'a/b' is not a channel name"), "{error}");
        assert!(error.contains("lower-case letters"), "{error}");
    }
}
