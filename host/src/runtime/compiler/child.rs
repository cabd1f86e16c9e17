//! What runs in the compiler's process: limits first, then one component from standard input to code on standard output.

use std::io::{self, Read, Write};
use std::process::ExitCode;

use super::limits::confine;
use crate::model::text::told;
use crate::runtime::cache::fingerprint;
use crate::runtime::engine::settings;

/// The word by which the program is told to compile. It is no command for people.
pub const COMMAND: &str = "compile-component";

/// What an answer begins with: code follows, or what is wrong with the component, or with this program.
pub(super) const CODE: &[u8; 8] = b"BATONOK1";
pub(super) const INVALID: &[u8; 8] = b"BATONNO1";
pub(super) const UNFIT: &[u8; 8] = b"BATONXX1";

/// Compiles what comes in. `args` are what stands behind [`COMMAND`].
pub fn compile_child(args: impl Iterator<Item = String>) -> ExitCode {
    let (kind, answer) = match compiled(args) {
        Ok(answer) => answer,
        Err(unfit) => (UNFIT, unfit.into_bytes()),
    };
    let mut out = io::stdout().lock();
    let written = out.write_all(kind).and_then(|()| out.write_all(&answer)).and_then(|()| out.flush());
    if written.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn compiled(mut args: impl Iterator<Item = String>) -> Result<(&'static [u8; 8], Vec<u8>), String> {
    let mut number = || args.next().and_then(|arg| arg.parse().ok());
    let (Some(cpu_s_max), Some(memory_bytes_max)) = (number(), number()) else {
        return Err("it is started by a host only".to_owned());
    };
    confine(cpu_s_max, memory_bytes_max)
        .map_err(|error| format!("it cannot be put under limits: {error}"))?;
    let engine = wasmtime::Engine::new(&settings()).map_err(|error| format!("{error:#}"))?;
    if args.next() != Some(fingerprint(&engine)) {
        return Err(format!("it is of another version (it is {})", env!("CARGO_PKG_VERSION")));
    }
    let mut bytes = Vec::new();
    io::stdin().lock().read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    Ok(match engine.precompile_component(&bytes) {
        Ok(code) => (CODE, code),
        Err(error) => (INVALID, told(&format!("{error:#}")).into_bytes()),
    })
}
