//! The copying processor that is measured: built from `sdk/bench-guest`, and its twin in native code under the same
//! descriptor.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;

use serde_json::Value;

use super::Error;
use crate::dispatch::Version;
use crate::model::descriptor::Descriptor;
use crate::runtime::{CallError, NativeCall, NativeHandler, NewEmit, OutcomesBuilder, Verdict};

/// The channels of the chain; the processor copies from each to the next.
pub const CHAIN: [&str; 6] = ["hop-0", "hop-1", "hop-2", "hop-3", "hop-4", "hop-5"];
/// An event that is published here makes one hop.
pub const LAST_HOP: &str = "hop-4";
/// Where events end.
pub const END: &str = "hop-5";

const PACKAGE: &str = "baton-bench-guest";

/// Builds the component and reads it. Only the processor's own source tree can be measured, so that is where cargo runs.
pub fn build() -> Result<Vec<u8>, Error> {
    let workspace = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let mut cargo = Command::new("cargo");
    cargo.args([
        "build",
        "--release",
        "--target",
        "wasm32-wasip2",
        "--message-format",
        "json",
        "-p",
        PACKAGE,
    ]);
    let built = cargo.current_dir(&workspace).stderr(Stdio::inherit()).output();
    let built = built.map_err(|error| Error::Guest {
        why: format!("cargo does not run in {}: {error}", workspace.display()),
    })?;
    if !built.status.success() {
        return Err(Error::Guest { why: "its build failed, see above".to_owned() });
    }
    let why = "cargo named no component".to_owned();
    let file = component(&built.stdout).ok_or(Error::Guest { why })?;
    std::fs::read(&file).map_err(|source| Error::File { file, source })
}

fn component(messages: &[u8]) -> Option<PathBuf> {
    let lines = messages.split(|byte| *byte == b'\n');
    let built = lines.filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    let files = built.filter_map(|message| message.get("filenames")?.as_array().cloned()).flatten();
    let mut files = files.filter_map(|file| file.as_str().map(PathBuf::from));
    files.find(|file| file.ends_with("baton_bench_guest.wasm"))
}

/// The same processor without a sandbox.
pub fn native(descriptor: Descriptor) -> Version {
    Version::native(descriptor, "native", Arc::new(|| Box::new(Copier)))
}

/// Copies every event to the next channel.
pub struct Copier;

impl NativeHandler for Copier {
    fn handle(&mut self, call: &NativeCall<'_>, out: &mut OutcomesBuilder) -> Result<(), CallError> {
        for event in call.batch.events() {
            let hop = event.channel().bytes().last().unwrap_or_default();
            let verdict = match CHAIN.get(usize::from(hop.wrapping_sub(b'0')) + 1) {
                Some(channel) => {
                    let datacontenttype = event.attribute("datacontenttype");
                    out.emit(&NewEmit { channel, datacontenttype, data: event.data(), ..NewEmit::default() });
                    Verdict::Handled
                }
                None => Verdict::Reject,
            };
            out.finish(verdict, 0);
        }
        Ok(())
    }
}
