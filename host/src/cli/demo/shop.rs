//! The bookshop as files: its sources, the components that are built from them, and the folder where they are dropped. It
//! never looks into a running host.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::super::build::{Built, Words, build};
use super::super::failure::Failure;
use super::super::progress;
use super::folder::Folder;

/// The processors that are there from the beginning, in the order of the relay.
pub const RELAY: [&str; 7] =
    ["order-placement", "payment", "inventory", "warehouse", "order-fulfillment", "shipping", "notification"];
/// The one that comes later.
pub const LATECOMER: &str = "email-analysis";
/// The mediators of the same shop.
pub const MEDIATORS: [&str; 3] = ["sort-orders", "approve-order", "place-order"];

/// The components of the bookshop.
pub struct Shop {
    sources: PathBuf,
    built: Vec<Built>,
    /// How long it took to build them.
    pub build_time: Duration,
}

impl Shop {
    /// Builds the components from the sources next to the current folder, or from those that this program was built from.
    pub fn build() -> Result<Self, Failure> {
        let here = std::env::current_dir().unwrap_or_default();
        let home = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
        let sources = sources(&here).or_else(|| sources(home?)).ok_or_else(no_sources)?;
        let mut arguments = vec!["--quiet".to_owned()];
        for name in RELAY.iter().chain([&LATECOMER]) {
            arguments.extend(["--package".to_owned(), (*name).to_owned()]);
        }
        eprintln!("Building the bookshop's processors in {} (about a minute at first).", sources.display());
        let started = Instant::now();
        let work = || build(&sources, &arguments, Words::Kept);
        let built = progress::during("cargo builds eight processors for wasm32-wasip2".to_owned(), work)?;
        Ok(Self { sources, built, build_time: started.elapsed() })
    }

    /// Copies the processors of the relay into a folder that is not served yet.
    pub fn open_in(&self, folder: &Folder) -> Result<(), Failure> {
        for name in RELAY {
            self.drop_into(folder, name)?;
        }
        Ok(())
    }

    /// Copies one component into the folder, as anybody would.
    pub fn drop_into(&self, folder: &Folder, name: &str) -> Result<PathBuf, Failure> {
        let from = self.component(name)?;
        let to = folder.processors().join(format!("{name}.wasm"));
        copy(from, &to)?;
        Ok(to)
    }

    /// Copies the definitions of the mediators into the folder.
    pub fn add_mediators(&self, folder: &Folder) -> Result<(), Failure> {
        let (from, to) = (self.sources.join("plugins/mediators"), folder.mediators()?);
        MEDIATORS
            .iter()
            .map(|name| format!("{name}.yaml"))
            .try_for_each(|file| copy(&from.join(&file), &to.join(&file)))
    }

    /// The file of a processor.
    pub fn component(&self, name: &str) -> Result<&Path, Failure> {
        let built = self.built.iter().find(|built| built.name.as_deref() == Some(name));
        built.map(|built| built.file.as_path()).ok_or_else(|| {
            let problem = self.built.iter().find_map(|built| built.problem.as_deref()).unwrap_or("no file");
            Failure::failed(format!("cargo built no processor '{name}': {problem}"))
        })
    }
}

fn copy(from: &Path, to: &Path) -> Result<(), Failure> {
    let copied = std::fs::copy(from, to);
    let failed = |error: std::io::Error| {
        Failure::failed(format!("cannot copy {} to {}: {error}", from.display(), to.display()))
    };
    copied.map(drop).map_err(failed)
}

/// The workspace that holds the bookshop, at or above a folder.
fn sources(from: &Path) -> Option<PathBuf> {
    let holds = |folder: &&Path| folder.join("plugins").join(LATECOMER).join("Cargo.toml").is_file();
    from.ancestors().find(holds).map(Path::to_owned)
}

fn no_sources() -> Failure {
    Failure::failed(
        "the bookshop's sources are not here: run `baton demo` inside a clone of Baton's repository, which has them in \
         the folder plugins/",
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_sources_are_found_from_below() {
        let host = Path::new(env!("CARGO_MANIFEST_DIR"));
        assert_eq!(sources(&host.join("src/cli")), host.parent().map(Path::to_owned));
        assert_eq!(sources(Path::new("/")), None);
    }

    #[test]
    fn a_component_that_is_missing_is_named_with_the_reason() {
        let no_processor = Built {
            file: "/t/a.wasm".into(),
            bytes: 1,
            name: None,
            problem: Some("it has no descriptor".to_owned()),
        };
        let (sources, build_time) = ("/t".into(), Duration::ZERO);
        let shop = Shop { sources, built: vec![no_processor], build_time };
        let failure = shop.component("payment").err().unwrap();
        assert!(failure.message.contains("'payment': it has no descriptor"), "{failure}");
    }
}
