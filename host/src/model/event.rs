//! A CloudEvents 1.0 event as people and protocols see it, and its JSON format. The compact form that
//! travels inside the host is `record`.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// The largest event, attributes and data together.
pub const EVENT_BYTES_MAX: usize = 1 << 20;
/// The longest value of one attribute.
pub const ATTRIBUTE_BYTES_MAX: usize = 4096;
/// The most extension attributes of one event.
pub const EXTENSIONS_MAX: usize = 64;

/// Attributes that the host alone gives; one that comes from outside is not taken over.
pub const HOST_ATTRIBUTES: [&str; 4] = ["correlationid", "causationid", "sequence", "recordedtime"];

/// An event; immutable once it is accepted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Event {
    /// With `source`, its identity.
    pub id: String,
    /// Where it comes from, as a URI reference.
    pub source: String,
    /// What happened, such as `order-created`.
    pub ty: String,
    /// What it is about.
    pub subject: Option<String>,
    /// When it happened, RFC 3339.
    pub time: Option<String>,
    /// The media type of `data`; JSON when absent.
    pub datacontenttype: Option<String>,
    /// Where the schema of `data` is.
    pub dataschema: Option<String>,
    /// All other attributes.
    pub extensions: BTreeMap<String, Extension>,
    /// The payload, as its media type says.
    pub data: Option<Bytes>,
}

/// The value of an extension attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Extension {
    /// Text, and everything that CloudEvents writes as text.
    Text(String),
    /// A 32-bit signed integer.
    Integer(i32),
    /// True or false.
    Boolean(bool),
}

/// Why something is no event: the attribute and what it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("event attribute '{attribute}': {why}")]
pub struct EventError {
    /// The attribute at fault, or `data`.
    pub attribute: String,
    /// What is wrong and what was expected.
    pub why: String,
}

fn refuse<T>(attribute: &str, why: impl Into<String>) -> Result<T, EventError> {
    Err(EventError { attribute: attribute.to_owned(), why: why.into() })
}

impl Extension {
    /// The value in its canonical text form.
    pub fn to_text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Integer(number) => number.to_string(),
            Self::Boolean(flag) => flag.to_string(),
        }
    }

    fn to_json(&self) -> Value {
        match self {
            Self::Text(text) => Value::from(text.as_str()),
            Self::Integer(number) => Value::from(*number),
            Self::Boolean(flag) => Value::from(*flag),
        }
    }
}

impl Event {
    /// Whether `data` is JSON, by its media type.
    pub fn data_is_json(&self) -> bool {
        is_json(self.datacontenttype.as_deref())
    }

    /// Checks the rules of CloudEvents 1.0.2 and this host's bounds.
    pub fn check(&self) -> Result<(), EventError> {
        for (name, value) in [("id", &self.id), ("source", &self.source), ("type", &self.ty)] {
            if value.is_empty() {
                return refuse(name, "is required and must not be empty");
            }
        }
        for (name, value) in self.text_attributes() {
            check_text(name, value)?;
        }
        if let Some(time) = &self.time
            && time.parse::<jiff::Timestamp>().is_err()
        {
            return refuse("time", format!("'{time}' is not an RFC 3339 time such as 2026-01-31T12:00:00Z"));
        }
        if self.subject.as_deref() == Some("") {
            return refuse("subject", "must not be empty; leave it out");
        }
        self.check_extensions()?;
        self.check_size()
    }

    fn text_attributes(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            ("id", Some(self.id.as_str())),
            ("source", Some(&self.source)),
            ("type", Some(&self.ty)),
            ("subject", self.subject.as_deref()),
            ("datacontenttype", self.datacontenttype.as_deref()),
            ("dataschema", self.dataschema.as_deref()),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
    }

    fn check_extensions(&self) -> Result<(), EventError> {
        if self.extensions.len() > EXTENSIONS_MAX {
            let count = self.extensions.len();
            return refuse("extensions", format!("{count} of them; at most {EXTENSIONS_MAX}"));
        }
        for (name, value) in &self.extensions {
            if name != "partitionkey" {
                check_extension_name(name)?;
            }
            if let Extension::Text(text) = value {
                check_text(name, text)?;
            }
        }
        Ok(())
    }

    fn check_size(&self) -> Result<(), EventError> {
        let attributes: usize = self.text_attributes().map(|(_, value)| value.len()).sum();
        let extensions: usize =
            self.extensions.iter().map(|(name, value)| name.len() + value.to_text().len()).sum();
        let bytes = attributes + extensions + self.data.as_ref().map_or(0, Bytes::len);
        if bytes > EVENT_BYTES_MAX {
            return refuse("data", format!("the event has {bytes} bytes; at most {EVENT_BYTES_MAX}"));
        }
        Ok(())
    }

    /// The event as the host takes it over from outside: attributes that the host alone gives are dropped, and
    /// the correlation that the outside knows is kept as `upstreamcorrelation`.
    pub fn from_outside(mut self) -> Self {
        if let Some(correlation) = self.extensions.remove("correlationid") {
            self.extensions.insert("upstreamcorrelation".to_owned(), correlation);
        }
        for name in HOST_ATTRIBUTES {
            self.extensions.remove(name);
        }
        self
    }

    /// Reads the CloudEvents JSON format. It is not yet checked: see [`Event::check`]. JSON data is taken over as it is
    /// written: numbers keep all their digits.
    pub fn from_json(text: &str) -> Result<Self, EventError> {
        let Ok(mut members) = serde_json::from_str::<Members<'_>>(text) else {
            return refuse(".", "an event in JSON is an object");
        };
        match take_text(&mut members, "specversion")?.as_deref() {
            Some("1.0") => {}
            Some(other) => return refuse("specversion", format!("\"{other}\" is not \"1.0\"")),
            None => return refuse("specversion", "is required: \"1.0\""),
        }
        let mut event = Self {
            id: take_text(&mut members, "id")?.unwrap_or_default(),
            source: take_text(&mut members, "source")?.unwrap_or_default(),
            ty: take_text(&mut members, "type")?.unwrap_or_default(),
            subject: take_text(&mut members, "subject")?,
            time: take_text(&mut members, "time")?,
            datacontenttype: take_text(&mut members, "datacontenttype")?,
            dataschema: take_text(&mut members, "dataschema")?,
            ..Self::default()
        };
        event.take_data(&mut members)?;
        for (name, raw) in members {
            if let Some(value) = extension_from_json(&name, value_of(raw))? {
                event.extensions.insert(name, value);
            }
        }
        Ok(event)
    }

    fn take_data(&mut self, members: &mut Members<'_>) -> Result<(), EventError> {
        let base64 = take_text(members, "data_base64")?;
        self.data = match (members.remove("data"), base64) {
            (Some(_), Some(_)) => return refuse("data", "both data and data_base64 are there; keep one"),
            (None, None) => None,
            (None, Some(text)) => match BASE64.decode(text) {
                Ok(bytes) => Some(bytes.into()),
                Err(error) => return refuse("data_base64", error.to_string()),
            },
            (Some(raw), None) => Some(self.data_of(raw)),
        };
        Ok(())
    }

    fn data_of(&mut self, raw: &RawValue) -> Bytes {
        if !self.data_is_json()
            && let Value::String(text) = value_of(raw)
        {
            return text.into();
        }
        self.datacontenttype.get_or_insert_with(|| "application/json".to_owned());
        raw.get().to_owned().into()
    }

    /// Writes the CloudEvents JSON format.
    pub fn to_json(&self) -> Value {
        let mut members = Map::new();
        members.insert("specversion".into(), "1.0".into());
        let optional = [("time", &self.time)];
        let texts =
            self.text_attributes().chain(optional.iter().filter_map(|(n, v)| Some((*n, v.as_deref()?))));
        for (name, value) in texts {
            members.insert(name.into(), value.into());
        }
        for (name, value) in &self.extensions {
            members.insert(name.clone(), value.to_json());
        }
        if let Some(data) = &self.data {
            let (name, value) = data_to_json(self.datacontenttype.as_deref(), data);
            members.insert(name.into(), value);
        }
        Value::Object(members)
    }
}

/// Data as a member of an event in JSON: the member's name, and its value.
pub fn data_to_json(media_type: Option<&str>, data: &[u8]) -> (&'static str, Value) {
    if is_json(media_type) {
        if let Ok(value) = serde_json::from_slice(data) {
            return ("data", value);
        }
    } else if media_type.is_some_and(|kind| kind.starts_with("text/"))
        && let Ok(text) = std::str::from_utf8(data)
    {
        return ("data", text.into());
    }
    ("data_base64", BASE64.encode(data).into())
}

/// Whether a media type is JSON; without one, it is.
pub fn is_json(media_type: Option<&str>) -> bool {
    let Some(media_type) = media_type else { return true };
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || essence == "text/json" || essence.ends_with("+json")
}

/// Attributes that are no extensions.
const CORE_ATTRIBUTES: [&str; 10] = [
    "specversion",
    "id",
    "source",
    "type",
    "subject",
    "time",
    "datacontenttype",
    "dataschema",
    "data",
    "partitionkey",
];

/// Checks that a text may be the name of an extension attribute that somebody else than the host gives.
pub fn check_extension_name(name: &str) -> Result<(), EventError> {
    if CORE_ATTRIBUTES.contains(&name) || HOST_ATTRIBUTES.contains(&name) {
        return refuse(name, "is no extension: it has a place of its own, or the host alone gives it");
    }
    check_attribute_name(name)
}

/// Checks that a text may be the name of an attribute.
pub fn check_attribute_name(name: &str) -> Result<(), EventError> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if name.is_empty() || name.len() > 64 || !name.chars().all(allowed) {
        return refuse(name, "attribute names are 1 to 64 lower-case letters and digits");
    }
    Ok(())
}

fn check_text(name: &str, value: &str) -> Result<(), EventError> {
    if value.len() > ATTRIBUTE_BYTES_MAX {
        return refuse(name, format!("has {} bytes; at most {ATTRIBUTE_BYTES_MAX}", value.len()));
    }
    // Nearly all texts are plain, which is told without a branch for each byte.
    if value.bytes().fold(true, |plain, byte| plain & (b' '..=b'~').contains(&byte)) {
        return Ok(());
    }
    match value.chars().find(|c| c.is_control()) {
        Some(c) => refuse(name, format!("holds the control character {c:?}")),
        None => Ok(()),
    }
}

/// The members of an event's JSON, as they are written.
type Members<'a> = BTreeMap<String, &'a RawValue>;

fn value_of(raw: &RawValue) -> Value {
    serde_json::from_str(raw.get()).unwrap_or_default()
}

fn take_text(members: &mut Members<'_>, name: &str) -> Result<Option<String>, EventError> {
    match members.remove(name).map(value_of) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => refuse(name, format!("{other} is not a string")),
    }
}

fn extension_from_json(name: &str, value: Value) -> Result<Option<Extension>, EventError> {
    Ok(Some(match value {
        Value::Null => return Ok(None),
        Value::String(text) => Extension::Text(text),
        Value::Bool(flag) => Extension::Boolean(flag),
        Value::Number(number) => match number.as_i64().and_then(|n| i32::try_from(n).ok()) {
            Some(number) => Extension::Integer(number),
            None => return refuse(name, format!("{number} is not a 32-bit integer; send it as a string")),
        },
        other => {
            return refuse(name, format!("{other} is no attribute value; use a string, integer or boolean"));
        }
    }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(value: Value) -> Result<Event, EventError> {
        let event = Event::from_json(&value.to_string())?;
        event.check()?;
        Ok(event)
    }

    #[test]
    fn the_json_format_goes_round() {
        for data in [
            json!({"data": {"sku": "b-1", "n": [1, null]}, "datacontenttype": "application/json"}),
            json!({"data": "plain", "datacontenttype": "text/plain"}),
            json!({"data_base64": "AAEC/w==", "datacontenttype": "application/octet-stream"}),
            json!({"data": "a json string", "datacontenttype": "application/vnd.x+json"}),
            json!({}),
        ] {
            let mut event = json!({"specversion": "1.0", "id": "1", "source": "/shop", "type": "t", "subject": "s",
                "time": "2026-01-31T12:00:00Z", "flag": true, "count": -3, "partitionkey": "k"});
            event.as_object_mut().unwrap().extend(data.as_object().unwrap().clone());
            assert_eq!(read(event.clone()).unwrap().to_json(), event);
        }
    }

    #[test]
    fn data_keeps_its_digits() {
        let text = r#"{"specversion":"1.0","id":"1","source":"/","type":"t","data":{"n":12345678901234567890123,"x":0.10}}"#;
        let event = Event::from_json(text).unwrap();
        assert_eq!(event.data.unwrap(), r#"{"n":12345678901234567890123,"x":0.10}"#);
    }

    #[test]
    fn bad_events_are_refused_by_attribute() {
        let base = json!({"specversion": "1.0", "id": "1", "source": "/shop", "type": "t"});
        let cases = [
            (json!({"specversion": "0.3"}), "specversion"),
            (json!({"id": ""}), "id"),
            (json!({"source": null}), "source"),
            (json!({"time": "yesterday"}), "time"),
            (json!({"Upper": "x"}), "Upper"),
            (json!({"big": 4_000_000_000_u64}), "big"),
            (json!({"nested": {}}), "nested"),
            (json!({"correlationid": "mine"}), "correlationid"),
            (json!({"subject": "a\u{0}b"}), "subject"),
            (json!({"data": 1, "data_base64": "AA=="}), "data"),
            (json!({"type": "x".repeat(ATTRIBUTE_BYTES_MAX + 1)}), "type"),
            (json!({"data": "x".repeat(EVENT_BYTES_MAX)}), "data"),
        ];
        for (change, attribute) in cases {
            let mut event = base.clone();
            event.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            assert_eq!(read(event).unwrap_err().attribute, attribute);
        }
    }

    #[test]
    fn attributes_of_the_host_are_not_taken_from_outside() {
        let outside = Event::from_json(
            &json!({"specversion": "1.0", "id": "1", "source": "/", "type": "t", "correlationid": "c",
            "causationid": "x", "sequence": "4", "recordedtime": "2026-01-31T12:00:00Z", "traceparent": "00"})
            .to_string(),
        );
        let outside = outside.unwrap().from_outside();
        assert_eq!(outside.check(), Ok(()));
        let extensions = outside.extensions;
        let names: Vec<_> = extensions.keys().map(String::as_str).collect();
        assert_eq!(names, ["traceparent", "upstreamcorrelation"]);
        assert_eq!(extensions["upstreamcorrelation"], Extension::Text("c".into()));
    }

    #[test]
    fn too_many_extensions_are_refused() {
        let mut event = Event { id: "1".into(), source: "/".into(), ty: "t".into(), ..Event::default() };
        for n in 0..=EXTENSIONS_MAX {
            event.extensions.insert(format!("x{n}"), Extension::Boolean(true));
        }
        assert_eq!(event.check().unwrap_err().attribute, "extensions");
    }
}
