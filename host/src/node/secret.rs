//! The host's secret: a key for prints of what operators set, so that a print tells nothing of a value. It lies in the data
//! folder, readable by its owner alone; without it all settings count as changed once.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

const FILE: &str = "config.key";

/// A key that nobody knows.
pub(super) fn fresh() -> io::Result<[u8; 32]> {
    let mut key = [0; 32];
    File::open("/dev/urandom")?.read_exact(&mut key)?;
    Ok(key)
}

/// Reads the key in `data_dir`, or makes one. One host at a time has the folder.
pub(super) fn secret(data_dir: &Path) -> io::Result<[u8; 32]> {
    let path = data_dir.join(FILE);
    match fs::read(&path).map(<[u8; 32]>::try_from) {
        Ok(Ok(key)) => return Ok(key),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let key = fresh()?;
    let mut file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&path)?;
    file.write_all(&key)?;
    file.sync_all()?;
    Ok(key)
}
