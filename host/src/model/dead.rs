//! Dead letters as they are listed: one by one, and by what they have in common.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fault::Fault;

/// How many characters of a fingerprint tell groups apart.
const FINGERPRINT_CHARS: usize = 12;

/// What faults of one cause have in common: the version, the kind, the place of a trap, and the words
/// without what differs from event to event.
pub fn fingerprint(fault: &Fault) -> String {
    let mut hasher = blake3::Hasher::new();
    let place = fault.frames.first().map_or("", String::as_str);
    for part in [fault.digest.as_str(), fault.kind.as_str(), &plain(&fault.message), place] {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finalize().to_hex().chars().take(FINGERPRINT_CHARS).collect()
}

/// The words of a message: what has a digit in it, and what stands between quotes, is the event's and not the cause's.
fn plain(message: &str) -> String {
    let mut quoted = false;
    let mut words = Vec::new();
    for word in message.split_whitespace() {
        let begins = word.starts_with(['\'', '"', '`']);
        let ends = word.trim_end_matches(['.', ',', ';', ':', ')']).ends_with(['\'', '"', '`']);
        let is_data = quoted || begins || word.contains(|c: char| c.is_ascii_digit());
        quoted = (quoted || begins) && !ends;
        let word = if is_data { "#" } else { word };
        if !(is_data && words.last() == Some(&word)) {
            words.push(word);
        }
    }
    words.join(" ")
}

/// A dead letter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DeadReport {
    /// The processor that gave it up.
    pub processor: String,
    /// The channel of the event.
    pub channel: String,
    /// Its offset there.
    pub offset: u64,
    /// Its flow.
    pub flow: String,
    /// The key that it had.
    pub key: String,
    /// When it was given up, RFC 3339.
    pub died: String,
    /// What it has in common with others of the same cause.
    pub group: String,
    /// How many attempts there were.
    pub attempts_count: u32,
    /// The latest attempts, oldest first, at most 16.
    pub attempts: Vec<Fault>,
}

/// Dead letters of one cause.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DeadGroup {
    /// The fingerprint: version, kind of fault, and its words without numbers and names.
    pub group: String,
    /// The processor.
    pub processor: String,
    /// How many there are.
    pub count: u64,
    /// The latest fault of them.
    pub fault: Fault,
    /// When the first of them was given up, RFC 3339.
    pub first: String,
    /// When the last of them was given up, RFC 3339.
    pub last: String,
    /// One of them.
    pub example: DeadPlace,
}

/// Where a dead letter is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeadPlace {
    /// The channel of the event.
    pub channel: String,
    /// Its offset there.
    pub offset: u64,
}

/// A page of dead letters, with all groups of those that were asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DeadPage {
    /// How many there are of those that were asked for.
    pub count: u64,
    /// By cause, the most first.
    pub groups: Vec<DeadGroup>,
    /// One by one, in the order of subscriptions and offsets.
    pub letters: Vec<DeadReport>,
    /// What to give as `after` for those behind them; absent when these are the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// What was done with dead letters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeadDone {
    /// How many there were of those that were asked for.
    pub count: u64,
    /// How many events that were parked or held are tried again at once.
    #[serde(default)]
    pub released: u64,
    /// What to give as `after` for the rest, where `limit` was less than there were; absent when these were all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// What is left of dead letters that are redriven in parts: those behind one of them, up to where the last one was when the first part
/// went. So each goes once, also if it dies again meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeadRest {
    /// The event's journal position and the subscription of the last one that went.
    pub after: (u64, u32),
    /// The last position that belongs to it.
    pub until: u64,
}

impl DeadRest {
    /// Whether a dead letter is part of it.
    pub fn contains(&self, position: u64, subscription: u32) -> bool {
        (position, subscription) > self.after && position <= self.until
    }
}

impl fmt::Display for DeadRest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.after.0, self.after.1, self.until)
    }
}

impl FromStr for DeadRest {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let read = || {
            let mut parts = text.split('-');
            let mut part = || parts.next();
            let after = (part()?.parse().ok()?, part()?.parse().ok()?);
            let until = part()?.parse().ok()?;
            parts.next().is_none().then_some(Self { after, until })
        };
        read().ok_or_else(|| format!("'{text}' is no rest; give what `next` of the part before said"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fault::FaultKind;

    fn print(kind: FaultKind, message: &str, digest: &str) -> String {
        let (message, digest) = (message.to_owned(), digest.to_owned());
        fingerprint(&Fault { kind, message, time_ms: 0, digest, frames: Vec::new() })
    }

    #[test]
    fn a_rest_begins_behind_the_last_and_ends_where_the_first_part_ended() {
        let rest: DeadRest = "17-2-40".parse().unwrap_or(DeadRest { after: (0, 0), until: 0 });
        assert_eq!(rest.to_string(), "17-2-40");
        let contains = [(17, 2), (17, 3), (18, 0), (40, 9), (41, 0)].map(|(p, s)| rest.contains(p, s));
        assert_eq!(contains, [false, true, true, true, false]);
        for wrong in ["", "17", "17-2", "17-2-40-1", "a-2-40", "17--40", "-1-2-40"] {
            assert!(wrong.parse::<DeadRest>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn faults_of_one_cause_have_one_fingerprint() {
        let a = print(FaultKind::Reject, "no book 'ulysses' on shelf 17, order-5fb28c", "abc");
        assert_eq!(a, print(FaultKind::Reject, "no book 'moby dick' on shelf 4, order-0aa001", "abc"));
        for other in [
            print(FaultKind::Retry, "no book 'ulysses' on shelf 17, order-5fb28c", "abc"),
            print(FaultKind::Reject, "no book 'ulysses' on shelf 17, order-5fb28c", "abd"),
            print(FaultKind::Reject, "no room 'ulysses' on shelf 17, order-5fb28c", "abc"),
        ] {
            assert_ne!(a, other);
        }
    }
}
