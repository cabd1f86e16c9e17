//! `baton build`: has cargo build processors into components, and shows what came out.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use clap::Args;
use serde::Serialize;
use serde_json::Value;

use super::Shared;
use super::failure::Failure;
use super::output::{Style, Tone};
use super::table::{number, table, text, toned};
use crate::runtime;

/// What components are built for.
const TARGET: &str = "wasm32-wasip2";
const INSTALL_RUST: &str =
    "install Rust with rustup (https://rustup.rs), then `rustup target add wasm32-wasip2`";

/// `baton build`
#[derive(Args)]
#[command(after_long_help = "\
Examples:
  baton build                      the crate you are in
  baton build plugins              a workspace of processors
  baton build plugins -- -p payment --offline")]
pub struct BuildArgs {
    /// The crate or workspace.
    #[arg(default_value = ".")]
    path: PathBuf,
    /// More arguments for cargo.
    #[arg(last = true, value_name = "CARGO ARGUMENTS")]
    cargo: Vec<String>,
}

/// One component.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Built {
    /// Where it is.
    pub file: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// The processor's name, if it is one.
    pub name: Option<String>,
    /// Why it is no processor.
    pub problem: Option<String>,
}

/// Builds and shows what came out.
pub fn run(args: BuildArgs, shared: &Shared) -> Result<(), Failure> {
    let built = build(&args.path, &args.cargo, Words::Shown)?;
    shared.out().show(&built, |built, style| render_built(built, style))
}

/// What happens to cargo's own words.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Words {
    /// They go to stderr as they come.
    Shown,
    /// They are part of the failure, if it fails.
    Kept,
}

/// Builds the crate or workspace in `path`.
pub fn build(path: &Path, cargo_arguments: &[String], words: Words) -> Result<Vec<Built>, Failure> {
    if !path.join("Cargo.toml").is_file() {
        let path = path.display();
        return Err(Failure::failed(format!(
            "{path} has no Cargo.toml; name the folder of a crate or workspace"
        )));
    }
    ensure_target(path)?;
    let output = Command::new("cargo")
        .args(["build", "--release", "--target", TARGET, "--message-format", "json-render-diagnostics"])
        .args(cargo_arguments)
        .current_dir(path)
        .stderr(if words == Words::Shown { Stdio::inherit() } else { Stdio::piped() })
        .output()
        .map_err(|error| Failure::failed(format!("cannot run cargo: {error}; {INSTALL_RUST}")))?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        let why = if words == Words::Shown { "see above" } else { why.trim() };
        return Err(Failure::failed(format!("cargo build failed: {why}")));
    }
    let files = components(&String::from_utf8_lossy(&output.stdout));
    if files.is_empty() {
        let fix = "a processor's Cargo.toml needs [lib] crate-type = [\"cdylib\", \"rlib\"]";
        return Err(Failure::failed(format!("cargo built no component; {fix}")));
    }
    files.into_iter().map(describe).collect()
}

/// Adds the target when it is missing, or says how to.
fn ensure_target(path: &Path) -> Result<(), Failure> {
    let libraries = run_quietly("rustc", &["--print", "target-libdir", "--target", TARGET], path)
        .ok_or_else(|| Failure::failed(format!("there is no rustc here; {INSTALL_RUST}")))?;
    let folder = String::from_utf8_lossy(&libraries.stdout).trim().to_owned();
    if libraries.status.success() && Path::new(&folder).is_dir() {
        return Ok(());
    }
    eprintln!("The target {TARGET} is missing: rustup target add {TARGET}");
    match run_quietly("rustup", &["target", "add", TARGET], path) {
        Some(output) if output.status.success() => Ok(()),
        Some(output) => {
            let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            Err(Failure::failed(format!("rustup could not add the target {TARGET}: {words}")))
        }
        None => Err(Failure::failed(format!(
            "the target {TARGET} is missing and there is no rustup to add it; {INSTALL_RUST}, or take the package \
             of your system that holds Rust's standard library for {TARGET}"
        ))),
    }
}

/// Runs a program; nothing when it is not there.
fn run_quietly(program: &str, arguments: &[&str], folder: &Path) -> Option<Output> {
    Command::new(program).args(arguments).current_dir(folder).output().ok()
}

/// The `.wasm` files among cargo's messages, each once.
fn components(messages: &str) -> Vec<PathBuf> {
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut files: Vec<PathBuf> = messages
        .filter(|message| message.get("reason").is_some_and(|reason| reason == "compiler-artifact"))
        .flat_map(|message| message.get("filenames").and_then(Value::as_array).cloned().unwrap_or_default())
        .filter_map(|file| file.as_str().map(PathBuf::from))
        .filter(|file| file.extension().is_some_and(|extension| extension == "wasm"))
        .collect();
    files.sort();
    files.dedup();
    files
}

fn describe(file: PathBuf) -> Result<Built, Failure> {
    let component = std::fs::read(&file)
        .map_err(|error| Failure::failed(format!("cannot read {}: {error}", file.display())))?;
    let bytes = component.len() as u64;
    Ok(match runtime::inspect(&component) {
        Ok(found) => Built { file, bytes, name: Some(found.descriptor.name.into()), problem: None },
        Err(error) => Built { file, bytes, name: None, problem: Some(error.to_string()) },
    })
}

fn render_built(built: &[Built], style: Style) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    let row = |built: &Built| {
        let file = built.file.strip_prefix(&here).unwrap_or(&built.file).display().to_string();
        let processor = match (&built.name, &built.problem) {
            (Some(name), _) => toned(name.as_str(), Tone::Name),
            (None, problem) => {
                toned(format!("no processor: {}", problem.as_deref().unwrap_or_default()), Tone::Bad)
            }
        };
        [text(file), number(built.bytes), processor]
    };
    table(["FILE", "BYTES", "PROCESSOR"], built.iter().map(row).collect(), style)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_are_found_among_cargos_messages() {
        let messages = r#"{"reason":"compiler-artifact","filenames":["/t/release/libserde.rlib"]}
{"reason":"compiler-artifact","filenames":["/t/release/b.wasm","/t/release/libb.rlib"]}
{"reason":"compiler-artifact","filenames":["/t/release/a.wasm"]}
{"reason":"compiler-artifact","filenames":["/t/release/a.wasm"]}
{"reason":"build-finished","success":true}
not json"#;
        assert_eq!(components(messages), [Path::new("/t/release/a.wasm"), Path::new("/t/release/b.wasm")]);
    }

    #[test]
    fn a_folder_without_a_manifest_is_refused() {
        let failure = build(Path::new("/nowhere"), &[], Words::Shown).err();
        assert!(failure.is_some_and(|failure| failure.message.contains("Cargo.toml")));
    }

    #[test]
    fn what_is_no_processor_says_why() {
        let built = |name: Option<&str>, problem: Option<&str>| Built {
            file: "/t/a.wasm".into(),
            bytes: 150,
            name: name.map(str::to_owned),
            problem: problem.map(str::to_owned),
        };
        let text = render_built(
            &[built(Some("payment"), None), built(None, Some("no descriptor"))],
            Style::default(),
        );
        assert!(text.contains("150  payment") && text.contains("no processor: no descriptor"), "{text}");
    }
}
