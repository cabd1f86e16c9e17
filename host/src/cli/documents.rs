//! `baton asyncapi` and `baton openapi`: what a host or a folder of components is, as a document for other programs.

use std::path::PathBuf;

use clap::Args;
use serde_json::Value;

use super::Shared;
use super::components::Components;
use super::failure::Failure;
use super::output::Out;
use crate::api::openapi_document;
use crate::model::asyncapi::asyncapi;
use crate::model::topology::Topology;

/// `baton asyncapi`
#[derive(Args)]
#[command(after_long_help = "\
Examples:
  baton asyncapi > asyncapi.json             the host that runs
  baton asyncapi shop > asyncapi.json        the components of a folder, without a host")]
pub struct AsyncapiArgs {
    /// A folder with components, or with a folder `processors` of them; the running host unless given.
    dir: Option<PathBuf>,
}

/// Prints the topology as an AsyncAPI document.
pub fn asyncapi_document(args: AsyncapiArgs, shared: &Shared) -> Result<(), Failure> {
    let document: Value = match &args.dir {
        None => shared.client().get("/v1/asyncapi.json")?,
        Some(dir) => {
            let Components { descriptors, findings } = Components::read(dir)?;
            if let Some(finding) = findings.first() {
                return Err(Failure {
                    code: Some(finding.code.clone()),
                    ..Failure::failed(&finding.message)
                });
            }
            asyncapi(&Topology::new(&descriptors, []), env!("CARGO_PKG_VERSION"), None)
        }
    };
    print(&document)
}

/// Prints the HTTP interface of this version as an OpenAPI document.
pub fn openapi() -> Result<(), Failure> {
    print(&openapi_document())
}

/// A document is JSON, asked for or not.
fn print(document: &Value) -> Result<(), Failure> {
    Out::new(true).show(document, |_, _| String::new())
}
