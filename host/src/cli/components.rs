//! The components of a folder, read without running them.

use std::path::{Path, PathBuf};

use super::failure::{Exit, Failure};
use crate::model::descriptor::Descriptor;
use crate::model::lint::{Finding, Severity};
use crate::runtime;

/// The folder of components in a folder that is served.
const PROCESSORS: &str = "processors";

/// What the files of a folder say, and what is wrong with them as files.
#[derive(Debug)]
pub struct Components {
    /// One for each processor.
    pub descriptors: Vec<Descriptor>,
    /// Files that are no processors, and names that are there twice.
    pub findings: Vec<Finding>,
}

impl Components {
    /// Reads all `.wasm` files of a folder, or of `processors` in it.
    pub fn read(dir: &Path) -> Result<Self, Failure> {
        let inner = dir.join(PROCESSORS);
        let folder = if inner.is_dir() { inner } else { dir.to_owned() };
        let cannot = |error: std::io::Error| {
            let exit =
                if error.kind() == std::io::ErrorKind::NotFound { Exit::NotFound } else { Exit::Failed };
            Failure::new(exit, format!("cannot read {}: {error}", folder.display()))
        };
        let mut files = Vec::new();
        for entry in std::fs::read_dir(&folder).map_err(cannot)? {
            files.push(entry.map_err(cannot)?.path());
        }
        files.retain(|file| is_component(file));
        files.sort();
        let mut components = Self { descriptors: Vec::new(), findings: Vec::new() };
        files.iter().for_each(|file| components.add(file));
        Ok(components)
    }

    fn add(&mut self, file: &Path) {
        let shown = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let none: [&str; 0] = [];
        match described(file) {
            Err(why) => {
                let message = format!("{shown} is no processor: {why}");
                self.findings.push(Finding::new(
                    (Severity::Error, "lint-not-a-processor"),
                    message,
                    none,
                    none,
                ));
            }
            Ok(descriptor) if self.descriptors.iter().any(|other| other.name == descriptor.name) => {
                let name = &descriptor.name;
                let message = format!("{shown} is '{name}', which another file is too; keep one of them");
                self.findings.push(Finding::new((Severity::Error, "lint-name-twice"), message, [name], none));
            }
            Ok(descriptor) => self.descriptors.push(descriptor),
        }
    }
}

fn is_component(file: &PathBuf) -> bool {
    let hidden = file.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
    !hidden && file.is_file() && file.extension().is_some_and(|extension| extension == "wasm")
}

fn described(file: &Path) -> Result<Descriptor, String> {
    let bytes = std::fs::read(file).map_err(|error| error.to_string())?;
    Ok(runtime::inspect(&bytes).map_err(|error| error.to_string())?.descriptor)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_no_processors_are_found() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a.wasm", ".b.wasm", "c.txt"] {
            std::fs::write(dir.path().join(name), "none").unwrap();
        }
        let found = Components::read(dir.path()).unwrap();
        assert_eq!((found.descriptors.len(), found.findings.len()), (0, 1));
        assert!(found.findings[0].message.starts_with("a.wasm is no processor"), "{:?}", found.findings);
        assert_eq!(Components::read(Path::new("/nowhere/at/all")).unwrap_err().exit, Exit::NotFound);
    }
}
