//! What a component says of itself, and whether that makes sense.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::bounds;
use super::capability::Capabilities;
use super::filter::Filter;
use super::name::{ChannelName, ProcessorName, RESERVED};
use super::retry::{Order, RetryAsk, Then};
use super::schema;
use super::text::{steers, told};
use super::time::{TimeError, parse_rfc3339, rfc3339};
use super::workflow::post::queue_of;

/// The custom section of the component's core module that holds the descriptor, as JSON.
pub const SECTION: &str = "baton-descriptor";
/// The contract that this host serves.
pub const CONTRACT: &str = "baton:processor@0.1.0";
/// The contract of mediators: the workflow language that they are written in.
pub const MEDIATOR_CONTRACT: &str = "serverlessworkflow:dsl@1.0";

/// The most bytes of a descriptor, schemas included.
pub const DESCRIPTOR_BYTES_MAX: usize = 1 << 20;
/// The longest version, and the longest description, in characters.
const TEXT_CHARS_MAX: usize = 1_000;
/// The most channels that a processor may publish on.
pub const PUBLISHES_MAX: usize = 256;
/// The most lanes that a processor may ask for.
pub const CONCURRENCY_MAX: u32 = 64;
/// The most channels that a processor may subscribe to.
pub const SUBSCRIPTIONS_MAX: usize = 64;

/// A processor as its author describes it. Static data inside the component.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Descriptor {
    /// The contract it was built for: [`CONTRACT`].
    pub contract: String,
    /// The name by which it is known; the same name is the same processor in another version.
    pub name: ProcessorName,
    /// Its version, for people.
    pub version: String,
    /// One line for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The channels whose events it gets.
    pub subscriptions: Vec<SubscriptionAsk>,
    /// The channels it may publish on.
    #[serde(default)]
    pub publishes: Vec<ChannelName>,
    /// How many lanes it runs on.
    #[serde(default = "one")]
    pub concurrency: u32,
    /// Whether an instance is used again.
    #[serde(default)]
    pub instance: InstanceReuse,
    /// Its bounds; absent ones are the host's defaults.
    #[serde(default)]
    pub limits: Limits,
    /// What it asks for beside events and state.
    #[serde(default, skip_serializing_if = "Capabilities::is_empty")]
    pub capabilities: Capabilities,
    /// What the data of its channels looks like, as JSON Schema: what it sends on those that it publishes on, what it expects on
    /// those that it reads.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub schemas: BTreeMap<ChannelName, Value>,
}

/// One channel that a processor wants to read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SubscriptionAsk {
    /// The channel.
    pub channel: ChannelName,
    /// What events must have in common to be handled in order.
    #[serde(default, skip_serializing_if = "KeyChoice::is_default")]
    pub key: KeyChoice,
    /// Where a new subscription begins.
    #[serde(default)]
    pub start: Start,
    /// Which events it wants; without one, all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Value>")]
    pub filter: Option<Filter>,
    /// How events that failed are tried again.
    #[serde(default, skip_serializing_if = "RetryAsk::is_default")]
    pub retry: RetryAsk,
    /// What follows the last attempt.
    #[serde(default, skip_serializing_if = "is_default")]
    pub then: Then,
    /// Whether later events of its key wait for an event that failed.
    #[serde(default, skip_serializing_if = "is_default")]
    pub order: Order,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// How a subscription finds an event's key. Written as a text: `default`, `single`, the name of an
/// attribute, or a JSON pointer into the data.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "String", into = "String")]
pub enum KeyChoice {
    /// `partitionkey`, else `subject`, else `id`.
    #[default]
    Default,
    /// One key for all events.
    Single,
    /// An attribute or extension; an event without it has its default key.
    Attribute(String),
    /// A JSON pointer (RFC 6901) into the data; an event without it has its default key.
    Pointer(String),
}

impl KeyChoice {
    fn is_default(&self) -> bool {
        *self == Self::Default
    }
}

impl From<String> for KeyChoice {
    fn from(text: String) -> Self {
        match text.as_str() {
            "default" | "" => Self::Default,
            "single" => Self::Single,
            pointer if pointer.starts_with('/') => Self::Pointer(text),
            _ => Self::Attribute(text),
        }
    }
}

impl From<KeyChoice> for String {
    fn from(key: KeyChoice) -> Self {
        match key {
            KeyChoice::Default => "default".to_owned(),
            KeyChoice::Single => "single".to_owned(),
            KeyChoice::Attribute(text) | KeyChoice::Pointer(text) => text,
        }
    }
}

/// Where a new subscription begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Start {
    /// With the oldest event that the channel has.
    #[default]
    Earliest,
    /// With the next event that is published.
    Latest,
    /// With the event at this offset.
    Offset(u64),
    /// With the first event that was recorded at or after this time.
    Time(#[schemars(with = "String")] StartTime),
}

/// Why a text is no place in a channel.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{text}' is no place in a channel; say earliest, latest, an offset, or a time such as 2026-01-31T12:00:00Z"
)]
pub struct StartError {
    text: String,
}

/// Reads `earliest`, `latest`, an offset or a time, as the command line has it.
impl FromStr for Start {
    type Err = StartError;

    fn from_str(text: &str) -> Result<Self, StartError> {
        match (text, text.parse()) {
            ("earliest", _) => Ok(Self::Earliest),
            ("latest", _) => Ok(Self::Latest),
            (_, Ok(offset)) => Ok(Self::Offset(offset)),
            _ => match parse_rfc3339(text) {
                Ok(time_ms) => Ok(Self::Time(StartTime(time_ms))),
                Err(_) => Err(StartError { text: text.chars().take(40).collect() }),
            },
        }
    }
}

impl fmt::Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Earliest => write!(f, "earliest"),
            Self::Latest => write!(f, "latest"),
            Self::Offset(offset) => write!(f, "{offset}"),
            Self::Time(time) => write!(f, "{}", String::from(*time)),
        }
    }
}

/// A time in milliseconds since the Unix epoch, written as RFC 3339.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StartTime(pub u64);

impl TryFrom<String> for StartTime {
    type Error = TimeError;

    fn try_from(text: String) -> Result<Self, TimeError> {
        parse_rfc3339(&text).map(Self)
    }
}

impl From<StartTime> for String {
    fn from(time: StartTime) -> Self {
        rfc3339(time.0)
    }
}

/// Whether one instance serves many calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum InstanceReuse {
    /// It does, until a trap or a passed limit throws it away.
    #[default]
    Warm,
    /// Every call gets a new one.
    Fresh,
}

/// Bounds that a processor asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Linear memory of the whole instance, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes_max: Option<u64>,
    /// Time of its own for one event, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_time_ms_max: Option<u64>,
    /// Time for one event together with what the host does for it, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_time_ms_max: Option<u64>,
    /// Calls of the host for one event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_calls_max: Option<u64>,
    /// Events that it publishes for one event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub emits_max: Option<u64>,
    /// State of one key, in bytes; a row counts 128 bytes more than its key, name and value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_key_bytes_max: Option<u64>,
    /// State of all keys, in bytes, counted like that of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_bytes_max: Option<u64>,
}

fn one() -> u32 {
    1
}

/// What is wrong with a descriptor: the field, what is there, and what may be there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("descriptor field '{field}': {why}")]
pub struct DescriptorError {
    /// The field, as a path.
    pub field: String,
    /// What is wrong and what to write.
    pub why: String,
}

impl Descriptor {
    /// Whether it is that of a mediator: a workflow, and no code.
    pub fn is_mediator(&self) -> bool {
        self.contract == MEDIATOR_CONTRACT
    }

    /// The event queue of a mediator: it is read from its oldest event on, and by nobody else. Topics on which runs wait for events are read
    /// from their next event on.
    pub fn event_queue(&self) -> Option<&ChannelName> {
        let asks = self.subscriptions.iter().filter(|_| self.is_mediator());
        let mut asks = asks.filter(|ask| ask.start == Start::Earliest && !ask.channel.is_reserved());
        asks.next().map(|ask| &ask.channel)
    }

    /// The subscription on the queue of a processor, for the commands of mediators: they are tried as often as the events of its first.
    pub fn queue(&self) -> Option<SubscriptionAsk> {
        let channel = ChannelName::new(queue_of(self.name.as_str())).ok()?;
        let first = self.subscriptions.first().filter(|_| !self.is_mediator())?;
        Some(SubscriptionAsk { channel, start: Start::Earliest, filter: None, ..first.clone() })
    }

    /// Reads a descriptor from the JSON of its section and checks it.
    pub fn from_json(json: &[u8]) -> Result<Self, DescriptorError> {
        if json.len() > DESCRIPTOR_BYTES_MAX {
            let why = format!("it has {} bytes, {DESCRIPTOR_BYTES_MAX} are allowed; shorten it", json.len());
            return Err(DescriptorError { field: ".".to_owned(), why });
        }
        check_filters(json)?;
        let json = &mut serde_json::Deserializer::from_slice(json);
        let descriptor: Self =
            serde_path_to_error::deserialize(&mut *json).map_err(|error| misread(&error))?;
        json.end().map_err(|error| unread(".", &error))?;
        descriptor.check()?;
        Ok(descriptor)
    }

    /// Checks what the types alone do not.
    pub fn check(&self) -> Result<(), DescriptorError> {
        let refuse = |field: &str, why: String| Err(DescriptorError { field: field.to_owned(), why });
        if self.contract != CONTRACT {
            return refuse(
                "contract",
                format!("'{}' is not served here; this host serves '{CONTRACT}'", self.contract),
            );
        }
        if self.name.is_reserved() {
            return refuse(
                "name",
                format!("'{}' begins with '{RESERVED}', which is the host's; choose another", self.name),
            );
        }
        if let Some(channel) = self.publishes.iter().find(|channel| channel.is_reserved()) {
            return refuse(
                "publishes",
                format!("'{channel}': the host alone publishes on '{RESERVED}' channels; choose another"),
            );
        }
        if self.subscriptions.is_empty() || self.subscriptions.len() > SUBSCRIPTIONS_MAX {
            let count = self.subscriptions.len();
            return refuse(
                "subscriptions",
                format!("{count} channels; a processor subscribes to 1 to {SUBSCRIPTIONS_MAX}"),
            );
        }
        for (index, ask) in self.subscriptions.iter().enumerate() {
            if self.subscriptions.iter().take(index).any(|other| other.channel == ask.channel) {
                return refuse(
                    &format!("subscriptions[{index}].channel"),
                    format!("'{}' is there twice; keep one", ask.channel),
                );
            }
            if let Some((field, why)) = ask.retry.fault() {
                return refuse(&format!("subscriptions[{index}].retry.{field}"), why);
            }
        }
        if self.concurrency == 0 || self.concurrency > CONCURRENCY_MAX {
            return refuse(
                "concurrency",
                format!("{} lanes; choose 1 to {CONCURRENCY_MAX}", self.concurrency),
            );
        }
        if self.publishes.len() > PUBLISHES_MAX {
            let count = self.publishes.len();
            return refuse(
                "publishes",
                format!("{count} channels; a processor publishes on {PUBLISHES_MAX} at most"),
            );
        }
        if let Some((field, why)) = self.capabilities.fault() {
            return refuse(&format!("capabilities.{field}"), why);
        }
        self.check_texts()?;
        self.check_schemas()?;
        bounds::check(&self.limits)
    }

    /// Both are shown in terminals.
    fn check_texts(&self) -> Result<(), DescriptorError> {
        for (field, text) in [("version", &self.version), ("description", &self.description)] {
            let why = match text.chars().count() {
                TEXT_CHARS_MAX.. => format!("it has more than {TEXT_CHARS_MAX} characters; shorten it"),
                _ if text.chars().any(steers) => {
                    "it has characters that steer a terminal; take them out".to_owned()
                }
                _ => continue,
            };
            return Err(DescriptorError { field: field.to_owned(), why });
        }
        Ok(())
    }

    fn check_schemas(&self) -> Result<(), DescriptorError> {
        for (channel, schema) in &self.schemas {
            let is_own = self.publishes.contains(channel)
                || self.subscriptions.iter().any(|ask| ask.channel == *channel);
            let foreign = (!is_own)
                .then(|| "it neither reads the channel nor publishes on it; leave it out".to_owned());
            if let Some(why) = foreign.or_else(|| schema::problem(schema)) {
                return Err(DescriptorError { field: format!("schemas.{channel}"), why });
            }
        }
        Ok(())
    }
}

fn misread(error: &serde_path_to_error::Error<serde_json::Error>) -> DescriptorError {
    unread(&error.path().to_string(), error.inner())
}

fn unread(field: &str, error: &serde_json::Error) -> DescriptorError {
    let why =
        format!("{}; build the component with a baton-sdk of this host's version", told(&error.to_string()));
    DescriptorError { field: told(field), why }
}

/// Names the place of a filter's mistake: serde would tell only the line.
fn check_filters(json: &[u8]) -> Result<(), DescriptorError> {
    // What is no JSON at all is refused by whoever reads the rest.
    let descriptor: Value = serde_json::from_slice(json).unwrap_or_default();
    let asks = descriptor.get("subscriptions").and_then(Value::as_array);
    for (index, ask) in asks.into_iter().flatten().enumerate() {
        if let Some(filter) = ask.get("filter").filter(|filter| !filter.is_null())
            && let Err(error) = Filter::from_value(filter)
        {
            let field = format!("subscriptions[{index}].{}", error.path);
            return Err(DescriptorError { field: told(&field), why: told(&error.why) });
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn json(text: &str) -> Result<Descriptor, DescriptorError> {
        Descriptor::from_json(text.as_bytes())
    }

    #[test]
    fn a_short_descriptor_gets_the_defaults() {
        let descriptor = json(
            r#"{"contract":"baton:processor@0.1.0","name":"payment","version":"1.0.0",
                "subscriptions":[{"channel":"order-created"}],"publishes":["payment-applied"]}"#,
        )
        .unwrap();
        assert_eq!(descriptor.concurrency, 1);
        assert_eq!(descriptor.subscriptions[0].key, KeyChoice::Default);
        assert_eq!(descriptor.subscriptions[0].start, Start::Earliest);
        assert_eq!(descriptor.instance, InstanceReuse::Warm);
    }

    #[test]
    fn keys_and_starts_are_read_from_text() {
        let descriptor = json(
            r#"{"contract":"baton:processor@0.1.0","name":"x","version":"1","subscriptions":[
                {"channel":"a","key":"single","start":"latest"},
                {"channel":"b","key":"/item/sku","start":{"offset":7}},
                {"channel":"c","key":"subject","start":{"time":"2023-11-14T22:13:20.123Z"},
                 "filter":{"exact":{"type":"t"}}}]}"#,
        )
        .unwrap();
        let keys: Vec<_> = descriptor.subscriptions.iter().map(|s| s.key.clone()).collect();
        assert_eq!(
            keys,
            [
                KeyChoice::Single,
                KeyChoice::Pointer("/item/sku".into()),
                KeyChoice::Attribute("subject".into())
            ]
        );
        assert_eq!(descriptor.subscriptions[1].start, Start::Offset(7));
        assert_eq!(descriptor.subscriptions[2].start, Start::Time(StartTime(1_700_000_000_123)));
        let filter = descriptor.subscriptions[2].filter.as_ref().map(Filter::to_string);
        assert_eq!(filter.as_deref(), Some(r#"exact(type = "t")"#));
        let again = serde_json::to_vec(&descriptor).unwrap();
        assert_eq!(Descriptor::from_json(&again).unwrap(), descriptor);
    }

    #[test]
    fn a_start_is_a_word_an_offset_or_a_time() {
        for text in ["earliest", "latest", "7", "2023-11-14T22:13:20.123Z"] {
            assert_eq!(text.parse::<Start>().unwrap().to_string(), text);
        }
        assert!("soon".parse::<Start>().is_err());
    }

    #[test]
    fn impossible_descriptors_are_refused_by_field() {
        let base = r#""contract":"baton:processor@0.1.0","version":"1""#;
        let cases = [
            (r#""name":"x","subscriptions":[]"#, "subscriptions"),
            (r#""name":"x","subscriptions":[{"channel":"a"},{"channel":"a"}]"#, "subscriptions[1].channel"),
            (r#""name":"x","subscriptions":[{"channel":"a"}],"concurrency":0"#, "concurrency"),
            (
                r#""name":"x","subscriptions":[{"channel":"a"}],"limits":{"memory_bytes_max":1}"#,
                "limits.memory_bytes_max",
            ),
            (r#""name":"x","subscriptions":[{"channel":"a"}],"schemas":{"a":7}"#, "schemas.a"),
            (r#""name":"x","subscriptions":[{"channel":"a"}],"schemas":{"b":{}}"#, "schemas.b"),
            (
                r#""name":"x","subscriptions":[{"channel":"a"},{"channel":"b","filter":{"all":[{"exakt":{}}]}}]"#,
                "subscriptions[1].filter.all[0].exakt",
            ),
            (
                r#""name":"x","subscriptions":[{"channel":"a","start":{"time":"noon"}}]"#,
                "subscriptions[0].start.time",
            ),
            (
                r#""name":"x","subscriptions":[{"channel":"a","retry":{"attempts_max":0}}]"#,
                "subscriptions[0].retry.attempts_max",
            ),
            (
                r#""name":"x","subscriptions":[{"channel":"a","retry":{"delay_ms":-1}}]"#,
                "subscriptions[0].retry.delay_ms",
            ),
            (r#""name":"x","subscriptions":[{"channel":"a","then":"forget"}]"#, "subscriptions[0].then"),
            (
                r#""name":"x","subscriptions":[{"channel":"a"}],"capabilities":{"secrets":["a b"]}"#,
                "capabilities.secrets[0]",
            ),
            (
                r#""name":"x","subscriptions":[{"channel":"a"}],"capabilities":{"tcp":["mail"]}"#,
                "capabilities.tcp[0]",
            ),
            (r#""name":"X","subscriptions":[{"channel":"a"}]"#, "name"),
            (r#""name":"x","description":"\u001b[2J","subscriptions":[{"channel":"a"}]"#, "description"),
            (r#""name":"baton.x","subscriptions":[{"channel":"a"}]"#, "name"),
            (
                r#""name":"x","subscriptions":[{"channel":"baton.flows"}],"publishes":["baton.flows"]"#,
                "publishes",
            ),
            (r#""name":"x","subscriptions":[{"channel":"a"}],"colour":1"#, "colour"),
        ];
        for (rest, field) in cases {
            assert_eq!(json(&format!("{{{base},{rest}}}")).unwrap_err().field, field, "{rest}");
        }
        let large = format!(r#"{{{base},"name":"x","description":"{}"}}"#, "d".repeat(DESCRIPTOR_BYTES_MAX));
        assert!(json(&large).unwrap_err().why.contains("1048576 are allowed"));
        let foreign = r#"{"contract":"baton:processor@9.0.0","name":"x","version":"1","subscriptions":[{"channel":"a"}]}"#;
        assert_eq!(json(foreign).unwrap_err().field, "contract");
    }
}
