//! One process that compiles, as the host sees it: started, waited for, and said what became of it.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;

use rustix::process::Signal;
use wasmtime::Engine;

use super::child::{CODE, COMMAND, INVALID, UNFIT};
use super::limits::CompileLimits;
use crate::model::text::told;
use crate::runtime::cache::fingerprint;
use crate::runtime::error::Error;

/// How the standard library words that there is no memory. A test holds this.
const NO_MEMORY: [&str; 2] = ["memory allocation of", "annot allocate memory"];

/// One compilation.
pub(super) struct Job<'a> {
    pub program: &'a Path,
    pub limits: &'a CompileLimits,
    pub engine: &'a Engine,
}

/// What a process left behind.
struct Left {
    answer: Vec<u8>,
    status: ExitStatus,
    said: String,
}

impl Job<'_> {
    /// Makes code of a component.
    pub fn run(&self, bytes: &[u8]) -> Result<Vec<u8>, Error> {
        let mut said = tempfile::tempfile().map_err(|error| self.unusable(&error))?;
        let mut child = self.start(bytes, &said).map_err(|error| self.unusable(&error))?;
        let answer = self.answer_of(&mut child);
        // It has nothing more to say, or too much, or no more time.
        let ended = child.kill().and_then(|()| child.wait());
        let status = ended.map_err(|error| self.unusable(&error))?;
        let said = text_of(&mut said).map_err(|error| self.unusable(&error))?;
        self.judge(Left { answer: answer?, status, said })
    }

    /// Bytes go in as a file, so that a process that does not read holds nobody up.
    fn start(&self, bytes: &[u8], said: &File) -> io::Result<Child> {
        let mut component = tempfile::tempfile()?;
        component.write_all(bytes)?;
        component.rewind()?;
        let CompileLimits { cpu_s_max, memory_bytes_max, .. } = self.limits;
        let mut command = Command::new(self.program);
        command.args([
            COMMAND,
            &cpu_s_max.to_string(),
            &memory_bytes_max.to_string(),
            &fingerprint(self.engine),
        ]);
        // Its own group: Ctrl-C is for the host, which ends in order.
        command.env_clear().current_dir("/").process_group(0);
        command.stdin(component).stdout(Stdio::piped()).stderr(said.try_clone()?).spawn()
    }

    fn answer_of(&self, child: &mut Child) -> Result<Vec<u8>, Error> {
        let stdout = child.stdout.take().ok_or_else(|| self.unusable(&"it has no standard output"))?;
        let (tell, told) = mpsc::channel();
        let bytes_max = self.limits.code_bytes_max;
        let reader = move || drop(tell.send(read(stdout, bytes_max)));
        thread::Builder::new()
            .name("baton-compiler".to_owned())
            .spawn(reader)
            .map_err(|error| self.unusable(&error))?;
        let time_max = self.limits.time_max;
        match told.recv_timeout(time_max) {
            Ok(Ok(answer)) if answer.len() as u64 > bytes_max => {
                Err(limit(format!("{bytes_max} bytes of code")))
            }
            Ok(answer) => answer.map_err(|error| self.unusable(&error)),
            Err(_) => Err(limit(format!("{time_max:?}"))),
        }
    }

    fn judge(&self, left: Left) -> Result<Vec<u8>, Error> {
        let Left { answer, status, said } = left;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match answer.split_first_chunk() {
            Some((CODE, code)) => Ok(code.to_vec()),
            Some((INVALID, why)) => Err(self.invalid(text(why))),
            Some((UNFIT, why)) => Err(self.unusable(&text(why))),
            _ => Err(self.broken(status, &said)),
        }
    }

    /// The validator's own memory is bounded too.
    fn invalid(&self, why: String) -> Error {
        if is_no_memory(&why) { self.memory() } else { Error::Invalid { why } }
    }

    fn broken(&self, status: ExitStatus, said: &str) -> Error {
        let CompileLimits { cpu_s_max, .. } = self.limits;
        let signal = |signal: Signal| status.signal() == Some(signal.as_raw());
        if is_no_memory(said) {
            return self.memory();
        }
        if signal(Signal::XCPU) {
            return limit(format!("{cpu_s_max} s of processor time"));
        }
        let said = said.lines().next().unwrap_or("it said nothing");
        Error::CompilerBroke { why: format!("{status}: {}", told(said)) }
    }

    fn memory(&self) -> Error {
        limit(format!("{} MiB of memory", self.limits.memory_bytes_max >> 20))
    }

    fn unusable(&self, why: &dyn std::fmt::Display) -> Error {
        Error::CompilerUnusable { program: self.program.display().to_string(), why: why.to_string() }
    }
}

fn limit(what: String) -> Error {
    Error::CompileLimit { what }
}

fn is_no_memory(said: &str) -> bool {
    NO_MEMORY.iter().any(|words| said.contains(words))
}

/// One byte more than is allowed tells that there is more.
fn read(stdout: ChildStdout, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut answer = Vec::new();
    stdout.take(bytes_max + 1).read_to_end(&mut answer)?;
    Ok(answer)
}

fn text_of(file: &mut File) -> io::Result<String> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.take(super::limits::FILE_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
