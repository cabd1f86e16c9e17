//! The host's own files: the journal as it is, trims, backups. What goes and what stays the channels decide.

use std::path::Path;

use crate::channel::{Fate, TrimError, Trimmed};
use crate::journal::SegmentInfo;
use crate::model::time::rfc3339;
use crate::model::upkeep::{
    BackupReport, CheckpointSummary, JournalReport, SegmentFate, SegmentSummary, TrimReport,
};

use super::backup::{self, BackupError};
use super::{Node, UpkeepError};

impl Node {
    /// The journal as it is.
    pub fn journal(&self) -> Result<JournalReport, UpkeepError> {
        let journal = self.0.domain.journal();
        let segments: Vec<_> = journal.segments().iter().map(summary).collect();
        let checkpoints = journal.checkpoints().map_err(TrimError::from)?;
        let checkpoint = |info: &crate::journal::CheckpointInfo| CheckpointSummary {
            position: info.position.0,
            bytes: info.bytes,
        };
        Ok(JournalReport {
            first_position: journal.first().0,
            next_position: journal.next().0,
            durable_position: journal.durable().current().0,
            bytes: segments.iter().map(|segment| segment.bytes).sum(),
            segments,
            checkpoints: checkpoints.iter().map(checkpoint).collect(),
        })
    }

    /// Expires what is due and frees the disk, or says what it would do. What it says is durable.
    pub async fn trim(&self, dry_run: bool) -> Result<TrimReport, UpkeepError> {
        let domain = self.0.domain.clone();
        let trim = move || if dry_run { domain.plan_trim() } else { domain.trim() };
        let trimmed = tokio::task::spawn_blocking(trim).await.map_err(UpkeepError::thread)?;
        Ok(trim_report(dry_run, trimmed?))
    }

    /// Writes everything that a host needs to start from here into an empty folder, while events come and go.
    pub async fn backup(&self, dir: &Path) -> Result<BackupReport, UpkeepError> {
        let (node, dir) = (self.clone(), dir.to_owned());
        let backup = move || backup::of_running(&node.0.domain, &node.0.config, &dir);
        let done: Result<_, BackupError> =
            tokio::task::spawn_blocking(backup).await.map_err(UpkeepError::thread)?;
        Ok(done?)
    }
}

fn summary(info: &SegmentInfo) -> SegmentSummary {
    SegmentSummary {
        from: info.base.0,
        to: info.end.0,
        bytes: info.bytes,
        sealed: info.sealed,
        first: rfc3339(info.first_time_ms),
        last: rfc3339(info.last_time_ms),
    }
}

fn trim_report(dry_run: bool, trimmed: Trimmed) -> TrimReport {
    let segments: Vec<_> = trimmed.fates.iter().map(fate).collect();
    TrimReport {
        dry_run,
        channels: trimmed.channels(),
        freed_bytes: segments.iter().filter(|segment| segment.goes).map(|segment| segment.bytes).sum(),
        segments,
    }
}

fn fate(fate: &Fate) -> SegmentFate {
    SegmentFate {
        from: fate.info.base.0,
        to: fate.info.end.0,
        bytes: fate.info.bytes,
        goes: fate.kept_by.is_empty(),
        kept_by: fate.kept_by.clone(),
    }
}
