//! A watched folder on the disk: lists it, reads one file of it, writes and removes. It remembers nothing.

use std::fs::{self, File, Metadata};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::file::Stamp;
use super::kind::{Kind, fault_of};
use super::load::FILE_UNREADABLE;
use super::memory::Listing;
use super::wanted::FileFault;
use crate::runtime::{COMPONENT_BYTES_MAX, Error};

/// The most entries that are looked through, so that a whole disk put there by mistake is refused.
pub(super) const ENTRIES_MAX: usize = 10_000;
/// How many folders may lie in each other.
pub(super) const DEPTH_MAX: usize = 8;
/// What temporary files of the registry begin with. Like all hidden files they are never loaded.
const TEMPORARY: &str = ".baton-";

/// The folder.
#[derive(Clone)]
pub(super) struct Folder {
    dir: PathBuf,
    kind: Kind,
}

/// A file's bytes, or why there are none.
pub(super) enum Contents {
    Whole(Vec<u8>),
    /// It is being written.
    Moved(Stamp),
    Bad(FileFault),
}

impl Folder {
    pub fn new(dir: &Path, kind: &Kind) -> Self {
        Self { dir: dir.to_owned(), kind: kind.clone() }
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Which folder it is, if it is there: another one in its place is another.
    pub fn identity(&self) -> Option<u64> {
        fs::metadata(&self.dir).ok().map(|found| identity(&found).0)
    }

    /// Every file of its kind, by its path in the folder.
    pub fn list(&self) -> Result<Listing, FileFault> {
        let mut listing = Listing::new();
        let mut left = ENTRIES_MAX;
        let listed = self.list_into(&mut listing, Path::new(""), &mut left, DEPTH_MAX);
        listed.map_err(|error| self.fault(&error))?;
        if left == 0 {
            let why = format!(
                "'{}' has more than {ENTRIES_MAX} entries; keep only processors in it",
                self.dir.display()
            );
            return Err(FileFault::new("folder-too-large", why));
        }
        Ok(listing)
    }

    fn list_into(&self, listing: &mut Listing, sub: &Path, left: &mut usize, depth: usize) -> io::Result<()> {
        for entry in fs::read_dir(self.dir.join(sub))? {
            let entry = entry?;
            *left = left.saturating_sub(1);
            let name = entry.file_name();
            let path = sub.join(&name);
            let (Some(name), Some(file)) = (name.to_str(), path.to_str()) else { continue };
            if *left == 0 || name.starts_with('.') {
                continue;
            }
            if entry.file_type()?.is_dir() {
                self.list_folder(listing, &path, left, depth)?;
            } else if self.kind.endings().iter().any(|ending| ends(name, ending)) {
                listing.insert(file.to_owned(), stamp(&entry.path()));
            }
        }
        Ok(())
    }

    /// A folder in the folder may vanish while it is read; the folder itself may not.
    fn list_folder(
        &self,
        listing: &mut Listing,
        path: &Path,
        left: &mut usize,
        depth: usize,
    ) -> io::Result<()> {
        if depth == 0 {
            return Ok(());
        }
        match self.list_into(listing, path, left, depth - 1) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            listed => listed,
        }
    }

    /// Reads a file that was seen with this stamp, whole and once.
    pub fn read(&self, file: &str, seen: Stamp) -> Contents {
        if !seen.regular {
            let word = self.kind.word();
            let why = format!("'{file}' is not a file, nor a link to one; put the {word} itself here");
            return Contents::Bad(FileFault::new("file-not-regular", why));
        }
        if seen.bytes > COMPONENT_BYTES_MAX {
            return Contents::Bad(too_large(seen.bytes));
        }
        let path = self.dir.join(file);
        match read_bounded(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Contents::Moved(stamp(&path)),
            Err(error) => Contents::Bad(unreadable(file, &error)),
            Ok(bytes) => match stamp(&path) {
                after if after != seen => Contents::Moved(after),
                _ => Contents::Whole(bytes),
            },
        }
    }

    /// Puts bytes under a name at one stroke.
    pub fn write(&self, file: &str, bytes: &[u8]) -> io::Result<Stamp> {
        let (path, temporary) = (self.dir.join(file), self.dir.join(format!("{TEMPORARY}put.tmp")));
        write_whole(&temporary, &path, bytes)?;
        fsync(&self.dir)?;
        Ok(stamp(&path))
    }

    /// Removes a file; one that is not there is as good as removed.
    pub fn remove(&self, file: &str) -> io::Result<()> {
        match fs::remove_file(self.dir.join(file)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => fsync(&self.dir),
        }
    }

    fn fault(&self, error: &io::Error) -> FileFault {
        let dir = self.dir.display();
        if error.kind() == io::ErrorKind::NotFound {
            let why = format!(
                "the folder '{dir}' is not there; what runs goes on. Put it back; to remove processors, empty it"
            );
            return FileFault::new("folder-missing", why);
        }
        let why =
            format!("the folder '{dir}' cannot be read: {error}; what runs goes on. Let the host read it");
        FileFault::new("folder-unreadable", why)
    }
}

/// Writes a file beside its place, makes it durable, and moves it there.
pub(super) fn write_whole(temporary: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(temporary)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    let moved = written.and_then(|()| fs::rename(temporary, path));
    if moved.is_err() {
        drop(fs::remove_file(temporary));
    }
    moved
}

/// Whether a name ends in a dot and this.
fn ends(name: &str, ending: &str) -> bool {
    name.strip_suffix(ending).is_some_and(|stem| stem.ends_with('.'))
}

/// Makes the names in a folder durable.
pub(super) fn fsync(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(COMPONENT_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn stamp(path: &Path) -> Stamp {
    fs::metadata(path).map(|found| stamp_of(&found)).unwrap_or_default()
}

fn stamp_of(found: &Metadata) -> Stamp {
    Stamp {
        bytes: found.len(),
        modified: found.modified().ok(),
        identity: identity(found),
        regular: found.is_file(),
    }
}

#[cfg(unix)]
fn identity(found: &Metadata) -> (u64, i64, i64) {
    use std::os::unix::fs::MetadataExt;
    (found.ino(), found.ctime(), found.ctime_nsec())
}

#[cfg(not(unix))]
fn identity(_: &Metadata) -> (u64, i64, i64) {
    (0, 0, 0)
}

fn too_large(bytes: u64) -> FileFault {
    fault_of(&Error::TooLarge { bytes, bytes_max: COMPONENT_BYTES_MAX })
}

fn unreadable(file: &str, error: &io::Error) -> FileFault {
    FileFault::new(
        FILE_UNREADABLE,
        format!("'{file}' cannot be read: {error}; let the host read it, or remove it"),
    )
}
