//! The components that the tests run: the bookshop and the guests of `tests/guests`, built once per run of the tests.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::compiled;

const TARGET: &str = "wasm32-wasip2";

/// What wraps or instruments the tests' own build.
pub const NOT_FOR_GUESTS: [&str; 3] = ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "RUSTC_WORKSPACE_WRAPPER"];

/// The seven that take an order from its placement to the customer.
pub const BOOKSHOP: [&str; 7] =
    ["order-placement", "notification", "payment", "inventory", "warehouse", "order-fulfillment", "shipping"];
/// The one that comes later.
pub const NEWCOMER: &str = "email-analysis";
const OWN: [&str; 6] =
    ["guest-relay", "guest-tally", "guest-fickle", "guest-picky", "guest-zoo", "guest-outside"];

/// The bytes of a component, by the name of its crate.
pub fn component(package: &str) -> Vec<u8> {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let folder = BUILT.get_or_init(build);
    let file = folder.join(format!("{}.wasm", package.replace('-', "_")));
    let bytes = std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    compiled::note_built(&bytes);
    bytes
}

/// The component that the host brings along itself: it evaluates the expressions of workflows.
pub fn expressions() -> Vec<u8> {
    let file = target_folder().join(TARGET).join("release/baton_expressions.wasm");
    std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// The folder that guests are built into, for those who build more of them.
pub fn target_folder() -> PathBuf {
    target_dir().join("guests")
}

/// The same component with other bytes: a custom section at its end, which changes nothing but the digest.
pub fn variant(package: &str, number: u32) -> Vec<u8> {
    let mut bytes = component(package);
    bytes.extend([0, 6, 1, b'v']);
    bytes.extend(number.to_le_bytes());
    bytes
}

fn build() -> PathBuf {
    add_target();
    let target_dir = target_folder();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--release", "--quiet", "--target", TARGET, "--target-dir"]).arg(&target_dir);
    for package in BOOKSHOP.iter().chain(&OWN).chain([&NEWCOMER]) {
        cargo.args(["--package", package]);
    }
    for name in NOT_FOR_GUESTS {
        cargo.env_remove(name);
    }
    run(cargo.current_dir(workspace()), "the guests were not built");
    target_dir.join(TARGET).join("release")
}

/// Without rustup there is nothing to add it with; the build says what is missing.
fn add_target() {
    if let Ok(installed) =
        Command::new("rustup").args(["target", "list", "--installed"]).current_dir(workspace()).output()
        && !String::from_utf8_lossy(&installed.stdout).contains(TARGET)
    {
        let mut rustup = Command::new("rustup");
        run(rustup.args(["target", "add", TARGET]).current_dir(workspace()), "the target was not added");
    }
}

fn run(command: &mut Command, complaint: &str) {
    let output = command.output().unwrap_or_else(|error| panic!("{complaint}: {command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}; `{TARGET}` has to be installed: {command:?}\n{said}");
}

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The folder that this test itself was built into: `<target>/debug/deps/e2e-...`.
fn target_dir() -> PathBuf {
    let this = std::env::current_exe().unwrap();
    this.ancestors().nth(3).unwrap().to_owned()
}
