//! What an operator may set: `baton.toml`, the environment over it, and flags over both. Every unknown key is refused,
//! with its place. It reads one file, and decides nothing else.
//!
//! `settings` has the keys, `schema` publishes them, `shape` walks along the schema; `layers` finds who said what,
//! `effective` puts it together, `mistake` says what is wrong.

mod effective;
mod grants;
mod layers;
mod mistake;
mod schema;
mod settings;
mod shape;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]
mod tests;
mod unit;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use effective::{Effective, values};

pub use mistake::{Mistake, Mistakes, Place};
pub use schema::schema;
pub use settings::{
    ApiSettings, ChannelSettings, DATA_DEFAULT, Durability, FlowSettings, JournalSettings, LimitSettings,
    Plaintext, ProcessorSettings, RetentionSettings, RetrySettings, Settings, TelemetrySettings,
};
pub use unit::{Period, Size, SizeError};

/// The name of the file.
pub const FILE_NAME: &str = "baton.toml";
/// Who said a key that nobody set.
pub const DEFAULT: &str = "default";
/// The largest file that is read.
pub const FILE_BYTES_MAX: u64 = 1 << 20;

/// Everything that a node needs to start.
#[derive(Clone, Debug)]
pub struct Config {
    /// The folder with `baton.toml` and `processors/`.
    pub dir: PathBuf,
    /// The folder for journal, views and caches.
    pub data_dir: PathBuf,
    /// The address of the HTTP interface.
    pub listen: SocketAddr,
    /// What is set.
    pub settings: Settings,
    processors_dir: PathBuf,
    mediators_dir: PathBuf,
    approves_itself: bool,
    sources: Sources,
    text: String,
    places: BTreeMap<Vec<String>, Place>,
}

/// What is asked beside the file; kept, so that the same can be asked again.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// Variables; those that do not begin with `BATON_` are passed over.
    pub environment: Vec<(String, String)>,
    /// Flags of the command line, which win.
    pub flags: Vec<Flag>,
    /// Whether `baton.toml` is not read, because there is none to go with.
    pub no_file: bool,
}

/// A key that the command line sets.
#[derive(Clone, Debug)]
pub struct Flag {
    /// How the flag is written.
    pub name: &'static str,
    /// The key, its levels parted by dots.
    pub key: &'static str,
    /// What it is set to.
    pub value: String,
}

impl Sources {
    /// The environment of this process.
    pub fn of_process() -> Self {
        let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
        let variables = std::env::vars_os().map(|(name, value)| (text(name), text(value)));
        let mut environment: Vec<_> = variables.filter(|(name, _)| name.starts_with("BATON_")).collect();
        environment.sort_unstable();
        Self { environment, ..Self::default() }
    }

    /// Adds a flag if it was given.
    pub fn flag(mut self, name: &'static str, key: &'static str, value: Option<impl ToString>) -> Self {
        self.flags.extend(value.map(|value| Flag { name, key, value: value.to_string() }));
        self
    }
}

/// One key as it is in force.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entry {
    /// The key, its levels parted by dots.
    pub key: String,
    /// The value as TOML writes it.
    pub value: String,
    /// Who said so: `default`, `baton.toml:3:1`, a variable or a flag.
    pub from: String,
    /// Whether it may be a secret: what is set for a guest.
    pub private: bool,
}

/// A configuration that cannot be used: which file, and what is wrong where.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is there and cannot be read.
    #[error("cannot read {}: {source}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Something in the file, the environment or the flags is not what it should be.
    #[error("{0}")]
    Invalid(Box<Mistakes>),
    /// The folder is not there.
    #[error("{} is not a folder; create it, or name another one", dir.display())]
    NoFolder {
        /// The folder.
        dir: PathBuf,
    },
}

impl ConfigError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "config-unreadable",
            Self::Invalid(_) => "config-invalid",
            Self::NoFolder { .. } => "folder-unusable",
        }
    }
}

impl Config {
    /// Reads `baton.toml` in `dir`, if there is one, and nothing else.
    pub fn load(dir: &Path) -> Result<Self, ConfigError> {
        Self::load_with(dir, Sources::default())
    }

    /// Reads `baton.toml` in `dir`, if there is one, and lets other sources override it.
    pub fn load_with(dir: &Path, sources: Sources) -> Result<Self, ConfigError> {
        if !dir.is_dir() {
            return Err(ConfigError::NoFolder { dir: dir.to_owned() });
        }
        let file = dir.join(FILE_NAME);
        let text = if sources.no_file { String::new() } else { read(&file)? };
        let effective = Effective::of(&file, &text, &sources.environment, &sources.flags);
        let Effective { settings, places } =
            effective.map_err(|mistakes| ConfigError::Invalid(Box::new(mistakes)))?;
        Ok(Self { sources, text, places, ..Self::from_settings(dir, settings) })
    }

    /// Reads the same sources again.
    pub fn load_again(&self) -> Result<Self, ConfigError> {
        Self::load_with(&self.dir, self.sources.clone())
    }

    /// A configuration for `dir` without a file.
    pub fn from_settings(dir: &Path, settings: Settings) -> Self {
        Self {
            dir: dir.to_owned(),
            data_dir: dir.join(&settings.data),
            listen: settings.listen,
            processors_dir: dir.join("processors"),
            mediators_dir: dir.join("mediators"),
            approves_itself: false,
            settings,
            sources: Sources { no_file: true, ..Sources::default() },
            text: String::new(),
            places: BTreeMap::new(),
        }
    }

    /// All keys that are set or have a default, with who said so.
    pub fn entries(&self) -> Vec<Entry> {
        let mistakes = Mistakes { file: FILE_NAME.into(), text: self.text.clone(), all: Vec::new() };
        let from = |path: &[String]| match self.places.get(path) {
            Some(place) => mistakes.place(place),
            None => DEFAULT.to_owned(),
        };
        let entry = |(path, value): (Vec<String>, toml::Value)| Entry {
            key: path.join("."),
            value: value.to_string(),
            from: from(&path),
            private: is_private(&path),
        };
        values(&self.settings).into_iter().map(entry).collect()
    }

    /// The keys that are not the same in another configuration.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let [ours, theirs] = [self, other].map(|one| values(&one.settings));
        let ours: BTreeMap<_, _> = ours.into_iter().collect();
        let theirs: BTreeMap<_, _> = theirs.into_iter().collect();
        let keys = ours.keys().chain(theirs.keys().filter(|key| !ours.contains_key(*key)));
        keys.filter(|key| ours.get(*key) != theirs.get(*key)).map(|key| key.join(".")).collect()
    }

    /// The file that is read.
    pub fn file(&self) -> PathBuf {
        self.dir.join(FILE_NAME)
    }

    /// The folder of the journal.
    pub fn journal_dir(&self) -> PathBuf {
        self.data_dir.join("journal")
    }

    /// The folder that is watched for components.
    pub fn processors_dir(&self) -> PathBuf {
        self.processors_dir.clone()
    }

    /// The folder that says which mediators are wanted: definitions of workflows.
    pub fn mediators_dir(&self) -> PathBuf {
        self.mediators_dir.clone()
    }

    /// The same with components in another folder.
    pub fn with_processors_dir(self, processors_dir: PathBuf) -> Self {
        Self { processors_dir, ..self }
    }

    /// Lets every version in, whatever it asks for beyond the one before: for the author's own host.
    pub fn approving_itself(self) -> Self {
        Self { approves_itself: true, ..self }
    }

    /// Whether it does.
    pub fn approves_itself(&self) -> bool {
        self.approves_itself
    }

    /// How long a stop waits for running guests.
    pub fn drain(&self) -> Duration {
        Duration::from_millis(self.settings.limits.drain_ms_max)
    }
}

/// What an operator gives a guest may be a secret; everything else is not.
fn is_private(path: &[String]) -> bool {
    matches!(path, [section, _, config, _] if section == "processor" && config == "config")
}

fn read(file: &Path) -> Result<String, ConfigError> {
    let unreadable = |source| ConfigError::Unreadable { file: file.to_owned(), source };
    match std::fs::metadata(file) {
        Ok(found) if found.len() > FILE_BYTES_MAX => {
            let why = format!("it has {} bytes, more than {FILE_BYTES_MAX}", found.len());
            Err(unreadable(std::io::Error::new(std::io::ErrorKind::FileTooLarge, why)))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        _ => std::fs::read_to_string(file).map_err(unreadable),
    }
}
