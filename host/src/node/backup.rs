//! Backups: a folder with everything that a host needs to start from one position. While it is written it holds a mark, and a start
//! refuses it; when it is finished it holds a list of its files with their digests, which the first start from it checks.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::channel::{Domain, TrimError};
use crate::config::{Config, DATA_DEFAULT};
use crate::journal::storage::Files;
use crate::journal::{self, Position};
use crate::model::upkeep::BackupReport;
use crate::registry::{COMPONENT_ENDING, DEFINITION_ENDING};

/// Stands in a backup while it is not finished.
const UNFINISHED: &str = "backup.unfinished";
/// Lists the files of a finished backup.
const MANIFEST: &str = "backup.json";
/// What the list is called in the data folder once a host has started from it.
const RESTORED: &str = "restored.json";
/// How much is read at once.
const CHUNK_BYTES: usize = 1 << 20;

/// Why there is no backup, or why no host starts from one.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The folder holds something.
    #[error("{} is not empty; name a folder that is empty or not there yet", dir.display())]
    NotEmpty {
        /// The folder.
        dir: PathBuf,
    },
    /// A relative path means another folder to the host than to who asks.
    #[error("'{}' is not an absolute path; the host writes the folder on its own machine", dir.display())]
    Relative {
        /// The folder.
        dir: PathBuf,
    },
    /// The backup was not finished.
    #[error("{} is a backup that was not finished; remove it, and start from another", dir.display())]
    Unfinished {
        /// The folder.
        dir: PathBuf,
    },
    /// A file of the backup is not as it was written.
    #[error("{} is a damaged backup: {file} {why}; start from another", dir.display())]
    Damaged {
        /// The folder.
        dir: PathBuf,
        /// The file in it.
        file: String,
        /// What was found.
        why: String,
    },
    /// The bytes of a processor that is deployed are not kept, or went while the backup was written.
    #[error(
        "the bytes of a deployed processor are not there; deploy it again if it does not run, then back up again"
    )]
    Components,
    /// The operating system refused.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// With which file or folder.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// The journal or the views refused.
    #[error(transparent)]
    Upkeep(#[from] TrimError),
}

impl BackupError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotEmpty { .. } => "backup-not-empty",
            Self::Relative { .. } => "backup-relative",
            Self::Unfinished { .. } => "backup-unfinished",
            Self::Damaged { .. } => "backup-damaged",
            Self::Components => "backup-components",
            Self::Io { .. } => "backup-io",
            Self::Upkeep(error) => error.code(),
        }
    }
}

impl From<journal::Error> for BackupError {
    fn from(error: journal::Error) -> Self {
        Self::Upkeep(error.into())
    }
}

/// The list of a finished backup.
#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    /// The version of Baton that wrote it.
    version: String,
    /// Everything before this position is in it.
    position: u64,
    files: Vec<Entry>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    path: String,
    bytes: u64,
    blake3: String,
}

fn io_at<T>(what: &'static str, path: &Path, result: io::Result<T>) -> Result<T, BackupError> {
    result.map_err(|source| BackupError::Io { what, path: path.to_owned(), source })
}

/// Backs a running host up.
pub(super) fn of_running(domain: &Domain, config: &Config, dir: &Path) -> Result<BackupReport, BackupError> {
    let _alone = domain.exclusive()?;
    begin(dir)?;
    let data = dir.join(DATA_DEFAULT);
    domain.checkpoint()?;
    let position = copy_consistently(domain, config, &data)?;
    copy_setting(config, dir)?;
    copy_files(&config.processors_dir(), &dir.join("processors"))?;
    copy_files(&config.mediators_dir(), &dir.join("mediators"))?;
    finish(dir, position)
}

/// Makes the folder and marks it as unfinished.
fn begin(dir: &Path) -> Result<(), BackupError> {
    if !dir.is_absolute() {
        return Err(BackupError::Relative { dir: dir.to_owned() });
    }
    io_at("make", dir, fs::create_dir_all(dir))?;
    if io_at("read", dir, fs::read_dir(dir))?.next().is_some() {
        return Err(BackupError::NotEmpty { dir: dir.to_owned() });
    }
    let mark = dir.join(UNFINISHED);
    io_at("write", &mark, write_synced(&mark, b"This backup is not finished.\n"))?;
    io_at("sync", dir, sync_folder(dir))
}

/// The journal up to a durable position, and the bytes of everything that is deployed there: of what was deployed before, of what is
/// afterwards, and of all in between.
fn copy_consistently(domain: &Domain, config: &Config, data: &Path) -> Result<Position, BackupError> {
    let (journal_dir, components) = (data.join("journal"), data.join("components"));
    let definitions = data.join("definitions");
    let files = io_at("make", &journal_dir, Files::open(&journal_dir))?;
    let known = [
        (config.data_dir.join("components"), &components),
        (config.data_dir.join("definitions"), &definitions),
    ];
    let copy_known = || known.iter().try_for_each(|(from, to)| copy_files(from, to));
    let (receipts, mut digests) = domain.look(|world| {
        let deployed = world.processors().iter().filter(|processor| processor.deployed);
        let digests = deployed.filter_map(|processor| Some(processor.deployment.as_ref()?.digest.clone()));
        (world.deployments().len(), digests.collect::<Vec<_>>())
    });
    copy_known()?;
    let position = domain.journal().copy_to(Arc::new(files))?;
    // What was deployed meanwhile is in the journal's copy.
    copy_known()?;
    domain.look(|world| {
        digests.extend(world.deployments().iter().skip(receipts).map(|deployment| deployment.digest.clone()));
    });
    let is_there = |digest: &String| {
        components.join(format!("{digest}.{COMPONENT_ENDING}")).is_file()
            || definitions.join(format!("{digest}.{DEFINITION_ENDING}")).is_file()
    };
    match digests.iter().all(is_there) {
        true => Ok(position),
        false => Err(BackupError::Components),
    }
}

/// `baton.toml`, without the key that names another folder for the data.
fn copy_setting(config: &Config, dir: &Path) -> Result<(), BackupError> {
    let path = config.dir.join("baton.toml");
    let text = match fs::read_to_string(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        text => io_at("read", &path, text)?,
    };
    let target = dir.join("baton.toml");
    io_at("write", &target, write_synced(&target, without_data(&text).as_bytes()))
}

fn without_data(text: &str) -> String {
    let mut in_table = false;
    let line = |line: &str| {
        in_table |= line.trim_start().starts_with('[');
        let is_data = line.split('=').next().is_some_and(|key| key.trim() == "data") && line.contains('=');
        match is_data && !in_table {
            true => format!("# in the backup the data is in .baton: {line}\n"),
            false => format!("{line}\n"),
        }
    };
    text.lines().map(line).collect()
}

/// Copies the files of a folder, those that vanish meanwhile left out; other folders in it are not looked into.
fn copy_files(from: &Path, to: &Path) -> Result<(), BackupError> {
    io_at("make", to, fs::create_dir_all(to))?;
    let entries = match fs::read_dir(from) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => io_at("read", from, entries)?,
    };
    for entry in entries {
        let path = io_at("read", from, entry)?.path();
        let Some(name) = path.file_name().filter(|_| path.is_file()) else { continue };
        let target = to.join(name);
        match fs::copy(&path, &target) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            copied => io_at("copy", &path, copied)?,
        };
        io_at("sync", &target, File::open(&target).and_then(|file| file.sync_all()))?;
    }
    io_at("sync", to, sync_folder(to))
}

/// Lists all files with their digests, and takes the mark away.
fn finish(dir: &Path, position: Position) -> Result<BackupReport, BackupError> {
    let mut files = Vec::new();
    list(dir, Path::new(""), &mut files)?;
    files.retain(|entry| entry.path != UNFINISHED);
    files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    let bytes = files.iter().map(|entry| entry.bytes).sum();
    let report = BackupReport {
        dir: dir.display().to_string(),
        position: position.0,
        files: files.len() as u64,
        bytes,
    };
    let manifest = Manifest { version: env!("CARGO_PKG_VERSION").to_owned(), position: position.0, files };
    let path = dir.join(MANIFEST);
    let text = serde_json::to_vec_pretty(&manifest).unwrap_or_default();
    io_at("write", &path, write_synced(&path, &text))?;
    io_at("sync", dir, sync_folder(dir))?;
    let mark = dir.join(UNFINISHED);
    io_at("remove", &mark, fs::remove_file(&mark))?;
    io_at("sync", dir, sync_folder(dir))?;
    Ok(report)
}

fn list(dir: &Path, below: &Path, files: &mut Vec<Entry>) -> Result<(), BackupError> {
    let folder = dir.join(below);
    for entry in io_at("read", &folder, fs::read_dir(&folder))? {
        let entry = io_at("read", &folder, entry)?;
        let relative = below.join(entry.file_name());
        let path = entry.path();
        if path.is_dir() {
            list(dir, &relative, files)?;
            io_at("sync", &path, sync_folder(&path))?;
            continue;
        }
        let (bytes, blake3) = io_at("read", &path, digest(&path))?;
        files.push(Entry { path: relative.to_string_lossy().into_owned(), bytes, blake3 });
    }
    Ok(())
}

fn digest(path: &Path) -> io::Result<(u64, String)> {
    let (mut file, mut hasher) = (File::open(path)?, blake3::Hasher::new());
    let (mut chunk, mut bytes) = (vec![0; CHUNK_BYTES], 0);
    loop {
        let count = file.read(&mut chunk)?;
        if count == 0 {
            return Ok((bytes, hasher.finalize().to_hex().to_string()));
        }
        hasher.update(chunk.get(..count).unwrap_or_default());
        bytes += count as u64;
    }
}

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    fs::write(path, bytes)?;
    File::open(path)?.sync_all()
}

fn sync_folder(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Before a start: refuses a backup that was not finished, or that is not as it was written. Any other folder passes.
pub(super) fn check(config: &Config) -> Result<(), BackupError> {
    let dir = &config.dir;
    if dir.join(UNFINISHED).exists() {
        return Err(BackupError::Unfinished { dir: dir.clone() });
    }
    let path = dir.join(MANIFEST);
    let text = match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        text => io_at("read", &path, text)?,
    };
    let damaged =
        |file: &str, why: String| BackupError::Damaged { dir: dir.clone(), file: file.to_owned(), why };
    let manifest: Manifest = serde_json::from_slice(&text)
        .map_err(|error| damaged(MANIFEST, format!("is no list of files: {error}")))?;
    for entry in &manifest.files {
        match digest(&dir.join(&entry.path)) {
            Ok((_, blake3)) if blake3 == entry.blake3 => {}
            Ok(_) => return Err(damaged(&entry.path, "is not as it was written".to_owned())),
            Err(error) => return Err(damaged(&entry.path, format!("cannot be read: {error}"))),
        }
    }
    tracing::info!(position = manifest.position, files = manifest.files.len(), "starting from a backup");
    // From here on the files change: the list is true no more.
    let kept = dir.join(DATA_DEFAULT).join(RESTORED);
    io_at("move", &path, fs::rename(&path, &kept))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_key_that_names_the_data_is_taken_out() {
        let text = "listen = '127.0.0.1:0'\ndata = '/var/baton'\n[processor.p.config]\ndata = 'x'\n";
        let expected = "listen = '127.0.0.1:0'\n# in the backup the data is in .baton: data = '/var/baton'\n\
                        [processor.p.config]\ndata = 'x'\n";
        assert_eq!(without_data(text), expected);
    }
}
