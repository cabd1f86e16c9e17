//! The CloudEvents HTTP binding: reads the events of a request in binary, structured or batch mode. It is pure:
//! headers and body in, events out. Whether they are good events is checked by the node.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use bytes::Bytes;
use serde::de::{Deserialize, Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::header_text;
use crate::model::event::{EVENT_BYTES_MAX, Event, EventError, Extension};

/// One event as JSON.
pub const STRUCTURED: &str = "application/cloudevents+json";
/// A list of events as JSON.
pub const BATCH: &str = "application/cloudevents-batch+json";
/// The most events of one batch.
pub const BATCH_EVENTS_MAX: usize = 10_000;

/// Why a request holds no events.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BindingError {
    /// Neither the headers nor the content type say that this is an event.
    #[error(
        "this is no CloudEvent: {found}. Send the data as the body, with the headers ce-specversion: 1.0, ce-id, \
         ce-source and ce-type; or one JSON object with specversion, id, source, type and data, with \
         Content-Type: {STRUCTURED}. `baton publish CHANNEL --data JSON` does it for you"
    )]
    NotAnEvent {
        /// What there is instead.
        found: String,
    },
    /// An event format that is not served.
    #[error(
        "the format '{content_type}' is not served; send {STRUCTURED} or {BATCH} in UTF-8, or ce- headers"
    )]
    Format {
        /// What the request says that it is.
        content_type: String,
    },
    /// The body is not JSON.
    #[error("the body is not JSON: {why}")]
    NotJson {
        /// What the parser says, with line and column.
        why: String,
    },
    /// A header cannot be read.
    #[error("header {name}: {why}")]
    Header {
        /// Which header.
        name: String,
        /// What is wrong.
        why: String,
    },
    /// An event is not an event.
    #[error("event {index} of the request: {error}")]
    BadEvent {
        /// Its place in the request, counted from 0.
        index: usize,
        /// What is wrong.
        error: EventError,
    },
    /// The data of one event is too large.
    #[error("event {index} of the request has {bytes} bytes of data; at most {EVENT_BYTES_MAX}")]
    EventTooLarge {
        /// Its place in the request, counted from 0.
        index: usize,
        /// The size of its data.
        bytes: usize,
    },
    /// A batch has too many events.
    #[error("the batch has more than {BATCH_EVENTS_MAX} events; send the rest in a batch of its own")]
    BatchTooLarge,
}

impl BindingError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotAnEvent { .. } => "not-a-cloudevent",
            Self::Format { .. } => "unsupported-format",
            Self::NotJson { .. } => "not-json",
            Self::Header { .. } => "bad-header",
            Self::BadEvent { .. } => "bad-event",
            Self::EventTooLarge { .. } => "event-too-large",
            Self::BatchTooLarge => "batch-too-large",
        }
    }
}

/// Reads the events of a request, as the host takes them over.
pub fn read_events(headers: &HeaderMap, body: Bytes) -> Result<Vec<Event>, BindingError> {
    let events = match essence(headers).as_deref() {
        Some(STRUCTURED) => vec![event_from_json(0, json(&body)?)?],
        Some(BATCH) => batch(&body)?,
        Some(other) if other.starts_with("application/cloudevents") => return Err(format_error(headers)),
        _ => vec![binary(headers, body)?],
    };
    for (index, event) in events.iter().enumerate() {
        let bytes = event.data.as_ref().map_or(0, Bytes::len);
        if bytes > EVENT_BYTES_MAX {
            return Err(BindingError::EventTooLarge { index, bytes });
        }
    }
    Ok(events.into_iter().map(Event::from_outside).collect())
}

/// The media type without its parameters; a charset other than UTF-8 makes it a format that is not served.
fn essence(headers: &HeaderMap) -> Option<String> {
    let content_type = content_type(headers)?.to_ascii_lowercase();
    let (essence, parameters) = content_type.split_once(';').unwrap_or((&content_type, ""));
    let charset = parameters.split(';').find_map(|parameter| parameter.trim().strip_prefix("charset="));
    let utf8 = charset.is_none_or(|charset| charset.trim_matches('"') == "utf-8");
    Some(if utf8 { essence.trim().to_owned() } else { content_type })
}

fn content_type(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::CONTENT_TYPE)?.to_str().ok()
}

fn format_error(headers: &HeaderMap) -> BindingError {
    BindingError::Format { content_type: content_type(headers).unwrap_or_default().to_owned() }
}

fn json<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, BindingError> {
    serde_json::from_slice(body).map_err(|error| BindingError::NotJson { why: error.to_string() })
}

fn event_from_json(index: usize, event: &RawValue) -> Result<Event, BindingError> {
    Event::from_json(event.get()).map_err(|error| BindingError::BadEvent { index, error })
}

fn batch(body: &[u8]) -> Result<Vec<Event>, BindingError> {
    if body.trim_ascii_start().first() != Some(&b'[') {
        json::<&RawValue>(body)?;
        let why = "a batch is a JSON array of events".to_owned();
        let error = EventError { attribute: ".".to_owned(), why };
        return Err(BindingError::BadEvent { index: 0, error });
    }
    let events: BatchEvents<'_> = json(body)?;
    if events.more {
        return Err(BindingError::BatchTooLarge);
    }
    events.first.into_iter().enumerate().map(|(index, event)| event_from_json(index, event)).collect()
}

/// The events of a batch up to the bound, as they are written: what is past it takes no memory.
struct BatchEvents<'a> {
    first: Vec<&'a RawValue>,
    more: bool,
}

impl<'de> Deserialize<'de> for BatchEvents<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_seq(BatchVisitor)
    }
}

struct BatchVisitor;

impl<'de> Visitor<'de> for BatchVisitor {
    type Value = BatchEvents<'de>;

    fn expecting(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str("a JSON array of events")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut events: A) -> Result<Self::Value, A::Error> {
        let mut first = Vec::new();
        while first.len() < BATCH_EVENTS_MAX {
            match events.next_element()? {
                Some(event) => first.push(event),
                None => return Ok(BatchEvents { first, more: false }),
            }
        }
        let mut more = false;
        while events.next_element::<IgnoredAny>()?.is_some() {
            more = true;
        }
        Ok(BatchEvents { first, more })
    }
}

fn binary(headers: &HeaderMap, body: Bytes) -> Result<Event, BindingError> {
    if !headers.contains_key("ce-specversion") {
        return Err(not_an_event(headers, &body));
    }
    let mut event = Event {
        datacontenttype: content_type(headers).map(str::to_owned),
        data: (!body.is_empty()).then_some(body),
        ..Event::default()
    };
    for (name, value) in headers {
        if let Some(attribute) = name.as_str().strip_prefix("ce-") {
            set_attribute(&mut event, attribute, header_value(headers, name, value)?)?;
        }
    }
    take_trace(&mut event, headers);
    Ok(event)
}

/// The trace of the request (W3C) is the event's, unless the event says another.
fn take_trace(event: &mut Event, headers: &HeaderMap) {
    for name in ["traceparent", "tracestate"] {
        if let Some(value) = headers.get(name).and_then(|value| value.to_str().ok()) {
            let value = || Extension::Text(value.to_owned());
            event.extensions.entry(name.to_owned()).or_insert_with(value);
        }
    }
}

fn header_value(headers: &HeaderMap, name: &HeaderName, value: &HeaderValue) -> Result<String, BindingError> {
    let bad = |why: String| BindingError::Header { name: name.to_string(), why };
    if headers.get_all(name).iter().nth(1).is_some() {
        return Err(bad("it is there more than once".to_owned()));
    }
    Ok(header_text::decode(value.as_bytes()))
}

fn set_attribute(event: &mut Event, attribute: &str, value: String) -> Result<(), BindingError> {
    let bad = |why: &str| BindingError::Header { name: format!("ce-{attribute}"), why: why.to_owned() };
    match attribute {
        "specversion" if value == "1.0" => {}
        "specversion" => return Err(bad("it must be 1.0")),
        "id" => event.id = value,
        "source" => event.source = value,
        "type" => event.ty = value,
        "subject" => event.subject = Some(value),
        "time" => event.time = Some(value),
        "dataschema" => event.dataschema = Some(value),
        "datacontenttype" => return Err(bad("the type of the data travels as Content-Type")),
        "data" | "data_base64" => return Err(bad("the data travels as the body")),
        _ => {
            event.extensions.insert(attribute.to_owned(), Extension::Text(value));
        }
    }
    Ok(())
}

fn not_an_event(headers: &HeaderMap, body: &[u8]) -> BindingError {
    let members = serde_json::from_slice::<serde_json::Value>(body).ok();
    let found = if headers.keys().any(|name| name.as_str().starts_with("ce-")) {
        "there are ce- headers, and ce-specversion is not among them".to_owned()
    } else if members.is_some_and(|value| value.get("specversion").is_some()) {
        format!("the body looks like one, and its Content-Type is not {STRUCTURED}")
    } else {
        format!(
            "it has no ce- headers, and its Content-Type is {}",
            content_type(headers).unwrap_or("not given")
        )
    };
    BindingError::NotAnEvent { found }
}

#[cfg(test)]
#[path = "binding_tests.rs"]
mod tests;
