//! Texts and bytes that nobody wrote: they are read or refused, and what was read says the same when it is read again.
#![allow(clippy::unwrap_used)]

use uuid::Uuid;

use super::change::{Changes, Control, Draft, Skip};
use super::descriptor::Descriptor;
use super::event::{Event, Extension};
use super::record::{Record, Stamp, encode_event};
use crate::fuzz::mangle;
use crate::journal::storage::simulated::Chance;

const MANGLED: u64 = 4_000;

const DESCRIPTOR: &str = r#"{"contract":"baton:processor@0.1.0","name":"mail","version":"1.2","description":"tells the customer",
    "subscriptions":[{"channel":"orders","key":"/customer/id","start":{"time":"2026-01-01T00:00:00Z"},
      "filter":{"all":[{"prefix":{"type":"order-"}},{"not":{"exact":{"subject":"o-1"}}}]},
      "retry":{"attempts_max":3,"delay_ms":100,"factor":2.0,"jitter_percent":10,"on":["trap","retry"]},
      "then":"stay-held","order":"pass"}],
    "publishes":["mails"],"concurrency":4,"instance":"fresh","limits":{"memory_bytes_max":1048576},
    "schemas":{"mails":{"type":"object","required":["to"]}}}"#;

#[test]
fn mangled_descriptors_are_read_or_refused() {
    Descriptor::from_json(DESCRIPTOR.as_bytes()).unwrap();
    let mut read = 0;
    for seed in 0..MANGLED {
        let mut bytes = DESCRIPTOR.as_bytes().to_vec();
        mangle(&mut bytes, &mut Chance::new(seed));
        let Ok(descriptor) = Descriptor::from_json(&bytes) else { continue };
        let again = Descriptor::from_json(&serde_json::to_vec(&descriptor).unwrap()).unwrap();
        assert_eq!(again, descriptor, "seed {seed}");
        read += 1;
    }
    assert!((MANGLED / 100..MANGLED / 2).contains(&read), "they show nothing: {read} were read");
}

fn body() -> Vec<u8> {
    let event = Event {
        id: "1".into(),
        source: "/shop".into(),
        ty: "order".into(),
        subject: Some("o-1".into()),
        data: Some("{\"sku\":\"moby-dick\"}".into()),
        extensions: [("partitionkey".to_owned(), Extension::Text("k".into()))].into(),
        ..Event::default()
    };
    let stamp = Stamp { flow: Uuid::from_u128(7), cause: Some(3), causationid: Some("0"), hops: 1 };
    let mut draft = Draft::default();
    draft.control(&Control::Released { processor: 1, events: None });
    draft.event(0, |out| encode_event(out, &event, &stamp));
    draft.decided(2, 5, Uuid::from_u128(7));
    draft.skipped(Skip { subscription: 2, from: 6, to: 9 });
    draft.state_set(1, "key", "count", 0, b"12");
    draft.state_delete(1, "key", "gone");
    draft.reply(1, 3, Uuid::from_u128(7), b"true");
    draft.finish(|_| 5)
}

#[test]
fn mangled_frames_are_walked_to_their_end_or_to_what_is_malformed() {
    let sound = body();
    assert_eq!(Changes::new(&sound).filter(Result::is_ok).count(), 7);
    let (mut whole, mut malformed) = (0, 0);
    for seed in 0..MANGLED {
        let mut bytes = sound.clone();
        mangle(&mut bytes, &mut Chance::new(seed));
        match Changes::new(&bytes).find(Result::is_err) {
            None => whole += 1,
            Some(_) => malformed += 1,
        }
    }
    assert!(whole > 50 && malformed > 50, "they show nothing: {whole} whole, {malformed} malformed");
}

#[test]
fn mangled_records_are_read_or_refused() {
    let mut sound = Vec::new();
    let stamp = Stamp { flow: Uuid::nil(), cause: None, causationid: None, hops: 0 };
    let data = Some("hello".into());
    encode_event(&mut sound, &Event { id: "1".into(), source: "/".into(), data, ..Event::default() }, &stamp);
    let mut read = 0;
    for seed in 0..MANGLED {
        let mut bytes = sound.clone();
        mangle(&mut bytes, &mut Chance::new(seed));
        let Ok(record) = Record::parse(&bytes) else { continue };
        let (event, count) = (record.to_event(), record.extensions().count());
        assert!(event.data.is_none_or(|data| data.len() <= bytes.len()) && count <= bytes.len());
        read += 1;
    }
    assert!((50..MANGLED - 50).contains(&read), "they show nothing: {read} were read");
}
