//! A deployment: which bytes of a processor ran from when to when. Its record is the receipt.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bounds::Bounds;
use super::change::ProcessorId;
use super::descriptor::Descriptor;

/// What stands in place of a file for a processor in the application's own code; component files end in `.wasm`.
pub const NATIVE_FILE: &str = "native";

/// The receipt of one deployment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Deployment {
    /// The processor's number.
    pub processor: ProcessorId,
    /// Counts the deployments of this processor from 1; what an older one still wants to commit is refused.
    pub generation: u64,
    /// BLAKE3 of the component, in hexadecimal; of native code, `native:` and its version.
    pub digest: String,
    /// The digest that ran before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_digest: Option<String>,
    /// What the component says of itself.
    pub descriptor: Descriptor,
    /// The name of the file that it came from.
    pub file: String,
    /// When it was deployed, milliseconds since the Unix epoch.
    pub time_ms: u64,
    /// How long reading, checking and compiling took, in microseconds.
    pub load_us: u64,
    /// Whether the compiled code came from the cache.
    pub cached: bool,
    /// What is different from the version before, a line each.
    pub changes: Vec<String>,
    /// What the operator set for it: a print of each value by its name, never the value.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub config: BTreeMap<String, String>,
    /// How long each lane handled nothing during the switch, in microseconds.
    #[serde(default)]
    pub pauses_us: Vec<u64>,
}

impl Deployment {
    /// Whether it is code of the application, and no component.
    pub fn is_native(&self) -> bool {
        self.file == NATIVE_FILE
    }

    /// Whether it is a component.
    pub fn is_component(&self) -> bool {
        !self.is_native() && !self.descriptor.is_mediator()
    }
}

/// Says in lines for people what differs between two versions.
pub fn differences(old: Option<&Descriptor>, new: &Descriptor) -> Vec<String> {
    let Some(old) = old else { return vec!["first deployment".to_owned()] };
    let mut lines = Vec::new();
    let mut differs = |what: &str, old: String, new: String| {
        if old != new {
            lines.push(format!("{what}: {old} -> {new}"));
        }
    };
    differs("version", old.version.clone(), new.version.clone());
    differs("concurrency", old.concurrency.to_string(), new.concurrency.to_string());
    differs("instance", format!("{:?}", old.instance), format!("{:?}", new.instance));
    let (before, after) = (Bounds::of(&old.limits).named(), Bounds::of(&new.limits).named());
    for ((name, before), (_, after)) in before.into_iter().zip(after) {
        differs(name, before.to_string(), after.to_string());
    }
    lines.extend(set_differences("publishes", names(&old.publishes), names(&new.publishes)));
    lines.extend(set_differences("subscribes", subscriptions(old), subscriptions(new)));
    lines.extend(set_differences("asks for", old.capabilities.lines(), new.capabilities.lines()));
    lines.extend(schema_differences(old, new));
    lines
}

fn schema_differences(old: &Descriptor, new: &Descriptor) -> Vec<String> {
    let channels: BTreeSet<_> = old.schemas.keys().chain(new.schemas.keys()).collect();
    let differs = channels.into_iter().filter_map(|channel| {
        let how = match (old.schemas.get(channel), new.schemas.get(channel)) {
            (old, new) if old == new => return None,
            (None, _) => "added",
            (_, None) => "removed",
            _ => "changed",
        };
        Some(format!("schema of {channel}: {how}"))
    });
    differs.collect()
}

/// Says in lines for people which settings differ, given prints of their values.
pub fn config_differences(old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) -> Vec<String> {
    let gone = old.keys().filter(|name| !new.contains_key(*name)).map(|name| format!("config: - {name}"));
    let come = new.iter().filter_map(|(name, print)| match old.get(name) {
        None => Some(format!("config: + {name}")),
        Some(before) if before != print => Some(format!("config: {name} changed")),
        Some(_) => None,
    });
    gone.chain(come).collect()
}

fn names<T: ToString>(items: &[T]) -> Vec<String> {
    items.iter().map(T::to_string).collect()
}

fn subscriptions(descriptor: &Descriptor) -> Vec<String> {
    let describe = |ask: &super::descriptor::SubscriptionAsk| {
        let filter = ask.filter.as_ref().map_or(String::new(), |filter| format!(", filter {filter}"));
        format!("{} (key {}{filter})", ask.channel, String::from(ask.key.clone()))
    };
    descriptor.subscriptions.iter().map(describe).collect()
}

fn set_differences(what: &str, old: Vec<String>, new: Vec<String>) -> Vec<String> {
    let gone = old.iter().filter(|item| !new.contains(item)).map(|item| format!("{what}: - {item}"));
    let come = new.iter().filter(|item| !old.contains(item)).map(|item| format!("{what}: + {item}"));
    gone.chain(come).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn descriptor(version: &str, publishes: &str) -> Descriptor {
        let json = format!(
            r#"{{"contract":"baton:processor@0.1.0","name":"x","version":"{version}",
                "subscriptions":[{{"channel":"a"}}],"publishes":[{publishes}]}}"#
        );
        Descriptor::from_json(json.as_bytes()).unwrap()
    }

    #[test]
    fn settings_differ_by_name() {
        let prints = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(name, print)| ((*name).to_owned(), (*print).to_owned())).collect()
        };
        let [old, new] = [prints(&[("a", "1"), ("b", "1")]), prints(&[("b", "2"), ("c", "1")])];
        assert_eq!(config_differences(&old, &new), ["config: - a", "config: b changed", "config: + c"]);
        assert!(config_differences(&old, &old).is_empty());
    }

    #[test]
    fn a_receipt_says_what_changed() {
        let old = descriptor("1", r#""b""#);
        let new = descriptor("2", r#""c""#);
        assert_eq!(differences(None, &new), ["first deployment"]);
        assert_eq!(differences(Some(&old), &new), ["version: 1 -> 2", "publishes: - b", "publishes: + c"]);
        assert!(differences(Some(&new), &new).is_empty());
        let mut filtered = new.clone();
        filtered.subscriptions[0].filter = serde_json::from_str(r#"{"exact":{"type":"t"}}"#).unwrap();
        assert_eq!(
            differences(Some(&new), &filtered),
            ["subscribes: - a (key default)", r#"subscribes: + a (key default, filter exact(type = "t"))"#]
        );
    }

    #[test]
    fn a_schema_that_differs_is_told() {
        let bare = descriptor("1", r#""b""#);
        let with = |schema: serde_json::Value| {
            let mut descriptor = bare.clone();
            descriptor.schemas.insert(descriptor.publishes[0].clone(), schema);
            descriptor
        };
        let (one, two) = (with(serde_json::json!(true)), with(serde_json::json!({})));
        assert_eq!(differences(Some(&bare), &one), ["schema of b: added"]);
        assert_eq!(differences(Some(&one), &two), ["schema of b: changed"]);
        assert_eq!(differences(Some(&one), &bare), ["schema of b: removed"]);
    }
}
