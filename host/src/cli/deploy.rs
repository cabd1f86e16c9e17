//! `baton deploy` and `baton undeploy`: what runs, changed through the host.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::Shared;
use super::client::{Ask, query};
use super::deployment::render_receipt;
use super::failure::Failure;
use super::inspect::read_component;
use super::output::{Style, Tone};
use super::progress;
use crate::model::name::ProcessorName;
use crate::model::report::DeployReport;

/// How long a component may take to be compiled and switched to.
pub(super) const DEPLOY_TIME_MAX: Duration = Duration::from_secs(600);

/// `baton deploy`
#[derive(Args)]
#[command(after_long_help = "\
Examples:
  baton build && baton deploy target/wasm32-wasip2/release/payment.wasm
  baton deploy payment.wasm --no-wait

A component that cannot run is refused, and the version before it goes on (exit code 1).")]
pub struct DeployArgs {
    /// The component; the processor's name is in it.
    file: PathBuf,
    /// Do not wait until it runs; `baton status` tells.
    #[arg(long)]
    no_wait: bool,
}

/// Hands the component to the host and shows the receipt.
pub fn deploy(args: DeployArgs, shared: &Shared) -> Result<(), Failure> {
    let (component, inspected) = read_component(&args.file)?;
    let name = inspected.descriptor.name;
    let wait = args.no_wait.then(|| "false".to_owned());
    let ask = Ask {
        method: "PUT",
        path: format!("/v1/processors/{name}{}", query(&[("wait", wait)])),
        content_type: "application/wasm",
        body: component,
        wait: DEPLOY_TIME_MAX,
    };
    let client = shared.client();
    let reply = progress::during(format!("deploying {name}"), || client.ask(ask))?;
    if args.no_wait {
        let answer = json!({"processor": name, "digest": inspected.digest});
        return shared
            .out()
            .show(&answer, |_, _| format!("handed over {name}; see `baton processor show {name}`"));
    }
    shared.out().show(&reply.read::<DeployReport>()?, render_report)
}

/// The receipt, and whether anything was done.
pub(super) fn render_report(report: &DeployReport, style: Style) -> String {
    let receipt = render_receipt(&report.deployment, style);
    if !report.unchanged {
        return receipt;
    }
    let note = "Nothing to do: these bytes run already. This is their receipt.";
    format!("{}\n{receipt}", style.paint(Tone::Note, note))
}

/// `baton undeploy`
#[derive(Args)]
#[command(after_long_help = "\
Examples:
  baton undeploy payment             its positions and state are kept for the next deploy
  baton undeploy payment --forget    it starts from nothing when it comes back")]
pub struct UndeployArgs {
    /// The processor.
    name: ProcessorName,
    /// Delete its positions and state too.
    #[arg(long)]
    forget: bool,
}

/// Takes a processor out.
pub fn undeploy(args: UndeployArgs, shared: &Shared) -> Result<(), Failure> {
    let UndeployArgs { name, forget } = args;
    let forget_param = forget.then(|| "true".to_owned());
    let path = format!("/v1/processors/{name}{}", query(&[("forget", forget_param)]));
    let client = shared.client();
    let ask = Ask { method: "DELETE", wait: DEPLOY_TIME_MAX, ..Ask::get(path) };
    progress::during(format!("undeploying {name}"), || client.ask(ask))?;
    let answer = json!({"processor": name, "forgotten": forget});
    shared.out().show(&answer, |_, _| match forget {
        true => format!("undeployed {name}; its positions and state are gone"),
        false => format!("undeployed {name}; its positions and state are kept"),
    })
}
