//! What an operator may set: `baton.toml`, the environment, and the flags over both. Every unknown key is
//! refused. It reads one file and decides nothing else.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use crate::model::flow::{FlowRule, FlowRules};
use crate::model::name::{ChannelName, ProcessorName};
use crate::model::retention::{RetentionRules, RetentionSettings};
use crate::model::time::parse_duration;

/// Where the host listens when nobody says otherwise.
pub const LISTEN_DEFAULT: &str = "127.0.0.1:7077";

/// The folder for data when nobody says otherwise, in the folder of the host.
pub const DATA_DEFAULT: &str = ".baton";

/// Everything that a node needs to start.
#[derive(Clone, Debug)]
pub struct Config {
    /// The folder with `baton.toml` and `processors/`.
    pub dir: PathBuf,
    /// The folder for journal, views and caches; `.baton` in `dir` unless set.
    pub data_dir: PathBuf,
    /// The address of the HTTP interface.
    pub listen: SocketAddr,
    /// What the file says.
    pub settings: Settings,
}

/// The contents of `baton.toml`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The address of the HTTP interface.
    pub listen: Option<SocketAddr>,
    /// The folder for data, relative to the file.
    pub data: Option<PathBuf>,
    /// The journal.
    pub journal: JournalSettings,
    /// What is accepted.
    pub limits: LimitSettings,
    /// How long and how much of each channel is kept; everything, unless it says.
    pub retention: RetentionSettings,
    /// By channel.
    pub channel: BTreeMap<ChannelName, ChannelSettings>,
    /// By processor.
    pub processor: BTreeMap<ProcessorName, ProcessorSettings>,
    /// By the channel that flows begin on.
    pub flow: BTreeMap<ChannelName, FlowSettings>,
}

/// When an event counts as durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// When it is synced to the disk.
    #[default]
    Fsync,
    /// When the operating system has it: lost with the machine, not with the process.
    Os,
}

/// `[journal]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JournalSettings {
    /// When an event counts as durable.
    pub durability: Durability,
    /// The size at which a segment is sealed.
    pub segment_bytes_max: u64,
    /// How much may wait for the disk before publishers are sent away.
    pub undurable_bytes_max: u64,
}

impl Default for JournalSettings {
    fn default() -> Self {
        Self { durability: Durability::Fsync, segment_bytes_max: 64 << 20, undurable_bytes_max: 32 << 20 }
    }
}

/// `[limits]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitSettings {
    /// How many handlings may lie between an initiating event and one that it caused.
    pub hops_max: u16,
    /// How many events one flow may have.
    pub flow_events_max: u64,
    /// How long the id of a published event is remembered.
    pub dedupe_window_s: u64,
    /// How many ids of published events are remembered.
    pub dedupe_ids_max: usize,
    /// How many worker threads run guests; the machine's cores unless set.
    pub workers: Option<usize>,
    /// How many threads there may be when guests keep workers busy.
    pub threads_max: usize,
    /// How long a stop waits for running guests.
    pub drain_ms_max: u64,
}

impl Default for LimitSettings {
    fn default() -> Self {
        Self {
            hops_max: 64,
            flow_events_max: 100_000,
            dedupe_window_s: 600,
            dedupe_ids_max: 1_000_000,
            workers: None,
            threads_max: 64,
            drain_ms_max: 5_000,
        }
    }
}

/// `[channel.NAME]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChannelSettings {
    /// How long and how much of it is kept; what it does not say is taken from `[retention]`.
    pub retention: RetentionSettings,
}

/// `[processor.NAME]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProcessorSettings {
    /// Settings that the guest can read, by name.
    pub config: BTreeMap<String, String>,
}

/// `[flow.CHANNEL]`: the flows that begin on a channel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FlowSettings {
    /// The event types of which one means that the flow is over; without any it is over when nothing of it is left to do.
    pub ends: Vec<String>,
    /// How long a flow may take, such as `2d`.
    #[serde(deserialize_with = "duration")]
    pub deadline: Option<Duration>,
    /// Whether `done` and `overdue` are told on `baton.flows`.
    pub tell: bool,
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_duration(&text).map(Some).map_err(serde::de::Error::custom)
}

/// A configuration that cannot be used: which file, and what is wrong where.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is there and cannot be read.
    #[error("cannot read {file}: {source}")]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not what it should be.
    #[error("{file}: {message}")]
    Invalid {
        /// The file.
        file: PathBuf,
        /// What is wrong, with line and column.
        message: String,
    },
    /// The folder is not there.
    #[error("{dir} is not a folder; create it, or name another one")]
    NoFolder {
        /// The folder.
        dir: PathBuf,
    },
}

impl Settings {
    /// What is kept of which channel.
    pub fn retention_rules(&self) -> RetentionRules {
        let own = self.channel.iter().map(|(name, channel)| (name.clone(), channel.retention));
        RetentionRules { default: self.retention, channels: own.collect() }
    }

    /// Refuses values with which nothing works.
    fn check(&self) -> Result<(), String> {
        const MIB: u64 = 1 << 20;
        let Self { journal, limits, .. } = self;
        let least = [
            ("journal.segment_bytes_max", journal.segment_bytes_max, MIB),
            ("journal.undurable_bytes_max", journal.undurable_bytes_max, MIB),
            ("limits.hops_max", limits.hops_max.into(), 1),
            ("limits.flow_events_max", limits.flow_events_max, 1),
            ("limits.workers", limits.workers.map_or(1, |workers| workers as u64), 1),
            ("limits.threads_max", limits.threads_max as u64, 1),
        ];
        if let Some((key, value, least)) = least.into_iter().find(|(_, value, least)| value < least) {
            return Err(format!("{key} = {value} is too small; choose at least {least}"));
        }
        match self.flow.keys().find(|channel| channel.is_reserved()) {
            Some(channel) => Err(format!(
                "[flow.\"{channel}\"]: flows of the host's own channels are not followed; take the section out"
            )),
            None => Ok(()),
        }
    }

    /// What is asked of flows, by the channel that they begin on.
    pub fn flow_rules(&self) -> FlowRules {
        let rule = |settings: &FlowSettings| FlowRule {
            ends: settings.ends.clone(),
            deadline_ms: settings.deadline.map(|deadline| deadline.as_millis() as u64),
            tell: settings.tell,
        };
        self.flow.iter().map(|(channel, settings)| (channel.as_str().to_owned(), rule(settings))).collect()
    }
}

impl Config {
    /// Reads `baton.toml` in `dir`, if there is one.
    pub fn load(dir: &Path) -> Result<Self, ConfigError> {
        if !dir.is_dir() {
            return Err(ConfigError::NoFolder { dir: dir.to_owned() });
        }
        let file = dir.join("baton.toml");
        let settings = match std::fs::read_to_string(&file) {
            Ok(text) => {
                let invalid = |message: String| ConfigError::Invalid { file: file.clone(), message };
                let settings: Settings = toml::from_str(&text).map_err(|error| invalid(error.to_string()))?;
                settings.check().map_err(invalid)?;
                settings
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Settings::default(),
            Err(source) => return Err(ConfigError::Unreadable { file, source }),
        };
        Ok(Self::from_settings(dir, settings))
    }

    /// A configuration for `dir` without a file.
    pub fn from_settings(dir: &Path, settings: Settings) -> Self {
        let data = settings.data.clone().unwrap_or_else(|| PathBuf::from(DATA_DEFAULT));
        let default_listen = SocketAddr::from(([127, 0, 0, 1], 7077));
        Self {
            dir: dir.to_owned(),
            data_dir: dir.join(data),
            listen: settings.listen.unwrap_or(default_listen),
            settings,
        }
    }

    /// The folder of the journal.
    pub fn journal_dir(&self) -> PathBuf {
        self.data_dir.join("journal")
    }

    /// The folder that is watched for components.
    pub fn processors_dir(&self) -> PathBuf {
        self.dir.join("processors")
    }

    /// How long a stop waits for running guests.
    pub fn drain(&self) -> Duration {
        Duration::from_millis(self.settings.limits.drain_ms_max)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Config, ConfigError> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("baton.toml"), text).unwrap();
        Config::load(dir.path())
    }

    #[test]
    fn an_empty_folder_is_a_configuration() {
        let dir = tempfile::tempdir().unwrap();
        let config = Config::load(dir.path()).unwrap();
        assert_eq!(config.listen.to_string(), LISTEN_DEFAULT);
        assert_eq!(config.data_dir, dir.path().join(".baton"));
        assert_eq!(config.settings.journal.durability, Durability::Fsync);
    }

    #[test]
    fn settings_are_read() {
        let config = load(
            "listen = '127.0.0.1:0'\n[journal]\ndurability = 'os'\n[processor.inventory.config]\nlevel = '5'\n",
        )
        .unwrap();
        assert_eq!(config.settings.journal.durability, Durability::Os);
        let name = ProcessorName::new("inventory").unwrap();
        assert_eq!(config.settings.processor[&name].config["level"], "5");
    }

    #[test]
    fn flows_are_asked_of_by_the_channel_that_they_begin_on() {
        let config = load(
            "[flow.place-order]\nends = ['order-shipped', 'payment-denied']\ndeadline = '2d'\ntell = true\n\
             [flow.ticks]\n",
        )
        .unwrap();
        let rules = config.settings.flow_rules();
        let ends = vec!["order-shipped".to_owned(), "payment-denied".to_owned()];
        let expected = FlowRule { ends, deadline_ms: Some(2 * 24 * 60 * 60 * 1000), tell: true };
        assert_eq!(rules["place-order"], expected);
        assert_eq!(rules["ticks"], FlowRule::default());
    }

    #[test]
    fn a_wrong_deadline_and_a_channel_of_the_host_are_refused() {
        let error = load("[flow.place-order]\ndeadline = 'soon'\n").unwrap_err().to_string();
        assert!(error.contains("line 2") && error.contains("write it like"), "{error}");
        let error = load("[flow.\"baton.flows\"]\ntell = true\n").unwrap_err().to_string();
        assert!(error.contains("baton.flows") && error.contains("host's own"), "{error}");
    }

    #[test]
    fn a_value_with_which_nothing_works_is_refused_by_its_key() {
        for text in ["[limits]\nhops_max = 0", "[limits]\nworkers = 0", "[journal]\nundurable_bytes_max = 0"]
        {
            let error = load(text).unwrap_err().to_string();
            let key = text.split(['\n', ' ']).nth(1).unwrap();
            assert!(error.contains(key) && error.contains("choose at least"), "{error}");
        }
    }

    #[test]
    fn retention_is_off_until_it_is_said_and_a_channel_may_differ() {
        let orders = ChannelName::new("orders").unwrap();
        assert!(load("").unwrap().settings.retention_rules().of(&orders).is_off());
        let text = "[retention]\nage = '30d'\nbytes = '1GiB'\n[channel.orders.retention]\nage = 'off'\n";
        let rules = load(text).unwrap().settings.retention_rules();
        assert_eq!((rules.of(&orders).age_ms_max, rules.of(&orders).bytes_max), (None, Some(1 << 30)));
        let error = load("[retention]\nage = 'soon'\n").unwrap_err().to_string();
        assert!(error.contains("line 2") && error.contains("30d"), "{error}");
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_line() {
        let error = load("[journal]\ndurable = true\n").unwrap_err().to_string();
        assert!(
            error.contains("baton.toml") && error.contains("line 2") && error.contains("durable"),
            "{error}"
        );
    }
}
