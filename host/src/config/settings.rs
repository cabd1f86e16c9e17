//! The keys of `baton.toml`, section by section: their types, defaults and bounds. The published schema is derived from
//! here, so a doc comment is what an operator reads in his editor. Every key has a default: a file may be empty.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::grants::{self, GrantSettings, SecretSettings};
use super::unit::{Period, Size};
use crate::model::flow::{FlowRule, FlowRules};
use crate::model::grant::Grants;
use crate::model::name::{ChannelName, ProcessorName};
use crate::model::operation::Lanes;
use crate::model::retention::{self, AgeBound, RetentionRules, SizeBound};
use crate::model::retry::RetryCaps;

/// The folder for data when nobody says otherwise, in the folder of the file.
pub const DATA_DEFAULT: &str = ".baton";

/// What an operator of Baton may set: the contents of `baton.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The address of the HTTP interface; port 0 takes a free one.
    #[schemars(with = "String")]
    pub listen: SocketAddr,
    /// The folder for the journal and what is derived from it, relative to the folder of the file.
    pub data: PathBuf,
    /// Who may reach the HTTP interface, and how often.
    pub api: ApiSettings,
    /// The journal.
    pub journal: JournalSettings,
    /// What is accepted, and how much runs at a time.
    pub limits: LimitSettings,
    /// What descriptors may ask at most for events that failed.
    pub retry: RetrySettings,
    /// How long and how much of each channel is kept; everything, unless it says.
    pub retention: RetentionSettings,
    /// By channel.
    pub channel: BTreeMap<ChannelName, ChannelSettings>,
    /// What the host tells others of itself.
    pub telemetry: TelemetrySettings,
    /// What mediators keep.
    pub mediators: MediatorSettings,
    /// By processor.
    pub processor: BTreeMap<ProcessorName, ProcessorSettings>,
    /// What processors may do beside events and state, by the name of the processor or a pattern of names.
    pub grants: BTreeMap<String, GrantSettings>,
    /// Secrets, which processors read by the names of these sections.
    pub secrets: BTreeMap<String, SecretSettings>,
    /// By the channel that flows begin on.
    pub flow: BTreeMap<ChannelName, FlowSettings>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7077)),
            data: PathBuf::from(DATA_DEFAULT),
            api: ApiSettings::default(),
            journal: JournalSettings::default(),
            limits: LimitSettings::default(),
            retry: RetrySettings::default(),
            retention: RetentionSettings::default(),
            channel: BTreeMap::new(),
            telemetry: TelemetrySettings::default(),
            mediators: MediatorSettings::default(),
            processor: BTreeMap::new(),
            grants: BTreeMap::new(),
            secrets: BTreeMap::new(),
            flow: BTreeMap::new(),
        }
    }
}

impl Settings {
    /// What no type can say: the path of a key and why it cannot be.
    pub(super) fn faults(&self) -> Vec<(Vec<String>, String)> {
        let reserved = self.flow.keys().filter(|channel| channel.is_reserved());
        let why = "flows of the host's own channels are not followed; take the section out";
        let reserved = reserved.map(|channel| (vec!["flow".to_owned(), channel.to_string()], why.to_owned()));
        let open = (!self.listen.ip().is_loopback() && self.api.plaintext.is_none()).then(|| {
            let why = "HTTP is not encrypted, so other machines are not served; listen on 127.0.0.1, or put a proxy with TLS \
                       before the host and say api.plaintext = \"behind-a-proxy\"";
            (vec!["listen".to_owned()], why.to_owned())
        });
        reserved.chain(open).chain(grants::faults(&self.grants, &self.secrets)).collect()
    }

    /// What processors may do.
    pub fn grants(&self) -> Grants {
        grants::grants(&self.grants)
    }

    /// What is kept of which channel.
    pub fn retention_rules(&self) -> RetentionRules {
        let own = self.channel.iter().map(|(name, channel)| (name.clone(), channel.retention.into()));
        RetentionRules { default: self.retention.into(), channels: own.collect() }
    }

    /// What is asked of flows, by the channel that they begin on.
    pub fn flow_rules(&self) -> FlowRules {
        let rule = |settings: &FlowSettings| FlowRule {
            ends: settings.ends.clone(),
            deadline_ms: settings.deadline.map(Period::ms),
            tell: settings.tell,
        };
        self.flow.iter().map(|(channel, settings)| (channel.as_str().to_owned(), rule(settings))).collect()
    }
}

/// Who may reach the HTTP interface, and how often.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ApiSettings {
    /// `behind-a-proxy`: an address that other machines reach is served without encryption, because a proxy before it has that.
    pub plaintext: Option<Plaintext>,
    /// The names by which the host is asked, beside `localhost` and its addresses: what a proxy sends as `Host`.
    pub hosts: Vec<String>,
    /// How many requests a second each token may send.
    #[schemars(range(min = 1))]
    pub requests_per_s_max: u32,
}

impl Default for ApiSettings {
    fn default() -> Self {
        Self { plaintext: None, hosts: Vec::new(), requests_per_s_max: 10_000 }
    }
}

/// Why it is right to serve other machines without encryption.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Plaintext {
    /// A proxy on the same machine or network has the encryption.
    BehindAProxy,
}

/// When an event counts as durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// When it is synced to the disk.
    #[default]
    Fsync,
    /// When the operating system has it: lost with the machine, not with the process.
    Os,
}

/// The journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct JournalSettings {
    /// When an event counts as durable.
    pub durability: Durability,
    /// The size at which a segment is sealed.
    #[schemars(extend("minimum" = 1 << 20))]
    pub segment_bytes_max: Size,
    /// How much may wait for the disk before publishers are sent away.
    #[schemars(extend("minimum" = 1 << 20))]
    pub undurable_bytes_max: Size,
    /// How much of the disk is kept back for when it is full, so that the host can still be controlled; at most a quarter of it. At 0 nothing is.
    pub reserve_bytes: Size,
}

impl Default for JournalSettings {
    fn default() -> Self {
        Self {
            durability: Durability::Fsync,
            segment_bytes_max: Size::mib(64),
            undurable_bytes_max: Size::mib(32),
            reserve_bytes: Size::mib(40),
        }
    }
}

/// What is accepted, and how much runs at a time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LimitSettings {
    /// How many handlings may lie between an initiating event and one that it caused.
    #[schemars(range(min = 1))]
    pub hops_max: u16,
    /// How many events one flow may have.
    #[schemars(range(min = 1))]
    pub flow_events_max: u64,
    /// How long the id of a published event is remembered, in seconds.
    pub dedupe_window_s: u64,
    /// How many ids of published events are remembered.
    pub dedupe_ids_max: usize,
    /// How many worker threads run guests; the machine's cores unless set.
    #[schemars(range(min = 1))]
    pub workers: Option<usize>,
    /// How many threads there may be when guests keep workers busy.
    #[schemars(range(min = 1))]
    pub threads_max: usize,
    /// How long a stop waits for running guests, in milliseconds.
    pub drain_ms_max: u64,
    /// How many live reads (server-sent events) there may be at one time.
    pub streams_max: usize,
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
            streams_max: 256,
        }
    }
}

/// What descriptors may ask at most for events that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RetrySettings {
    /// How often an event is tried, the first time included.
    #[schemars(range(min = 1, max = 1000))]
    pub attempts_max: u32,
    /// The longest delay between two attempts, such as `1h`.
    pub delay_max: Period,
    /// How long an event waits between its attempts in all, such as `7d`.
    pub total_max: Period,
}

impl Default for RetrySettings {
    fn default() -> Self {
        RetryCaps::default().into()
    }
}

impl From<RetryCaps> for RetrySettings {
    fn from(caps: RetryCaps) -> Self {
        Self {
            attempts_max: caps.attempts_max,
            delay_max: Period::of_ms(caps.delay_ms_max),
            total_max: Period::of_ms(caps.total_ms_max),
        }
    }
}

impl From<RetrySettings> for RetryCaps {
    fn from(settings: RetrySettings) -> Self {
        Self {
            attempts_max: settings.attempts_max,
            delay_ms_max: settings.delay_max.ms(),
            total_ms_max: settings.total_max.ms(),
        }
    }
}

/// How long and how much of a channel is kept. What a deployed processor has not decided never expires.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RetentionSettings {
    /// Events that are older expire: `30d`, `P30D`, or `off`.
    #[schemars(with = "Option<String>")]
    pub age: Option<AgeBound>,
    /// The oldest events of a channel expire when it has more than this: `10GiB`, or `off`.
    #[schemars(with = "Option<String>")]
    pub bytes: Option<SizeBound>,
}

impl From<RetentionSettings> for retention::RetentionSettings {
    fn from(settings: RetentionSettings) -> Self {
        Self { age: settings.age, bytes: settings.bytes }
    }
}

/// What an operator sets for one channel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ChannelSettings {
    /// How long and how much of it is kept; what it does not say is taken from `[retention]`.
    pub retention: RetentionSettings,
}

/// What the host tells others of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TelemetrySettings {
    /// The OpenTelemetry collector that gets a trace of every flow, over OTLP/HTTP, such as `http://127.0.0.1:4318`; only a host that
    /// is built with the feature `otel` can do that.
    pub otlp_endpoint: Option<String>,
}

/// What mediators keep, and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MediatorSettings {
    /// How long a run is kept that is over.
    pub keep_runs: Period,
    /// How long an event is kept that no run waits for yet.
    pub keep_early: Period,
}

impl Default for MediatorSettings {
    fn default() -> Self {
        const DAY_S: u64 = 24 * 3_600;
        Self { keep_runs: Period::seconds(30 * DAY_S), keep_early: Period::seconds(DAY_S) }
    }
}

/// What an operator sets for one processor.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProcessorSettings {
    /// How many lanes it has, such as `"1..4"` or `2`, whatever its descriptor says; `baton processor scale` is heard first.
    pub lanes: Option<Lanes>,
    /// Settings that the guest can read, by name.
    pub config: BTreeMap<String, String>,
}

/// What an operator asks of the flows that begin on one channel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FlowSettings {
    /// The event types of which one means that the flow is over; without any it is over when nothing of it is left to do.
    pub ends: Vec<String>,
    /// How long a flow may take, such as `2d`.
    pub deadline: Option<Period>,
    /// Whether `done` and `overdue` are told on `baton.flows`.
    pub tell: bool,
}
