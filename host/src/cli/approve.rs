//! `baton approve` and `baton rollback`: whether a version that asks for more than the one before it is let in.

use clap::Args;
use serde_json::{Value, json};

use super::Shared;
use super::client::Ask;
use super::deploy::DEPLOY_TIME_MAX;
use super::deployment::render_receipt;
use super::failure::Failure;
use super::output::{Style, Tone};
use super::progress;
use crate::model::name::ProcessorName;
use crate::model::report::{DeployReport, ProcessorReport, WaitingVersion};

/// `baton approve`
#[derive(Args)]
#[command(after_long_help = "\
Examples:
  baton processor show payment       what the version that waits asks for
  baton approve payment

A version waits if it may do more than the one that runs, or takes from others what they read: new channels, servers
or secrets, wider limits, other keys, channels that it publishes on no more. What baton.toml grants to it by name
goes straight in. Servers and secrets are granted in baton.toml alone; an approval does not replace that.")]
pub struct ApproveArgs {
    /// The processor.
    name: ProcessorName,
    /// Only if this is the version that waits.
    #[arg(long, value_name = "DIGEST")]
    digest: Option<String>,
}

/// `baton rollback`
#[derive(Args)]
#[command(after_long_help = "\
Examples:
  baton rollback payment             the version before runs again, and its file is in the folder

With a version that waits for approval, that one is taken away and the version that runs stays.")]
pub struct RollbackArgs {
    /// The processor.
    name: ProcessorName,
}

/// Lets in what waits.
pub fn approve(args: &ApproveArgs, shared: &Shared) -> Result<(), Failure> {
    let ApproveArgs { name, digest } = args;
    let waiting = shared.client().get::<ProcessorReport>(format!("/v1/processors/{name}"))?.waiting;
    let digest = digest.as_ref().or(waiting.as_ref().map(|waiting| &waiting.digest));
    tell(name, "approve", &json!({"digest": digest, "by": "cli"}), shared)
}

/// Goes back to the version before.
pub fn rollback(args: &RollbackArgs, shared: &Shared) -> Result<(), Failure> {
    tell(&args.name, "rollback", &json!({"by": "cli"}), shared)
}

fn tell(name: &ProcessorName, what: &str, body: &Value, shared: &Shared) -> Result<(), Failure> {
    let ask = Ask {
        method: "POST",
        content_type: "application/json",
        body: body.to_string().into_bytes(),
        wait: DEPLOY_TIME_MAX,
        ..Ask::get(format!("/v1/processors/{name}/{what}"))
    };
    let client = shared.client();
    let reply = progress::during(format!("deploying {name}"), || client.ask(ask))?;
    shared.out().show(&reply.read::<DeployReport>()?, |report, style| {
        let receipt = render_receipt(&report.deployment, style);
        match report.unchanged {
            true => format!(
                "{}\n{receipt}",
                style.paint(Tone::Note, "What runs stays; its file is in the folder again.")
            ),
            false => receipt,
        }
    })
}

/// What waits, for people.
pub fn render_waiting(name: &str, waiting: &WaitingVersion, style: Style) -> String {
    let WaitingVersion { version, digest, differences, .. } = waiting;
    let head = format!("Version {version} waits for approval ({digest}). Unlike the one that runs, it");
    let lines: String = differences.iter().map(|difference| format!("\n  {difference}")).collect();
    format!(
        "{}{lines}\n`baton approve {name}` lets it in, `baton rollback {name}` takes it away.\n",
        style.paint(Tone::Note, &head)
    )
}
