//! A storage with the journal's own errors: every refusal names what was tried and where. Knows which files are segments.

use std::io;
use std::sync::Arc;

use super::frame::{Bad, FORMAT_VERSION};
use super::segment;
use super::storage::{Storage, StorageFile, StorageLock};
use super::{Error, Position};

/// The folder of one journal.
#[derive(Clone)]
pub(super) struct Folder {
    storage: Arc<dyn Storage>,
}

impl Folder {
    pub(super) fn new(storage: Arc<dyn Storage>) -> Self {
        Self { storage }
    }

    /// Takes the folder for this process alone.
    pub(super) fn lock(&self) -> Result<StorageLock, Error> {
        let lock = self.storage.lock();
        let place = self.storage.place();
        self.io("take the lock", lock)?.ok_or(Error::Locked { place })
    }

    /// The bases of all segments, in order.
    pub(super) fn bases(&self) -> Result<Vec<Position>, Error> {
        let mut bases: Vec<_> = self.names()?.iter().filter_map(|name| segment::base_of(name)).collect();
        bases.sort_unstable();
        Ok(bases)
    }

    /// The names of all files.
    pub(super) fn names(&self) -> Result<Vec<String>, Error> {
        self.io("list the files", self.storage.list())
    }

    pub(super) fn create(&self, base: Position) -> Result<Arc<dyn StorageFile>, Error> {
        self.create_file(&segment::name(base))
    }

    pub(super) fn open(&self, base: Position) -> Result<Arc<dyn StorageFile>, Error> {
        self.open_file(&segment::name(base))
    }

    pub(super) fn remove(&self, base: Position) -> Result<(), Error> {
        self.remove_file(&segment::name(base))
    }

    pub(super) fn create_file(&self, name: &str) -> Result<Arc<dyn StorageFile>, Error> {
        self.io(&format!("create {name}"), self.storage.create(name))
    }

    pub(super) fn open_file(&self, name: &str) -> Result<Arc<dyn StorageFile>, Error> {
        self.io(&format!("open {name}"), self.storage.open(name))
    }

    pub(super) fn remove_file(&self, name: &str) -> Result<(), Error> {
        self.io(&format!("remove {name}"), self.storage.remove(name))
    }

    pub(super) fn sync(&self) -> Result<(), Error> {
        self.io("sync the folder", self.storage.sync_folder())
    }

    /// Says of a failed call what was tried and where.
    pub(super) fn io<T>(&self, what: &str, result: io::Result<T>) -> Result<T, Error> {
        result.map_err(|source| Error::Io { what: what.to_owned(), place: self.storage.place(), source })
    }
}

/// What a bad record means where none may be.
pub(super) fn damaged(base: Position, offset: u64, bad: Bad) -> Error {
    let segment = segment::name(base);
    match bad {
        Bad::Version(found) => Error::Version { segment, offset, found, known: FORMAT_VERSION },
        bad => Error::Damaged { segment, offset, why: bad.why() },
    }
}
