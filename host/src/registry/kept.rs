//! The bytes of the versions that run and ran before, by digest: a restart needs no file in the folder. It never
//! decides which ones those are.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::folder::{fsync, write_whole};

/// The folder of kept bytes.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    dir: PathBuf,
    ending: &'static str,
}

/// The bytes that were kept under a digest, if they are there and still are what the digest says.
pub fn kept(dir: &Path, digest: &str, ending: &str) -> Option<Bytes> {
    let bytes = std::fs::read(path(dir, digest, ending)?).ok()?;
    if blake3::hash(&bytes).to_hex().as_str() == digest {
        return Some(Bytes::from(bytes));
    }
    tracing::error!(digest, "kept bytes are damaged; deploy that version again");
    None
}

impl Kept {
    pub fn open(dir: &Path, ending: &'static str) -> io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        Ok(Self { dir: dir.to_owned(), ending })
    }

    pub fn get(&self, digest: &str) -> Option<Bytes> {
        kept(&self.dir, digest, self.ending)
    }

    /// Keeps bytes; they are on the disk when it returns.
    pub fn keep(&self, digest: &str, bytes: &[u8]) -> io::Result<()> {
        let bad = || io::Error::new(io::ErrorKind::InvalidInput, format!("'{digest}' is no digest"));
        let path = path(&self.dir, digest, self.ending).ok_or_else(bad)?;
        if path.metadata().is_ok_and(|found| found.len() == bytes.len() as u64) && self.get(digest).is_some()
        {
            return Ok(());
        }
        write_whole(&self.dir.join(format!("{digest}.tmp")), &path, bytes)?;
        fsync(&self.dir)
    }

    /// Removes all others.
    pub fn retain(&self, digests: &BTreeSet<&str>) -> io::Result<()> {
        for entry in std::fs::read_dir(&self.dir)? {
            let path = entry?.path();
            let stem = path.file_stem().and_then(|stem| stem.to_str());
            if path.is_file() && stem.is_none_or(|digest| !digests.contains(digest)) {
                std::fs::remove_file(path)?;
            }
        }
        Ok(())
    }
}

/// The file of a digest; other texts have none, so that none leads out of the folder.
fn path(dir: &Path, digest: &str, ending: &str) -> Option<PathBuf> {
    let hex = digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
    hex.then(|| dir.join(format!("{digest}.{ending}")))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn digest(bytes: &[u8]) -> String {
        blake3::hash(bytes).to_hex().to_string()
    }

    #[test]
    fn bytes_come_back_only_whole() {
        let dir = tempfile::tempdir().unwrap();
        let store = Kept::open(dir.path(), "wasm").unwrap();
        let one = digest(b"one");
        store.keep(&one, b"one").unwrap();
        assert_eq!(store.get(&one).unwrap(), "one");
        std::fs::write(dir.path().join(format!("{one}.wasm")), "eno").unwrap();
        assert_eq!(store.get(&one), None);
        store.keep(&one, b"one").unwrap();
        assert_eq!(store.get(&one).unwrap(), "one");
    }

    #[test]
    fn only_named_digests_stay_and_no_name_leads_out() {
        let dir = tempfile::tempdir().unwrap();
        let store = Kept::open(dir.path(), "wasm").unwrap();
        let (one, two) = (digest(b"one"), digest(b"two"));
        store.keep(&one, b"one").unwrap();
        store.keep(&two, b"two").unwrap();
        store.retain(&BTreeSet::from([two.as_str()])).unwrap();
        assert_eq!(store.get(&one), None);
        assert_eq!(store.get(&two).unwrap(), "two");
        assert!(store.keep("../escape", b"x").is_err());
    }
}
