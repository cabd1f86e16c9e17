//! A disk in memory that remembers every call, so that what a power cut after any of them may leave behind can be looked at, and that
//! stands still or fails when it is told to. It is there for proofs and tests; no host keeps its events on it.
//!
//! `image` says what is left, `cut` which of what may be lost is lost, `faults` which calls fail.

mod chance;
mod cut;
mod faults;
mod gate;
mod image;

pub use chance::Chance;
pub use cut::Cut;
pub use faults::{Failure, Lie};
pub use image::{Call, Fate, Image};

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;

use super::{Memory, Space, Storage, StorageFile, StorageLock};
use faults::{Done, Faults, Operation};
use gate::Gate;

/// Memory that remembers, stands still and fails. Clones are one disk.
#[derive(Clone, Default)]
pub struct Simulated {
    start: Arc<Image>,
    memory: Memory,
    log: Arc<Mutex<Log>>,
    gate: Arc<Gate>,
    faults: Arc<Mutex<Faults>>,
    /// Every write fails while this is set.
    pub fail_writes: Arc<AtomicBool>,
    /// Every sync of a file fails while this is set.
    pub fail_syncs: Arc<AtomicBool>,
    /// Every sync of a file finds the disk full while this is set.
    pub full_syncs: Arc<AtomicBool>,
    /// So many syncs of files go well, and then none.
    syncs_left: Arc<Mutex<Option<u64>>>,
    /// How many bytes all files may have; at 0 there is no end.
    bytes_max: Arc<AtomicU64>,
}

/// What was called, and which number the file has that a name stands for: a name may come, go and come again.
#[derive(Default)]
struct Log {
    calls: Vec<Call>,
    files: BTreeMap<String, usize>,
    next_file: usize,
}

impl Log {
    fn new_file(&mut self, name: &str) -> usize {
        let file = self.next_file;
        self.next_file += 1;
        self.files.insert(name.to_owned(), file);
        file
    }
}

impl Simulated {
    /// Starts with these files, all of them durable.
    pub fn with(start: Image) -> io::Result<Self> {
        let simulated = Simulated { start: Arc::new(start), ..Simulated::default() };
        for (name, bytes) in simulated.start.iter() {
            simulated.memory.create(name)?.write_at(0, bytes)?;
            simulated.log.lock().new_file(name);
        }
        Ok(simulated)
    }

    /// Leaves room for so many bytes beside those that there are.
    pub fn leave_room(&self, bytes: u64) {
        self.bytes_max.store(self.memory.bytes().saturating_add(bytes).max(1), Ordering::Release);
    }

    /// Lets so many syncs of files go well, and then none; without a number all of them.
    pub fn let_syncs(&self, count: Option<u64>) {
        *self.syncs_left.lock() = count;
    }

    /// Refuses as a full disk does.
    fn find_room(&self, grows_by: u64) -> io::Result<()> {
        let bytes_max = self.bytes_max.load(Ordering::Acquire);
        let is_full = bytes_max > 0 && grows_by > 0 && self.memory.bytes() + grows_by > bytes_max;
        if is_full { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    /// Whether a sync of a file goes well.
    fn try_sync(&self) -> io::Result<()> {
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

    /// Sets a mark between two calls.
    pub fn mark(&self, mark: u64) {
        self.record(Call::Mark(mark));
    }

    /// How many calls there were, marks included.
    pub fn len(&self) -> usize {
        self.log.lock().calls.len()
    }

    /// Whether nothing was called.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Every call so far.
    pub fn calls(&self) -> Vec<Call> {
        self.log.lock().calls.clone()
    }

    /// The newest mark among the first `count` calls.
    pub fn marked(&self, count: usize) -> Option<u64> {
        let log = self.log.lock();
        log.calls.iter().take(count).rev().find_map(|call| match call {
            Call::Mark(mark) => Some(*mark),
            _ => None,
        })
    }

    /// The files after a crash that came when `count` calls had returned; `fate` is asked once, in order, about each that may be lost.
    pub fn crash(&self, count: usize, fate: impl FnMut(usize, &Call) -> Fate) -> Image {
        let log = self.log.lock();
        image::left(&self.start, log.calls.get(..count).unwrap_or(&log.calls), fate)
    }

    /// How many of the first `count` calls a crash after them may undo.
    pub fn unsynced(&self, count: usize) -> usize {
        let log = self.log.lock();
        let durable = image::durable(log.calls.get(..count).unwrap_or(&log.calls));
        durable.into_iter().filter(|durable| !durable).count()
    }

    /// The files as whoever reads them sees them, whatever is durable of them.
    pub fn shown(&self) -> io::Result<Image> {
        let read = |name: String| {
            let file = self.memory.open(&name)?;
            let mut bytes = vec![0; usize::try_from(file.len()?).unwrap_or(usize::MAX)];
            file.read_at(0, &mut bytes)?;
            Ok((name, bytes))
        };
        self.memory.list()?.into_iter().map(read).collect()
    }

    fn file(&self, name: &str, number: usize, file: Arc<dyn StorageFile>) -> Arc<dyn StorageFile> {
        Arc::new(SimulatedFile { name: name.to_owned(), number, file, storage: self.clone() })
    }

    fn record(&self, call: Call) {
        self.log.lock().calls.push(call);
    }

    /// Waits while the disk stands still, and says what becomes of a call that changes something.
    fn change(&self, operation: Operation) -> io::Result<Done> {
        self.gate.pass();
        self.faults.lock().next(operation)
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
        self.faults.lock().next(Operation::Read)?;
        self.memory.list()
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        self.change(Operation::Create)?;
        let file = self.memory.create(name)?;
        let mut log = self.log.lock();
        let number = log.new_file(name);
        log.calls.push(Call::Create(name.to_owned(), number));
        drop(log);
        Ok(self.file(name, number, file))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        self.faults.lock().next(Operation::Read)?;
        let number = self.log.lock().files.get(name).copied();
        let number = number.ok_or(io::ErrorKind::NotFound)?;
        Ok(self.file(name, number, self.memory.open(name)?))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        if self.change(Operation::Remove)? == Done::Not {
            return Ok(());
        }
        self.memory.remove(name)?;
        let mut log = self.log.lock();
        log.files.remove(name);
        log.calls.push(Call::Remove(name.to_owned()));
        Ok(())
    }

    fn sync_folder(&self) -> io::Result<()> {
        if self.change(Operation::Sync)? == Done::Wholly {
            self.record(Call::SyncFolder);
        }
        Ok(())
    }

    fn lock(&self) -> io::Result<Option<StorageLock>> {
        self.memory.lock()
    }

    fn space(&self) -> io::Result<Space> {
        Ok(match self.bytes_max.load(Ordering::Acquire) {
            0 => Space::ENDLESS,
            max => Space { free_bytes: max.saturating_sub(self.memory.bytes()), whole_bytes: u64::MAX },
        })
    }

    fn place(&self) -> String {
        "a simulation".to_owned()
    }
}

struct SimulatedFile {
    name: String,
    number: usize,
    file: Arc<dyn StorageFile>,
    storage: Simulated,
}

impl SimulatedFile {
    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.storage.record(Call::Write(self.number, offset, bytes.to_vec()));
        self.file.write_at(offset, bytes)
    }
}

impl StorageFile for SimulatedFile {
    fn len(&self) -> io::Result<u64> {
        self.storage.faults.lock().next(Operation::Read)?;
        self.file.len()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.storage.faults.lock().next(Operation::Read)?;
        self.file.read_at(offset, buf)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        failing(&self.storage.fail_writes)?;
        self.storage.find_room((offset + bytes.len() as u64).saturating_sub(self.file.len()?))?;
        match self.storage.change(Operation::Write)? {
            Done::Wholly => self.write(offset, bytes),
            // It is shown to whoever reads, as a page cache shows it, and never written.
            Done::Not => self.file.write_at(offset, bytes),
            Done::Half => {
                self.write(offset, bytes.get(..bytes.len() / 2).unwrap_or_default())?;
                Err(io::Error::new(io::ErrorKind::StorageFull, format!("half of a write to {}", self.name)))
            }
        }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        if self.storage.change(Operation::SetLen)? == Done::Wholly {
            self.storage.record(Call::SetLen(self.number, len));
        }
        self.file.set_len(len)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        let grows_by = len.saturating_sub(self.file.len()?);
        self.storage.find_room(grows_by)?;
        if grows_by > 0 { self.set_len(len) } else { Ok(()) }
    }

    fn sync(&self) -> io::Result<()> {
        let synced = self.storage.try_sync().and_then(|()| self.storage.change(Operation::Sync));
        match &synced {
            Ok(Done::Wholly) => self.storage.record(Call::Sync(self.number)),
            Ok(_) => {}
            Err(_) => self.storage.record(Call::FailedSync(self.number)),
        }
        synced.map(drop)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn keeps_the_contract() {
        super::super::contract::check(|| Box::new(Simulated::default()));
        let simulated = Simulated::default();
        super::super::contract::check_lock(&simulated, &simulated.clone());
    }

    #[test]
    fn a_crash_takes_what_was_not_synced_and_only_that() {
        let disk = Simulated::default();
        let file = disk.create("a").unwrap();
        file.write_at(0, b"kept").unwrap();
        file.sync().unwrap();
        disk.sync_folder().unwrap();
        file.write_at(4, b"lost").unwrap();
        disk.create("b").unwrap();
        assert_eq!(disk.unsynced(disk.len()), 2);
        let image = disk.crash(disk.len(), |_, _| Fate::Lost);
        assert_eq!(image, Image::from([("a".to_owned(), b"kept".to_vec())]));
        let whole = disk.crash(disk.len(), |_, _| Fate::Kept);
        assert_eq!(whole, disk.shown().unwrap());
        let torn = disk.crash(disk.len(), |_, _| Fate::Torn(2));
        assert_eq!(torn.get("a").unwrap(), b"keptlo");
    }

    #[test]
    fn a_name_that_comes_again_is_another_file() {
        let disk = Simulated::default();
        let first = disk.create("a").unwrap();
        first.write_at(0, b"first").unwrap();
        first.sync().unwrap();
        disk.sync_folder().unwrap();
        disk.remove("a").unwrap();
        disk.create("a").unwrap().write_at(0, b"second").unwrap();
        let lost = disk.crash(disk.len(), |_, _| Fate::Lost);
        assert_eq!(lost.get("a").unwrap(), b"first");
        let kept = disk.crash(disk.len(), |_, _| Fate::Kept);
        assert_eq!(kept.get("a").unwrap(), b"second");
    }

    #[test]
    fn every_cut_keeps_what_is_durable_and_the_same_seed_makes_the_same_cut() {
        let disk = Simulated::default();
        let file = disk.create("a").unwrap();
        file.write_at(0, &[1; 2000]).unwrap();
        file.sync().unwrap();
        disk.sync_folder().unwrap();
        (0..8).for_each(|at| file.write_at(2000 + at * 700, &[2; 700]).unwrap());
        for cut in Cut::ALL {
            let image = || disk.cut(disk.len(), cut, &mut Chance::new(7));
            let bytes = image().remove("a").unwrap();
            assert!(bytes.len() >= 2000 && bytes.iter().take(2000).all(|byte| *byte == 1), "{cut:?}");
            assert_eq!(image(), image(), "{cut:?}");
        }
        assert_eq!(disk.cut(disk.len(), Cut::Nothing, &mut Chance::new(1)).remove("a").unwrap().len(), 2000);
    }

    #[test]
    fn calls_fail_as_they_are_told_to() {
        let disk = Simulated::default();
        let file = disk.create("a").unwrap();
        disk.fail_each(2, Failure::Short);
        file.write_at(0, b"abcd").unwrap();
        let short = file.write_at(4, b"efgh").unwrap_err();
        assert_eq!(short.kind(), io::ErrorKind::StorageFull);
        disk.mend();
        assert_eq!((disk.failed(), disk.shown().unwrap().remove("a").unwrap()), (1, b"abcdef".to_vec()));
        disk.lie(Lie::SkipsSyncs);
        file.sync().unwrap();
        assert!(disk.crash(disk.len(), |_, _| Fate::Lost).is_empty());
    }
}
