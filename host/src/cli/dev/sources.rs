//! The crates that are developed: where they are, which files are theirs, and whether anything in those changed.

use std::fs;
use std::path::{Path, PathBuf};

use super::super::failure::{Exit, Failure};

/// How many folders may lie in each other.
const DEPTH_MAX: usize = 6;
/// The most files of one crate that are looked at.
const FILES_MAX: usize = 10_000;

/// A crate or a workspace.
pub struct Crate {
    /// What it is called in this terminal.
    pub name: String,
    /// Where its Cargo.toml is.
    pub folder: PathBuf,
}

/// The crate in a folder, or the crates in the folders below it.
pub fn find(dir: &Path) -> Result<Vec<Crate>, Failure> {
    let at = |folder: PathBuf| {
        let own = folder.canonicalize().ok();
        let name = own.as_ref().and_then(|own| own.file_name()).unwrap_or(folder.as_os_str());
        Crate { name: name.to_string_lossy().into_owned(), folder }
    };
    if dir.join("Cargo.toml").is_file() {
        return Ok(vec![at(dir.to_owned())]);
    }
    let below = fs::read_dir(dir)
        .map_err(|error| Failure::new(Exit::NotFound, format!("cannot read {}: {error}", dir.display())))?;
    let mut folders: Vec<_> =
        below.filter_map(|entry| Some(entry.ok()?.path())).filter(|at| uses_sdk(at)).collect();
    folders.sort();
    match folders.is_empty() {
        false => Ok(folders.into_iter().map(at).collect()),
        true => Err(Failure::failed(format!(
            "{} has no crate of a processor: no Cargo.toml in it, and none that names baton-sdk in a folder below. \
             `baton new NAME` writes one",
            dir.display()
        ))),
    }
}

fn uses_sdk(folder: &Path) -> bool {
    fs::read_to_string(folder.join("Cargo.toml")).is_ok_and(|manifest| manifest.contains("baton-sdk"))
}

/// The crates by name.
pub fn names(crates: &[Crate]) -> String {
    crates.iter().map(|one| one.name.as_str()).collect::<Vec<_>>().join(", ")
}

impl Crate {
    /// A hash over the names and contents of its sources.
    pub fn print(&self) -> blake3::Hash {
        let mut files = Vec::new();
        list(&self.folder, &mut files, DEPTH_MAX);
        files.sort();
        let mut hasher = blake3::Hasher::new();
        for file in files {
            hasher.update(file.as_os_str().as_encoded_bytes());
            let content = fs::read(&file).unwrap_or_default();
            hasher.update(&(content.len() as u64).to_le_bytes()).update(&content);
        }
        hasher.finalize()
    }

    /// Its folders with sources: itself, and what is below it.
    pub fn folders(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        list(&self.folder, &mut files, DEPTH_MAX);
        let mut folders: Vec<_> = files.iter().filter_map(|file| file.parent()).map(Path::to_owned).collect();
        folders.sort();
        folders.dedup();
        folders
    }

    /// A line of its README that publishes on a channel.
    pub fn example(&self, channel: &str) -> Option<String> {
        let readme = fs::read_to_string(self.folder.join("README.md")).ok()?;
        let begin = format!("baton publish {channel} ");
        readme.lines().map(str::trim).find(|line| line.starts_with(&begin)).map(str::to_owned)
    }
}

/// Rust sources and manifests; nothing that is hidden or that cargo writes.
fn list(folder: &Path, files: &mut Vec<PathBuf>, depth: usize) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        if name.starts_with('.') || name == "target" || files.len() >= FILES_MAX {
            continue;
        }
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && depth > 0 => list(&path, files, depth - 1),
            Ok(kind) if kind.is_file() && is_source(&path) => files.push(path),
            _ => {}
        }
    }
}

fn is_source(path: &Path) -> bool {
    let manifest = path.file_name().is_some_and(|name| name == "Cargo.toml");
    manifest
        || path.extension().is_some_and(|extension| extension == "rs")
        || path.components().any(|part| part.as_os_str() == "src")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn write(folder: &Path, file: &str, text: &str) {
        let path = folder.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn only_sources_count_as_a_change() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "Cargo.toml", "[package]");
        write(dir.path(), "src/lib.rs", "fn a() {}");
        let one = &find(dir.path()).unwrap()[0];
        let before = one.print();
        write(dir.path(), "target/x.rs", "built");
        write(dir.path(), ".git/y.rs", "hidden");
        write(dir.path(), "src/lib.rs", "fn a() {}");
        assert_eq!(one.print(), before);
        write(dir.path(), "src/words.txt", "embedded");
        assert_ne!(one.print(), before);
        assert!(one.folders().contains(&dir.path().join("src")));
    }

    #[test]
    fn a_folder_of_crates_gives_each_and_one_without_says_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "b/Cargo.toml", "baton-sdk = '1'");
        write(dir.path(), "a/Cargo.toml", "baton-sdk = '1'");
        write(dir.path(), "other/Cargo.toml", "[package]");
        assert_eq!(names(&find(dir.path()).unwrap()), "a, b");
        let failure = find(&dir.path().join("other/..").join("a/../nowhere")).err().unwrap();
        assert_eq!(failure.exit, Exit::NotFound);
        let empty = tempfile::tempdir().unwrap();
        assert!(find(empty.path()).err().unwrap().message.contains("baton new"));
    }

    #[test]
    fn the_readme_gives_the_example() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "Cargo.toml", "[package]");
        write(dir.path(), "README.md", "Try:\n\n    baton publish words --data '\"a b\"'\n");
        let one = &find(dir.path()).unwrap()[0];
        assert_eq!(one.example("words").as_deref(), Some("baton publish words --data '\"a b\"'"));
        assert_eq!(one.example("word"), None);
    }
}
