//! From bytes to something that can run: hash, check, compile, keep. What has to be compiled goes to a thread beside, one at a time.

use std::thread;
use std::time::{Duration, Instant};

use super::decide::World;
use super::file::Claim;
use super::kept::Kept;
use super::wanted::FileFault;
use crate::runtime::{self, Engine, Program};

/// The code of a file that could not be read; it is tried again at each rescan.
pub(super) const FILE_UNREADABLE: &str = "file-unreadable";
/// The code of bytes that could not be kept; it is tried again at each rescan.
pub(super) const NOT_KEPT: &str = "component-not-kept";

/// A version that is ready to be offered.
pub(super) struct Loaded {
    pub program: Program,
    pub load: Duration,
}

/// What a file says that it is, and the version unless it runs already.
pub(super) type Claimed = (Claim, Option<Loaded>);

/// How far the loading of a file is.
pub(super) enum Step {
    Loaded(Claimed),
    /// It waits for the compiler; this is what it says that it is.
    Compiling(Claim),
}

/// What was compiled beside.
pub(super) struct Compiled {
    digest: String,
    program: Result<Program, FileFault>,
    took: Duration,
}

/// Turns bytes into a claim, and into a program unless they run already.
pub(super) struct Loader {
    engine: Engine,
    pub kept: Kept,
    /// Whether something is being compiled beside.
    is_busy: bool,
    /// What came of it, until somebody asks for it.
    compiled: Option<Compiled>,
}

impl Loader {
    pub fn new(engine: Engine, kept: Kept) -> Self {
        Self { engine, kept, is_busy: false, compiled: None }
    }

    /// Loads what takes no longer than reading it. All else is compiled beside, one at a time, and `done` hears of it. Compiling takes up
    /// to a minute and a half, and control never stands behind it.
    pub fn load_soon(
        &mut self,
        bytes: Vec<u8>,
        world: &World,
        done: impl FnOnce(Compiled) + Send + 'static,
    ) -> Result<Step, FileFault> {
        let digest = blake3::hash(&bytes).to_hex().to_string();
        if let Some(compiled) = self.compiled.take_if(|compiled| compiled.digest == digest) {
            return self.keep(compiled.program?, &bytes, compiled.took).map(Step::Loaded);
        }
        if world.runner_of(&digest).is_some() || self.engine.loads_at_once(&bytes) {
            return self.load(&bytes, world).map(Step::Loaded);
        }
        let says = runtime::inspect(&bytes).map_err(|error| fault_of(&error))?;
        let claim = Claim { name: says.descriptor.name, digest: digest.clone() };
        if !self.is_busy {
            let engine = self.engine.clone();
            let compile = move || {
                let started = Instant::now();
                let program = engine.load(&bytes).map_err(|error| fault_of(&error));
                done(Compiled { digest, program, took: started.elapsed() });
            };
            let begun = thread::Builder::new().name("baton-loader".to_owned()).spawn(compile);
            begun.map_err(|error| FileFault::new(COMPILER_UNUSABLE, error.to_string()))?;
            self.is_busy = true;
        }
        Ok(Step::Compiling(claim))
    }

    /// Takes over what was compiled beside.
    pub fn compiled(&mut self, compiled: Compiled) {
        self.is_busy = false;
        self.compiled = Some(compiled);
    }

    /// Loads it here and now.
    pub fn load(&self, bytes: &[u8], world: &World) -> Result<Claimed, FileFault> {
        let started = Instant::now();
        let digest = blake3::hash(bytes).to_hex().to_string();
        if let Some(name) = world.runner_of(&digest) {
            return Ok((Claim { name: name.clone(), digest }, None));
        }
        let program = self.engine.load(bytes).map_err(|error| fault_of(&error))?;
        self.keep(program, bytes, started.elapsed())
    }

    fn keep(&self, program: Program, bytes: &[u8], load: Duration) -> Result<Claimed, FileFault> {
        let started = Instant::now();
        let digest = program.digest().to_owned();
        self.kept.keep(&digest, bytes).map_err(not_kept)?;
        let name = program.descriptor().name.clone();
        Ok((Claim { name, digest }, Some(Loaded { program, load: load + started.elapsed() })))
    }
}

/// The code of a compiler that could not be started; the component is not to blame.
const COMPILER_UNUSABLE: &str = "compiler-unusable";

/// Whether trying again with the same bytes may help.
pub(super) fn is_passing(fault: &FileFault) -> bool {
    [FILE_UNREADABLE, NOT_KEPT, COMPILER_UNUSABLE].contains(&fault.code.as_str())
}

/// What the runtime says of a component.
pub(super) fn fault_of(error: &runtime::Error) -> FileFault {
    FileFault::new(error.code(), error.to_string())
}

fn not_kept(error: std::io::Error) -> FileFault {
    let why = format!(
        "its bytes cannot be kept for a restart: {error}; make room in the data folder, or let the host write there"
    );
    FileFault::new(NOT_KEPT, why)
}
