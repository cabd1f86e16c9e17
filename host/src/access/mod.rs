//! The tokens by which callers are known over HTTP, and the log of what operators did with them. A secret is told once, when it is made; only its hash is kept. It knows no
//! HTTP and does not decide what a role may do: that is [`crate::model::access`].

mod audit;
mod error;
mod file;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use blake3::Hash;
use parking_lot::Mutex;

use crate::model::access::{Caller, NewToken, Role, TokenReport};
use crate::model::name::TokenName;
use crate::model::time::rfc3339;

pub use audit::{Audit, RECENT_MAX};
pub use error::AccessError;
use file::Kept;

/// The most tokens that one host gives out.
pub const TOKENS_MAX: usize = 1_000;
/// The file of the tokens in the data folder.
const FILE: &str = "tokens.json";
/// The file of the log there.
const AUDIT_FILE: &str = "audit.jsonl";
/// What every token begins with, so that people and scanners of secrets know one.
const PREFIX: &str = "baton_";
const SECRET_BYTES: usize = 32;

/// The tokens of one host. A cheap handle.
#[derive(Clone)]
pub struct Access(Arc<Inner>);

struct Inner {
    /// Where they are kept; a host in memory forgets them.
    path: Option<PathBuf>,
    tokens: Mutex<Tokens>,
    audit: Audit,
}

#[derive(Default)]
struct Tokens {
    /// That of the machine's user, which the host is told at each start and never keeps.
    local: Option<Hash>,
    kept: Vec<Kept>,
}

impl Access {
    /// Reads the tokens that were given out before, and the log; without a folder there are none, and nothing is kept.
    pub fn open(folder: Option<&Path>) -> Result<Self, AccessError> {
        let path = folder.map(|folder| folder.join(FILE));
        let kept = path.as_deref().map(file::read).transpose()?.unwrap_or_default();
        let log = folder.map(|folder| folder.join(AUDIT_FILE));
        let unreadable =
            |error: std::io::Error| AccessError::AuditUnreadable { path: log.clone(), why: error };
        let audit = Audit::open(log.clone()).map_err(unreadable)?;
        Ok(Self(Arc::new(Inner { path, tokens: Mutex::new(Tokens { local: None, kept }), audit })))
    }

    /// The log of what operators did.
    pub fn audit(&self) -> &Audit {
        &self.0.audit
    }

    /// Lets whoever has this secret do everything, until the host ends.
    pub fn admit_local(&self, secret: &str) {
        self.0.tokens.lock().local = Some(blake3::hash(secret.as_bytes()));
    }

    /// Who has this secret. Every hash is compared, each in constant time, so that the time tells nothing.
    pub fn caller(&self, secret: &str) -> Option<Caller> {
        let hash = blake3::hash(secret.as_bytes());
        let tokens = self.0.tokens.lock();
        let local = tokens.local.is_some_and(|local| local == hash);
        let kept = tokens.kept.iter().fold(None, |found, kept| match kept.hash() == hash {
            true => Some(kept),
            false => found,
        });
        match (kept, local) {
            (Some(kept), _) => Some(Caller { name: kept.name.clone(), roles: kept.roles.clone() }),
            (None, true) => Some(Caller { name: TokenName::local(), roles: vec![Role::Admin] }),
            (None, false) => None,
        }
    }

    /// Makes a token. It holds when this returns, and until it is revoked.
    pub fn create(&self, name: &TokenName, roles: &[Role], now_ms: u64) -> Result<NewToken, AccessError> {
        let token = secret().map_err(AccessError::NoRandomness)?;
        let mut roles = roles.to_vec();
        roles.sort_unstable();
        roles.dedup();
        let mut tokens = self.0.tokens.lock();
        if roles.is_empty() {
            return Err(AccessError::NoRole(name.clone()));
        }
        if *name == TokenName::local() || tokens.kept.iter().any(|kept| kept.name == *name) {
            return Err(AccessError::Taken(name.clone()));
        }
        if tokens.kept.len() >= TOKENS_MAX {
            return Err(AccessError::TooMany);
        }
        let kept = Kept::new(name.clone(), roles, blake3::hash(token.as_bytes()), now_ms);
        let report = report(&kept);
        let mut all = tokens.kept.clone();
        all.push(kept);
        self.keep(&mut tokens, all)?;
        Ok(NewToken { report, token })
    }

    /// Takes a token back: whoever has it is refused from now on.
    pub fn revoke(&self, name: &TokenName) -> Result<(), AccessError> {
        let mut tokens = self.0.tokens.lock();
        let mut all = tokens.kept.clone();
        all.retain(|kept| kept.name != *name);
        if all.len() == tokens.kept.len() {
            return Err(AccessError::Unknown(name.clone()));
        }
        self.keep(&mut tokens, all)
    }

    /// The tokens that were given out, by name.
    pub fn list(&self) -> Vec<TokenReport> {
        let mut all: Vec<_> = self.0.tokens.lock().kept.iter().map(report).collect();
        all.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        all
    }

    fn keep(&self, tokens: &mut Tokens, all: Vec<Kept>) -> Result<(), AccessError> {
        if let Some(path) = &self.0.path {
            file::write(path, &all)?;
        }
        tokens.kept = all;
        Ok(())
    }
}

/// A new secret that nobody can guess.
pub fn secret() -> std::io::Result<String> {
    let mut bytes = [0; SECRET_BYTES];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    let hexadecimal: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("{PREFIX}{hexadecimal}"))
}

fn report(kept: &Kept) -> TokenReport {
    TokenReport { name: kept.name.clone(), roles: kept.roles.clone(), created: rfc3339(kept.created_ms) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn name(text: &str) -> TokenName {
        text.parse().unwrap()
    }

    #[test]
    fn a_token_holds_over_a_restart_until_it_is_revoked_and_its_secret_is_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens.json");
        let access = Access::open(Some(folder.path())).unwrap();
        let made = access.create(&name("ci"), &[Role::Publish, Role::Publish], 0).unwrap();
        assert_eq!(made.report.roles, [Role::Publish]);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains("\"ci\"") && !text.contains(made.token.trim_start_matches(PREFIX)), "{text}");
        let again = Access::open(Some(folder.path())).unwrap();
        assert_eq!(again.caller(&made.token).unwrap().name, name("ci"));
        assert_eq!(again.caller(&made.token[..made.token.len() - 1]), None);
        assert_eq!(again.caller(""), None);
        again.revoke(&name("ci")).unwrap();
        assert_eq!(again.caller(&made.token), None);
        assert_eq!(Access::open(Some(folder.path())).unwrap().list(), []);
    }

    #[test]
    fn the_token_of_the_machines_user_may_all_and_is_kept_nowhere() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens.json");
        let access = Access::open(Some(folder.path())).unwrap();
        assert_eq!(access.caller("x"), None);
        access.admit_local("x");
        let caller = access.caller("x").unwrap();
        assert_eq!((caller.name.as_str(), caller.may(Role::Admin)), ("local", true));
        assert!(access.list().is_empty() && !path.exists());
    }

    #[test]
    fn what_cannot_be_made_or_revoked_is_refused_by_name() {
        let access = Access::open(None).unwrap();
        access.create(&name("ci"), &[Role::Read], 0).unwrap();
        let code = |made: Result<NewToken, AccessError>| made.unwrap_err().code();
        assert_eq!(code(access.create(&name("ci"), &[Role::Read], 0)), "token-taken");
        assert_eq!(code(access.create(&TokenName::local(), &[Role::Read], 0)), "token-taken");
        assert_eq!(code(access.create(&name("cd"), &[], 0)), "token-without-role");
        assert_eq!(access.revoke(&name("cd")).unwrap_err().code(), "unknown-token");
        for number in 1..TOKENS_MAX {
            access.create(&name(&format!("t{number}")), &[Role::Read], 0).unwrap();
        }
        assert_eq!(code(access.create(&name("more"), &[Role::Read], 0)), "too-many-tokens");
    }

    #[test]
    fn a_file_that_is_no_list_of_tokens_stops_the_start_and_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens.json");
        std::fs::write(&path, "[{\"name\": \"ci\"}]").unwrap();
        let error = Access::open(Some(folder.path())).err().unwrap();
        assert_eq!(error.code(), "tokens-unreadable");
        assert!(error.to_string().contains("tokens.json"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "[{\"name\": \"ci\"}]");
    }
}
