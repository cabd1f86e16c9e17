//! W3C trace context (<https://www.w3.org/TR/trace-context/>): how a trace goes through the hops of a flow, and the spans that it is made of.
//!
//! Span ids are computed, not drawn: from the position of the event that was handled and the processor that handled it.
//! So an emitted event names its parent without anybody recording a span, and spans can be made later, from frames.

use uuid::Uuid;

use super::change::ProcessorId;

/// The name of the extension.
pub const TRACEPARENT: &str = "traceparent";

/// How many characters a `traceparent` of version 00 has.
pub const TRACEPARENT_LEN: usize = 55;

/// A `traceparent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent {
    /// The trace.
    pub trace_id: u128,
    /// The span that caused what carries this.
    pub parent_id: u64,
    /// Flags; bit 0 says that the trace is sampled.
    pub flags: u8,
}

impl TraceParent {
    /// Reads one. A later version is read as far as version 00 goes; what is not valid is none.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let version = hexadecimal(parts.next()?, 2)?;
        let trace_id = hexadecimal(parts.next()?, 32).filter(|id| *id != 0)?;
        let parent_id = hexadecimal(parts.next()?, 16).filter(|id| *id != 0)?;
        let flags = hexadecimal(parts.next()?, 2)?;
        let ends = match version {
            0 => parts.next().is_none(),
            version => version != 0xff,
        };
        ends.then_some(Self { trace_id, parent_id: parent_id as u64, flags: flags as u8 })
    }

    /// What an event carries that was caused within the span `parent_id`, as text.
    pub fn caused_by(&self, parent_id: u64) -> [u8; TRACEPARENT_LEN] {
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        write_hexadecimal(&mut text[3..35], self.trace_id);
        write_hexadecimal(&mut text[36..52], parent_id.into());
        write_hexadecimal(&mut text[53..55], self.flags.into());
        text
    }
}

fn hexadecimal(text: &str, len: usize) -> Option<u128> {
    let lower = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    (text.len() == len && text.bytes().all(lower)).then(|| u128::from_str_radix(text, 16).ok())?
}

fn write_hexadecimal(out: &mut [u8], mut number: u128) {
    for place in out.iter_mut().rev() {
        let digit = (number & 15) as u8;
        *place = if digit < 10 { b'0' + digit } else { b'a' + digit - 10 };
        number >>= 4;
    }
}

/// The trace of a flow that came without one.
pub fn trace_of(flow: Uuid) -> u128 {
    flow.as_u128()
}

/// The span of the handling of the event at a position by a processor.
pub fn handling_span(position: u64, processor: ProcessorId) -> u64 {
    span(position, u64::from(processor) + 1)
}

/// The span of the publication of the event at a position.
pub fn publication_span(position: u64) -> u64 {
    span(position, 0)
}

/// Mixes two numbers so that neighbours differ in half of their bits (the finaliser of SplitMix64); never 0.
fn span(position: u64, salt: u64) -> u64 {
    let mut mixed = position.wrapping_add(salt.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    for (shift, factor) in [(30, 0xbf58_476d_1ce4_e5b9), (27, 0x94d0_49bb_1331_11eb)] {
        mixed = (mixed ^ (mixed >> shift)).wrapping_mul(factor);
    }
    (mixed ^ (mixed >> 31)).max(1)
}

/// A span that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The trace.
    pub trace_id: u128,
    /// Its own id.
    pub span_id: u64,
    /// The span that caused it.
    pub parent_id: Option<u64>,
    /// Whether that one is outside of this host.
    pub parent_is_remote: bool,
    /// What kind of work it was.
    pub kind: SpanKind,
    /// What was done with what, such as `process orders`.
    pub name: String,
    /// When it began, milliseconds since the Unix epoch.
    pub start_ms: u64,
    /// When it was over.
    pub end_ms: u64,
    /// Names and values, by the semantic conventions for messaging.
    pub attributes: Vec<(&'static str, String)>,
    /// What went wrong, if something did.
    pub fault: Option<String>,
}

/// What kind of work a span is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanKind {
    /// An event came from outside.
    Publication,
    /// An event was handled.
    Handling,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const EXAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_traceparent_is_read_and_handed_on_under_a_new_parent() {
        let parent = TraceParent::parse(EXAMPLE).unwrap();
        assert_eq!(parent.caused_by(parent.parent_id), EXAMPLE.as_bytes());
        let handed_on = parent.caused_by(0xab);
        let text = std::str::from_utf8(&handed_on).unwrap();
        assert_eq!(text, "00-4bf92f3577b34da6a3ce929d0e0e4736-00000000000000ab-01");
        assert_eq!(TraceParent::parse(text), Some(TraceParent { parent_id: 0xab, ..parent }));
    }

    #[test]
    fn a_later_version_is_read_and_what_is_not_valid_is_none() {
        assert!(TraceParent::parse(&format!("cc{}-what-comes", &EXAMPLE[2..])).is_some());
        for bad in [
            "",
            "00-x",
            &EXAMPLE.to_uppercase(),
            &format!("{EXAMPLE}-more"),
            &EXAMPLE.replacen("00-", "ff-", 1),
            &EXAMPLE.replace("00f067aa0ba902b7", "0000000000000000"),
            &EXAMPLE.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
        ] {
            assert_eq!(TraceParent::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn spans_of_neighbours_differ() {
        let ids: std::collections::BTreeSet<u64> = (0..1000)
            .flat_map(|position| {
                [publication_span(position), handling_span(position, 0), handling_span(position, 1)]
            })
            .collect();
        assert_eq!(ids.len(), 3000);
        assert!(!ids.contains(&0));
    }
}
