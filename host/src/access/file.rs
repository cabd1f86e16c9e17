//! Where tokens are kept: one file of names, roles and hashes, readable by its owner alone.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use blake3::Hash;
use serde::{Deserialize, Serialize};

use crate::model::access::Role;
use crate::model::name::TokenName;

use super::AccessError;

/// What is kept of a token.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// Its name.
    pub name: TokenName,
    /// What it may do.
    pub roles: Vec<Role>,
    /// When it was made, milliseconds since the Unix epoch.
    pub created_ms: u64,
    /// BLAKE3 of the secret. A secret has 256 random bits, so a slow hash would protect nothing more.
    hash: [u8; blake3::OUT_LEN],
}

impl Kept {
    /// A new one.
    pub fn new(name: TokenName, roles: Vec<Role>, hash: Hash, created_ms: u64) -> Self {
        Self { name, roles, created_ms, hash: hash.into() }
    }

    /// The hash, which compares in constant time.
    pub fn hash(&self) -> Hash {
        Hash::from_bytes(self.hash)
    }
}

/// Reads them; a file that is not there holds none.
pub fn read(path: &Path) -> Result<Vec<Kept>, AccessError> {
    let unreadable = |why: String| AccessError::Unreadable { path: path.to_owned(), why };
    match fs::read(path) {
        Ok(json) => serde_json::from_slice(&json).map_err(|error| unreadable(error.to_string())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(unreadable(error.to_string())),
    }
}

/// Puts them in the place of those before: all or nothing, and on the disk when this returns.
pub fn write(path: &Path, all: &[Kept]) -> Result<(), AccessError> {
    put(path, all).map_err(|source| AccessError::Unwritable { path: path.to_owned(), source })
}

fn put(path: &Path, all: &[Kept]) -> io::Result<()> {
    let part = path.with_extension("part");
    let mut file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&part)?;
    file.write_all(&serde_json::to_vec_pretty(all)?)?;
    file.sync_all()?;
    fs::rename(&part, path)?;
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}
