//! The fingerprint of an outside event, the same whether it is just published or read from the journal.

use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::LazyLock;

use hashbrown::DefaultHashBuilder;

use crate::model::record::{Parts, Record};

use super::dedupe::Fingerprint;

/// Attributes of a delivery, not of what happened: a publisher that tries again may change them.
const OF_THE_DELIVERY: [&str; 2] = ["traceparent", "tracestate"];

/// Takes the fingerprint of an event on a channel.
pub fn fingerprint(channel: &str, record: &Record<'_>) -> Fingerprint {
    let Parts { id, source, ty, subject, partitionkey, datacontenttype, dataschema, time, data } =
        record.parts;
    let identity = identity(channel, source, id);
    let texts = [Some(ty), subject, partitionkey, datacontenttype, dataschema, time];
    let extensions = record
        .extensions()
        .filter(|(name, ..)| !OF_THE_DELIVERY.contains(name))
        .flat_map(|(name, _, value)| [Some(name.as_bytes()), Some(value.as_bytes())]);
    let parts = texts.into_iter().map(|text| text.map(str::as_bytes)).chain([data]).chain(extensions);
    Fingerprint { identity, content: content(parts) }
}

/// Who it is decides whether an event is dropped as known, so nobody may be able to make two that look the same.
fn identity(channel: &str, source: &str, id: &str) -> u128 {
    let lens = [channel, source, id].map(|text| text.len().to_le_bytes()).concat();
    let hash = blake3::hash(&[&lens, channel.as_bytes(), source.as_bytes(), id.as_bytes()].concat());
    let [low, _] = hash.as_bytes().as_chunks().0 else { return 0 };
    u128::from_le_bytes(*low)
}

/// What it says is compared with one event only, that of the same identity. The key differs from process to process:
/// a print is never stored.
fn content<'a>(parts: impl Iterator<Item = Option<&'a [u8]>>) -> u64 {
    static KEY: LazyLock<DefaultHashBuilder> = LazyLock::new(DefaultHashBuilder::default);
    let mut hasher = KEY.build_hasher();
    parts.for_each(|part| part.hash(&mut hasher));
    hasher.finish()
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
