//! `baton deployment ls`: receipts.

use std::time::Duration;

use clap::Subcommand;

use super::Shared;
use super::failure::Failure;
use super::output::{Style, Tone, clean, short};
use super::table::{number, table, text, toned};
use crate::model::deployment::Deployment;
use crate::model::report::DeploymentList;
use crate::model::time::{for_people, rfc3339};

/// `baton deployment`
#[derive(Subcommand)]
pub enum DeploymentCommand {
    /// List the receipts, oldest first.
    Ls,
}

/// Shows what was deployed.
pub fn run(command: DeploymentCommand, shared: &Shared) -> Result<(), Failure> {
    let DeploymentCommand::Ls = command;
    let list: DeploymentList = shared.client().get("/v1/deployments")?;
    shared.out().show(&list, render_list)
}

fn render_list(list: &DeploymentList, style: Style) -> String {
    if list.deployments.is_empty() {
        return "Nothing was deployed yet: `baton deploy FILE`.".to_owned();
    }
    let row = |receipt: &Deployment| {
        [
            text(rfc3339(receipt.time_ms)),
            toned(receipt.descriptor.name.as_str(), Tone::Name),
            text(&receipt.descriptor.version),
            number(receipt.generation),
            text(short(&receipt.digest)),
            text(receipt.changes.join("; ")),
        ]
    };
    let heads = ["TIME", "PROCESSOR", "VERSION", "GEN", "DIGEST", "CHANGES"];
    table(heads, list.deployments.iter().map(row).collect(), style)
}

/// One receipt in full.
pub fn render_receipt(receipt: &Deployment, style: Style) -> String {
    let descriptor = &receipt.descriptor;
    let head = format!("{} {} runs", descriptor.name, clean(&descriptor.version));
    let cache = if receipt.cached { ", compiled before" } else { "" };
    let loaded = for_people(Duration::from_micros(receipt.load_us));
    let mut rows = vec![
        ("deployed", format!("{}, generation {}", rfc3339(receipt.time_ms), receipt.generation)),
        ("digest", receipt.digest.clone()),
    ];
    rows.extend(receipt.previous_digest.iter().map(|digest| ("before", digest.clone())));
    rows.push(("file", receipt.file.clone()));
    rows.push(("loaded in", format!("{loaded}{cache}")));
    if let Some(longest) = receipt.pauses_us.iter().max() {
        let pause = for_people(Duration::from_micros(*longest));
        rows.push(("pause", format!("at most {pause} on {} lanes", receipt.pauses_us.len())));
    }
    let whats = std::iter::once("changes").chain(std::iter::repeat(""));
    rows.extend(whats.zip(receipt.changes.iter().cloned()));
    let rows = rows.iter().map(|(what, value)| format!("  {what:<11}{}\n", clean(value)));
    format!("{}\n{}", style.paint(Tone::Good, &head), rows.collect::<String>())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::model::descriptor::Descriptor;

    fn receipt() -> Deployment {
        let descriptor = br#"{"contract":"baton:processor@0.1.0","name":"payment","version":"2",
            "subscriptions":[{"channel":"a"}]}"#;
        Deployment {
            processor: 1,
            generation: 2,
            digest: "ab".repeat(32),
            previous_digest: Some("cd".repeat(32)),
            descriptor: Descriptor::from_json(descriptor).unwrap(),
            file: "payment.wasm".into(),
            time_ms: 1_700_000_000_123,
            load_us: 48_200,
            cached: true,
            changes: vec!["version: 1 -> 2".into(), "publishes: + c".into()],
            config: Default::default(),
            pauses_us: vec![120, 850],
        }
    }

    #[test]
    fn a_receipt_says_what_runs_and_what_changed() {
        let expected = format!(
            "payment 2 runs\n  deployed   2023-11-14T22:13:20.123Z, generation 2\n  digest     {}\n  \
             before     {}\n  file       payment.wasm\n  loaded in  48.2 ms, compiled before\n  \
             pause      at most 850 us on 2 lanes\n  changes    version: 1 -> 2\n             publishes: + c\n",
            "ab".repeat(32),
            "cd".repeat(32)
        );
        assert_eq!(render_receipt(&receipt(), Style::default()), expected);
    }

    #[test]
    fn the_list_has_a_line_each() {
        let text = render_list(&DeploymentList { deployments: vec![receipt()] }, Style::default());
        assert!(
            text.contains("payment    2          2  abababababab  version: 1 -> 2; publishes: + c"),
            "{text}"
        );
        let none = render_list(&DeploymentList { deployments: Vec::new() }, Style::default());
        assert!(none.contains("baton deploy FILE"));
    }
}
