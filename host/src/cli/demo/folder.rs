//! The folder that the demo serves: one that stays, or one that is gone at the end.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::super::failure::Failure;

/// The folder that is served.
pub struct Folder {
    path: PathBuf,
    /// Removes the folder when it is dropped.
    _temporary: Option<TempDir>,
}

impl Folder {
    /// Opens the folder that was named, or a temporary one.
    pub fn open(named: Option<PathBuf>) -> Result<Self, Failure> {
        let temporary = match named {
            Some(_) => None,
            None => Some(tempfile::Builder::new().prefix("baton-demo-").tempdir().map_err(no_temporary)?),
        };
        let path = named.or_else(|| temporary.as_ref().map(|folder| folder.path().to_owned()));
        let folder = Self { path: path.unwrap_or_default(), _temporary: temporary };
        create(&folder.processors())?;
        Ok(folder)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file for the reader to use.
    pub fn write(&self, name: &str, text: &str) -> Result<PathBuf, Failure> {
        let file = self.path.join(name);
        std::fs::write(&file, text)
            .map_err(|error| Failure::failed(format!("cannot write {}: {error}", file.display())))?;
        Ok(file)
    }

    /// Where components are dropped.
    pub fn processors(&self) -> PathBuf {
        self.path.join("processors")
    }

    /// Where definitions of workflows are dropped.
    pub fn mediators(&self) -> Result<PathBuf, Failure> {
        let folder = self.path.join("mediators");
        create(&folder).map(|()| folder)
    }
}

fn create(folder: &Path) -> Result<(), Failure> {
    let failed =
        |error: std::io::Error| Failure::failed(format!("cannot create {}: {error}", folder.display()));
    std::fs::create_dir_all(folder).map_err(failed)
}

fn no_temporary(error: std::io::Error) -> Failure {
    Failure::failed(format!("cannot create a temporary folder: {error}; name one with --data DIR"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_temporary_folder_is_gone_at_the_end() {
        let folder = Folder::open(None).unwrap();
        let path = folder.path().to_owned();
        assert!(folder.processors().is_dir());
        drop(folder);
        assert!(!path.exists());
    }

    #[test]
    fn a_named_folder_stays() {
        let base = tempfile::tempdir().unwrap();
        let named = base.path().join("shop");
        drop(Folder::open(Some(named.clone())).unwrap());
        assert!(named.join("processors").is_dir());
    }
}
