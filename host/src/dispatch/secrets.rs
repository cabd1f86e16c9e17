//! Secrets of one processor. Whatever it says for people goes through here, so that none of them is shown.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// A shorter text stands in other words by chance.
const HIDDEN_BYTES_MIN: usize = 4;

/// Secrets by name. They are shown nowhere, in no log and no message.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secrets(Arc<BTreeMap<String, String>>);

impl Secrets {
    /// Takes the secrets over.
    pub fn new(secrets: BTreeMap<String, String>) -> Self {
        Self(Arc::new(secrets))
    }

    /// One of them.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A text without them.
    pub fn hidden<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut hidden = Cow::Borrowed(text);
        for (name, secret) in self.0.iter().filter(|(_, secret)| secret.len() >= HIDDEN_BYTES_MIN) {
            if hidden.contains(secret.as_str()) {
                hidden = Cow::Owned(hidden.replace(secret.as_str(), &format!("[secret {name}]")));
            }
        }
        hidden
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_hidden_wherever_it_stands() {
        let all = [("key", "s3cret!"), ("short", "ab")];
        let secrets = Secrets::new(all.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
        assert_eq!(secrets.hidden("Bearer s3cret!, ab s3cret!"), "Bearer [secret key], ab [secret key]");
        assert!(matches!(secrets.hidden("nothing"), Cow::Borrowed("nothing")));
        assert_eq!(format!("{secrets:?}"), r#"{"key", "short"}"#);
        assert_eq!((secrets.get("short"), secrets.get("none")), (Some("ab"), None));
    }
}
