//! A storage in a folder of the file system.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Space, Storage, StorageFile, StorageLock};

const LOCK_NAME: &str = "lock";
/// How much is written at once to take room.
const ZEROS_BYTES: usize = 1 << 20;

/// The files of one folder.
pub struct Files {
    folder: PathBuf,
}

impl Files {
    /// Uses `folder`, and makes it (and the folders above it) when it is not there.
    pub fn open(folder: impl AsRef<Path>) -> io::Result<Self> {
        let folder = folder.as_ref();
        if !folder.is_dir() {
            fs::create_dir_all(folder)?;
            sync_parents(folder)?;
        }
        Ok(Self { folder: folder.to_owned() })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// A folder survives a crash once every folder above it that may be new has been synced.
fn sync_parents(folder: &Path) -> io::Result<()> {
    for parent in fs::canonicalize(folder)?.ancestors().skip(1).take(3) {
        File::open(parent)?.sync_all()?;
    }
    Ok(())
}

impl Storage for Files {
    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if name != LOCK_NAME {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create_new(true);
        Ok(Arc::new(file.open(self.path(name))?))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true);
        Ok(Arc::new(file.open(self.path(name))?))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path(name))
    }

    fn sync_folder(&self) -> io::Result<()> {
        File::open(&self.folder)?.sync_all()
    }

    fn lock(&self) -> io::Result<Option<StorageLock>> {
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(false);
        let file = file.open(self.path(LOCK_NAME))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(StorageLock(Box::new(file)))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn space(&self) -> io::Result<Space> {
        let found = rustix::fs::statvfs(&self.folder)?;
        let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
        Ok(Space { free_bytes: bytes(found.f_bavail), whole_bytes: bytes(found.f_blocks) })
    }

    fn place(&self) -> String {
        self.folder.display().to_string()
    }
}

impl StorageFile for File {
    fn len(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while let Some(rest) = buf.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match FileExt::read_at(self, rest, offset + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        File::set_len(self, len)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        match take_room(self, len) {
            Err(error) if error.kind() == io::ErrorKind::Unsupported => write_zeros(self, len),
            taken => taken,
        }
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}

#[cfg(target_os = "linux")]
fn take_room(file: &File, len: u64) -> io::Result<()> {
    Ok(rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, len)?)
}

#[cfg(not(target_os = "linux"))]
fn take_room(_: &File, _: u64) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Takes room where the system has no other way.
fn write_zeros(file: &File, len: u64) -> io::Result<()> {
    let zeros = vec![0; ZEROS_BYTES];
    let mut at = StorageFile::len(file)?;
    while at < len {
        let count = usize::try_from(len - at).unwrap_or(ZEROS_BYTES).min(ZEROS_BYTES);
        file.write_all_at(zeros.get(..count).unwrap_or_default(), at)?;
        at += count as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn keeps_the_contract() {
        let root = tempfile::tempdir().unwrap();
        let mut count = 0;
        super::super::contract::check(|| {
            count += 1;
            Box::new(Files::open(root.path().join(count.to_string())).unwrap())
        });
    }

    #[test]
    fn a_second_user_is_refused_until_the_first_lets_go() {
        let root = tempfile::tempdir().unwrap();
        let open = || Files::open(root.path().join("deep/in/here")).unwrap();
        super::super::contract::check_lock(&open(), &open());
    }
}
