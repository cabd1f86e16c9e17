//! What every storage must do; each implementation runs this against itself.
#![allow(clippy::unwrap_used)]

use std::io::ErrorKind;

use super::{Storage, StorageFile};

/// Checks a storage; `fresh` gives an empty one at each call.
pub(crate) fn check(mut fresh: impl FnMut() -> Box<dyn Storage>) {
    names_come_and_go(&*fresh());
    bytes_are_where_they_were_written(&*fresh());
    lengths_change(&*fresh());
    a_removed_file_can_still_be_read(&*fresh());
}

/// Checks the lock of two handles on one place.
pub(crate) fn check_lock(one: &dyn Storage, other: &dyn Storage) {
    let held = one.lock().unwrap().unwrap();
    assert!(other.lock().unwrap().is_none());
    assert!(one.lock().unwrap().is_none());
    assert!(one.list().unwrap().is_empty(), "the lock is not a file");
    drop(held);
    assert!(other.lock().unwrap().is_some());
}

fn names_come_and_go(storage: &dyn Storage) {
    assert!(storage.list().unwrap().is_empty());
    let missing = storage.open("a").err().unwrap();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    storage.create("a").unwrap();
    storage.create("b").unwrap();
    let twice = storage.create("a").err().unwrap();
    assert_eq!(twice.kind(), ErrorKind::AlreadyExists);
    storage.remove("a").unwrap();
    storage.sync_folder().unwrap();
    assert_eq!(storage.list().unwrap(), ["b"]);
    let gone = storage.remove("a").err().unwrap();
    assert_eq!(gone.kind(), ErrorKind::NotFound);
}

fn bytes_are_where_they_were_written(storage: &dyn Storage) {
    let file = storage.create("a").unwrap();
    assert!(file.is_empty().unwrap());
    file.write_at(4, b"gap").unwrap();
    file.write_at(0, b"ab").unwrap();
    file.sync().unwrap();
    let other = storage.open("a").unwrap();
    assert_eq!(read(&*other, 0, 99), b"ab\0\0gap");
    assert_eq!(read(&*other, 5, 1), b"a");
    assert_eq!(read(&*other, 7, 4), b"");
    assert_eq!(read(&*other, 700, 4), b"");
}

fn lengths_change(storage: &dyn Storage) {
    let file = storage.create("a").unwrap();
    file.write_at(0, b"abcdef").unwrap();
    file.set_len(2).unwrap();
    assert_eq!(file.len().unwrap(), 2);
    file.set_len(4).unwrap();
    assert_eq!(read(&*file, 0, 9), b"ab\0\0");
    file.allocate(6).unwrap();
    file.allocate(3).unwrap();
    assert_eq!(read(&*file, 0, 9), b"ab\0\0\0\0");
}

fn a_removed_file_can_still_be_read(storage: &dyn Storage) {
    let file = storage.create("a").unwrap();
    file.write_at(0, b"still").unwrap();
    storage.remove("a").unwrap();
    assert_eq!(read(&*file, 0, 9), b"still");
}

fn read(file: &dyn StorageFile, offset: u64, len: usize) -> Vec<u8> {
    let mut buf = vec![0xff; len];
    let count = file.read_at(offset, &mut buf).unwrap();
    buf.truncate(count);
    buf
}
