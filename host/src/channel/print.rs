//! The fingerprint of an outside event, the same whether it is just published or read from the journal.

use crate::model::record::{Parts, Record};

use super::dedupe::Fingerprint;

/// Attributes of a delivery, not of what happened: a publisher that tries again may change them.
const OF_THE_DELIVERY: [&str; 2] = ["traceparent", "tracestate"];

/// Takes the fingerprint of an event on a channel.
pub fn fingerprint(channel: &str, record: &Record<'_>) -> Fingerprint {
    let Parts { id, source, ty, subject, partitionkey, datacontenttype, dataschema, time, data } =
        record.parts;
    let identity = digest([channel, source, id].into_iter().map(|text| Some(text.as_bytes())));
    let texts = [Some(ty), subject, partitionkey, datacontenttype, dataschema, time];
    let extensions = record
        .extensions()
        .filter(|(name, ..)| !OF_THE_DELIVERY.contains(name))
        .flat_map(|(name, _, value)| [Some(name.as_bytes()), Some(value.as_bytes())]);
    let parts = texts.into_iter().map(|text| text.map(str::as_bytes)).chain([data]).chain(extensions);
    Fingerprint { identity, content: digest(parts) as u64 }
}

fn digest<'a>(parts: impl Iterator<Item = Option<&'a [u8]>>) -> u128 {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        let len = part.map_or(u64::MAX, |part| part.len() as u64);
        hasher.update(&len.to_le_bytes());
        hasher.update(part.unwrap_or_default());
    }
    let mut half = [0; 16];
    hasher.finalize_xof().fill(&mut half);
    u128::from_le_bytes(half)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::model::event::{Event, Extension};
    use crate::model::record::{Stamp, encode_event};
    use uuid::Uuid;

    fn print(channel: &str, change: impl FnOnce(&mut Event)) -> Fingerprint {
        let mut event = Event { id: "1".into(), source: "/".into(), ty: "t".into(), ..Event::default() };
        change(&mut event);
        let stamp = Stamp { flow: Uuid::now_v7(), cause: None, causationid: None, hops: 0 };
        let mut bytes = Vec::new();
        encode_event(&mut bytes, &event, &stamp);
        fingerprint(channel, &Record::parse(&bytes).unwrap())
    }

    #[test]
    fn identity_is_channel_source_and_id_and_content_is_the_rest() {
        let plain = print("a", |_| {});
        assert_eq!(print("a", |_| {}), plain);
        assert_ne!(print("b", |_| {}).identity, plain.identity);
        assert_ne!(print("a", |e| e.id = "2".into()).identity, plain.identity);
        let changed = print("a", |e| e.data = Some("x".into()));
        assert_eq!(changed.identity, plain.identity);
        assert_ne!(changed.content, plain.content);
        assert_ne!(print("a", |e| e.data = Some("".into())).content, plain.content);
    }

    #[test]
    fn another_trace_is_the_same_event() {
        let with = |value: &str| {
            let value = Extension::Text(value.to_owned());
            print("a", |e| drop(e.extensions.insert("traceparent".into(), value)))
        };
        assert_eq!(with("00-1"), with("00-2"));
    }
}
