//! What the host answers about its own files: the journal, what a trim takes or would take, a backup. Times are RFC 3339 UTC.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The journal as it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct JournalReport {
    /// The oldest position that is kept.
    pub first_position: u64,
    /// The position that the next frame gets.
    pub next_position: u64,
    /// Everything before this position is durable.
    pub durable_position: u64,
    /// How many bytes the segments have.
    pub bytes: u64,
    /// Oldest first.
    pub segments: Vec<SegmentSummary>,
    /// What stands for frames that are gone, newest first.
    pub checkpoints: Vec<CheckpointSummary>,
}

/// One segment of the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SegmentSummary {
    /// The position of its first frame.
    pub from: u64,
    /// The position behind its last frame.
    pub to: u64,
    /// How many bytes it has.
    pub bytes: u64,
    /// Whether it is complete.
    pub sealed: bool,
    /// When its first frame was made.
    pub first: String,
    /// When its last frame was made.
    pub last: String,
}

/// One checkpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CheckpointSummary {
    /// It stands for all frames before this position.
    pub position: u64,
    /// How many bytes it has.
    pub bytes: u64,
}

/// What a trim took, or would take.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TrimReport {
    /// Nothing was changed: it says what would be.
    pub dry_run: bool,
    /// The channels of which something expires or is held back, by name.
    pub channels: Vec<ExpiryReport>,
    /// Oldest first.
    pub segments: Vec<SegmentFate>,
    /// How many bytes of the disk are free by it.
    pub freed_bytes: u64,
}

/// What expires of one channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ExpiryReport {
    /// Which channel.
    pub channel: String,
    /// What is kept of it, by age; `off` without a bound.
    pub age: String,
    /// What is kept of it, by size; `off` without a bound.
    pub bytes_max: String,
    /// The oldest offset before.
    pub first: u64,
    /// The oldest offset afterwards.
    pub to: u64,
    /// How many events expire.
    pub events: u64,
    /// How many bytes of the journal they take.
    pub bytes: u64,
    /// When the newest of them was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Who holds more of it back.
    pub held_back: Vec<HeldBack>,
}

/// A subscription that has not decided what would expire.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HeldBack {
    /// Whose it is.
    pub processor: String,
    /// The channel.
    pub channel: String,
    /// The oldest offset that it has not decided.
    pub cursor: u64,
    /// How many events stay because of it.
    pub events: u64,
}

/// What becomes of one segment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SegmentFate {
    /// The position of its first frame.
    pub from: u64,
    /// The position behind its last frame.
    pub to: u64,
    /// How many bytes it has.
    pub bytes: u64,
    /// Whether it goes, or would go.
    pub goes: bool,
    /// Why it stays, a reason each.
    pub kept_by: Vec<String>,
}

/// A finished backup.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BackupReport {
    /// Its folder.
    pub dir: String,
    /// Everything before this position is in it.
    pub position: u64,
    /// How many files it has.
    pub files: u64,
    /// How many bytes they have.
    pub bytes: u64,
}
