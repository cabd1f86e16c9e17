//! What the journal does when the disk has no room. A write that is refused for want of room has lost nothing: the writer keeps its
//! bytes and tries again. A part of the disk is kept back from the start, as a file without content; it is given up from the first
//! refusal on, a part at a time, so that control frames still find room while events are sent away and nobody else takes it all at once. It is
//! taken again as soon as there is room for it.
//!
//! This is for writes alone. After a sync that failed nobody knows what the disk has, whatever reason it gave.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::Error;
use super::folder::Folder;

/// The file that keeps room back.
const RESERVE_NAME: &str = "reserve";

/// What must be free besides the reserve before it is taken again: else the next group would give it up at once.
const MARGIN_BYTES: u64 = 4 << 20;

/// The reserve is no more than this part of a small disk.
const DISK_PART: u64 = 4;

/// How much of the reserve is given up at a refusal.
const PART_BYTES: u64 = 4 << 20;

/// How often it is looked whether there is room again.
pub(super) const PATIENCE: Duration = Duration::from_millis(500);

/// Whether the disk has room, as a handle that anyone may keep.
#[derive(Clone, Debug, Default)]
pub struct Room {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    is_short: AtomicBool,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    shortage: Option<Shortage>,
    /// Nobody waits any more.
    ended: bool,
}

/// What a full disk means at the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shortage {
    /// The refusal that began it.
    pub why: String,
    /// What has to be free for the journal to open to all again.
    pub wanted_bytes: u64,
    /// The reserve is used up as well: not even control frames find room.
    pub blocked: bool,
}

impl Room {
    /// Whether all but control should stay away.
    pub fn is_short(&self) -> bool {
        self.shared.is_short.load(Ordering::Acquire)
    }

    /// What is short, if anything is.
    pub fn shortage(&self) -> Option<Shortage> {
        self.is_short().then(|| self.shared.state.lock().shortage.clone()).flatten()
    }

    /// Refuses when not even the reserve has room.
    pub fn check_control(&self) -> Result<(), Error> {
        match self.shortage() {
            Some(Shortage { why, blocked: true, .. }) => Err(Error::NoRoom { why }),
            _ => Ok(()),
        }
    }

    /// Waits while room is short; `false` when nobody waits for it any more.
    pub fn wait_blocking(&self) -> bool {
        let mut state = self.shared.state.lock();
        while state.shortage.is_some() && !state.ended {
            self.shared.changed.wait(&mut state);
        }
        !state.ended
    }

    /// Lets nobody wait for room any more: a host that is told to stop stops. What has no room then is lost, as in a crash.
    pub fn end(&self) {
        self.shared.state.lock().ended = true;
        self.shared.changed.notify_all();
    }

    /// Says that room is short, and whether this is news.
    fn close(&self, why: &str, wanted_bytes: u64) -> bool {
        let mut state = self.shared.state.lock();
        let is_news = state.shortage.is_none();
        let new = || Shortage { why: why.to_owned(), wanted_bytes, blocked: false };
        state.shortage.get_or_insert_with(new).wanted_bytes = wanted_bytes;
        self.shared.is_short.store(true, Ordering::Release);
        is_news
    }

    /// Says whether the reserve is used up, and whether this is news.
    fn block(&self, blocked: bool) -> bool {
        let mut state = self.shared.state.lock();
        state
            .shortage
            .as_mut()
            .is_some_and(|shortage| std::mem::replace(&mut shortage.blocked, blocked) != blocked)
    }

    fn open(&self) {
        self.shared.state.lock().shortage = None;
        self.shared.is_short.store(false, Ordering::Release);
        self.shared.changed.notify_all();
    }

    /// Waits a little; `false` when nobody waits any more.
    fn pause(&self) -> bool {
        let mut state = self.shared.state.lock();
        if !state.ended {
            self.shared.changed.wait_for(&mut state, PATIENCE);
        }
        !state.ended
    }
}

/// Finds room for what is written: the reserve, and the loop that tries again.
#[derive(Clone)]
pub(super) struct Spare {
    folder: Folder,
    reserve_bytes: u64,
    room: Room,
}

impl Spare {
    pub(super) fn new(folder: Folder, reserve_bytes: u64, room: Room) -> Result<Self, Error> {
        let reserve_bytes = reserve_bytes.min(folder.space()?.whole_bytes / DISK_PART);
        Ok(Self { folder, reserve_bytes, room })
    }

    pub(super) fn room(&self) -> &Room {
        &self.room
    }

    /// Writes until there is room for it. Every other failure ends it, and so does the end of waiting.
    pub(super) fn until<T>(&self, what: &str, mut write: impl FnMut() -> io::Result<T>) -> Result<T, Error> {
        loop {
            match write() {
                Err(error) if is_no_room(&error) => self.make_room(what, &error)?,
                done => {
                    if self.room.is_short() && self.room.block(false) {
                        tracing::warn!("the journal goes on by what is left of the disk");
                    }
                    return self.folder.io(what, done);
                }
            }
        }
    }

    fn make_room(&self, what: &str, error: &io::Error) -> Result<(), Error> {
        let why = format!("cannot {what} in {}: {error}", self.folder.place());
        let given = self.give_up();
        if self.room.close(&why, self.wanted_bytes()?) {
            tracing::error!(why, "the disk is full: events are sent away, and control goes on by a reserve");
        }
        if given {
            return Ok(());
        }
        if self.room.block(true) {
            tracing::error!(why, "the reserve is used up: the journal stands still until there is room");
        }
        if self.room.pause() { Ok(()) } else { Err(Error::NoRoom { why }) }
    }

    /// Gives a part of the reserve up; `false` when nothing is left of it.
    pub(super) fn give_up(&self) -> bool {
        let Ok(file) = self.folder.open_file(RESERVE_NAME) else { return false };
        let len = file.len().unwrap_or(0);
        len > 0 && file.set_len(len.saturating_sub(PART_BYTES)).is_ok()
    }

    /// Takes the reserve before anything is written. Where there is no room for it, the journal begins short of room.
    pub(super) fn begin(&self) -> Result<(), Error> {
        match self.take(0) {
            Err(error) if error.is_no_room() => {
                let why = error.to_string();
                self.room.close(&why, self.wanted_bytes()?);
                tracing::error!(
                    why,
                    "the disk is full: events are sent away, and control goes on by what is left"
                );
                Ok(())
            }
            taken => taken,
        }
    }

    /// Takes the reserve again if there is room for it, and with it events.
    pub(super) fn reopen(&self) -> Result<(), Error> {
        match self.take(MARGIN_BYTES) {
            Err(error) if error.is_no_room() => Ok(()),
            Err(error) => Err(error),
            Ok(()) => {
                self.room.open();
                tracing::info!("the disk has room again: events are accepted");
                Ok(())
            }
        }
    }

    /// What has to be free before the reserve is taken again.
    fn wanted_bytes(&self) -> Result<u64, Error> {
        Ok(self.reserve_bytes.saturating_sub(self.kept_bytes()?) + MARGIN_BYTES)
    }

    fn kept_bytes(&self) -> Result<u64, Error> {
        match self.folder.open_file(RESERVE_NAME) {
            Ok(file) => self.folder.io("look at the reserve", file.len()),
            Err(_) => Ok(0),
        }
    }

    /// Takes the reserve if so much more is free: what is missing of it whole or not at all.
    fn take(&self, margin_bytes: u64) -> Result<(), Error> {
        if self.reserve_bytes == 0 {
            return self.folder.remove_if_there(RESERVE_NAME);
        }
        let file = self.folder.open_or_create(RESERVE_NAME)?;
        let before = self.kept_bytes()?;
        let missing = self.reserve_bytes.saturating_sub(before) + margin_bytes;
        // To try would leave others on the disk without room for a moment.
        let taken = match self.folder.space()?.free_bytes < missing {
            true => Err(io::ErrorKind::StorageFull.into()),
            false if before > self.reserve_bytes => file.set_len(self.reserve_bytes),
            false => file.allocate(self.reserve_bytes),
        };
        if taken.is_err() {
            // What was taken of the rest may be needed for control now.
            self.folder.io("give room back", file.set_len(before))?;
        }
        self.folder.io("keep room back", taken)
    }
}

/// When it is looked for room next.
pub(super) struct Pace(Instant);

impl Pace {
    pub(super) fn new() -> Self {
        Self(Instant::now())
    }

    /// Whether it is time, which it then is not for a while.
    pub(super) fn is_due(&mut self) -> bool {
        let is_due = self.0.elapsed() >= PATIENCE;
        if is_due {
            self.0 = Instant::now();
        }
        is_due
    }
}

/// Whether all that a storage lacks is room.
pub(super) fn is_no_room(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
