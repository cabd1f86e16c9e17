//! Who may ask what over HTTP: roles, and what is told of tokens. No secret stands here.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::name::TokenName;

/// What a caller may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Publish events, and wait for their answers.
    Publish,
    /// Read everything that the host tells.
    Read,
    /// Everything: deploy, pause, reset, trim, back up, give out tokens.
    Admin,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 3] = [Self::Publish, Self::Read, Self::Admin];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Read => "read",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names no role.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no role; there are publish, read and admin")]
pub struct NoRole(String);

impl FromStr for Role {
    type Err = NoRole;

    fn from_str(text: &str) -> Result<Self, NoRole> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or_else(|| NoRole(text.to_owned()))
    }
}

/// Who asks: the name of a token and its roles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The token's name.
    pub name: TokenName,
    /// What it may do.
    pub roles: Vec<Role>,
}

impl Caller {
    /// Whether it may do what needs this role.
    pub fn may(&self, role: Role) -> bool {
        self.roles.iter().any(|own| *own == Role::Admin || *own == role)
    }
}

/// A token as it is listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TokenReport {
    /// Its name.
    #[schemars(with = "String")]
    pub name: TokenName,
    /// What it may do.
    pub roles: Vec<Role>,
    /// When it was made, RFC 3339.
    pub created: String,
}

/// All tokens that were given out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TokenList {
    /// By name.
    pub tokens: Vec<TokenReport>,
}

/// A token that was just made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NewToken {
    /// What is kept of it.
    #[serde(flatten)]
    pub report: TokenReport,
    /// The secret: it is told here and nowhere again.
    pub token: String,
}

/// The latest acts of operators.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuditPage {
    /// Oldest first.
    pub acts: Vec<Act>,
}

/// An act of an operator, whatever came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Act {
    /// When it was answered, RFC 3339.
    pub time: String,
    /// The name of the token.
    pub by: String,
    /// The HTTP method.
    pub method: String,
    /// The path with its query.
    pub path: String,
    /// The HTTP status of the answer.
    pub status: u16,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_admin_may_all_and_others_only_what_they_are_for() {
        let caller = |roles: &[Role]| Caller { name: TokenName::local(), roles: roles.to_vec() };
        for role in Role::ALL {
            assert!(caller(&[Role::Admin]).may(role), "{role}");
            assert!(!caller(&[]).may(role), "{role}");
        }
        assert!(caller(&[Role::Publish]).may(Role::Publish));
        assert!(!caller(&[Role::Publish]).may(Role::Read));
        assert!(caller(&[Role::Publish, Role::Read]).may(Role::Read));
        assert!(!caller(&[Role::Publish, Role::Read]).may(Role::Admin));
    }

    #[test]
    fn roles_are_read_as_they_are_written() {
        assert!(Role::ALL.iter().all(|role| role.as_str().parse() == Ok(*role)));
        assert!("root".parse::<Role>().is_err_and(|error| error.to_string().contains("publish, read")));
    }
}
