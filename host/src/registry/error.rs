//! What can go wrong at the registry's front door. What is wrong with a component is said by the runtime.

use std::path::PathBuf;

use super::wanted::FileFault;

/// Why the registry does not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A folder that it needs cannot be made.
    #[error("cannot create the folder '{}': {source}; create it, or let the host write there", folder.display())]
    Folder {
        /// Which one.
        folder: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Its thread cannot be started.
    #[error("cannot start the registry's thread: {0}")]
    Thread(std::io::Error),
}

/// Why a processor was not put or removed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PutError {
    /// The component cannot be used. Nothing was written.
    #[error("{message}")]
    Invalid {
        /// The stable code of what is wrong with it.
        code: String,
        /// What is wrong and what to do.
        message: String,
    },
    /// The component is another processor. Nothing was written.
    #[error("the component calls itself '{found}', not '{asked}'; put it under its own name")]
    NameMismatch {
        /// The name that was asked for.
        asked: String,
        /// The name in the descriptor.
        found: String,
    },
    /// The file for it provides another processor. Nothing was written.
    #[error("the file '{file}' provides the processor '{holder}'; rename or remove that file first")]
    FileTaken {
        /// The file.
        file: String,
        /// What it provides.
        holder: String,
    },
    /// The folder did not take it, or did not let go of it.
    #[error("cannot change '{file}' in the folder of processors: {why}")]
    Folder {
        /// The file.
        file: String,
        /// What the system said.
        why: String,
    },
    /// It was written and does not run; what ran before goes on.
    #[error("{message}")]
    Failed {
        /// The stable code.
        code: String,
        /// What happened and what to do.
        message: String,
    },
    /// The file was changed again before it was deployed.
    #[error("the file was changed by somebody else before it was deployed; look at `baton status`")]
    Superseded,
    /// Too many are waiting.
    #[error("{0} changes are waiting already; try again in a moment")]
    Busy(usize),
    /// The registry has stopped.
    #[error("the host is stopping")]
    Stopped,
}

impl PutError {
    /// The stable code.
    pub fn code(&self) -> &str {
        match self {
            Self::Invalid { code, .. } | Self::Failed { code, .. } => code,
            Self::NameMismatch { .. } => "name-mismatch",
            Self::FileTaken { .. } => "file-taken",
            Self::Folder { .. } => "folder-not-written",
            Self::Superseded => "superseded",
            Self::Busy(_) => "registry-busy",
            Self::Stopped => "stopping",
        }
    }

    pub(super) fn failed(fault: FileFault) -> Self {
        let FileFault { code, message } = fault;
        Self::Failed { code, message }
    }

    pub(super) fn invalid(fault: FileFault) -> Self {
        let FileFault { code, message } = fault;
        Self::Invalid { code, message }
    }
}
