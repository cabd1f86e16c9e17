//! A storage in memory: for tests, and for hosts that keep nothing. Clones share the files.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Mutex, RwLock};

use super::{Space, Storage, StorageFile, StorageLock};

/// Files that live as long as a clone of this does.
#[derive(Clone, Default)]
pub struct Memory {
    files: Arc<Mutex<BTreeMap<String, Arc<MemoryFile>>>>,
    locked: Arc<AtomicBool>,
}

#[derive(Default)]
struct MemoryFile(RwLock<Vec<u8>>);

impl Memory {
    /// A storage without files.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many bytes all files have.
    pub(super) fn bytes(&self) -> u64 {
        self.files.lock().values().map(|file| file.0.read().len() as u64).sum()
    }

    /// The files as they are now, in a storage of their own that nobody has locked.
    pub fn snapshot(&self) -> Memory {
        let copied = Memory::new();
        for (name, file) in self.files.lock().iter() {
            let file = MemoryFile(RwLock::new(file.0.read().clone()));
            copied.files.lock().insert(name.clone(), Arc::new(file));
        }
        copied
    }
}

impl Storage for Memory {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.files.lock().keys().cloned().collect())
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        let mut files = self.files.lock();
        if files.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let file = Arc::<MemoryFile>::default();
        files.insert(name.to_owned(), file.clone());
        Ok(file)
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        match self.files.lock().get(name) {
            Some(file) => Ok(file.clone()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        match self.files.lock().remove(name) {
            Some(_) => Ok(()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn sync_folder(&self) -> io::Result<()> {
        Ok(())
    }

    fn lock(&self) -> io::Result<Option<StorageLock>> {
        if self.locked.swap(true, Ordering::AcqRel) {
            return Ok(None);
        }
        Ok(Some(StorageLock(Box::new(Unlock(self.locked.clone())))))
    }

    fn space(&self) -> io::Result<Space> {
        Ok(Space::ENDLESS)
    }

    fn place(&self) -> String {
        "memory".to_owned()
    }
}

struct Unlock(Arc<AtomicBool>);

impl Drop for Unlock {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl StorageFile for MemoryFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.read().len() as u64)
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let bytes = self.0.read();
        let stored = bytes.get(index(offset)?..).unwrap_or_default();
        let count = stored.len().min(buf.len());
        if let (Some(to), Some(from)) = (buf.get_mut(..count), stored.get(..count)) {
            to.copy_from_slice(from);
        }
        Ok(count)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut stored = self.0.write();
        let start = index(offset)?;
        if stored.len() < start {
            stored.resize(start, 0);
        }
        let (over, behind) = bytes.split_at(bytes.len().min(stored.len() - start));
        if let Some(place) = stored.get_mut(start..start + over.len()) {
            place.copy_from_slice(over);
        }
        stored.extend_from_slice(behind);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.write().resize(index(len)?, 0);
        Ok(())
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        let mut bytes = self.0.write();
        let len = index(len)?.max(bytes.len());
        bytes.resize(len, 0);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

fn index(offset: u64) -> io::Result<usize> {
    usize::try_from(offset).map_err(|_| io::ErrorKind::FileTooLarge.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_contract() {
        super::super::contract::check(|| Box::new(Memory::new()));
    }

    #[test]
    fn a_second_user_is_refused_until_the_first_lets_go() {
        let memory = Memory::new();
        super::super::contract::check_lock(&memory, &memory.clone());
    }
}
