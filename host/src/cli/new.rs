//! `baton new`: writes the crate of a new processor from the SDK's template.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::Shared;
use super::failure::{Exit, Failure};
use super::output::Style;
use crate::model::name::ProcessorName;

/// The template: file names and contents.
const TEMPLATE: [(&str, &str); 3] = [
    ("Cargo.toml", include_str!("../../../sdk/template/Cargo.toml")),
    ("README.md", include_str!("../../../sdk/template/README.md")),
    ("src/lib.rs", include_str!("../../../sdk/template/src/lib.rs")),
];
/// The SDK of the checkout that this program was built from.
const SDK_HERE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../sdk");

/// `baton new`
#[derive(Args)]
#[command(after_long_help = "\
Examples:
  baton new greeter && cd greeter && baton dev
  baton new greeter --sdk https://example.org/baton.git")]
pub struct NewArgs {
    /// The name of the processor, and of the folder that is made.
    name: ProcessorName,
    /// Where baton-sdk comes from: a folder or a git URL [default: the checkout that built this program].
    #[arg(long, value_name = "PATH|GIT-URL")]
    sdk: Option<String>,
}

/// What was written.
#[derive(Serialize)]
struct Written {
    folder: PathBuf,
    files: Vec<&'static str>,
}

/// Writes the crate.
pub fn run(args: NewArgs, shared: &Shared) -> Result<(), Failure> {
    let name = crate_name(&args.name)?;
    let sdk = sdk_dependency(args.sdk.as_deref())?;
    let folder = PathBuf::from(name);
    if folder.exists() {
        return Err(Failure::failed(format!("{name} is there already; choose another name or remove it")));
    }
    for (file, content) in TEMPLATE {
        write(&folder.join(file), &fill(content, name, &sdk))?;
    }
    let written = Written { folder, files: TEMPLATE.map(|(file, _)| file).to_vec() };
    shared.out().show(&written, render_written)
}

/// Cargo allows less than a processor's name may have.
fn crate_name(name: &ProcessorName) -> Result<&str, Failure> {
    let name = name.as_str();
    if name.contains('.') || !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        let why = "it names a crate too: start with a letter and leave out '.'";
        return Err(Failure::new(Exit::Usage, format!("'{name}' cannot be used here: {why}")));
    }
    if RESERVED.contains(&name) {
        let why = "Rust or the processor's own dependencies have that name; choose another";
        return Err(Failure::new(Exit::Usage, format!("'{name}' cannot be used here: {why}")));
    }
    Ok(name)
}

/// Names that cargo would take and rustc would not, or that the template depends on.
const RESERVED: [&str; 16] = [
    "alloc",
    "async",
    "baton-sdk",
    "core",
    "crate",
    "enum",
    "fn",
    "loop",
    "match",
    "proc-macro",
    "self",
    "serde",
    "std",
    "super",
    "test",
    "type",
];

/// The right-hand side of the dependency on the SDK in a manifest.
fn sdk_dependency(given: Option<&str>) -> Result<String, Failure> {
    if let Some(url) = given.filter(|given| given.contains("://") || given.starts_with("git@")) {
        return Ok(format!("{{ git = {} }}", toml::Value::from(url)));
    }
    let path = Path::new(given.unwrap_or(SDK_HERE));
    match path.canonicalize() {
        Ok(path) if path.join("Cargo.toml").is_file() => {
            Ok(format!("{{ path = {} }}", toml::Value::from(path.display().to_string())))
        }
        _ => Err(Failure::failed(format!(
            "baton-sdk is not at {}; say where it is with --sdk PATH or --sdk GIT-URL",
            path.display()
        ))),
    }
}

fn fill(content: &str, name: &str, sdk: &str) -> String {
    content.replace("{{name}}", name).replace("{{sdk}}", sdk)
}

fn write(file: &Path, content: &str) -> Result<(), Failure> {
    let folder = file.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(file, content))
        .map_err(|error| Failure::failed(format!("cannot write {}: {error}", file.display())))
}

fn render_written(written: &Written, _: Style) -> String {
    let folder = written.folder.display();
    format!(
        "wrote {folder}/: {}\nNext: cd {folder} && baton dev\n(baton dev serves, builds and deploys what you save; cargo test runs its tests)",
        written.files.join(", ")
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn the_template_is_filled_and_its_manifest_is_one() {
        let sdk = sdk_dependency(Some("https://example.org/b.git")).unwrap();
        for (file, content) in TEMPLATE {
            let filled = fill(content, "greeter", &sdk);
            assert!(!filled.contains("{{"), "{file}");
            if file == "Cargo.toml" {
                let manifest: toml::Table = filled.parse().unwrap();
                assert_eq!(manifest["package"]["name"].as_str(), Some("greeter"));
                let git = manifest["dependencies"]["baton-sdk"]["git"].as_str();
                assert_eq!(git, Some("https://example.org/b.git"));
            }
        }
    }

    #[test]
    fn the_sdk_of_this_checkout_is_the_default() {
        assert!(sdk_dependency(None).unwrap().starts_with("{ path = \"/"));
        let failure = sdk_dependency(Some("/nowhere")).unwrap_err();
        assert!(failure.message.contains("--sdk"), "{failure}");
    }

    #[test]
    fn names_that_no_crate_can_have_are_refused() {
        for name in ["a.b", "9lives"] {
            let failure = crate_name(&ProcessorName::new(name).unwrap()).unwrap_err();
            assert_eq!(failure.exit, Exit::Usage);
        }
    }
}
