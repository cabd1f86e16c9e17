//! What can be wrong with a bench, in words for the one who wrote the test.

use std::fmt;

/// Why a test cannot be run. `Debug` is the message too, so that a test that returns it reads well.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
pub enum TestError {
    /// A file or folder cannot be read.
    #[error("cannot read {path}: {why}")]
    Unreadable {
        /// Which one.
        path: String,
        /// Why.
        why: String,
    },
    /// A folder without components.
    #[error("{folder} has no .wasm file; build the processors first: `baton build`")]
    NoComponents {
        /// The folder.
        folder: String,
    },
    /// A component that cannot be used.
    #[error("{file}: {why}")]
    Component {
        /// Its file.
        file: String,
        /// The stable code of what is wrong with it.
        code: String,
        /// What is wrong and what to do.
        why: String,
    },
    /// Two components are one processor.
    #[error("{file} is the processor '{name}', which is on the bench already; name it once")]
    Twice {
        /// The processor.
        name: String,
        /// The second file.
        file: String,
    },
    /// A crate was not built.
    #[error("the component of {folder} was not built: {why}")]
    Build {
        /// The crate's folder.
        folder: String,
        /// What cargo said.
        why: String,
    },
    /// A text that is no name.
    #[error("{why}")]
    Name {
        /// What is wrong with it.
        why: String,
    },
    /// Data that cannot be written as JSON.
    #[error("the data of an event for '{channel}' cannot be written as JSON: {why}")]
    Data {
        /// The event's channel.
        channel: String,
        /// Why.
        why: String,
    },
    /// An event was refused.
    #[error("the event for '{channel}' is refused: {why}")]
    Publish {
        /// The channel.
        channel: String,
        /// The stable code.
        code: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// A processor that is not on the bench.
    #[error("there is no processor '{name}'; there are: {}", list(known))]
    UnknownProcessor {
        /// The name that was asked for.
        name: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// The processors did not come to rest.
    #[error("still not quiet after {seconds} s: {}", list(busy))]
    Endless {
        /// How long it ran.
        seconds: u64,
        /// Who has something to do.
        busy: Vec<String>,
    },
    /// The host failed.
    #[error("the host failed: {why}")]
    Host {
        /// What it said.
        why: String,
    },
}

impl TestError {
    /// The stable code.
    pub fn code(&self) -> &str {
        match self {
            Self::Unreadable { .. } => "file-unreadable",
            Self::NoComponents { .. } => "folder-without-components",
            Self::Component { code, .. } => code,
            Self::Twice { .. } => "processor-twice",
            Self::Build { .. } => "build-failed",
            Self::Name { .. } => "bad-name",
            Self::Data { .. } => "bad-event",
            Self::Publish { code, .. } => code,
            Self::UnknownProcessor { .. } => "unknown-processor",
            Self::Endless { .. } => "not-quiet",
            Self::Host { .. } => "host-failed",
        }
    }
}

fn list(items: &[String]) -> String {
    if items.is_empty() { "none".to_owned() } else { items.join(", ") }
}

impl fmt::Debug for TestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
