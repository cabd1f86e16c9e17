//! The processors that proofs run, built from `tests/guests`, and versions of them that say which they are.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::super::ProveError;

/// What the relay writes into everything that it emits: the same length in every version.
const MARK: &[u8] = b"version-0000000000";

/// The components of a proof.
pub struct Guests {
    /// Passes ticks on as tocks, and says which version it is.
    pub relay: Vec<u8>,
    /// Counts both, and what comes out of order.
    pub tally: Vec<u8>,
}

impl Guests {
    /// Builds them. Their sources are in this program's own source tree, so that is where cargo runs.
    pub fn build() -> Result<Self, ProveError> {
        let workspace = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        let mut cargo = Command::new("cargo");
        cargo.args(["build", "--release", "--target", "wasm32-wasip2", "--message-format", "json"]);
        cargo.args(["-p", "guest-relay", "-p", "guest-tally"]);
        let built = cargo.current_dir(&workspace).stderr(Stdio::inherit()).output();
        let built = built.map_err(|error| {
            ProveError::Guest(format!("cargo does not run in {}: {error}", workspace.display()))
        })?;
        if !built.status.success() {
            return Err(ProveError::Guest("the build failed, see above".to_owned()));
        }
        let read = |name: &str| {
            let missing = || ProveError::Guest(format!("cargo named no {name}"));
            Ok::<_, ProveError>(std::fs::read(component(&built.stdout, name).ok_or_else(missing)?)?)
        };
        Ok(Self { relay: read("guest_relay.wasm")?, tally: read("guest_tally.wasm")? })
    }

    /// The relay as another version: other bytes, and another mark on what it emits.
    pub fn relay_as(&self, version: u32) -> Vec<u8> {
        let mark = format!("version-{version:010}");
        let mut bytes = self.relay.clone();
        let places: Vec<_> =
            bytes.windows(MARK.len()).enumerate().filter(|(_, at)| *at == MARK).map(|(i, _)| i).collect();
        for place in places {
            if let Some(here) = bytes.get_mut(place..place + MARK.len()) {
                here.copy_from_slice(mark.as_bytes());
            }
        }
        bytes
    }
}

/// The version that a mark names.
pub fn version_of(mark: &str) -> Option<u32> {
    mark.strip_prefix("version-")?.parse().ok()
}

fn component(messages: &[u8], name: &str) -> Option<PathBuf> {
    let lines = messages.split(|byte| *byte == b'\n');
    let built = lines.filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    let files = built.filter_map(|message| message.get("filenames")?.as_array().cloned()).flatten();
    let mut files = files.filter_map(|file| file.as_str().map(PathBuf::from));
    files.find(|file| file.ends_with(name))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_version_differs_by_its_mark_alone() {
        let relay = [b"ab".as_slice(), MARK, b"cd"].concat();
        let guests = Guests { relay: relay.clone(), tally: Vec::new() };
        assert_eq!(guests.relay_as(0), relay);
        let other = guests.relay_as(42);
        assert_eq!(other, b"abversion-0000000042cd");
        assert_eq!(version_of("version-0000000042"), Some(42));
    }
}
