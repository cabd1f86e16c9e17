//! Builds the component that evaluates expressions of workflows, for the host to embed. It is a crate of this workspace, built by the same
//! cargo from the same lock file, in a target folder of its own: cargo holds the other one while this runs.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

const PACKAGE: &str = "baton-expressions";
const TARGET: &str = "wasm32-wasip2";
/// What wraps or instruments the host's own build is not for the component.
const NOT_FOR_GUESTS: [&str; 5] = [
    "RUSTFLAGS",
    "CARGO_ENCODED_RUSTFLAGS",
    "RUSTC_WRAPPER",
    "RUSTC_WORKSPACE_WRAPPER",
    "CARGO_BUILD_TARGET",
];

fn main() -> ExitCode {
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<(), String> {
    let host = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    for source in [
        "build.rs",
        "expressions",
        "../sdk/Cargo.toml",
        "../sdk/src",
        "../sdk/macros",
        "../sdk/wit",
        "../Cargo.lock",
    ] {
        println!("cargo::rerun-if-changed={}", host.join(source).display());
    }
    ensure_target()?;
    let out = PathBuf::from(variable("OUT_DIR")?);
    // `<target>/<profile>/build/<package>/out`: one build for all profiles, and for the guests of the tests.
    let target_dir = out.ancestors().nth(4).unwrap_or(&out).join("guests");
    run(cargo(&host, &target_dir)?, "the component that evaluates expressions was not built")?;
    let built = target_dir.join(TARGET).join("release/baton_expressions.wasm");
    let copied = std::fs::copy(&built, out.join("expressions.wasm"));
    copied.map(drop).map_err(|error| format!("{}: {error}", built.display()))
}

fn cargo(host: &Path, target_dir: &Path) -> Result<Command, String> {
    let mut cargo = Command::new(variable("CARGO")?);
    cargo.args(["build", "--release", "--locked", "--target", TARGET, "--package", PACKAGE, "--target-dir"]);
    cargo.arg(target_dir).current_dir(host.join("expressions"));
    for name in NOT_FOR_GUESTS {
        cargo.env_remove(name);
    }
    Ok(cargo)
}

/// Adds the target when it is missing. Without rustup there is nothing to add it with.
fn ensure_target() -> Result<(), String> {
    let mut rustc = Command::new(variable("RUSTC")?);
    let libraries = rustc.args(["--print", "target-libdir", "--target", TARGET]).output();
    let libraries = libraries.map_err(|error| format!("rustc does not run: {error}"))?;
    if Path::new(String::from_utf8_lossy(&libraries.stdout).trim()).is_dir() {
        return Ok(());
    }
    let mut rustup = Command::new("rustup");
    rustup.args(["target", "add", TARGET]);
    let fix = format!("Rust's standard library for {TARGET} is missing, and rustup could not add it");
    run(rustup, &fix)
}

fn run(mut command: Command, complaint: &str) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{complaint}: {command:?}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{complaint}: {command:?}\n{}", String::from_utf8_lossy(&output.stderr)))
}

fn variable(name: &str) -> Result<String, String> {
    env::var(name).map_err(|error| format!("{name}: {error}"))
}
