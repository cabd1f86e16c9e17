//! The binding read the way a client writes: binary, structured, batch, and what each refuses.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::*;
use crate::fuzz::mangle;
use crate::journal::storage::simulated::Chance;
use serde_json::json;

fn read(headers: &[(&'static str, &str)], body: &str) -> Result<Vec<Event>, BindingError> {
    let headers =
        headers.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect();
    read_events(&headers, Bytes::copy_from_slice(body.as_bytes()))
}

fn minimal(id: &str) -> serde_json::Value {
    json!({"specversion": "1.0", "id": id, "source": "/shop", "type": "order"})
}

const BINARY: [(&str, &str); 4] =
    [("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-source", "/shop"), ("ce-type", "order")];

fn binary_with(name: &'static str, value: &str) -> Result<Event, BindingError> {
    let mut headers = BINARY.to_vec();
    headers.push((name, value));
    Ok(read(&headers, "{}")?.remove(0))
}

#[test]
fn binary_mode_takes_attributes_from_headers_and_data_from_the_body() {
    let mut headers = BINARY.to_vec();
    headers.extend([
        ("content-type", "text/plain; charset=utf-8"),
        ("ce-subject", "Euro%20%E2%82%AC"),
        ("ce-time", "2026-01-31T12:00:00Z"),
        ("ce-partitionkey", "k-1"),
        ("ce-correlationid", "theirs"),
        ("ce-sequence", "7"),
    ]);
    let event = read(&headers, "hello").unwrap().remove(0);
    assert_eq!((event.id.as_str(), event.source.as_str(), event.ty.as_str()), ("1", "/shop", "order"));
    assert_eq!(event.subject.as_deref(), Some("Euro €"));
    assert_eq!(event.datacontenttype.as_deref(), Some("text/plain; charset=utf-8"));
    assert_eq!(event.data.as_deref(), Some(&b"hello"[..]));
    let names: Vec<_> = event.extensions.keys().map(String::as_str).collect();
    assert_eq!(names, ["partitionkey", "upstreamcorrelation"]);
}

#[test]
fn no_body_is_no_data() {
    assert_eq!(read(&BINARY, "").unwrap()[0].data, None);
}

#[test]
fn structured_mode_takes_one_event() {
    for content_type in
        [STRUCTURED, "application/cloudevents+json; charset=UTF-8", "Application/CloudEvents+JSON"]
    {
        let events = read(&[("content-type", content_type)], &minimal("1").to_string()).unwrap();
        assert_eq!(events[0].to_json(), minimal("1"));
    }
}

#[test]
fn batch_mode_takes_a_list_that_may_be_empty() {
    let body = json!([minimal("1"), minimal("2")]).to_string();
    assert_eq!(read(&[("content-type", BATCH)], &body).unwrap().len(), 2);
    assert_eq!(read(&[("content-type", BATCH)], "[]").unwrap(), []);
    let body = json!([minimal("1"), {"specversion": "0.3"}]).to_string();
    let error = read(&[("content-type", BATCH)], &body).unwrap_err();
    assert!(matches!(error, BindingError::BadEvent { index: 1, .. }), "{error}");
    assert_eq!(read(&[("content-type", BATCH)], "{}").unwrap_err().code(), "bad-event");
}

#[test]
fn plain_json_is_told_how_to_become_an_event() {
    let error = read(&[("content-type", "application/json")], r#"{"sku":"b-1"}"#).unwrap_err();
    assert_eq!(error.code(), "not-a-cloudevent");
    for help in ["ce-specversion", STRUCTURED, "baton publish", "application/json"] {
        assert!(error.to_string().contains(help), "{error}");
    }
    let lost_type = read(&[], &minimal("1").to_string()).unwrap_err().to_string();
    assert!(lost_type.contains("looks like one"), "{lost_type}");
    let lost_version = read(&[("ce-id", "1")], "").unwrap_err().to_string();
    assert!(lost_version.contains("ce-specversion is not among them"), "{lost_version}");
}

#[test]
fn formats_that_are_not_served_are_named() {
    for format in ["application/cloudevents+xml", "application/cloudevents+json; charset=utf-16"] {
        let error = read(&[("content-type", format)], "").unwrap_err();
        assert!(error.code() == "unsupported-format" && error.to_string().contains(format), "{error}");
    }
}

#[test]
fn bad_headers_are_named() {
    let cases = [
        ("ce-id", "again"),
        ("ce-datacontenttype", "text/plain"),
        ("ce-data", "x"),
        ("ce-specversion", "0.3"),
    ];
    for (name, value) in cases {
        let error = binary_with(name, value).unwrap_err();
        assert!(error.to_string().starts_with(&format!("header {name}")), "{error}");
    }
}

#[test]
fn what_is_too_large_is_refused() {
    let error = read(&BINARY, &"x".repeat(EVENT_BYTES_MAX + 1)).unwrap_err();
    assert_eq!(error.code(), "event-too-large");
    assert!(read(&BINARY, &"x".repeat(EVENT_BYTES_MAX)).is_ok());
    let body = serde_json::Value::from(vec![minimal("1"); BATCH_EVENTS_MAX + 1]).to_string();
    assert_eq!(read(&[("content-type", BATCH)], &body).unwrap_err().code(), "batch-too-large");
}

#[test]
fn what_is_not_json_is_refused_with_its_place() {
    let error = read(&[("content-type", STRUCTURED)], "{").unwrap_err();
    assert!(error.code() == "not-json" && error.to_string().contains("line 1"), "{error}");
}

/// Requests that nobody wrote, in all three modes: events or a refusal, and events that were read can be read again.
#[test]
fn mangled_requests_are_read_or_refused() {
    let event = json!({"specversion": "1.0", "id": "1", "source": "/shop", "type": "order", "subject": "o-1",
        "time": "2026-01-31T12:00:00Z", "datacontenttype": "application/json", "data": {"sku": "moby-dick", "n": 1.5e3}});
    let bodies = [(STRUCTURED, event.to_string()), (BATCH, json!([event, event]).to_string())];
    let (mut read, total) = (0, 6_000);
    for seed in 0..total {
        let chance = &mut Chance::new(seed);
        let (content_type, body) = &bodies[chance.below(2)];
        let mut body = body.clone().into_bytes();
        mangle(&mut body, chance);
        let headers = [(header::CONTENT_TYPE, HeaderValue::from_static(content_type))].into_iter().collect();
        for event in read_events(&headers, body.into()).unwrap_or_default() {
            let again = event.to_json().to_string();
            let headers =
                [(header::CONTENT_TYPE, HeaderValue::from_static(STRUCTURED))].into_iter().collect();
            assert_eq!(
                read_events(&headers, again.into()).unwrap()[0].to_json(),
                event.to_json(),
                "seed {seed}"
            );
            read += 1;
        }
    }
    assert!((total / 50..total).contains(&read), "they show nothing: {read} events were read");
}

#[test]
fn mangled_headers_are_read_or_refused() {
    let sound = [
        "1.0",
        "1",
        "/shop",
        "order",
        "Euro%20%E2%82%AC",
        "2026-01-31T12:00:00Z",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    ];
    let names =
        ["ce-specversion", "ce-id", "ce-source", "ce-type", "ce-subject", "ce-time", "ce-traceparent"];
    let (mut read, total) = (0, 6_000);
    for seed in 0..total {
        let chance = &mut Chance::new(seed);
        let bad = chance.below(names.len());
        let mut headers = HeaderMap::new();
        for (index, (name, value)) in names.into_iter().zip(sound).enumerate() {
            let mut value = value.as_bytes().to_vec();
            if index == bad {
                mangle(&mut value, chance);
            }
            let Ok(value) = HeaderValue::from_bytes(&value) else { continue };
            headers.insert(HeaderName::from_static(name), value);
        }
        if let Ok(events) = read_events(&headers, Bytes::from_static(b"{}")) {
            assert!(events.len() == 1 && !events[0].to_json().is_null(), "seed {seed}");
            read += 1;
        }
    }
    assert!((total / 20..total).contains(&read), "they show nothing: {read} events were read");
}
