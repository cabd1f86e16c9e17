//! The fingerprint of an outside event, the same whether it is just published or read from the journal.

use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::LazyLock;

use hashbrown::DefaultHashBuilder;
use siphasher::sip128::{Hash128, Hasher128, SipHasher24};
use uuid::Uuid;

use crate::model::event::{Event, HOST_ATTRIBUTES};
use crate::model::record::{ExtensionKind, Parts, Record};

use super::dedupe::Fingerprint;

/// Attributes of a delivery, not of what happened: a publisher that tries again may change them.
const OF_THE_DELIVERY: [&str; 2] = ["traceparent", "tracestate"];

/// Takes the fingerprint of an event on a channel. `extensions` yields name, kind and text.
pub fn fingerprint<'a>(
    channel: &str,
    parts: &Parts<'a>,
    extensions: impl Iterator<Item = (&'a str, ExtensionKind, &'a str)>,
) -> Fingerprint {
    let Parts { id, source, ty, subject, partitionkey, datacontenttype, dataschema, time, data } = *parts;
    let identity = identity(channel, source, id);
    let texts = [Some(ty), subject, partitionkey, datacontenttype, dataschema, time];
    let extensions = extensions
        .filter(|(name, ..)| !OF_THE_DELIVERY.contains(name))
        .flat_map(|(name, _, value)| [Some(name.as_bytes()), Some(value.as_bytes())]);
    let parts = texts.into_iter().map(|text| text.map(str::as_bytes)).chain([data]).chain(extensions);
    Fingerprint { identity, content: content(parts) }
}

/// Whether a stored event says what a published one says, however it was sent: parameters of a media type, an absent one for
/// JSON, and the spelling of JSON make no difference.
pub fn says_the_same(stored: &Record<'_>, event: &Event) -> bool {
    let stored = stored.to_event();
    let texts = |event: &Event| {
        (event.ty.clone(), event.subject.clone(), event.time.clone(), event.dataschema.clone())
    };
    texts(&stored) == texts(event)
        && essence(&stored) == essence(event)
        && data_agrees(&stored, event)
        && own_extensions(&stored).eq(own_extensions(event))
}

fn essence(event: &Event) -> String {
    let media_type = event.datacontenttype.as_deref().unwrap_or("application/json");
    media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn data_agrees(stored: &Event, event: &Event) -> bool {
    let json = |event: &Event| serde_json::from_slice::<serde_json::Value>(event.data.as_deref()?).ok();
    stored.data == event.data
        || (event.data_is_json() && json(event).is_some() && json(stored) == json(event))
}

fn own_extensions(event: &Event) -> impl Iterator<Item = (&str, String)> {
    let foreign = |name: &str| OF_THE_DELIVERY.contains(&name) || HOST_ATTRIBUTES.contains(&name);
    let own = event.extensions.iter().filter(move |(name, _)| !foreign(name));
    own.map(|(name, value)| (name.as_str(), value.to_text()))
}

/// Who it is decides whether an event is dropped as known, so nobody may be able to make two that look the same: a keyed
/// hash of 128 bits, under a key that differs from process to process and is never told.
fn identity(channel: &str, source: &str, id: &str) -> [u64; 2] {
    static KEY: LazyLock<[u8; 16]> = LazyLock::new(|| *Uuid::new_v4().as_bytes());
    let mut hasher = SipHasher24::new_with_key(&KEY);
    for text in [channel, source, id] {
        hasher.write_usize(text.len());
    }
    for text in [channel, source, id] {
        hasher.write(text.as_bytes());
    }
    let Hash128 { h1, h2 } = hasher.finish128();
    [h1, h2]
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
    use crate::model::event::Extension;
    use crate::model::record::{Borrowed, Stamp, encode_event};
    use uuid::Uuid;

    fn print(channel: &str, change: impl FnOnce(&mut Event)) -> Fingerprint {
        let mut event = Event { id: "1".into(), source: "/".into(), ty: "t".into(), ..Event::default() };
        change(&mut event);
        let stamp = Stamp { flow: Uuid::now_v7(), cause: None, causationid: None, hops: 0 };
        let mut bytes = Vec::new();
        encode_event(&mut bytes, &event, &stamp);
        let record = Record::parse(&bytes).unwrap();
        let stored = fingerprint(channel, &record.parts, record.extensions());
        let sent = Borrowed::of(&event);
        assert_eq!(fingerprint(channel, &sent.parts, sent.extensions()), stored);
        stored
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
    fn how_an_event_was_sent_makes_no_difference() {
        let event = |media_type: Option<&str>, data: &str| Event {
            id: "1".into(),
            source: "/".into(),
            ty: "t".into(),
            datacontenttype: media_type.map(str::to_owned),
            data: Some(data.to_owned().into()),
            ..Event::default()
        };
        let stamp = Stamp { flow: Uuid::now_v7(), cause: None, causationid: None, hops: 0 };
        let mut bytes = Vec::new();
        encode_event(
            &mut bytes,
            &event(Some("application/json; charset=utf-8"), r#"{"a": 1, "b": 2}"#),
            &stamp,
        );
        let stored = Record::parse(&bytes).unwrap();
        assert!(says_the_same(&stored, &event(None, r#"{"b":2,"a":1}"#)));
        assert!(!says_the_same(&stored, &event(None, r#"{"b":2,"a":2}"#)));
        assert!(!says_the_same(&stored, &event(Some("text/plain"), r#"{"a": 1, "b": 2}"#)));
        let mut other = event(None, r#"{"b":2,"a":1}"#);
        other.extensions.insert("more".into(), Extension::Boolean(true));
        assert!(!says_the_same(&stored, &other));
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
