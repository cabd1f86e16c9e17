//! Opens a domain: takes the views from their store, and folds the rest of the journal again.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use parking_lot::{Mutex, RwLock};

use crate::clock::Clock;
use crate::journal::{Frame, Journal, Position};
use crate::model::change::{Change, Changes};
use crate::model::record::Record;
use crate::model::runs::Runs;
use crate::view::index::{Index, Notes};
use crate::view::store::Store;
use crate::view::world::World;

use super::budget::FlowBudget;
use super::dedupe::Dedupe;
use super::keeper::{Behind, Keeper};
use super::owner::Owner;
use super::print::fingerprint;
use super::sweep::Looked;
use super::tail::Tail;
use super::trim::{Upkeep, restore};
use super::waiting::Waiting;
use super::{Domain, Inner, Limits};

/// About how many bytes of the journal are read at once while it is folded again.
const READ_BYTES: usize = 4 << 20;

/// What a domain is made of.
pub struct Parts {
    /// The truth.
    pub journal: Arc<dyn Journal>,
    /// The folder for views; without one they live in memory only.
    pub views: Option<PathBuf>,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// The bounds.
    pub limits: Limits,
}

/// Why a domain could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The journal could not be read.
    #[error(transparent)]
    Journal(#[from] crate::journal::Error),
    /// The journal was trimmed, and nothing stands for what is gone.
    #[error(
        "the journal begins at position {first}, and no checkpoint of what was before can be read; run `baton journal verify`, then put a \
         checkpoint or the views back from a copy"
    )]
    NoCheckpoint {
        /// Where the journal begins.
        first: u64,
    },
    /// The views could not be opened.
    #[error("the views in {} cannot be opened: {why}", folder.display())]
    Views {
        /// Their folder.
        folder: PathBuf,
        /// What went wrong.
        why: String,
    },
}

impl Domain {
    /// Opens a domain. The keeper writes its views behind until it is stopped.
    pub fn open(parts: Parts) -> Result<(Self, Keeper), OpenError> {
        let Parts { journal, views, clock, limits } = parts;
        let (store, world, reflected) = open_store(views.as_ref(), &*journal)?;
        let index = open_index(views.as_ref(), journal.first().0..journal.next().0)?;
        let inner = Inner {
            known: Mutex::new(Dedupe::new(limits.dedupe)),
            owner: Mutex::new(Owner { world }),
            numbers: RwLock::default(),
            in_line: AtomicUsize::new(0),
            journal,
            index,
            tail: Tail::new(limits.tail_bytes_max),
            budget: FlowBudget::new(limits.flow_events_max),
            waiting: Waiting::default(),
            upkeep: Upkeep::new(views),
            behind: Mutex::new(Behind::new(store)),
            looked: Mutex::new(Looked::first(&*clock)),
            clock,
            limits,
            listener: RwLock::new(None),
        };
        inner.fold_again(reflected)?;
        inner.tail.show(inner.journal.next().0);
        let domain = Self(Arc::new(inner));
        let keeper = Keeper::start(domain.clone());
        Ok((domain, keeper))
    }
}

type Opened = (Option<Store>, World, u64);

fn open_store(views: Option<&PathBuf>, journal: &dyn Journal) -> Result<Opened, OpenError> {
    let Some(folder) = views else { return Ok((None, World::default(), 0)) };
    let (journal_first, journal_next) = (journal.first().0, journal.next().0);
    let refuse = |why: String| OpenError::Views { folder: folder.clone(), why };
    std::fs::create_dir_all(folder).map_err(|error| refuse(error.to_string()))?;
    let path = folder.join("views.sqlite");
    let open = || Store::open(&path).map_err(|error| refuse(error.to_string()));
    let mut opened = open()?;
    if opened.2 == 0 || opened.2 < journal_first {
        drop(opened);
        restore(journal, &path).map_err(|error| refuse(error.to_string()))?;
        opened = open()?;
    }
    let (store, world, reflected) = opened;
    if reflected < journal_first {
        return Err(OpenError::NoCheckpoint { first: journal_first });
    }
    if reflected > journal_next {
        return Err(refuse(format!(
            "they reflect position {reflected}, and the journal ends at {journal_next}: they belong to another \
             journal, or the disk lost the journal's end; find the right journal, or delete the folder to accept the \
             loss and build them again"
        )));
    }
    Ok((Some(store), world, reflected))
}

fn open_index(views: Option<&PathBuf>, journal: Range<u64>) -> Result<Index, OpenError> {
    let folder = views.map(|folder| folder.join("index"));
    Index::open(folder.clone(), journal)
        .map_err(|error| OpenError::Views { folder: folder.unwrap_or_default(), why: error.to_string() })
}

impl Inner {
    /// Reads the journal from the first position that any view lacks, and gives every view what it lacks.
    fn fold_again(&self, reflected: u64) -> Result<(), OpenError> {
        let bases: Vec<u64> = self.journal.segments().iter().map(|segment| segment.base.0).collect();
        let horizon = self.clock.now_ms().saturating_sub(self.limits.dedupe.ms_max);
        let indexed = self.index.covered_until();
        let mut at = reflected.min(indexed).min(self.dedupe_start(horizon)).max(self.journal.first().0);
        let mut known = self.known.lock();
        let mut owner = self.owner.lock();
        loop {
            let frames = self.journal.read(Position(at), READ_BYTES)?;
            let Some(last) = frames.last() else { return Ok(()) };
            at = last.position.0 + u64::from(last.width);
            for frame in &frames {
                if frame.position.0 >= indexed {
                    if bases.contains(&frame.position.0) {
                        self.index.start_block(frame.position.0);
                    }
                    let (runs, notes) = (Runs::of(&frame.body), Notes::of(&frame.body));
                    self.index.note(frame.position.0, frame.time_ms, &runs, &notes);
                }
                owner.fold_again(&mut known, frame, reflected, horizon);
            }
        }
    }

    /// The first position whose events may still be within the window of known ids.
    pub(super) fn dedupe_start(&self, horizon_ms: u64) -> u64 {
        let mut start = self.journal.next().0;
        let mut positions = 0;
        for segment in self.journal.segments().iter().rev() {
            if segment.last_time_ms < horizon_ms || positions > self.limits.dedupe.ids_max as u64 {
                break;
            }
            positions += segment.end.0 - segment.base.0;
            start = segment.base.0;
        }
        start
    }
}

impl Owner {
    fn fold_again(&mut self, known: &mut Dedupe, frame: &Frame, reflected: u64, horizon_ms: u64) {
        for change in Changes::new(&frame.body).map_while(Result::ok) {
            if frame.position.0 >= reflected {
                self.world.fold(&change);
            }
            if let Change::Event { channel, offset, record } = change
                && frame.time_ms >= horizon_ms
                && let Ok(record) = Record::parse(record)
                && record.stamp.cause.is_none()
                && let Some(channel) = self.world.channels().get(channel as usize)
            {
                let print = fingerprint(channel.name.as_str(), &record.parts, record.extensions());
                known.insert(print, offset, frame.time_ms);
            }
        }
    }
}
