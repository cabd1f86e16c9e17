//! What the host answers when it is asked: the JSON of HTTP, of `--json`, and what the client reads.
//! Times are RFC 3339 UTC, durations are microseconds where a field ends in `_us`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::deployment::Deployment;
use super::descriptor::Descriptor;
use super::fault::Fault;
use super::filter::Filter;
use super::ledger::{Ledger, LedgerAlarm};
use super::operation::{LanesFrom, Operator, Rate};
use super::rehearsal::Rehearsal;
use super::upkeep::HeldBack;
use super::workflow::read::Mistake;

/// What became of one published event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Accepted {
    /// The event's id.
    pub id: String,
    /// The event's source.
    pub source: String,
    /// Its channel.
    pub channel: String,
    /// Its place in the channel.
    pub offset: u64,
    /// Its place in the journal.
    pub position: u64,
    /// Its flow: the `correlationid` of everything that it causes.
    pub flow: String,
    /// The same event was accepted before; this is the answer that it got then.
    pub duplicate: bool,
}

/// An event as it stands in a channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Recorded {
    /// Its place in the channel.
    pub offset: u64,
    /// Its place in the journal.
    pub position: u64,
    /// When the host took it.
    pub recorded: String,
    /// The event in the CloudEvents JSON format, with the host's attributes.
    pub event: Value,
}

/// Events that a reader who follows a channel does not get: it goes on behind them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Gap {
    /// The channel.
    pub channel: String,
    /// The first offset that is left out.
    pub from: u64,
    /// The last offset that is left out.
    pub to: u64,
    /// How many offsets these are.
    pub count: u64,
    /// Why.
    pub reason: GapReason,
}

/// Why a reader does not get events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum GapReason {
    /// They are no longer there.
    Expired,
    /// The reader is further behind than it wants to be.
    Behind,
}

/// The answer to a publish.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Publication {
    /// What became of the events, in their order.
    pub events: Vec<Accepted>,
}

/// All channels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChannelList {
    /// By name.
    pub channels: Vec<ChannelReport>,
}

/// All processors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProcessorList {
    /// By name.
    pub processors: Vec<ProcessorReport>,
    /// Files in the folder that do not run.
    pub problems: Vec<FileProblem>,
}

/// All deployments.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DeploymentList {
    /// Oldest first.
    pub deployments: Vec<Deployment>,
}

/// What a processor keeps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StateList {
    /// The processor.
    pub processor: String,
    /// Its state by key and name.
    pub entries: Vec<StateEntry>,
}

/// What a processor wrote.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LogPage {
    /// The lines, oldest first.
    pub lines: Vec<LogLine>,
    /// What to give as `after` to get the lines that come next.
    pub next: u64,
}

/// A page of a channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EventPage {
    /// The channel.
    pub channel: String,
    /// How many of the events that were asked for are expired: the page goes on behind them.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub expired: u64,
    /// The events, oldest first.
    pub events: Vec<Recorded>,
    /// The offset to ask for next.
    pub next: u64,
}

/// A channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChannelReport {
    /// Its name.
    pub name: String,
    /// `topic`; `queue` if it has one subscriber: the event queue or the inbox of a mediator, or the commands for a processor.
    pub kind: String,
    /// The oldest offset that it has; what was before is expired.
    pub first: u64,
    /// The offset that the next event gets.
    pub next: u64,
    /// The processors that say that they publish on it.
    pub publishers: Vec<String>,
    /// Who reads it.
    pub subscriptions: Vec<SubscriptionReport>,
}

/// A processor's position on a channel.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SubscriptionReport {
    /// Who reads.
    pub processor: String,
    /// What is read.
    pub channel: String,
    /// The first offset that it got.
    pub start: u64,
    /// Everything below this offset is decided.
    pub cursor: u64,
    /// How many events it has decided: handled or filtered.
    pub decided: u64,
    /// How many were gone before it decided them.
    #[serde(default)]
    pub expired: u64,
    /// How many of those its filter did not pass.
    #[serde(default)]
    pub filtered: u64,
    /// How many of the decided ones stand above the cursor.
    #[serde(default)]
    pub ahead: u64,
    /// How many events of the channel it has not decided.
    pub lag: u64,
    /// How many of those failed and are tried again by themselves.
    #[serde(default)]
    pub parked: u64,
    /// How many of those failed and are held until somebody looks.
    pub held: u64,
    /// How many of those wait behind an event of their key that failed.
    pub waiting: u64,
    /// How many dead letters it has; they count as decided.
    #[serde(default)]
    pub dead: u64,
    /// How many events were given up for good, because an operator said so.
    #[serde(default)]
    pub discarded: u64,
    /// Where every event is that it accepted.
    #[serde(default)]
    pub ledger: Ledger,
    /// Which events it gets; without one, all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Value>")]
    pub filter: Option<Filter>,
}

/// Subscriptions by processor and channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SubscriptionList {
    /// The subscriptions.
    pub subscriptions: Vec<SubscriptionReport>,
}

/// What a reset of a subscription did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ResetReport {
    /// Who reads.
    pub processor: String,
    /// What is read.
    pub channel: String,
    /// Where the cursor was.
    pub from: u64,
    /// The offset of the first event that comes now.
    pub to: u64,
    /// How many events of the channel come, up to its present end.
    pub comes: u64,
    /// How many of those were handled or filtered before: they come again.
    pub again: u64,
    /// How many events were still to be handled and are passed over.
    pub passed_over: u64,
    /// How many events were parked or held and are no more.
    pub held: u64,
    /// How many dead letters it had that are none any more.
    #[serde(default)]
    pub dead: u64,
    /// What becomes of the processor's state.
    pub state: StateFate,
    /// Nothing was changed.
    pub dry_run: bool,
    /// The generation that runs from now on; none where the processor is not deployed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
}

/// What becomes of a processor's state in a reset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StateFate {
    /// There is none.
    #[default]
    None,
    /// It stays as it is.
    Kept,
    /// It is deleted.
    Cleared,
    /// There is some, and a dry run was not told what becomes of it.
    Undecided,
}

/// How a processor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ProcessorStatus {
    /// It handles what comes.
    Running,
    /// It runs, and tries some events again that failed.
    Retrying,
    /// It runs, and some keys are held after a fault until somebody looks.
    Held,
    /// It reads nothing more, because too many events failed, wait behind those, or are dead letters.
    Blocked,
    /// Its file is gone; its positions are kept.
    Undeployed,
    /// It is deployed and could not be started.
    Failed,
    /// An operator paused it: no batch begins.
    Paused,
}

/// A processor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProcessorReport {
    /// Its name.
    pub name: String,
    /// How it is.
    pub status: ProcessorStatus,
    /// Why it is so, when it is not simply running.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Its version.
    pub version: String,
    /// BLAKE3 of its component.
    pub digest: String,
    /// Counts its deployments.
    pub generation: u64,
    /// How many lanes it has now.
    pub lanes: u32,
    /// The bounds of its lanes.
    pub scale: ScaleReport,
    /// The pause that holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<PauseReport>,
    /// The rate that holds, such as `100/s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// How many events it has handled since the host started.
    pub handled: u64,
    /// How many handlings failed since the host started.
    pub failed: u64,
    /// Its channels.
    pub subscriptions: Vec<SubscriptionReport>,
    /// The events that failed and are not given up, oldest first, at most 100.
    pub held: Vec<HeldReport>,
    /// How many dead letters it has.
    #[serde(default)]
    pub dead: u64,
    /// A version that waits for approval, because it is wider than this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<WaitingVersion>,
    /// What the component says of itself.
    pub descriptor: Descriptor,
}

/// A version that waits for approval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WaitingVersion {
    /// Its version.
    pub version: String,
    /// BLAKE3 of its component.
    pub digest: String,
    /// The file that it is in.
    pub file: String,
    /// What it may do, or does to others, that the version that runs does not: a clause each.
    pub differences: Vec<String>,
}

/// Bounds of a processor's lanes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ScaleReport {
    /// It never has fewer.
    pub min: u32,
    /// It never has more.
    pub max: u32,
    /// Who says so: `command`, `config` or `descriptor`.
    pub from: LanesFrom,
}

/// A pause of a processor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PauseReport {
    /// Why.
    pub reason: String,
    /// Who said so: `cli`, `http` or `library`.
    pub by: Operator,
    /// Since when.
    pub since: String,
}

/// An event that failed and holds its key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HeldReport {
    /// The channel of the event.
    pub channel: String,
    /// Its offset there.
    pub offset: u64,
    /// Its flow.
    pub flow: String,
    /// The key that waits.
    pub key: String,
    /// How many events of the key wait behind it.
    pub waiting: u64,
    /// How many attempts there were.
    pub attempts: u32,
    /// What went wrong.
    pub fault: Fault,
    /// When it is tried again, RFC 3339; without it, when somebody says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A file in `processors/` that is not running, and what to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FileProblem {
    /// The file's name.
    pub file: String,
    /// A stable code.
    pub code: String,
    /// What is wrong and what to do.
    pub message: String,
    /// Since when.
    pub since: String,
}

/// Names and values of the state of one processor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StateEntry {
    /// The key that the value belongs to.
    pub key: String,
    /// The name within the key.
    pub name: String,
    /// The value, when it is JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// The value in base64, when it is not JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_base64: Option<String>,
    /// When it expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
}

/// A flow: everything that one initiating event caused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FlowReport {
    /// Its id, the `correlationid` of its events.
    pub flow: String,
    /// Whether anything of it is still to do.
    pub status: FlowStatus,
    /// It is past its deadline and not done, whatever else it is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub overdue: bool,
    /// By when it is to be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<String>,
    /// Why it is not done although nothing of it is left to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When its first event was recorded.
    pub started: String,
    /// When the latest thing of it was recorded.
    pub latest: String,
    /// Some of its events are expired: what is shown is the rest.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub expired: bool,
    /// Its events in journal order; `cause` makes them a tree.
    pub events: Vec<FlowEvent>,
    /// The list was cut: the flow has more events than are shown.
    pub truncated: bool,
}

/// How far a flow is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FlowStatus {
    /// Something of it is still to be handled.
    Open,
    /// Everything of it was handled by everyone who is subscribed.
    Done,
    /// An event of it is held after a fault.
    Stuck,
    /// It is open past its deadline.
    Overdue,
}

/// One event of a flow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FlowEvent {
    /// Its place in the journal.
    pub position: u64,
    /// The place of its direct cause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<u64>,
    /// Its channel.
    pub channel: String,
    /// Its place there.
    pub offset: u64,
    /// When it was recorded.
    pub recorded: String,
    /// The event in the CloudEvents JSON format.
    pub event: Value,
    /// What each subscribed processor did with it.
    pub handlings: Vec<Handling>,
}

/// What one processor did with one event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Handling {
    /// Which processor.
    pub processor: String,
    /// What it did.
    pub status: HandlingStatus,
    /// When it was done, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// By which version, the first characters of its digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// What it answered to the publisher.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply: Option<Value>,
    /// What went wrong, if it is held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
}

/// What is new in a flow, while it is read as it goes on.
#[derive(Clone, Debug, PartialEq)]
pub enum FlowNews {
    /// An event that was not told yet, with its handlings so far.
    Event(Box<FlowEvent>),
    /// A handling that was not told yet, or went on.
    Handling(Box<FlowHandling>),
    /// Nothing of it is left to do, or it is stuck.
    End(FlowEnd),
}

/// What a processor did with an event that was told before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FlowHandling {
    /// The event's place in the journal.
    pub position: u64,
    /// Its channel.
    pub channel: String,
    /// Its place there.
    pub offset: u64,
    /// Who, and how far.
    #[serde(flatten)]
    pub handling: Handling,
}

/// How a flow ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FlowEnd {
    /// Its id.
    pub flow: String,
    /// How it is.
    pub status: FlowStatus,
    /// When its first event was recorded.
    pub started: String,
    /// When the latest thing of it was recorded.
    pub latest: String,
    /// It has more events than were told.
    pub truncated: bool,
}

/// How far one handling is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HandlingStatus {
    /// It is done.
    Handled,
    /// It is still to come.
    Pending,
    /// It failed and is tried again by itself.
    Parked,
    /// It failed and holds its key until somebody looks.
    Held,
    /// It failed and was given up: it is a dead letter.
    Dead,
    /// It failed, and an operator gave it up for good.
    Discarded,
    /// It waits behind an event of its key that failed.
    Waiting,
    /// It was gone before it was handled.
    Expired,
}

/// A line that a processor wrote, or that the host wrote about it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LogLine {
    /// Counts the lines of the host since it started.
    pub number: u64,
    /// When.
    pub time: String,
    /// Which processor.
    pub processor: String,
    /// `debug`, `info`, `warn` or `error`.
    pub level: String,
    /// The flow of the event that was handled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flow: Option<String>,
    /// The text, control characters escaped.
    pub message: String,
}

/// One screen: what is wrong now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StatusReport {
    /// The host's version.
    pub version: String,
    /// The domain that it serves.
    pub domain: String,
    /// Whether it takes events.
    pub ready: bool,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Since when it runs.
    pub started: String,
    /// `fsync` or `os`.
    pub durability: String,
    /// The position that the next frame gets.
    pub next_position: u64,
    /// Everything before this position is durable.
    pub durable_position: u64,
    /// How many channels there are.
    pub channels: u64,
    /// The processors, without their descriptors' details.
    pub processors: Vec<ProcessorReport>,
    /// Files that do not run.
    pub problems: Vec<FileProblem>,
    /// How many runs of each workflow wait for an operator.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub faulted_runs: BTreeMap<String, u64>,
    /// Who holds events back that are due to expire.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held_back: Vec<HeldBack>,
    /// Books that do not balance: a fault of Baton.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alarms: Vec<LedgerAlarm>,
}

/// What came of reading the configuration again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReloadReport {
    /// The keys that are not what they were.
    pub changed: Vec<String>,
    /// The receipts of the processors that read something else now.
    pub deployments: Vec<Deployment>,
    /// The keys that are in force after the next start only.
    pub restart: Vec<String>,
    /// Processors that go on as before, and why.
    pub failures: Vec<String>,
}

/// The answer to a deploy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DeployReport {
    /// The receipt of what runs now.
    pub deployment: Deployment,
    /// The same bytes were running already: nothing changed.
    pub unchanged: bool,
}

/// An error over HTTP (RFC 9457, `application/problem+json`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// `urn:baton:error:` and the code.
    #[serde(rename = "type")]
    pub ty: String,
    /// What kind of problem it is, for people.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// The stable code, the same as in the CLI.
    pub code: String,
    /// What was wrong here, what was expected and what to do.
    pub detail: String,
    /// All that is wrong with a definition, each with its place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mistakes: Vec<Mistake>,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// What came of history that went through a processor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReplayReport {
    /// The processor.
    pub processor: String,
    /// The version that handled.
    pub digest: String,
    /// The channel.
    pub channel: String,
    /// The name under which state and position are kept; absent in a dry run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub into: Option<String>,
    /// The first offset.
    pub from: u64,
    /// The offset behind the last.
    pub to: u64,
    /// Where the same request goes on; absent when all is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
    /// Events that were handled.
    pub handled: u64,
    /// Events that the filter did not pass.
    pub filtered: u64,
    /// Events that failed; with a name they are dead letters of it.
    pub failed: u64,
    /// Events that were published by nobody: what the handler returned.
    pub emits: u64,
    /// In a dry run all events, else those that failed; at most 1,000.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shown: Vec<Rehearsal>,
}
