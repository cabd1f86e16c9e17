//! Where components for a bench come from: files, folders, crates that are built now. One engine serves all benches of the process, and
//! a component is compiled once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use parking_lot::Mutex;
use serde_json::Value;

use crate::runtime::{Engine, EngineConfig, Error, Program, inspect};

use super::TestError;

/// What components are built for.
const TARGET: &str = "wasm32-wasip2";
/// The most lines of a failed build that are shown.
const BUILD_LINES_MAX: usize = 40;

/// A compiled component and where it came from.
pub(super) struct Loaded {
    pub program: Program,
    pub file: PathBuf,
}

struct Shared {
    engine: Engine,
    /// By digest.
    programs: Mutex<BTreeMap<String, Program>>,
}

fn shared() -> Result<&'static Shared, Error> {
    static SHARED: OnceLock<Shared> = OnceLock::new();
    if let Some(shared) = SHARED.get() {
        return Ok(shared);
    }
    let engine = Engine::new(EngineConfig::in_process())?;
    Ok(SHARED.get_or_init(|| Shared { engine, programs: Mutex::default() }))
}

/// Reads and compiles a component.
pub(super) fn read(file: &Path) -> Result<Loaded, TestError> {
    let bytes = std::fs::read(file).map_err(|error| unreadable(file, &error))?;
    load(file, &bytes)
}

/// Compiles a component that came from `file`.
pub(super) fn load(file: &Path, bytes: &[u8]) -> Result<Loaded, TestError> {
    let bad = |error: Error| TestError::Component {
        file: file.display().to_string(),
        code: error.code().to_owned(),
        why: error.to_string(),
    };
    let shared = shared().map_err(bad)?;
    let digest = inspect(bytes).map_err(bad)?.digest;
    let mut programs = shared.programs.lock();
    let program = match programs.get(&digest) {
        Some(program) => program.clone(),
        None => {
            let program = shared.engine.load(bytes).map_err(bad)?;
            programs.insert(digest, program.clone());
            program
        }
    };
    Ok(Loaded { program, file: file.to_owned() })
}

/// The name by which a component calls itself; none if the file is no processor.
pub(super) fn name_of(file: &Path) -> Option<String> {
    let bytes = std::fs::read(file).ok()?;
    Some(inspect(&bytes).ok()?.descriptor.name.to_string())
}

/// The component files in a folder, by name.
pub(super) fn in_folder(folder: &Path) -> Result<Vec<PathBuf>, TestError> {
    let entries = std::fs::read_dir(folder).map_err(|error| unreadable(folder, &error))?;
    let paths = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    let mut files: Vec<_> = paths.filter(|path| path.extension().is_some_and(|end| end == "wasm")).collect();
    files.sort_unstable();
    match files.is_empty() {
        true => Err(TestError::NoComponents { folder: folder.display().to_string() }),
        false => Ok(files),
    }
}

/// Builds the components of a crate, and says where they are.
pub(super) fn build(folder: &Path) -> Result<Vec<PathBuf>, TestError> {
    let failed = |why: String| TestError::Build { folder: folder.display().to_string(), why };
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--release", "--offline", "--target", TARGET, "--message-format", "json"]);
    // What wraps or instruments the test's own build is not for the component.
    for name in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "RUSTC_WORKSPACE_WRAPPER"] {
        cargo.env_remove(name);
    }
    let built = cargo.current_dir(folder).output();
    let built = built.map_err(|error| failed(format!("cargo does not run: {error}")))?;
    if !built.status.success() {
        let said = String::from_utf8_lossy(&built.stderr);
        let lines: Vec<_> = said.lines().take(BUILD_LINES_MAX).collect();
        return Err(failed(format!(
            "`{TARGET}` has to be installed (`rustup target add {TARGET}`)\n{}",
            lines.join("\n")
        )));
    }
    match artifacts(&built.stdout) {
        files if files.is_empty() => Err(failed(
            "it makes no .wasm file; its [lib] needs crate-type = [\"cdylib\", \"rlib\"]".to_owned(),
        )),
        files => Ok(files),
    }
}

fn artifacts(messages: &[u8]) -> Vec<PathBuf> {
    let lines = messages.split(|byte| *byte == b'\n');
    let messages = lines.filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    let names = messages.filter_map(|message| message.get("filenames")?.as_array().cloned()).flatten();
    let files = names.filter_map(|file| file.as_str().map(PathBuf::from));
    let mut files: Vec<_> = files.filter(|file| file.extension().is_some_and(|end| end == "wasm")).collect();
    files.sort_unstable();
    files.dedup();
    files
}

fn unreadable(path: &Path, error: &std::io::Error) -> TestError {
    TestError::Unreadable { path: path.display().to_string(), why: error.to_string() }
}
