//! What can go wrong with tokens, each with a stable code.

use std::io;
use std::path::{Path, PathBuf};

use crate::model::name::TokenName;

use super::TOKENS_MAX;

/// Why a token was not made, taken back or read.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// The name is in use.
    #[error("there is a token '{0}' already; revoke it first, or choose another name")]
    Taken(TokenName),
    /// A token that may do nothing.
    #[error("the token '{0}' needs a role: publish, read or admin")]
    NoRole(TokenName),
    /// There is no such token.
    #[error("there is no token '{0}'; `baton token ls` lists them")]
    Unknown(TokenName),
    /// The bound is reached.
    #[error("there are {TOKENS_MAX} tokens, the most of one host; revoke those that nobody uses")]
    TooMany,
    /// The system gave no random numbers.
    #[error("no token can be made, because the system gives no random numbers: {0}")]
    NoRandomness(io::Error),
    /// The file cannot be read.
    #[error(
        "the tokens in {} cannot be read: {why}; put the file back from a copy, or remove it to revoke all tokens", path.display()
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The log of what operators did cannot be read.
    #[error("the log {} cannot be read: {why}; move it away, and the host begins a new one", path.as_deref().unwrap_or(Path::new("")).display())]
    AuditUnreadable {
        /// The file.
        path: Option<PathBuf>,
        /// What the system says.
        why: io::Error,
    },
    /// The file cannot be written.
    #[error("the tokens cannot be written to {}: {source}; nothing was changed", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl AccessError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Taken(_) => "token-taken",
            Self::NoRole(_) => "token-without-role",
            Self::Unknown(_) => "unknown-token",
            Self::TooMany => "too-many-tokens",
            Self::NoRandomness(_) => "no-randomness",
            Self::Unreadable { .. } => "tokens-unreadable",
            Self::AuditUnreadable { .. } => "audit-unreadable",
            Self::Unwritable { .. } => "tokens-unwritable",
        }
    }
}
