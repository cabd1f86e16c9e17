//! From bytes to something that can run: hash, check, compile, keep. Slow, on the registry's own thread, one at a time.

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

/// Turns bytes into a claim, and into a program unless they run already.
pub(super) struct Loader {
    pub engine: Engine,
    pub kept: Kept,
}

impl Loader {
    pub fn load(&self, bytes: &[u8], world: &World) -> Result<(Claim, Option<Loaded>), FileFault> {
        let started = Instant::now();
        let digest = blake3::hash(bytes).to_hex().to_string();
        if let Some(name) = world.runner_of(&digest) {
            return Ok((Claim { name: name.clone(), digest }, None));
        }
        let program = self.engine.load(bytes).map_err(|error| fault_of(&error))?;
        self.kept.keep(&digest, bytes).map_err(not_kept)?;
        let name = program.descriptor().name.clone();
        Ok((Claim { name, digest }, Some(Loaded { program, load: started.elapsed() })))
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
