//! Trims: expires what is due, keeps checkpoints of the views, and lets segments go whose events are all expired. Truth is then the
//! checkpoint and the segments behind it. Nothing here is on the path of events.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use crate::journal::{self, Position, SegmentInfo};
use crate::model::change::ChannelId;
use crate::model::retention::{AgeBound, RetentionRules, SizeBound};
use crate::model::time::rfc3339;
use crate::model::upkeep::ExpiryReport;
use crate::view::index::BlockOffsets;
use crate::view::store::Store;

use super::expiry::Due;
use super::reader::ReadError;
use super::sizes::Sizes;
use super::{Domain, Refused};

/// How many checkpoints stand for what is gone, so that one may be damaged.
const CHECKPOINTS: usize = 2;

/// Why nothing was trimmed, or not all.
#[derive(Debug, thiserror::Error)]
pub enum TrimError {
    /// A trim or a backup is running.
    #[error("a trim or a backup is running; try again when it is done")]
    Busy,
    /// The channel could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The domain takes no frame.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The journal refused.
    #[error(transparent)]
    Journal(#[from] journal::Error),
    /// The views could not be written.
    #[error("a checkpoint could not be made: {why}")]
    Views {
        /// What went wrong.
        why: String,
    },
}

impl TrimError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Busy => "upkeep-busy",
            Self::Read(error) => error.code(),
            Self::Refused(refused) => refused.code(),
            Self::Journal(error) => error.code(),
            Self::Views { .. } => "checkpoint-failed",
        }
    }

    pub(super) fn views(why: impl std::fmt::Display) -> Self {
        Self::Views { why: why.to_string() }
    }
}

/// What the upkeep of one domain shares: one trim or backup at a time.
#[derive(Default)]
pub(super) struct Upkeep {
    rules: Mutex<Arc<RetentionRules>>,
    sizes: Mutex<Sizes>,
    /// What was due last: channels, and the oldest offset that age and size leave.
    due: Mutex<Vec<(ChannelId, u64)>>,
    /// The folder of the views; checkpoints are copies of their store.
    views: Option<PathBuf>,
}

impl Upkeep {
    pub(super) fn new(views: Option<PathBuf>) -> Self {
        Self { views, ..Self::default() }
    }

    pub(super) fn remember(&self, due: Vec<(ChannelId, u64)>) {
        *self.due.lock() = due;
    }

    pub(super) fn remembered(&self) -> Vec<(ChannelId, u64)> {
        self.due.lock().clone()
    }

    pub(super) fn rules(&self) -> Arc<RetentionRules> {
        self.rules.lock().clone()
    }
}

/// Keeps all other trims and backups out.
pub struct Exclusive<'a>(MutexGuard<'a, Sizes>);

/// What becomes of a segment.
pub struct Fate {
    /// Which segment.
    pub info: SegmentInfo,
    /// Why it stays; it goes if there is no reason.
    pub kept_by: Vec<String>,
}

/// What a trim did, or would do.
pub struct Trimmed {
    /// What expired of which channel.
    pub(super) due: Vec<Due>,
    /// The bytes that it has, in the same order; 0 unless they were asked for.
    pub(super) bytes: Vec<u64>,
    /// All segments, oldest first.
    pub fates: Vec<Fate>,
}

impl Trimmed {
    /// What expires of which channel, by name.
    pub fn channels(&self) -> Vec<ExpiryReport> {
        let report = |(due, bytes): (&Due, &u64)| ExpiryReport {
            channel: due.name.to_string(),
            age: AgeBound(due.retention.age_ms_max.map(Duration::from_millis)).to_string(),
            bytes_max: SizeBound(due.retention.bytes_max).to_string(),
            first: due.first,
            to: due.to,
            events: due.to - due.first,
            bytes: *bytes,
            until: (due.to > due.first).then(|| rfc3339(due.until_ms)),
            held_back: due.held_back.clone(),
        };
        let mut channels: Vec<_> = self.due.iter().zip(&self.bytes).map(report).collect();
        channels.sort_unstable_by(|a, b| a.channel.cmp(&b.channel));
        channels
    }
}

impl Domain {
    /// Says what is kept of which channel from now on.
    pub fn retain(&self, rules: RetentionRules) {
        *self.0.upkeep.rules.lock() = Arc::new(rules);
    }

    /// Takes the upkeep for the caller alone.
    pub fn exclusive(&self) -> Result<Exclusive<'_>, TrimError> {
        self.0.upkeep.sizes.try_lock().map(Exclusive).ok_or(TrimError::Busy)
    }

    /// Says what a trim would do now; changes nothing.
    pub fn plan_trim(&self) -> Result<Trimmed, TrimError> {
        let mut sizes = self.exclusive()?.0;
        let due = self.due(&mut sizes)?;
        let bytes = self.bytes_of(&due, &mut sizes)?;
        let fates = self.fates(&due);
        Ok(Trimmed { due, bytes, fates })
    }

    /// Expires what is due and lets segments go; all of it is durable when this returns.
    pub fn trim(&self) -> Result<Trimmed, TrimError> {
        let mut sizes = self.exclusive()?.0;
        let due = self.due(&mut sizes)?;
        let bytes = self.bytes_of(&due, &mut sizes)?;
        self.expire_all(&due)?;
        let fates = self.fates(&due);
        self.free(&fates, &mut sizes)?;
        Ok(Trimmed { due, bytes, fates })
    }

    /// The same for the host itself: segments go only when they free more than a checkpoint takes.
    pub(super) fn trim_by_itself(&self) -> Result<(), TrimError> {
        let Ok(mut upkeep) = self.exclusive() else { return Ok(()) };
        let due = self.due(&mut upkeep.0)?;
        self.expire_all(&due)?;
        let fates = self.fates(&due);
        let freed: u64 =
            fates.iter().filter(|fate| fate.kept_by.is_empty()).map(|fate| fate.info.bytes).sum();
        let checkpoint = self.0.journal.checkpoints()?.first().map_or(0, |info| info.bytes);
        if freed > CHECKPOINTS as u64 * checkpoint {
            self.free(&fates, &mut upkeep.0)?;
        }
        Ok(())
    }

    fn bytes_of(&self, due: &[Due], sizes: &mut Sizes) -> Result<Vec<u64>, TrimError> {
        let bytes = due.iter().map(|due| sizes.between(self, due.channel, due.first, due.to));
        Ok(bytes.collect::<Result<_, _>>()?)
    }

    fn expire_all(&self, due: &[Due]) -> Result<(), TrimError> {
        let mut end = None;
        for due in due.iter().filter(|due| due.to > due.first) {
            end = self.expire(due)?.map(|sequenced| sequenced.end).or(end);
        }
        end.map_or(Ok(()), |end| Ok(self.durable().wait_blocking(Position(end))?))
    }

    /// What becomes of each segment once this has expired too.
    fn fates(&self, due: &[Due]) -> Vec<Fate> {
        let reasons = Reasons::new(self, due);
        let segments = self.0.journal.segments();
        let last = segments.last().map(|info| info.base);
        let mut all_gone = true;
        let fate = |info: SegmentInfo| {
            let mut kept_by = reasons.of(&info);
            if Some(info.base) == last {
                kept_by.push("the newest segment stays".to_owned());
            }
            if kept_by.is_empty() && !all_gone {
                kept_by.push("an older segment stays".to_owned());
            }
            all_gone &= kept_by.is_empty();
            Fate { info, kept_by }
        };
        segments.into_iter().map(fate).collect()
    }

    fn free(&self, fates: &[Fate], sizes: &mut Sizes) -> Result<(), TrimError> {
        let Some(gone) = fates.iter().rfind(|fate| fate.kept_by.is_empty()) else { return Ok(()) };
        let journal = &self.0.journal;
        let stands = |at: &Position| *at >= gone.info.end;
        let standing = journal.checkpoints()?.iter().filter(|info| stands(&info.position)).count();
        (standing..CHECKPOINTS).try_for_each(|_| self.checkpoint())?;
        match journal.trim(gone.info.end) {
            // One of those that stood there is damaged.
            Err(journal::Error::Unbacked { .. }) => {
                (0..CHECKPOINTS).try_for_each(|_| self.checkpoint())?;
                journal.trim(gone.info.end)?
            }
            trimmed => trimmed?,
        };
        let first = journal.first().0;
        sizes.trim(first);
        self.0.index.trim(first).map_err(TrimError::views)
    }

    /// Keeps the views as they are by now, at a durable position.
    pub fn checkpoint(&self) -> Result<(), TrimError> {
        let none = || TrimError::views("this host keeps its views in memory only");
        let folder = self.0.upkeep.views.as_ref().ok_or_else(none)?;
        let copy = folder.join("checkpoint.tmp");
        let mut behind = self.0.behind.lock();
        behind.write(self).map_err(TrimError::views)?;
        remove_if_there(&copy).map_err(TrimError::views)?;
        let position = behind.copy_to(&copy).map_err(TrimError::views)?;
        drop(behind);
        let mut content = std::fs::File::open(&copy).map_err(TrimError::views)?;
        self.0.journal.put_checkpoint(position, &mut content)?;
        remove_if_there(&copy).map_err(TrimError::views)
    }
}

fn remove_if_there(path: &std::path::Path) -> std::io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Puts the newest checkpoint that fits in the place of the views' store, if there is one.
pub(super) fn restore(journal: &dyn journal::Journal, store: &std::path::Path) -> Result<(), TrimError> {
    let fits = |at: &Position| (journal.first()..=journal.next()).contains(at);
    let copy = store.with_extension("restored");
    for info in journal.checkpoints()?.into_iter().filter(|info| fits(&info.position)) {
        let mut file = std::fs::File::create(&copy).map_err(TrimError::views)?;
        match journal.get_checkpoint(info, &mut file) {
            Err(error @ journal::Error::CheckpointDamaged { .. }) => {
                tracing::error!(%error, "an older checkpoint is taken");
            }
            read => {
                read?;
                file.sync_all().map_err(TrimError::views)?;
                Store::replace(store, &copy).map_err(TrimError::views)?;
                tracing::info!(position = %info.position, "the views are taken from a checkpoint");
                return Ok(());
            }
        }
    }
    remove_if_there(&copy).map_err(TrimError::views)
}

/// Why segments stay.
struct Reasons<'a> {
    due: &'a [Due],
    blocks: Vec<BlockOffsets>,
    /// By channel: its name, its first offset, and whether nothing of it ever expires.
    channels: Vec<(String, u64, bool)>,
    /// Where the ids begin that are still remembered.
    ids_from: u64,
}

impl<'a> Reasons<'a> {
    fn new(domain: &Domain, due: &'a [Due]) -> Self {
        let rules = domain.0.upkeep.rules();
        let channels = domain.look(|world| {
            let channels = world.channels().iter();
            channels.map(|c| (c.name.to_string(), c.first, rules.of(&c.name).is_off())).collect()
        });
        let horizon_ms = domain.now_ms().saturating_sub(domain.limits().dedupe.ms_max);
        let ids_from = domain.0.dedupe_start(horizon_ms);
        Self { due, blocks: domain.0.index.blocks(), channels, ids_from }
    }

    fn of(&self, info: &SegmentInfo) -> Vec<String> {
        let inside = self.blocks.iter().filter(|(at, _)| at.start < info.end.0 && at.end > info.base.0);
        let mut kept_by: Vec<String> = Vec::new();
        for (channel, offsets) in inside.flat_map(|(_, offsets)| offsets) {
            kept_by.extend(self.of_channel(*channel, offsets.end));
        }
        if info.end.0 > self.ids_from {
            kept_by.push("the ids of its events are still remembered".to_owned());
        }
        kept_by
    }

    /// Why events of the channel before `end` are kept.
    fn of_channel(&self, channel: ChannelId, end: u64) -> Option<String> {
        let (name, first, is_off) = self.channels.get(channel as usize)?;
        let due = self.due.iter().find(|due| due.channel == channel);
        let first = due.map_or(*first, |due| due.to);
        let held_back =
            due.filter(|due| first < due.due).map(|due| due.held_back.as_slice()).unwrap_or_default();
        let names: Vec<&str> = held_back.iter().map(|held| held.processor.as_str()).collect();
        match (end <= first, is_off, names.is_empty()) {
            (true, ..) => None,
            (_, true, _) => Some(format!("{name}: no retention is set")),
            (_, _, true) => Some(format!("{name}: events from offset {first} on are not due")),
            (_, _, false) => {
                Some(format!("{name}: held back by {} from offset {first} on", names.join(", ")))
            }
        }
    }
}
