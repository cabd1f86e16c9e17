//! Values of CloudEvents attributes in HTTP headers: double quotes are taken off, then one round of
//! percent-decoding (CloudEvents HTTP binding 1.0.2, 3.1.3.2).

use std::borrow::Cow;

use percent_encoding::percent_decode;

/// Reads the value of one header, or says what is wrong with it.
pub fn decode(value: &[u8]) -> Result<String, String> {
    let plain = unquote(value);
    check_percents(&plain)?;
    let text = percent_decode(&plain).decode_utf8();
    text.map(Cow::into_owned)
        .map_err(|_| "it is not UTF-8 after percent-decoding; percent-encode the UTF-8 bytes".to_owned())
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

fn check_percents(value: &[u8]) -> Result<(), String> {
    for (at, _) in value.iter().enumerate().filter(|(_, byte)| **byte == b'%') {
        let digits = value.get(at + 1..at + 3).unwrap_or_default();
        if digits.len() < 2 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(format!(
                "the '%' at byte {at} does not start a percent code such as %20; write %25 for '%'"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
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
            assert_eq!(decode(sent.as_bytes()).unwrap(), text);
        }
    }

    #[test]
    fn the_examples_of_the_specification_are_read() {
        assert_eq!(decode(b"Euro%20%E2%82%AC%20%F0%9F%98%80").unwrap(), "Euro € 😀");
        assert_eq!(decode(br#""Euro %E2%82%AC""#).unwrap(), "Euro €");
        assert_eq!(decode(br#""a \"b\" c""#).unwrap(), "a \"b\" c");
    }

    #[test]
    fn one_round_of_decoding_is_enough() {
        assert_eq!(decode(b"%2541").unwrap(), "%41");
    }

    #[test]
    fn broken_codes_are_refused() {
        for bad in [&b"100%"[..], b"%zz", b"%4", b"%E2%82", b"\xff"] {
            assert!(decode(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn raw_utf8_of_older_senders_is_read() {
        assert_eq!(decode("Grüße".as_bytes()).unwrap(), "Grüße");
    }
}
