//! Compiled code of the guests, which the hosts of all tests share: compiled anew by each host, it would be most of a run's time. A guest that a
//! test has changed is compiled by the host that it is dropped into.

use std::collections::BTreeSet;
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::guests::{expressions, target_folder};

/// The file by which a host knows what it compiled itself.
const KEY: &str = "key";

/// The digests of the guests as they were built.
static BUILT: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Takes note of a guest as it was built.
pub fn note_built(bytes: &[u8]) {
    BUILT.lock().unwrap().insert(blake3::hash(bytes).to_hex().to_string());
}

fn shared() -> PathBuf {
    target_folder().join("compiled")
}

/// Gives a host what others have compiled, before it starts.
pub fn lend(data: &Path) {
    let (shared, own) = (shared(), data.join("cache"));
    fs::create_dir_all(&own).unwrap();
    if own.join(KEY).exists() {
        return;
    }
    make_key(&shared);
    note_built(&expressions());
    fs::copy(shared.join(KEY), own.join(KEY)).unwrap();
    for name in entries(&shared) {
        fs::copy(shared.join(&name), own.join(&name)).unwrap();
    }
}

/// Keeps for others what a host has compiled.
pub fn keep(data: &Path) {
    let (shared, own) = (shared(), data.join("cache"));
    let is_shared =
        fs::read(own.join(KEY)).is_ok_and(|key| fs::read(shared.join(KEY)).is_ok_and(|ours| ours == key));
    if !is_shared {
        return;
    }
    for name in entries(&own).into_iter().filter(|name| !shared.join(name).exists()) {
        let part = tempfile::NamedTempFile::new_in(&shared).unwrap();
        fs::copy(own.join(&name), part.path()).unwrap();
        part.persist(shared.join(&name)).unwrap();
    }
}

/// The files of guests as they were built.
fn entries(folder: &Path) -> Vec<String> {
    let built = BUILT.lock().unwrap();
    let is_of_built = |name: &String| name.split('-').next().is_some_and(|digest| built.contains(digest));
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = files.filter_map(|file| file.file_name().into_string().ok());
    names.filter(|name| name.ends_with(".cwasm") && is_of_built(name)).collect()
}

fn make_key(shared: &Path) {
    if shared.join(KEY).exists() {
        return;
    }
    fs::create_dir_all(shared).unwrap();
    let mut key = [0; 32];
    fs::File::open("/dev/urandom").unwrap().read_exact(&mut key).unwrap();
    // Only its owner may read such a file.
    let mut part = tempfile::NamedTempFile::new_in(shared).unwrap();
    part.write_all(&key).unwrap();
    match part.persist_noclobber(shared.join(KEY)) {
        Err(failed) if failed.error.kind() != ErrorKind::AlreadyExists => panic!("{failed}"),
        _ => {}
    }
}
