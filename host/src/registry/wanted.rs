//! What the registry says to whoever runs processors, and how the answer comes back.

use std::fmt;
use std::time::Duration;

use crate::model::deployment::Deployment;
use crate::model::name::ProcessorName;

use super::kind::Unit;

/// A difference between the folder and what runs.
#[derive(Debug)]
pub enum Wanted {
    /// This version shall run.
    Deploy(Candidate),
    /// This processor shall run no more.
    Remove(Removal),
}

/// A version that shall run. Dropped without an answer, it counts as failed.
pub struct Candidate {
    /// What it is.
    pub unit: Unit,
    /// The file that it came from, relative to the folder.
    pub file: String,
    /// How long it took to read, check and compile it.
    pub load: Duration,
    answer: Reply<Deployment>,
}

/// A processor that shall run no more. Dropped without an answer, it counts as failed.
pub struct Removal {
    /// Which one.
    pub name: ProcessorName,
    answer: Reply<()>,
}

impl Candidate {
    pub(super) fn new(unit: Unit, file: String, load: Duration, answer: Reply<Deployment>) -> Self {
        Self { unit, file, load, answer }
    }

    /// Says what came of it.
    pub fn done(self, result: Result<Deployment, FileFault>) {
        self.answer.send(result);
    }
}

impl Removal {
    pub(super) fn new(name: ProcessorName, answer: Reply<()>) -> Self {
        Self { name, answer }
    }

    /// Says what came of it.
    pub fn done(self, result: Result<(), FileFault>) {
        self.answer.send(result);
    }
}

/// What is wrong with a file, or why a version does not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileFault {
    /// The stable code.
    pub code: String,
    /// What is wrong and what to do.
    pub message: String,
}

impl FileFault {
    /// Of a code, with its reason.
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into() }
    }
}

/// A version that runs when the registry starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    /// The processor.
    pub name: ProcessorName,
    /// The digest of its bytes.
    pub digest: String,
    /// The digest that ran before, whose bytes are kept too.
    pub previous_digest: Option<String>,
    /// The file that it came from.
    pub file: String,
}

impl From<&Deployment> for Running {
    fn from(deployment: &Deployment) -> Self {
        Self {
            name: deployment.descriptor.name.clone(),
            digest: deployment.digest.clone(),
            previous_digest: deployment.previous_digest.clone(),
            file: deployment.file.clone(),
        }
    }
}

type Send<T> = Box<dyn FnOnce(Result<T, FileFault>) + std::marker::Send>;

/// The way back, used exactly once.
pub(super) struct Reply<T>(Option<Send<T>>);

impl<T> Reply<T> {
    pub fn new(send: impl FnOnce(Result<T, FileFault>) + std::marker::Send + 'static) -> Self {
        Self(Some(Box::new(send)))
    }

    fn send(mut self, result: Result<T, FileFault>) {
        if let Some(send) = self.0.take() {
            send(result);
        }
    }
}

impl<T> Drop for Reply<T> {
    fn drop(&mut self) {
        if let Some(send) = self.0.take() {
            let why = "the host gave up on it before it was done; write the file again, or restart the host";
            send(Err(FileFault::new("deploy-abandoned", why)));
        }
    }
}

impl fmt::Debug for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digest = self.unit.digest();
        f.debug_struct("Candidate").field("file", &self.file).field("digest", &digest).finish_non_exhaustive()
    }
}

impl fmt::Debug for Removal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Removal").field("name", &self.name).finish_non_exhaustive()
    }
}
