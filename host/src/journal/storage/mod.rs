//! Where a journal keeps its files: a small seam, so that the same journal runs over a folder, over memory and over a
//! simulated crash. It knows bytes and names, never frames.

#[cfg(test)]
pub(crate) mod contract;
mod files;
mod memory;
pub mod simulated;

pub use files::Files;
pub use memory::Memory;

use std::io;
use std::sync::Arc;

/// A flat folder of files.
///
/// The contract: a file that was created or removed may be undone by a crash until [`Storage::sync_folder`] has
/// returned. Names are plain file names. Each call may fail, and a failed call may have happened in part.
pub trait Storage: Send + Sync + 'static {
    /// The names of all files, in any order; the lock is not among them.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Creates an empty file; refuses with `AlreadyExists` when there is one.
    fn create(&self, name: &str) -> io::Result<Arc<dyn StorageFile>>;

    /// Opens a file to read and write; refuses with `NotFound` when there is none.
    fn open(&self, name: &str) -> io::Result<Arc<dyn StorageFile>>;

    /// Removes a file. Those who have it open may read on.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes all creations and removals so far durable.
    fn sync_folder(&self) -> io::Result<()>;

    /// Takes the folder for this user alone until the lock is dropped, or a crash; `None` when another has it.
    fn lock(&self) -> io::Result<Option<StorageLock>>;

    /// How much room there is.
    fn space(&self) -> io::Result<Space>;

    /// How to name the folder to a person.
    fn place(&self) -> String;
}

/// How much room a storage has, about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// How many bytes can still be written.
    pub free_bytes: u64,
    /// How many there are in all.
    pub whole_bytes: u64,
}

impl Space {
    /// A storage without an end.
    pub const ENDLESS: Self = Self { free_bytes: u64::MAX, whole_bytes: u64::MAX };
}

/// One file of a [`Storage`], usable from many threads at once.
///
/// The contract: a write is visible to reads as soon as it has returned. A crash may keep, lose or tear each write and
/// each change of length since the last [`StorageFile::sync`], each for itself and in any order; it changes no other byte.
/// After a failed sync nothing is known about what it should have kept.
pub trait StorageFile: Send + Sync {
    /// How many bytes the file has.
    fn len(&self) -> io::Result<u64>;

    /// Whether the file has no bytes.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Fills `buf` from `offset` on and says how many bytes there were; fewer only at the end of the file.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize>;

    /// Writes all of `bytes` at `offset`; the file grows as needed, a gap reads as zeros.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Cuts the file, or lengthens it by zeros.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Takes room for the first `len` bytes, so that the file is at least so long and writes there need no more. Refuses with
    /// `StorageFull` where there is not so much; it may have taken a part then.
    fn allocate(&self, len: u64) -> io::Result<()>;

    /// Makes all writes and changes of length so far durable.
    fn sync(&self) -> io::Result<()>;
}

/// Holds a storage for one user while it lives.
pub struct StorageLock(#[allow(dead_code, reason = "held for its drop")] Box<dyn Send + Sync>);
