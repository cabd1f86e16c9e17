//! The processors of the proof, and versions of them that say which they are.

use super::super::{ProveError, components};

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
    /// Builds them.
    pub fn build() -> Result<Self, ProveError> {
        let built = components::build(&["guest-relay", "guest-tally"])?;
        let missing = || ProveError::Guest("cargo built one component of two".to_owned());
        let [relay, tally] = <[Vec<u8>; 2]>::try_from(built).map_err(|_| missing())?;
        Ok(Self { relay, tally })
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
