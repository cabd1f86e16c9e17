//! Who sends what to whom: the processors, the channels between them, and the way from one to the next. It is made of
//! descriptors alone, so it is the same for a running host and for files that nobody runs.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::descriptor::Descriptor;

/// Processors and channels.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Topology {
    /// By name.
    pub processors: Vec<TopologyProcessor>,
    /// By name: all that a processor reads or sends on, and all that a host has.
    pub channels: Vec<TopologyChannel>,
}

/// A processor, as its descriptor says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TopologyProcessor {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// One line for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The channels that it reads.
    pub reads: Vec<String>,
    /// The channels that it may send on.
    pub sends: Vec<String>,
    /// What the data of its channels looks like, JSON Schema by channel.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub schemas: BTreeMap<String, Value>,
}

/// A channel with both its ends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TopologyChannel {
    /// Its name.
    pub name: String,
    /// The processors that say that they send on it.
    pub senders: Vec<String>,
    /// The processors that read it.
    pub readers: Vec<String>,
    /// How many events were ever published on it; absent where only files are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<u64>,
}

impl Topology {
    /// The topology of processors, and of the channels that a host has with the number of their events.
    pub fn new<'a>(
        descriptors: impl IntoIterator<Item = &'a Descriptor>,
        channels: impl IntoIterator<Item = (String, u64)>,
    ) -> Self {
        let mut processors: Vec<_> = descriptors.into_iter().map(processor).collect();
        processors.sort_by(|a, b| a.name.cmp(&b.name));
        let mut found: BTreeMap<String, TopologyChannel> = BTreeMap::new();
        for (name, events) in channels {
            entry(&mut found, &name).events = Some(events);
        }
        for processor in &processors {
            for name in &processor.sends {
                entry(&mut found, name).senders.push(processor.name.clone());
            }
            for name in &processor.reads {
                entry(&mut found, name).readers.push(processor.name.clone());
            }
        }
        Self { processors, channels: found.into_values().collect() }
    }

    /// A processor by its name.
    pub fn processor(&self, name: &str) -> Option<&TopologyProcessor> {
        self.processors.iter().find(|processor| processor.name == name)
    }

    /// A channel by its name.
    pub fn channel(&self, name: &str) -> Option<&TopologyChannel> {
        self.channels.iter().find(|channel| channel.name == name)
    }

    /// The processors that hear of a processor directly, each with the channel by which it does.
    pub fn next<'a>(&'a self, name: &str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let sends = self.processor(name).into_iter().flat_map(|processor| &processor.sends);
        sends
            .filter_map(|channel| self.channel(channel))
            .flat_map(|channel| channel.readers.iter().map(|reader| (channel.name.as_str(), reader.as_str())))
    }

    /// The schemas that some processors give for a channel, each with the processor's name.
    pub fn schemas<'a>(
        &'a self,
        of: &'a [String],
        channel: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a Value)> {
        let given = |name: &'a String| Some((name.as_str(), self.processor(name)?.schemas.get(channel)?));
        of.iter().filter_map(given)
    }
}

fn processor(descriptor: &Descriptor) -> TopologyProcessor {
    TopologyProcessor {
        name: descriptor.name.to_string(),
        version: descriptor.version.clone(),
        description: descriptor.description.clone(),
        reads: descriptor.subscriptions.iter().map(|ask| ask.channel.to_string()).collect(),
        sends: descriptor.publishes.iter().map(ToString::to_string).collect(),
        schemas: descriptor.schemas.iter().map(|(name, schema)| (name.to_string(), schema.clone())).collect(),
    }
}

fn entry<'a>(channels: &'a mut BTreeMap<String, TopologyChannel>, name: &str) -> &'a mut TopologyChannel {
    channels.entry(name.to_owned()).or_insert_with(|| TopologyChannel {
        name: name.to_owned(),
        senders: Vec::new(),
        readers: Vec::new(),
        events: None,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) mod fixture {
    use super::*;
    use serde_json::json;

    /// A processor that reads and sends, with schemas by channel.
    pub fn described(name: &str, reads: &[&str], sends: &[&str], schemas: Value) -> Descriptor {
        let reads: Vec<_> = reads.iter().map(|channel| json!({ "channel": channel })).collect();
        let descriptor = json!({
            "contract": "baton:processor@0.1.0", "name": name, "version": "1.0.0", "subscriptions": reads,
            "publishes": sends, "schemas": schemas,
        });
        Descriptor::from_json(descriptor.to_string().as_bytes()).unwrap()
    }

    /// Processors without schemas: name, what it reads, what it sends.
    pub fn topology(processors: &[(&str, &[&str], &[&str])], channels: &[(&str, u64)]) -> Topology {
        let described: Vec<_> =
            processors.iter().map(|(name, reads, sends)| described(name, reads, sends, json!({}))).collect();
        Topology::new(&described, channels.iter().map(|(name, events)| ((*name).to_owned(), *events)))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::fixture::topology;

    #[test]
    fn channels_have_both_their_ends() {
        let found = topology(
            &[("payment", &["orders"], &["paid", "denied"]), ("mail", &["paid", "orders"], &[])],
            &[("orders", 3), ("old", 7)],
        );
        let orders = found.channel("orders").unwrap();
        assert_eq!((orders.readers.len(), orders.senders.len(), orders.events), (2, 0, Some(3)));
        assert_eq!(found.channel("old").unwrap().events, Some(7));
        assert_eq!(found.channel("denied").unwrap().events, None);
        let names: Vec<_> = found.channels.iter().map(|channel| channel.name.as_str()).collect();
        assert_eq!(names, ["denied", "old", "orders", "paid"]);
        assert_eq!(found.next("payment").collect::<Vec<_>>(), [("paid", "mail")]);
        assert_eq!(found.next("nobody").count(), 0);
    }
}
