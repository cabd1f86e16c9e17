//! Reads a component without running or compiling any of it.

use serde::de::IgnoredAny;
use wasmparser::{ComponentExternalKind, Encoding, Parser, Payload};

use super::bindings::HANDLER;
use super::error::{Error, ImportRefused};
use super::limits::COMPONENT_BYTES_MAX;
use crate::model::descriptor::{Descriptor, SECTION};
use crate::model::text::told;

/// What a component says without being run.
#[derive(Clone, Debug)]
pub struct Inspected {
    /// The blake3 hash of its bytes, in hex.
    pub digest: String,
    /// Its size.
    pub bytes: u64,
    /// Its descriptor, checked.
    pub descriptor: Descriptor,
    /// The interfaces that it imports, with versions.
    pub imports: Vec<String>,
    /// The interfaces that it exports, with versions.
    pub exports: Vec<String>,
}

/// Reads and checks everything that does not need a compiler.
pub fn inspect(bytes: &[u8]) -> Result<Inspected, Error> {
    check_kind(bytes)?;
    let found = Found::read(bytes).map_err(|error| Error::Invalid { why: told(&error.to_string()) })?;
    let descriptor = found.descriptor()?;
    found.check_world()?;
    let Found { imports, exports, .. } = found;
    let digest = blake3::hash(bytes).to_hex().to_string();
    Ok(Inspected { digest, bytes: bytes.len() as u64, descriptor, imports, exports })
}

impl Inspected {
    /// Refuses imports that no host of this version serves.
    pub fn check_imports(&self) -> Result<(), Error> {
        let refused: Vec<_> = self.imports.iter().filter_map(|name| refuse(name)).collect();
        if refused.is_empty() { Ok(()) } else { Err(Error::Imports(refused)) }
    }
}

fn check_kind(bytes: &[u8]) -> Result<(), Error> {
    if bytes.len() as u64 > COMPONENT_BYTES_MAX {
        return Err(Error::TooLarge { bytes: bytes.len() as u64, bytes_max: COMPONENT_BYTES_MAX });
    }
    if !bytes.starts_with(b"\0asm") {
        return Err(Error::NotWasm);
    }
    if Parser::is_core_wasm(bytes) {
        return Err(Error::CoreModule);
    }
    Ok(())
}

/// What lies in the bytes.
#[derive(Default)]
struct Found<'a> {
    imports: Vec<String>,
    exports: Vec<String>,
    descriptors: Vec<&'a [u8]>,
}

impl<'a> Found<'a> {
    fn read(bytes: &'a [u8]) -> wasmparser::Result<Self> {
        let mut found = Self::default();
        let mut depth = 0_usize;
        for payload in Parser::new(0).parse_all(bytes) {
            match payload? {
                Payload::Version { encoding: Encoding::Component | Encoding::Module, .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::CustomSection(section) if section.name() == SECTION => {
                    found.descriptors.push(section.data());
                }
                Payload::ComponentImportSection(section) if depth == 1 => {
                    for import in section {
                        found.imports.push(import?.name.name.to_owned());
                    }
                }
                Payload::ComponentExportSection(section) if depth == 1 => {
                    for export in section {
                        let export = export?;
                        if export.kind == ComponentExternalKind::Instance {
                            found.exports.push(export.name.name.to_owned());
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(found)
    }

    fn descriptor(&self) -> Result<Descriptor, Error> {
        let count: usize = self.descriptors.iter().map(|json| documents(json)).sum();
        match (self.descriptors.first(), count) {
            (None, _) => Err(Error::DescriptorMissing),
            (Some(_), 2..) => Err(Error::DescriptorTwice { count }),
            (Some(json), _) => Ok(Descriptor::from_json(json)?),
        }
    }

    fn check_world(&self) -> Result<(), Error> {
        if self.exports.iter().any(|name| name == HANDLER) {
            return Ok(());
        }
        let exports = if self.exports.is_empty() { "nothing".to_owned() } else { self.exports.join(", ") };
        Err(Error::World { why: format!("it does not export '{HANDLER}'; it exports {}", told(&exports)) })
    }
}

/// How many JSON documents a section holds: the linker puts sections of one name together.
fn documents(json: &[u8]) -> usize {
    serde_json::Deserializer::from_slice(json).into_iter::<IgnoredAny>().count()
}

/// The packages that are linked, each with the versions that are compatible with what is linked.
const LINKED: [(&str, &str); 7] = [
    ("baton:processor/", "0.1."),
    ("wasi:cli/", "0.2."),
    ("wasi:clocks/", "0.2."),
    ("wasi:filesystem/", "0.2."),
    ("wasi:io/", "0.2."),
    ("wasi:random/", "0.2."),
    ("wasi:sockets/", "0.2."),
];

fn refuse(name: &str) -> Option<ImportRefused> {
    let (interface, version) = name.split_once('@').unwrap_or((name, ""));
    if LINKED.iter().any(|(prefix, line)| interface.starts_with(prefix) && version.starts_with(line)) {
        return None;
    }
    let needs = match interface {
        _ if LINKED.iter().any(|(prefix, _)| interface.starts_with(prefix)) => {
            "another version than this host serves; build with this host's baton-sdk and Rust's wasm32-wasip2"
        }
        _ if interface.starts_with("wasi:http/") => {
            "the HTTP of WASI, which is not served; call servers by the contract's own 'http', as cx.http(..) of baton-sdk does"
        }
        _ => "no host call of that name; only the baton-sdk and the standard library may be imported",
    };
    Some(ImportRefused { name: name.to_owned(), needs })
}
