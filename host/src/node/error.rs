//! What can go wrong at the front door, with the codes that HTTP and CLI show.

use std::path::PathBuf;

use crate::channel::TrimError;
use crate::dispatch::DispatchError;
use crate::model::operation::OperationError;
use crate::model::workflow::read::Mistake;

use super::BackupError;

/// Why a host did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A folder could not be made.
    #[error("cannot create the folder {}: {source}", folder.display())]
    Folder {
        /// Which one.
        folder: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// `baton.toml` cannot be used.
    #[error(transparent)]
    Config(#[from] crate::config::ConfigError),
    /// A processor of the application's own code does not run.
    #[error("the native processor does not run: {0}")]
    Native(#[source] DeployError),
    /// The journal could not be opened.
    #[error("the journal in {} cannot be opened: {source}", folder.display())]
    Journal {
        /// Its folder.
        folder: PathBuf,
        /// Why.
        source: crate::journal::Error,
    },
    /// The folder is a backup from which no host can start.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// The domain could not be opened.
    #[error(transparent)]
    Domain(#[from] crate::channel::OpenError),
    /// The engine for guests does not start.
    #[error(transparent)]
    Engine(#[from] crate::runtime::Error),
    /// The folder of processors cannot be watched.
    #[error(transparent)]
    Registry(#[from] crate::registry::Error),
    /// The tokens for HTTP cannot be read.
    #[error(transparent)]
    Access(#[from] crate::access::AccessError),
    /// Traces were asked for, and cannot be exported.
    #[error("{why}")]
    Traces {
        /// Why, and what to do.
        why: String,
    },
    /// Flows cannot be followed.
    #[error("the flows that baton.toml names cannot be followed: {0}")]
    Flows(#[from] crate::flows::FollowError),
    /// A thread could not be started.
    #[error("a thread could not be started: {0}")]
    Thread(#[from] std::io::Error),
}

impl StartError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Folder { .. } => "folder-unusable",
            Self::Config(_) => "config-invalid",
            Self::Native(_) => "native-not-deployed",
            Self::Journal { source, .. } => source.code(),
            Self::Backup(error) => error.code(),
            Self::Domain(_) => "domain-not-opened",
            Self::Engine(error) => error.code(),
            Self::Registry(_) => "registry-not-started",
            Self::Access(error) => error.code(),
            Self::Traces { .. } => "traces-not-exported",
            Self::Flows(_) => "flows-not-followed",
            Self::Thread(_) => "thread-not-started",
        }
    }
}

/// Why the host's own files could not be shown, trimmed or backed up.
#[derive(Debug, thiserror::Error)]
pub enum UpkeepError {
    /// A trim.
    #[error(transparent)]
    Trim(#[from] TrimError),
    /// A backup.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// The thread for it panicked.
    #[error("the host's own code broke: {0}")]
    Thread(String),
}

impl UpkeepError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Trim(error) => error.code(),
            Self::Backup(error) => error.code(),
            Self::Thread(_) => "host-fault",
        }
    }

    pub(super) fn thread(error: impl std::fmt::Display) -> Self {
        Self::Thread(error.to_string())
    }
}

/// Why a version does not run, or a processor could not be changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeployError {
    /// The component cannot be used.
    #[error("{message}")]
    Invalid {
        /// The stable code of what is wrong with it.
        code: String,
        /// What is wrong and what to do.
        message: String,
    },
    /// The definition cannot run: all that is wrong with it.
    #[error("it is no definition that can run: {}", told(.0))]
    Definition(Vec<Mistake>),
    /// There is no such processor.
    #[error("there is no processor '{name}'; `baton processor ls` shows those that there are")]
    UnknownProcessor {
        /// Its name.
        name: String,
    },
    /// The component is another processor.
    #[error("the component calls itself '{found}', not '{asked}'; deploy it under its own name")]
    NameMismatch {
        /// The name in the request.
        asked: String,
        /// The name in the descriptor.
        found: String,
    },
    /// The name is taken by the application's own code.
    #[error("'{name}' is a processor in the application's own code; undeploy it first, or take another name")]
    Native {
        /// Its name.
        name: String,
    },
    /// No version of it waits for approval.
    #[error("no version of '{name}' waits for approval")]
    NothingWaits {
        /// Its name.
        name: String,
    },
    /// Another version waits than was meant.
    #[error("another version of '{name}' waits by now, {digest}; look at what it asks for, then approve it")]
    AnotherWaits {
        /// Its name.
        name: String,
        /// What waits.
        digest: String,
    },
    /// There is nothing to go back to.
    #[error("no version of '{name}' ran before the one that runs; deploy the one that is meant")]
    NothingBefore {
        /// Its name.
        name: String,
    },
    /// The bytes to go back to are not there.
    #[error("the bytes of {digest} are not kept; deploy them from a copy")]
    NotKept {
        /// Which ones.
        digest: String,
    },
    /// What the operator said makes no sense.
    #[error(transparent)]
    Operation(#[from] OperationError),
    /// It was tried and did not work.
    #[error("{message}")]
    Failed {
        /// The stable code.
        code: String,
        /// What happened and what to do.
        message: String,
    },
}

impl DeployError {
    /// The stable code.
    pub fn code(&self) -> &str {
        match self {
            Self::Invalid { code, .. } | Self::Failed { code, .. } => code,
            Self::Definition(_) => "definition-invalid",
            Self::UnknownProcessor { .. } => "unknown-processor",
            Self::NameMismatch { .. } => "name-mismatch",
            Self::Native { .. } => "processor-native",
            Self::NothingWaits { .. } => "nothing-waits",
            Self::AnotherWaits { .. } => "another-waits",
            Self::NothingBefore { .. } => "nothing-before",
            Self::NotKept { .. } => "component-not-kept",
            Self::Operation(error) => error.code(),
        }
    }
}

/// The first of the mistakes, and how many there are beside it.
pub(super) fn told(mistakes: &[Mistake]) -> String {
    let first = mistakes.first().map(|first| first.message.as_str()).unwrap_or_default();
    match mistakes.len() {
        0 | 1 => first.to_owned(),
        count => format!("{first}; and {} more", count - 1),
    }
}

impl From<crate::model::descriptor::DescriptorError> for DeployError {
    fn from(error: crate::model::descriptor::DescriptorError) -> Self {
        Self::Invalid { code: "descriptor-invalid".to_owned(), message: error.to_string() }
    }
}

impl From<DispatchError> for DeployError {
    fn from(error: DispatchError) -> Self {
        match error {
            DispatchError::Unknown(name) => Self::UnknownProcessor { name },
            error => Self::Failed { code: error.code().to_owned(), message: error.to_string() },
        }
    }
}
