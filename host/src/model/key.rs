//! The key of an event: what must be handled in order, and what state belongs to.

use std::borrow::Cow;

use super::descriptor::KeyChoice;
use super::event::is_json;
use super::record::Record;

/// The longest key that stands as it is.
pub const KEY_BYTES_MAX: usize = 4096;

/// The key that all events of a `single` subscription have.
pub const SINGLE: &str = "single";

/// Finds the key of an event as its subscription chose it.
pub fn key_of<'a>(choice: &KeyChoice, record: &Record<'a>) -> Cow<'a, str> {
    let chosen = match choice {
        KeyChoice::Default => None,
        KeyChoice::Single => Some(Cow::Borrowed(SINGLE)),
        KeyChoice::Attribute(name) => record.attribute(name),
        KeyChoice::Pointer(pointer) => pointed(pointer, record).map(Cow::Owned),
    };
    chosen.unwrap_or_else(|| default_key(record).into())
}

/// `partitionkey`, else `subject`, else `id`.
pub fn default_key<'a>(record: &Record<'a>) -> &'a str {
    record.parts.partitionkey.or(record.parts.subject).unwrap_or(record.parts.id)
}

fn pointed(pointer: &str, record: &Record<'_>) -> Option<String> {
    if !is_json(record.parts.datacontenttype) {
        return None;
    }
    let data: serde_json::Value = serde_json::from_slice(record.parts.data?).ok()?;
    match data.pointer(pointer)? {
        serde_json::Value::String(text) => Some(short(text.clone())),
        serde_json::Value::Null => None,
        other => Some(short(other.to_string())),
    }
}

/// Keys are written into frames and state: a long one is known by its hash.
fn short(key: String) -> String {
    if key.len() <= KEY_BYTES_MAX { key } else { format!("blake3:{}", blake3::hash(key.as_bytes())) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::model::record::Parts;
    use crate::model::record::{Stamp, encode};
    use uuid::Uuid;

    fn key(choice: &str, parts: Parts<'_>) -> String {
        let stamp = Stamp { flow: Uuid::nil(), cause: None, causationid: None, hops: 0 };
        let mut bytes = Vec::new();
        encode(&mut bytes, &parts, &stamp, std::iter::empty());
        key_of(&choice.to_owned().into(), &Record::parse(&bytes).unwrap()).into_owned()
    }

    #[test]
    fn keys_follow_the_choice_and_fall_back_to_the_default() {
        let full = Parts {
            id: "i",
            subject: Some("s"),
            partitionkey: Some("p"),
            data: Some(br#"{"a":{"sku":"x"},"n":5}"#),
            ..Parts::default()
        };
        assert_eq!(key("default", full), "p");
        assert_eq!(key("default", Parts { partitionkey: None, ..full }), "s");
        assert_eq!(key("default", Parts { partitionkey: None, subject: None, ..full }), "i");
        assert_eq!(key("single", full), "single");
        assert_eq!(key("subject", full), "s");
        assert_eq!(key("/a/sku", full), "x");
        assert_eq!(key("/n", full), "5");
        assert_eq!(key("/missing", full), "p");
        assert_eq!(key("/n", Parts { data: Some(b"not json"), ..full }), "p");
        let long = format!(r#"{{"n":"{}"}}"#, "x".repeat(KEY_BYTES_MAX + 1));
        let hashed = key("/n", Parts { data: Some(long.as_bytes()), ..full });
        assert!(hashed.starts_with("blake3:") && hashed.len() == 71, "{hashed}");
    }
}
