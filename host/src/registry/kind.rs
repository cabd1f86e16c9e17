//! What a watched folder holds: components, or definitions of workflows. Either is read, hashed, checked, kept and offered in the same way.

use std::sync::Arc;

use super::wanted::FileFault;
use crate::model::name::ProcessorName;
use crate::model::workflow::definition::Definition;
use crate::model::workflow::read::{Mistake, read};
use crate::runtime::{self, Engine, Expressions, Program};

/// How the names of components end.
pub const COMPONENT_ENDING: &str = "wasm";
/// How the names of definitions end that the host writes.
pub const DEFINITION_ENDING: &str = "yaml";

/// What the files of a folder are.
#[derive(Clone)]
pub enum Kind {
    /// Components, compiled by this engine.
    Components(Engine),
    /// Definitions of workflows, whose expressions are compiled here.
    Definitions(Expressions),
}

/// What a file is, ready to run.
#[derive(Clone, Debug)]
pub enum Unit {
    /// A component.
    Component(Program),
    /// A definition, and the digest of its text.
    Definition {
        /// The workflow.
        definition: Arc<Definition>,
        /// BLAKE3, in hexadecimal.
        digest: String,
    },
}

/// The code of a definition that cannot run.
pub(super) const DEFINITION_INVALID: &str = "definition-invalid";
/// The most mistakes of a definition that are told at once.
const MISTAKES_TOLD_MAX: usize = 20;

impl Kind {
    /// How the names of its files end; the first is that of files that the host writes.
    pub(super) fn endings(&self) -> &'static [&'static str] {
        match self {
            Self::Components(_) => &[COMPONENT_ENDING],
            Self::Definitions(_) => &[DEFINITION_ENDING, "yml", "json"],
        }
    }

    /// What is said of something in the folder that is no file.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Components(_) => "component",
            Self::Definitions(_) => "definition",
        }
    }

    /// Whether old bytes are kept although nothing new begins with them: runs are on them.
    pub(super) fn keeps_old(&self) -> bool {
        matches!(self, Self::Definitions(_))
    }

    /// Whether loading takes no longer than reading.
    pub(super) fn loads_at_once(&self, bytes: &[u8]) -> bool {
        match self {
            Self::Components(engine) => engine.loads_at_once(bytes),
            Self::Definitions(expressions) => expressions.is_ready(),
        }
    }

    /// What it calls itself, found out at once.
    pub(super) fn name_of(&self, bytes: &[u8]) -> Result<ProcessorName, FileFault> {
        match self {
            Self::Components(_) => {
                runtime::inspect(bytes).map(|says| says.descriptor.name).map_err(|error| fault_of(&error))
            }
            Self::Definitions(_) => {
                let reading = read(&text(bytes)?);
                let name = reading.definition.as_ref().map(|definition| definition.document.name.clone());
                name_of(name.as_deref().unwrap_or_default(), &reading.mistakes)
            }
        }
    }

    /// Checks and compiles it.
    pub(super) fn load(&self, bytes: &[u8]) -> Result<Unit, FileFault> {
        match self {
            Self::Components(engine) => {
                engine.load(bytes).map(Unit::Component).map_err(|error| fault_of(&error))
            }
            Self::Definitions(expressions) => definition(expressions, bytes),
        }
    }
}

impl Unit {
    /// What it calls itself.
    pub fn name(&self) -> Result<ProcessorName, FileFault> {
        match self {
            Self::Component(program) => Ok(program.descriptor().name.clone()),
            Self::Definition { definition, .. } => name_of(&definition.document.name, &[]),
        }
    }

    /// The digest of its bytes.
    pub fn digest(&self) -> &str {
        match self {
            Self::Component(program) => program.digest(),
            Self::Definition { digest, .. } => digest,
        }
    }
}

/// What the runtime says of a component.
pub(super) fn fault_of(error: &runtime::Error) -> FileFault {
    FileFault::new(error.code(), error.to_string())
}

fn definition(expressions: &Expressions, bytes: &[u8]) -> Result<Unit, FileFault> {
    let mut reading = read(&text(bytes)?);
    if !reading.expressions.is_empty() {
        expressions.complete(&mut reading).map_err(|error| fault_of(&error))?;
    }
    let definition = reading.fine().map_err(|mistakes| invalid(&mistakes))?;
    let digest = blake3::hash(bytes).to_hex().to_string();
    Ok(Unit::Definition { definition: Arc::new(definition), digest })
}

fn text(bytes: &[u8]) -> Result<String, FileFault> {
    let text = std::str::from_utf8(bytes).map(str::to_owned);
    text.map_err(|error| FileFault::new(DEFINITION_INVALID, format!("it is no text in UTF-8: {error}")))
}

fn name_of(name: &str, mistakes: &[Mistake]) -> Result<ProcessorName, FileFault> {
    ProcessorName::new(name).map_err(|error| match mistakes {
        [] => FileFault::new(DEFINITION_INVALID, error.to_string()),
        mistakes => invalid(mistakes),
    })
}

/// All mistakes, each with its place.
fn invalid(mistakes: &[Mistake]) -> FileFault {
    let told = mistakes.iter().take(MISTAKES_TOLD_MAX).map(|mistake| {
        let Mistake { spot, path, message, help, .. } = mistake;
        let help = help.as_ref().map(|help| format!("; instead: {help}")).unwrap_or_default();
        format!("line {}, column {}, {path}: {message}{help}", spot.line, spot.column)
    });
    let mut told: Vec<String> = told.collect();
    if mistakes.len() > MISTAKES_TOLD_MAX {
        told.push(format!("and {} more; see `baton workflow check`", mistakes.len() - MISTAKES_TOLD_MAX));
    }
    FileFault::new(DEFINITION_INVALID, told.join("\n"))
}
