//! The compiler's process as the host sees it: whatever it does, the host goes on and says what happened.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::support::{COPY, component};
use crate::runtime::{CompileLimits, Compiler, Engine, EngineConfig, Error};

/// A program that does what a script says, in place of the compiler.
fn program(dir: &Path, script: &str) -> PathBuf {
    let path = dir.join("compiler");
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
    path
}

fn engine(compiler: Compiler, compile_limits: CompileLimits, cache_dir: Option<PathBuf>) -> Engine {
    Engine::new(EngineConfig { cache_dir, compiler, compile_limits }).unwrap()
}

fn fails(script: &str, limits: CompileLimits) -> Error {
    let dir = tempfile::tempdir().unwrap();
    let compiler = Compiler::Program(program(dir.path(), script));
    let cache = dir.path().join("cache");
    let engine = engine(compiler, limits, Some(cache.clone()));
    let error = loop {
        let error = engine.load(&component(COPY)).unwrap_err();
        // Another test that starts a process at this moment holds the script open until then.
        if !error.to_string().contains("Text file busy") {
            break error;
        }
    };
    let kept: Vec<_> = std::fs::read_dir(cache).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(kept, ["key"], "nothing of it is kept");
    error
}

#[test]
fn each_limit_of_a_compilation_is_named() {
    let short = CompileLimits { time_max: Duration::from_millis(100), ..CompileLimits::default() };
    let small = CompileLimits { code_bytes_max: 1000, ..CompileLimits::default() };
    let cases = [
        ("while :; do :; done", short, "more than 100ms"),
        ("exec >&-; while :; do :; done", CompileLimits::default(), "SIGKILL"),
        ("while :; do echo more; done", small, "more than 1000 bytes of code"),
        ("kill -XCPU $$", CompileLimits::default(), "more than 60 s of processor time"),
        ("echo memory allocation of 9 bytes failed >&2; kill -ABRT $$", CompileLimits::default(), "4096 MiB"),
        ("printf 'BATONNO1mmap: Cannot allocate memory'", CompileLimits::default(), "4096 MiB of memory"),
    ];
    for (script, limits, words) in cases {
        let error = fails(script, limits);
        assert!(error.to_string().contains(words), "{script}: {error}");
    }
}

#[test]
fn a_compiler_that_breaks_lies_or_is_none_is_told_apart() {
    let cases = [
        ("echo boom >&2; exit 7", "component-breaks-compiler", "exit status: 7: boom"),
        ("printf 'BATONNO1no such type'", "component-invalid", "no such type"),
        ("printf 'BATONXX1it is of another version'", "compiler-unusable", "another version"),
        ("printf 'BATONOK1not code'", "engine-failed", ""),
        ("printf 'hello'", "component-breaks-compiler", ""),
    ];
    for (script, code, words) in cases {
        let error = fails(script, CompileLimits::default());
        assert_eq!(error.code(), code, "{script}: {error}");
        assert!(error.to_string().contains(words), "{script}: {error}");
    }
    let missing = engine(Compiler::Program("/no/such/baton".into()), CompileLimits::default(), None);
    assert_eq!(missing.load(&component(COPY)).unwrap_err().code(), "compiler-unusable");
}

#[test]
fn without_a_compiler_only_what_is_in_the_cache_runs() {
    let dir = tempfile::tempdir().unwrap();
    let with = |compiler| engine(compiler, CompileLimits::default(), Some(dir.path().to_owned()));
    let error = with(Compiler::Nobody).load(&component(COPY)).unwrap_err();
    assert_eq!(error.code(), "compiler-missing", "{error}");
    with(Compiler::InProcess).load(&component(COPY)).unwrap();
    assert!(with(Compiler::Nobody).load(&component(COPY)).unwrap().from_cache());
}

#[test]
fn what_was_too_much_once_is_refused_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let limits = CompileLimits { time_max: Duration::from_millis(100), ..CompileLimits::default() };
    let compiler = program(dir.path(), "while :; do :; done");
    let engine = engine(Compiler::Program(compiler.clone()), limits, None);
    while engine.load(&component(COPY)).unwrap_err().code() != "component-compile-limit" {}
    std::fs::remove_file(compiler).unwrap();
    assert_eq!(engine.load(&component(COPY)).unwrap_err().code(), "component-compile-limit");
}
