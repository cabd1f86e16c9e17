//! What can be wrong with a component, and with one call. Guest fault, trap and host failure never share a variant.

use crate::model::descriptor::{CONTRACT, DescriptorError, SECTION};
use crate::model::text::escaped;

/// Why a component cannot be used. The text says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes are no WebAssembly at all.
    #[error(
        "it is not WebAssembly: it does not start with \\0asm; build with `cargo build --target wasm32-wasip2`"
    )]
    NotWasm,
    /// A core module where a component is wanted.
    #[error("it is a core module, not a component; build with `cargo build --target wasm32-wasip2`")]
    CoreModule,
    /// More bytes than a component may have.
    #[error(
        "it has {bytes} bytes, {bytes_max} are allowed; build with `--release` and strip debug information"
    )]
    TooLarge {
        /// What it has.
        bytes: u64,
        /// What is allowed.
        bytes_max: u64,
    },
    /// WebAssembly that is cut off or invalid.
    #[error("it is not a valid component: {why}; build it again, and copy it whole")]
    Invalid {
        /// What the validator said.
        why: String,
    },
    /// A component of another world.
    #[error(
        "it is not a processor of '{CONTRACT}': {why}; build it with the baton-sdk of this host's version"
    )]
    World {
        /// What is missing or different.
        why: String,
    },
    /// Imports that nobody serves.
    #[error("it imports what this host does not offer: {}", list(.0))]
    Imports(Vec<ImportRefused>),
    /// No descriptor.
    #[error("it has no section '{SECTION}'; describe the processor with the macro of baton-sdk")]
    DescriptorMissing,
    /// More than one descriptor.
    #[error(
        "it has {count} descriptors in '{SECTION}'; a component is one processor: keep one, and build the others as components of their own"
    )]
    DescriptorTwice {
        /// How many there are.
        count: usize,
    },
    /// A descriptor that makes no sense or is of another contract.
    #[error("{0}")]
    Descriptor(#[from] DescriptorError),
    /// The first instance could not be made.
    #[error("no instance of it can be made: {0}")]
    Instantiate(#[source] CallError),
    /// Compiling it takes more than is allowed.
    #[error(
        "compiling it takes more than {what}; build it with --release, without what it does not need, or split it"
    )]
    CompileLimit {
        /// The limit that it passed.
        what: String,
    },
    /// The compiler ended without an answer.
    #[error(
        "the compiler broke on it ({why}); nothing of it runs: change it, and tell the makers of the host"
    )]
    CompilerBroke {
        /// How it ended and what it said.
        why: String,
    },
    /// Its code is not in the cache, and nobody compiles.
    #[error(
        "its code is not in this host's cache, and the host has no compiler; give it one by NodeBuilder::compiler, or trust \
         every component by NodeBuilder::compile_in_process"
    )]
    NoCompiler,
    /// The program that compiles cannot be used: the host is to blame, not the component.
    #[error("'{program}' cannot be used as the compiler: {why}; name the `baton` of this version")]
    CompilerUnusable {
        /// Which program.
        program: String,
        /// Why not.
        why: String,
    },
    /// The engine refuses to start or to compile: the host is to blame, not the component.
    #[error("the WebAssembly engine failed: {why}")]
    Engine {
        /// What it said.
        why: String,
    },
}

/// One import that is not linked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportRefused {
    /// Its name with the version.
    pub name: String,
    /// What it would need.
    pub needs: &'static str,
}

/// The most characters of a name in an error.
const NAME_CHARS_MAX: usize = 200;
/// The most imports that an error names.
const NAMED_MAX: usize = 10;

fn list(refused: &[ImportRefused]) -> String {
    let named = refused.iter().take(NAMED_MAX);
    let name =
        |import: &ImportRefused| escaped(&import.name).chars().take(NAME_CHARS_MAX).collect::<String>();
    let texts: Vec<_> = named.map(|import| format!("'{}' ({})", name(import), import.needs)).collect();
    match refused.len().saturating_sub(NAMED_MAX) {
        0 => texts.join(", "),
        more => format!("{}, and {more} more", texts.join(", ")),
    }
}

impl Error {
    /// The stable code, the same in HTTP, CLI and log.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotWasm => "component-not-wasm",
            Self::CoreModule => "component-core-module",
            Self::TooLarge { .. } => "component-too-large",
            Self::Invalid { .. } => "component-invalid",
            Self::World { .. } => "component-wrong-world",
            Self::Imports(_) => "component-import-not-offered",
            Self::DescriptorMissing => "descriptor-missing",
            Self::DescriptorTwice { .. } => "descriptor-twice",
            Self::Descriptor(_) => "descriptor-invalid",
            Self::Instantiate(_) => "component-not-instantiable",
            Self::CompileLimit { .. } => "component-compile-limit",
            Self::CompilerBroke { .. } => "component-breaks-compiler",
            Self::NoCompiler => "compiler-missing",
            Self::CompilerUnusable { .. } => "compiler-unusable",
            Self::Engine { .. } => "engine-failed",
        }
    }
}

/// Why a call gave no outcomes. The instance is spent, and nothing of the call is committed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The guest trapped: a panic, a stack overflow, an exit.
    #[error("it trapped: {message}")]
    Trap {
        /// What the engine or the guest's panic said.
        message: String,
        /// The innermost functions, innermost first.
        frames: Vec<String>,
    },
    /// It ran longer than an event may take.
    #[error("it ran longer than {ms} ms; do less per event, or raise limits.event_time_ms_max")]
    Deadline {
        /// What is allowed.
        ms: u64,
    },
    /// It took longer than a call may take together with what the host did for it.
    #[error(
        "it took longer than {ms} ms together with its host calls; ask the host less, or raise limits.call_time_ms_max"
    )]
    CallTime {
        /// What is allowed.
        ms: u64,
    },
    /// It called the host more often than it may.
    #[error("it called the host more than {max} times; ask less per event, or raise limits.host_calls_max")]
    HostCalls {
        /// What is allowed.
        max: u64,
    },
    /// It wanted more of what the host keeps for it than it may have.
    #[error(
        "it wanted more {what} than the {max} that are allowed; close what is not needed, or build it smaller"
    )]
    Resources {
        /// What it wanted.
        what: String,
        /// What is allowed.
        max: u64,
    },
    /// It wanted more memory than it may have.
    #[error("it asked for {asked} bytes of memory in all, {max} are allowed; raise limits.memory_bytes_max")]
    Memory {
        /// What it would have had then, over all memories and tables.
        asked: u64,
        /// What is allowed.
        max: u64,
    },
    /// It handed more bytes to the host at once than is allowed.
    #[error("it gave the host more than {max} bytes at once; emit less, or smaller events")]
    Output {
        /// What is allowed.
        max: u64,
    },
    /// What it said breaks the contract.
    #[error("it broke the contract: {why}; build it with the baton-sdk of this host's version")]
    Malformed {
        /// What and where.
        why: String,
    },
    /// The host failed. No event is to blame.
    #[error("the host failed: {0}")]
    Host(String),
    /// The instance had failed before.
    #[error("this instance is spent; make a new one")]
    Spent,
}

impl CallError {
    /// The stable code, the same in HTTP, CLI and log.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Trap { .. } => "guest-trap",
            Self::Deadline { .. } => "guest-deadline",
            Self::CallTime { .. } => "guest-call-time",
            Self::HostCalls { .. } => "guest-host-calls",
            Self::Resources { .. } => "guest-resources",
            Self::Memory { .. } => "guest-memory",
            Self::Output { .. } => "guest-output",
            Self::Malformed { .. } => "guest-malformed",
            Self::Host(_) => "host-failed",
            Self::Spent => "instance-spent",
        }
    }

    pub(super) fn malformed(why: impl Into<String>) -> Self {
        Self::Malformed { why: why.into() }
    }
}
