//! Texts of guests on their way to somebody's terminal.

use std::borrow::Cow;

/// The text with everything escaped that would steer a terminal or turn the order of what is read: control characters, and those that
/// change the direction of writing.
pub fn escaped(text: &str) -> Cow<'_, str> {
    if !text.chars().any(steers) {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if steers(c) { plain.extend(c.escape_default()) } else { plain.push(c) }
    }
    Cow::Owned(plain)
}

/// The most characters of what somebody else said in an error.
const TOLD_CHARS_MAX: usize = 1_000;

/// The beginning of what a guest or its file says, fit for an error.
pub fn told(text: &str) -> String {
    match text.char_indices().nth(TOLD_CHARS_MAX) {
        Some((end, _)) => format!("{}...", escaped(text.get(..end).unwrap_or_default())),
        None => escaped(text).into_owned(),
    }
}

/// Whether a character does more than stand there.
pub fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_bounded() {
        assert_eq!(told(&"x".repeat(5_000)).len(), TOLD_CHARS_MAX + 3);
        assert_eq!(told("\r"), "\\r");
    }

    #[test]
    fn what_steers_is_escaped_and_nothing_else() {
        assert_eq!(escaped("a\u{1b}[31m\n\u{202e}b"), "a\\u{1b}[31m\\n\\u{202e}b");
        assert!(matches!(escaped("gr\u{fc}n \u{2615}"), Cow::Borrowed(_)));
    }
}
