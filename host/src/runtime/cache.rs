//! Compiled code on disk, by digest and engine settings.
//!
//! Code from this folder runs without a sandbox, so an entry counts only with a seal that is keyed by a secret in the
//! same folder (mode 0700), which this host made. Anything else is compiled again and replaced; the cache is never
//! the reason that a processor does not start.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

use wasmtime::Engine;
use wasmtime::component::Component;

const MAGIC: &[u8; 8] = b"BATONCW1";
const SEAL_BYTES: usize = blake3::OUT_LEN;
const KEY_FILE: &str = "key";

/// A folder of compiled code.
pub(super) struct Cache {
    dir: PathBuf,
    key: [u8; blake3::KEY_LEN],
    fingerprint: String,
}

impl Cache {
    /// Opens the folder, or makes it and its key.
    pub fn open(dir: &Path, engine: &Engine) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        fs::set_permissions(dir, Permissions::from_mode(0o700))?;
        Ok(Self { dir: dir.to_owned(), key: key(dir)?, fingerprint: fingerprint(engine) })
    }

    /// The code of a component, if a sound entry has it.
    pub fn get(&self, engine: &Engine, digest: &str) -> Option<Component> {
        let path = self.path(digest);
        let entry = match fs::read(&path) {
            Ok(entry) => entry,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => return self.distrust(&path, &error.to_string()),
        };
        let Some(code) = self.open_entry(digest, &entry) else {
            return self.distrust(&path, "its seal does not fit: it was damaged, or made by another host");
        };
        match deserialize(engine, code) {
            Ok(component) => Some(component),
            Err(error) => self.distrust(&path, &error.to_string()),
        }
    }

    /// Whether there is an entry, sound or not.
    pub fn has(&self, digest: &str) -> bool {
        self.path(digest).exists()
    }

    /// Keeps the code of a component. Written beside its place and renamed, so that a reader finds all or nothing.
    pub fn put(&self, digest: &str, code: &[u8]) {
        let path = self.path(digest);
        if let Err(error) = self.write(&path, digest, code) {
            tracing::warn!(path = %path.display(), %error, "compiled code cannot be kept; it is compiled again next time");
        }
    }

    fn write(&self, path: &Path, digest: &str, code: &[u8]) -> io::Result<()> {
        let seal = self.seal(digest, code);
        let written = temporary(path);
        let mut file = private(&written)?;
        [MAGIC.as_slice(), seal.as_bytes(), code].into_iter().try_for_each(|part| file.write_all(part))?;
        fs::rename(&written, path)
    }

    fn open_entry<'a>(&self, digest: &str, entry: &'a [u8]) -> Option<&'a [u8]> {
        let sealed = entry.strip_prefix(MAGIC)?;
        let (seal, code) = sealed.split_first_chunk::<SEAL_BYTES>()?;
        (self.seal(digest, code) == blake3::Hash::from_bytes(*seal)).then_some(code)
    }

    /// Binds the code to this host, this component and these settings. Compared in constant time.
    fn seal(&self, digest: &str, code: &[u8]) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(format!("{digest}-{}\n", self.fingerprint).as_bytes());
        hasher.update(code).finalize()
    }

    fn path(&self, digest: &str) -> PathBuf {
        self.dir.join(format!("{digest}-{}.cwasm", self.fingerprint))
    }

    fn distrust(&self, path: &Path, why: &str) -> Option<Component> {
        tracing::warn!(path = %path.display(), why, "compiled code is not used; it is compiled again");
        None
    }
}

#[allow(unsafe_code)]
fn deserialize(engine: &Engine, code: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: the only caller passes code whose keyed seal was just checked: this host compiled it
    // under the same settings, and nobody without the key file has changed a byte since.
    unsafe { Component::deserialize(engine, code) }
}

/// The engine's version and settings, as the start of a hash.
pub(super) fn fingerprint(engine: &Engine) -> String {
    use std::hash::{Hash, Hasher};
    struct Feed(blake3::Hasher);
    impl Hasher for Feed {
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }
        fn finish(&self) -> u64 {
            0
        }
    }
    let mut feed = Feed(blake3::Hasher::new());
    engine.precompile_compatibility_hash().hash(&mut feed);
    feed.0.finalize().to_hex().chars().take(16).collect()
}

/// Reads the folder's key, or makes one. Of two hosts that start at once, the first to link its file wins.
fn key(dir: &Path) -> io::Result<[u8; blake3::KEY_LEN]> {
    let path = dir.join(KEY_FILE);
    if let Some(key) = read_key(&path)? {
        return Ok(key);
    }
    let mut key = [0; blake3::KEY_LEN];
    File::open("/dev/urandom")?.read_exact(&mut key)?;
    let written = temporary(&path);
    private(&written)?.write_all(&key)?;
    let linked = fs::hard_link(&written, &path);
    fs::remove_file(&written)?;
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => read_key(&path)?.ok_or_else(|| io::Error::other("its key file is gone again")),
    }
}

/// A key of another length, or one that others can read, is no secret: it is thrown away, and all entries with it.
fn read_key(path: &Path) -> io::Result<Option<[u8; blake3::KEY_LEN]>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    let is_private = file.metadata()?.permissions().mode() & 0o077 == 0;
    file.read_to_end(&mut bytes)?;
    match (is_private, bytes.try_into()) {
        (true, Ok(key)) => Ok(Some(key)),
        _ => fs::remove_file(path).map(|()| None),
    }
}

/// A name beside `path` that no other thread or host uses.
fn temporary(path: &Path) -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    path.with_extension(format!("{}-{number}.tmp", process::id()))
}

fn private(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}
