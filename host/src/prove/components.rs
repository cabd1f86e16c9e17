//! The processors that proofs run, built from this program's own source tree.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::ProveError;

/// Builds packages into components, in the order in which they are named. Their sources are in the tree that this program was built from, so that is where
/// cargo runs.
pub fn build(packages: &[&str]) -> Result<Vec<Vec<u8>>, ProveError> {
    let workspace = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--release", "--target", "wasm32-wasip2", "--message-format", "json"]);
    cargo.args(packages.iter().flat_map(|package| ["-p", package]));
    let built = cargo.current_dir(&workspace).stderr(Stdio::inherit()).output();
    let built = built.map_err(|error| {
        ProveError::Guest(format!("cargo does not run in {}: {error}", workspace.display()))
    })?;
    if !built.status.success() {
        return Err(ProveError::Guest("the build failed, see above".to_owned()));
    }
    let read = |package: &&str| {
        let name = format!("{}.wasm", package.replace('-', "_"));
        let missing = || ProveError::Guest(format!("cargo named no {name}"));
        Ok(std::fs::read(component(&built.stdout, &name).ok_or_else(missing)?)?)
    };
    packages.iter().map(read).collect()
}

fn component(messages: &[u8], name: &str) -> Option<PathBuf> {
    let lines = messages.split(|byte| *byte == b'\n');
    let built = lines.filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    let files = built.filter_map(|message| message.get("filenames")?.as_array().cloned()).flatten();
    let mut files = files.filter_map(|file| file.as_str().map(PathBuf::from));
    files.find(|file| file.ends_with(name))
}
