//! `baton workflow deploy` and `baton workflow rm`: which workflows there are, changed through the host.

use std::path::Path;

use serde_json::json;

use super::definition_in;
use super::list::left_behind;
use crate::cli::Shared;
use crate::cli::client::Ask;
use crate::cli::deploy::{DEPLOY_TIME_MAX, render_report};
use crate::cli::failure::{Exit, Failure};
use crate::cli::progress;
use crate::model::name::ProcessorName;
use crate::model::report::DeployReport;
use crate::model::workflow::report::WorkflowDetail;

/// The media type of a definition; JSON is YAML too.
pub(super) const YAML: &str = "application/yaml";

/// Hands a definition to the host and shows the receipt.
pub fn deploy(file: &Path, shared: &Shared) -> Result<(), Failure> {
    let (name, text) = definition_in(file)?;
    let ask = Ask {
        method: "PUT",
        path: format!("/v1/workflows/{name}"),
        content_type: YAML,
        body: text.into_bytes(),
        wait: DEPLOY_TIME_MAX,
    };
    let client = shared.client();
    let reply = progress::during(format!("deploying {name}"), || client.ask(ask))?;
    shared.out().show(&reply.read::<DeployReport>()?, render_report)
}

/// Removes a workflow.
pub fn remove(name: &ProcessorName, shared: &Shared) -> Result<(), Failure> {
    let client = shared.client();
    let path = format!("/v1/workflows/{name}");
    let before = match client.get::<WorkflowDetail>(path.clone()) {
        Ok(detail) => Some(detail.workflow),
        // Whoever cannot read its definition can remove it.
        Err(failure) if failure.exit == Exit::Failed => None,
        Err(failure) => return Err(failure),
    };
    let ask = Ask { method: "DELETE", wait: DEPLOY_TIME_MAX, ..Ask::get(path) };
    progress::during(format!("removing {name}"), || client.ask(ask))?;
    shared.out().show(&json!({"workflow": name}), |_, _| {
        let left = before.filter(|workflow| !workflow.versions.is_empty());
        let left = left.map(|workflow| format!("\n{}", left_behind(&workflow)));
        format!("removed {name}: nothing begins on it any more{}", left.unwrap_or_default())
    })
}
