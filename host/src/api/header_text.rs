//! Values of CloudEvents attributes in HTTP headers: double quotes are taken off, then one round of
//! percent-decoding (CloudEvents HTTP binding 1.0.2, 3.1.3.2).

use std::borrow::Cow;

use percent_encoding::percent_decode;

/// Reads the value of one header. Official SDKs of other languages send what the binding does not allow: a raw `%`,
/// and text in Latin-1, the old encoding of HTTP. A `%` that begins no code stands for itself, and bytes that are not
/// UTF-8 are read as Latin-1.
pub fn decode(value: &[u8]) -> String {
    let plain = unquote(value);
    let bytes: Cow<'_, [u8]> = percent_decode(&plain).into();
    match String::from_utf8(bytes.into_owned()) {
        Ok(text) => text,
        Err(error) => error.into_bytes().into_iter().map(char::from).collect(),
    }
}

/// Takes the quotes off `"a \"quoted\" text"`; anything else stays as it is.
fn unquote(value: &[u8]) -> Cow<'_, [u8]> {
    let [b'"', inner @ .., b'"'] = value else { return value.into() };
    let mut plain = Vec::with_capacity(inner.len());
    let mut bytes = inner.iter();
    while let Some(byte) = bytes.next() {
        let byte = if *byte == b'\\' { bytes.next().unwrap_or(byte) } else { byte };
        plain.push(*byte);
    }
    plain.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

    /// What the binding says that a sender encodes, besides controls and what is not ASCII.
    const ENCODED: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'%');

    #[test]
    fn what_a_sender_encodes_comes_back() {
        for text in ["Euro € 😀", "100 %", "say \"hi\"", "a%20b", "plain", "", "\\back\\", "ünïcödé"]
        {
            let sent = utf8_percent_encode(text, ENCODED).to_string();
            assert!(sent.bytes().all(|byte| (0x21..=0x7e).contains(&byte)), "{sent}");
            assert_eq!(decode(sent.as_bytes()), text);
        }
    }

    #[test]
    fn the_examples_of_the_specification_are_read() {
        assert_eq!(decode(b"Euro%20%E2%82%AC%20%F0%9F%98%80"), "Euro € 😀");
        assert_eq!(decode(br#""Euro %E2%82%AC""#), "Euro €");
        assert_eq!(decode(br#""a \"b\" c""#), "a \"b\" c");
    }

    #[test]
    fn one_round_of_decoding_is_enough() {
        assert_eq!(decode(b"%2541"), "%41");
    }

    #[test]
    fn what_other_senders_do_is_read_as_they_mean_it() {
        let cases = [(&b"100%"[..], "100%"), (b"%zz", "%zz"), (b"%4", "%4"), (b"/py/\xfc", "/py/\u{fc}")];
        for (sent, meant) in cases {
            assert_eq!(decode(sent), meant);
        }
    }

    #[test]
    fn raw_utf8_of_older_senders_is_read() {
        assert_eq!(decode("Grüße".as_bytes()), "Grüße");
    }
}
