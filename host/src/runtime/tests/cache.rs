//! Compiled code on disk: used when it is sound, made again when it is not.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::support::{COPY, batch, component};
use crate::runtime::{Engine, EngineConfig, NoHostCalls, Program};

fn load(dir: &Path) -> Program {
    let config = EngineConfig { cache_dir: Some(dir.to_owned()), ..EngineConfig::in_process() };
    let program = Engine::new(config).unwrap().load(&component(COPY)).unwrap();
    let mut instance = program.instantiate(Arc::new(NoHostCalls)).unwrap();
    assert_eq!(instance.call(&batch(1, b"{}")).unwrap().len(), 1);
    program
}

fn entry(dir: &Path) -> PathBuf {
    let paths: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(paths.len(), 2, "a key and one entry: {paths:?}");
    paths.into_iter().find(|path| path.extension().is_some()).unwrap()
}

#[test]
fn the_second_load_takes_the_code_from_disk() {
    let dir = tempfile::tempdir().unwrap();
    assert!(!load(dir.path()).from_cache());
    assert!(load(dir.path()).from_cache());
}

#[test]
fn nobody_else_reads_the_key() {
    let dir = tempfile::tempdir().unwrap();
    let cache = dir.path().join("cache");
    load(&cache);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&cache), mode(&cache.join("key")), mode(&entry(&cache))), (0o700, 0o600, 0o600));
}

#[test]
fn a_bad_entry_is_compiled_again_and_replaced() {
    let dir = tempfile::tempdir().unwrap();
    load(dir.path());
    let path = entry(dir.path());
    let sound = fs::read(&path).unwrap();
    let mut changed = sound.clone();
    *changed.last_mut().unwrap() ^= 1;
    for bad in [changed, sound[..sound.len() / 2].to_vec(), b"not code".to_vec(), Vec::new()] {
        fs::write(&path, bad).unwrap();
        assert!(!load(dir.path()).from_cache());
        assert!(load(dir.path()).from_cache());
    }
}

#[test]
fn code_of_another_host_is_never_run() {
    let (own, foreign) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    load(own.path());
    load(foreign.path());
    fs::copy(entry(foreign.path()), entry(own.path())).unwrap();
    assert!(!load(own.path()).from_cache());
}

#[test]
fn a_key_that_others_can_read_is_thrown_away() {
    let dir = tempfile::tempdir().unwrap();
    load(dir.path());
    fs::set_permissions(dir.path().join("key"), fs::Permissions::from_mode(0o644)).unwrap();
    assert!(!load(dir.path()).from_cache());
}

#[test]
fn a_cache_that_cannot_be_opened_only_costs_time() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, b"").unwrap();
    assert!(!load(&file).from_cache());
}
