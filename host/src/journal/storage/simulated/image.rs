//! What a power cut leaves behind. A sync keeps the writes of its file before it, a sync of the folder the names before it; of all else,
//! each call has a fate of its own.

use std::collections::BTreeMap;

use super::Chance;

/// What is in a folder: names and bytes.
pub type Image = BTreeMap<String, Vec<u8>>;

/// What a disk keeps or loses at once.
const SECTOR_BYTES: u64 = 512;

/// One call that changed something, or a mark between calls. Files have numbers, because a name may come again.
#[derive(Clone, Debug)]
pub enum Call {
    /// A name for a new file.
    Create(String, usize),
    /// A name is gone.
    Remove(String),
    /// All names so far are durable.
    SyncFolder,
    /// Bytes at a place.
    Write(usize, u64, Vec<u8>),
    /// Another length.
    SetLen(usize, u64),
    /// All of the file so far is durable.
    Sync(usize),
    /// It failed: what it should have kept counts as written, and no later sync writes it again.
    FailedSync(usize),
    /// What somebody wanted to remember.
    Mark(u64),
}

/// What becomes of a call that no sync has made durable.
#[derive(Clone, Copy, Debug)]
pub enum Fate {
    /// It reached the disk.
    Kept,
    /// It did not.
    Lost,
    /// Of a write, only so many bytes did.
    Torn(usize),
    /// Of a write, some sectors did; this is where chance begins.
    Sectors(u64),
}

/// Which of the calls no crash after them can undo.
pub(super) fn durable(calls: &[Call]) -> Vec<bool> {
    let mut folder_synced = false;
    let mut next_sync: BTreeMap<usize, bool> = BTreeMap::new();
    let mut is_durable = |call: &Call| match call {
        Call::Create(..) | Call::Remove(_) => folder_synced,
        Call::Write(file, ..) | Call::SetLen(file, _) => next_sync.get(file) == Some(&true),
        Call::SyncFolder => {
            folder_synced = true;
            true
        }
        Call::Sync(file) => {
            next_sync.insert(*file, true);
            true
        }
        Call::FailedSync(file) => {
            next_sync.insert(*file, false);
            true
        }
        Call::Mark(_) => true,
    };
    let mut durable: Vec<bool> = calls.iter().rev().map(&mut is_durable).collect();
    durable.reverse();
    durable
}

/// The files after these calls; `fate` is asked about each that is not durable.
pub(super) fn left(start: &Image, calls: &[Call], mut fate: impl FnMut(usize, &Call) -> Fate) -> Image {
    let mut disk = Disk::of(start);
    for (index, (call, durable)) in calls.iter().zip(durable(calls)).enumerate() {
        let fate = if durable { Fate::Kept } else { fate(index, call) };
        disk.apply(call, fate);
    }
    disk.image()
}

/// Names, and files by number.
struct Disk {
    names: BTreeMap<String, usize>,
    files: Vec<Vec<u8>>,
}

impl Disk {
    fn of(start: &Image) -> Self {
        let names = start.keys().cloned().zip(0..).collect();
        Self { names, files: start.values().cloned().collect() }
    }

    fn image(mut self) -> Image {
        let mut take = |file: usize| self.files.get_mut(file).map(std::mem::take).unwrap_or_default();
        self.names.into_iter().map(|(name, file)| (name, take(file))).collect()
    }

    fn apply(&mut self, call: &Call, fate: Fate) {
        if let Call::Create(_, file) = call {
            self.files.resize(self.files.len().max(file + 1), Vec::new());
        }
        match (call, fate) {
            (_, Fate::Lost) => {}
            (Call::Create(name, file), _) => drop(self.names.insert(name.clone(), *file)),
            (Call::Remove(name), _) => drop(self.names.remove(name)),
            (Call::SetLen(file, len), _) => {
                self.files.get_mut(*file).into_iter().for_each(|file| file.resize(*len as usize, 0));
            }
            (Call::Write(file, offset, bytes), fate) => {
                self.files.get_mut(*file).into_iter().for_each(|file| write(file, *offset, bytes, fate));
            }
            (Call::SyncFolder | Call::Sync(_) | Call::FailedSync(_) | Call::Mark(_), _) => {}
        }
    }
}

fn write(file: &mut Vec<u8>, offset: u64, bytes: &[u8], fate: Fate) {
    match fate {
        Fate::Kept => put(file, offset, bytes),
        Fate::Lost => {}
        Fate::Torn(count) => put(file, offset, bytes.get(..count).unwrap_or(bytes)),
        Fate::Sectors(seed) => {
            let mut chance = Chance::new(seed);
            let (mut at, mut rest) = (offset, bytes);
            while !rest.is_empty() {
                let count = (SECTOR_BYTES - at % SECTOR_BYTES).min(rest.len() as u64);
                let (sector, behind) = rest.split_at(count as usize);
                if chance.one_in(2) {
                    put(file, at, sector);
                }
                (at, rest) = (at + count, behind);
            }
        }
    }
}

fn put(file: &mut Vec<u8>, offset: u64, bytes: &[u8]) {
    let start = offset as usize;
    let end = start + bytes.len();
    if file.len() < end {
        file.resize(end, 0);
    }
    file.get_mut(start..end).into_iter().for_each(|place| place.copy_from_slice(bytes));
}
