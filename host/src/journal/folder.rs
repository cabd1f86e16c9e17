//! A storage with the journal's own errors: every refusal names what was tried and where. Knows which files are segments.

use std::io;
use std::sync::Arc;

use super::frame::{Bad, FORMAT_VERSION};
use super::segment;
use super::storage::{Space, Storage, StorageFile, StorageLock};
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

    /// Opens a file, which is made when it is not there.
    pub(super) fn open_or_create(&self, name: &str) -> Result<Arc<dyn StorageFile>, Error> {
        match self.storage.open(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.create_file(name),
            opened => self.io(&format!("open {name}"), opened),
        }
    }

    /// Creates a segment without the journal's errors.
    pub(super) fn try_create(&self, base: Position) -> io::Result<Arc<dyn StorageFile>> {
        self.storage.create(&segment::name(base))
    }

    pub(super) fn remove_if_there(&self, name: &str) -> Result<(), Error> {
        match self.storage.remove(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => self.io(&format!("remove {name}"), removed),
        }
    }

    pub(super) fn sync(&self) -> Result<(), Error> {
        self.io("sync the folder", self.storage.sync_folder().map_err(io::Error::other))
    }

    /// How much room there is.
    pub(super) fn space(&self) -> Result<Space, Error> {
        self.io("ask for the room", self.storage.space())
    }

    /// How to name it to a person.
    pub(super) fn place(&self) -> String {
        self.storage.place()
    }

    /// Says of a failed call what was tried and where.
    pub(super) fn io<T>(&self, what: &str, result: io::Result<T>) -> Result<T, Error> {
        result.map_err(|source| Error::Io { what: what.to_owned(), place: self.storage.place(), source })
    }
}

/// Makes a file durable. Whatever the system says when it fails, it is no refusal that room would mend: what was written before can no
/// more be relied on.
pub(super) fn sync(file: &dyn StorageFile) -> io::Result<()> {
    file.sync().map_err(io::Error::other)
}

/// What a bad record means where none may be.
pub(super) fn damaged(base: Position, offset: u64, bad: Bad) -> Error {
    let segment = segment::name(base);
    match bad {
        Bad::Version(found) => Error::Version { segment, offset, found, known: FORMAT_VERSION },
        bad => Error::Damaged { segment, offset, why: bad.why() },
    }
}
