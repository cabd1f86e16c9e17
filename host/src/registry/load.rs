//! From bytes to something that can run: hash, check, compile, keep. What has to be compiled goes to a thread beside, one at a time.

use std::thread;
use std::time::{Duration, Instant};

use super::decide::World;
use super::file::Claim;
use super::kept::Kept;
use super::kind::{Kind, Unit};
use super::wanted::FileFault;

/// The code of a file that could not be read; it is tried again at each rescan.
pub(super) const FILE_UNREADABLE: &str = "file-unreadable";
/// The code of bytes that could not be kept; it is tried again at each rescan.
pub(super) const NOT_KEPT: &str = "component-not-kept";
/// The code of a definition that calls what is not deployed; it is tried again at each rescan.
pub const UNKNOWN_FUNCTION: &str = "unknown-function";

/// A version that is ready to be offered.
pub(super) struct Loaded {
    pub unit: Unit,
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
    unit: Result<Unit, FileFault>,
    took: Duration,
}

/// Turns bytes into a claim, and into a program unless they run already.
pub(super) struct Loader {
    kind: Kind,
    pub kept: Kept,
    /// Whether something is being compiled beside.
    is_busy: bool,
    /// What came of it, until somebody asks for it.
    compiled: Option<Compiled>,
}

impl Loader {
    pub fn new(kind: Kind, kept: Kept) -> Self {
        Self { kind, kept, is_busy: false, compiled: None }
    }

    /// How the names of files end that the host writes.
    pub fn ending(&self) -> &'static str {
        self.kind.endings().first().copied().unwrap_or_default()
    }

    /// Whether bytes are kept for good.
    pub fn keeps_old(&self) -> bool {
        self.kind.keeps_old()
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
            return self.keep(compiled.unit?, &bytes, compiled.took).map(Step::Loaded);
        }
        if world.runner_of(&digest).is_some() || self.kind.loads_at_once(&bytes) {
            return self.load(&bytes, world).map(Step::Loaded);
        }
        let claim = Claim { name: self.kind.name_of(&bytes)?, digest: digest.clone() };
        if !self.is_busy {
            let kind = self.kind.clone();
            let compile = move || {
                let started = Instant::now();
                let unit = kind.load(&bytes);
                done(Compiled { digest, unit, took: started.elapsed() });
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
        let unit = self.kind.load(bytes)?;
        self.keep(unit, bytes, started.elapsed())
    }

    fn keep(&self, unit: Unit, bytes: &[u8], load: Duration) -> Result<Claimed, FileFault> {
        let started = Instant::now();
        let digest = unit.digest().to_owned();
        self.kept.keep(&digest, bytes).map_err(not_kept)?;
        let name = unit.name()?;
        Ok((Claim { name, digest }, Some(Loaded { unit, load: load + started.elapsed() })))
    }
}

/// The code of a compiler that could not be started; the component is not to blame.
const COMPILER_UNUSABLE: &str = "compiler-unusable";

/// Whether trying again with the same bytes may help.
pub(super) fn is_passing(fault: &FileFault) -> bool {
    [FILE_UNREADABLE, NOT_KEPT, COMPILER_UNUSABLE, UNKNOWN_FUNCTION].contains(&fault.code.as_str())
}

fn not_kept(error: std::io::Error) -> FileFault {
    let why = format!(
        "its bytes cannot be kept for a restart: {error}; make room in the data folder, or let the host write there"
    );
    FileFault::new(NOT_KEPT, why)
}
