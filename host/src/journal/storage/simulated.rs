//! A storage that remembers every call, so that a test can look at what a crash after any of them may leave behind, and that fails
//! when it is told to.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;

use super::{Memory, Storage, StorageFile, StorageLock};

/// One call that changed something, or a mark that the test set.
#[derive(Clone, Debug)]
pub(crate) enum Call {
    Create(String),
    Remove(String),
    SyncFolder,
    Write(String, u64, Vec<u8>),
    SetLen(String, u64),
    Sync(String),
    /// It failed: what it should have kept counts as written, and no later sync writes it again.
    FailedSync(String),
    Mark(u64),
}

/// What becomes of a call that no sync has made durable.
pub(crate) enum Fate {
    Kept,
    Lost,
    /// Of a write, only so many bytes are kept.
    Torn(usize),
}

/// Memory that remembers and fails.
#[derive(Clone, Default)]
pub(crate) struct Simulated {
    start: BTreeMap<String, Vec<u8>>,
    memory: Memory,
    calls: Arc<Mutex<Vec<Call>>>,
    pub fail_writes: Arc<AtomicBool>,
    pub fail_syncs: Arc<AtomicBool>,
    /// Syncs find the disk full.
    pub full_syncs: Arc<AtomicBool>,
    /// How many bytes all files may have; at 0 there is no end.
    bytes_max: Arc<AtomicU64>,
    /// So many syncs go well, and then none.
    syncs_left: Arc<Mutex<Option<u64>>>,
}

impl Simulated {
    /// Starts with these files, all of them durable.
    pub(crate) fn with(start: BTreeMap<String, Vec<u8>>) -> Self {
        let simulated = Simulated { start, ..Simulated::default() };
        for (name, bytes) in &simulated.start {
            let file = simulated.memory.create(name).unwrap();
            file.write_at(0, bytes).unwrap();
        }
        simulated
    }

    /// Leaves room for so many bytes beside those that there are.
    pub(crate) fn leave_room(&self, bytes: u64) {
        self.bytes_max.store(self.memory.bytes().saturating_add(bytes).max(1), Ordering::Release);
    }

    /// Lets so many syncs go well, and then none; without a number all of them.
    pub(crate) fn let_syncs(&self, count: Option<u64>) {
        *self.syncs_left.lock() = count;
    }

    /// Whether a sync goes well.
    fn syncs(&self) -> io::Result<()> {
        failing(&self.fail_syncs)?;
        if self.full_syncs.load(Ordering::Acquire) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        match self.syncs_left.lock().as_mut() {
            Some(0) => Err(io::Error::other("simulated failure")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Refuses as a full disk does.
    fn find_room(&self, grows_by: u64) -> io::Result<()> {
        let bytes_max = self.bytes_max.load(Ordering::Acquire);
        let is_full = bytes_max > 0 && grows_by > 0 && self.memory.bytes() + grows_by > bytes_max;
        if is_full { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    pub(crate) fn mark(&self, mark: u64) {
        self.calls.lock().push(Call::Mark(mark));
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.calls.lock().clone()
    }

    /// The files after a crash that came when `count` calls had returned; `fate` is asked about each that may be lost.
    pub(crate) fn crash(
        &self,
        count: usize,
        mut fate: impl FnMut(usize, &Call) -> Fate,
    ) -> BTreeMap<String, Vec<u8>> {
        let calls = self.calls();
        let done = calls.get(..count).unwrap();
        let mut files = self.start.clone();
        for (index, call) in done.iter().enumerate() {
            let later = done.get(index..).unwrap();
            let fate = match is_synced(call, later) {
                true => Fate::Kept,
                false => fate(index, call),
            };
            apply(&mut files, call, &fate);
        }
        let lost: BTreeSet<_> = (done.iter().enumerate())
            .filter(|(index, call)| {
                let later = done.get(*index..).unwrap();
                matches!(call, Call::Create(_))
                    && !is_synced(call, later)
                    && matches!(fate(*index, call), Fate::Lost)
            })
            .filter_map(|(_, call)| name(call))
            .collect();
        files.retain(|name, _| !lost.contains(name.as_str()));
        files
    }
}

fn name(call: &Call) -> Option<&str> {
    match call {
        Call::Create(name) | Call::Remove(name) | Call::Sync(name) | Call::FailedSync(name) => Some(name),
        Call::Write(name, ..) | Call::SetLen(name, _) => Some(name),
        Call::SyncFolder | Call::Mark(_) => None,
    }
}

fn is_synced(call: &Call, later: &[Call]) -> bool {
    match call {
        Call::Create(_) | Call::Remove(_) => later.iter().any(|later| matches!(later, Call::SyncFolder)),
        Call::Write(name, ..) | Call::SetLen(name, _) => {
            let tried = |later: &&Call| matches!(later, Call::Sync(of) | Call::FailedSync(of) if of == name);
            matches!(later.iter().find(tried), Some(Call::Sync(_)))
        }
        Call::SyncFolder | Call::Sync(_) | Call::FailedSync(_) | Call::Mark(_) => true,
    }
}

fn apply(files: &mut BTreeMap<String, Vec<u8>>, call: &Call, fate: &Fate) {
    match (call, fate) {
        // Whether a file that was created is there at all is decided last.
        (Call::Create(name), _) => drop(files.insert(name.clone(), Vec::new())),
        (_, Fate::Lost) => {}
        (Call::Remove(name), _) => drop(files.remove(name)),
        (Call::SetLen(name, len), _) => {
            (files.get_mut(name).into_iter()).for_each(|file| file.resize(*len as usize, 0));
        }
        (Call::Write(name, offset, bytes), fate) => {
            let kept = match fate {
                Fate::Torn(count) => bytes.get(..*count).unwrap_or(bytes),
                _ => bytes,
            };
            (files.get_mut(name).into_iter()).for_each(|file| put(file, *offset as usize, kept));
        }
        (Call::SyncFolder | Call::Sync(_) | Call::FailedSync(_) | Call::Mark(_), _) => {}
    }
}

fn put(file: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if file.len() < end {
        file.resize(end, 0);
    }
    file.get_mut(offset..end).unwrap().copy_from_slice(bytes);
}

struct SimulatedFile {
    name: String,
    file: Arc<dyn StorageFile>,
    storage: Simulated,
}

impl Simulated {
    fn file(&self, name: &str, file: Arc<dyn StorageFile>) -> Arc<dyn StorageFile> {
        let (name, storage) = (name.to_owned(), self.clone());
        Arc::new(SimulatedFile { name, file, storage })
    }

    fn record(&self, call: Call) {
        self.calls.lock().push(call);
    }
}

fn failing(switch: &AtomicBool) -> io::Result<()> {
    match switch.load(Ordering::Acquire) {
        true => Err(io::Error::other("simulated failure")),
        false => Ok(()),
    }
}

impl Storage for Simulated {
    fn list(&self) -> io::Result<Vec<String>> {
        self.memory.list()
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        let file = self.memory.create(name)?;
        self.record(Call::Create(name.to_owned()));
        Ok(self.file(name, file))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        Ok(self.file(name, self.memory.open(name)?))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.record(Call::Remove(name.to_owned()));
        self.memory.remove(name)
    }

    fn sync_folder(&self) -> io::Result<()> {
        self.record(Call::SyncFolder);
        Ok(())
    }

    fn lock(&self) -> io::Result<Option<StorageLock>> {
        self.memory.lock()
    }

    fn free_bytes(&self) -> io::Result<u64> {
        Ok(match self.bytes_max.load(Ordering::Acquire) {
            0 => u64::MAX,
            max => max.saturating_sub(self.memory.bytes()),
        })
    }

    fn place(&self) -> String {
        "a simulation".to_owned()
    }
}

impl StorageFile for SimulatedFile {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.file.read_at(offset, buf)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        failing(&self.storage.fail_writes)?;
        self.storage.find_room((offset + bytes.len() as u64).saturating_sub(self.file.len()?))?;
        let call = Call::Write(self.name.clone(), offset, bytes.to_vec());
        self.storage.record(call);
        self.file.write_at(offset, bytes)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.storage.record(Call::SetLen(self.name.clone(), len));
        self.file.set_len(len)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        let grows_by = len.saturating_sub(self.file.len()?);
        self.storage.find_room(grows_by)?;
        if grows_by > 0 { self.set_len(len) } else { Ok(()) }
    }

    fn sync(&self) -> io::Result<()> {
        let synced = self.storage.syncs();
        let name = self.name.clone();
        self.storage.record(if synced.is_ok() { Call::Sync(name) } else { Call::FailedSync(name) });
        synced
    }
}

#[test]
fn keeps_the_contract() {
    super::contract::check(|| Box::new(Simulated::default()));
    let simulated = Simulated::default();
    super::contract::check_lock(&simulated, &simulated.clone());
}
