//! `baton inspect`: what a component says of itself, read without running it.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use super::Shared;
use super::failure::{Exit, Failure};
use super::output::{Style, Tone, clean, wrap};
use crate::model::descriptor::{Descriptor, Limits, Start, SubscriptionAsk};
use crate::runtime::{self, Inspected};

/// Where a filter begins in its line.
const FILTER_INDENT: usize = 16;

/// `baton inspect`
#[derive(Args)]
#[command(after_long_help = "Example:\n  baton inspect target/wasm32-wasip2/release/payment.wasm")]
pub struct InspectArgs {
    /// The component.
    file: PathBuf,
}

/// Shows the component.
pub fn run(args: InspectArgs, shared: &Shared) -> Result<(), Failure> {
    let (_, inspected) = read_component(&args.file)?;
    let document: Value = json!({
        "digest": inspected.digest,
        "bytes": inspected.bytes,
        "descriptor": inspected.descriptor,
        "imports": inspected.imports,
        "exports": inspected.exports,
    });
    shared.out().show(&document, |_, style| render_inspected(&inspected, style))
}

/// Reads a file and what it says of itself.
pub fn read_component(file: &Path) -> Result<(Vec<u8>, Inspected), Failure> {
    let bytes = std::fs::read(file).map_err(|error| {
        let exit = if error.kind() == std::io::ErrorKind::NotFound { Exit::NotFound } else { Exit::Failed };
        Failure::new(exit, format!("cannot read {}: {error}", file.display()))
    })?;
    let inspected = runtime::inspect(&bytes).map_err(|error| Failure {
        code: Some(error.code().to_owned()),
        ..Failure::failed(format!("{} is no processor: {error}", file.display()))
    })?;
    Ok((bytes, inspected))
}

fn render_inspected(inspected: &Inspected, style: Style) -> String {
    let mut text = render_descriptor(&inspected.descriptor, style);
    text.push_str(&row("digest", &format!("{} ({} bytes)", inspected.digest, inspected.bytes)));
    text.push_str(&rows("imports", &inspected.imports));
    text
}

/// What a processor says of itself, a line each.
pub fn render_descriptor(descriptor: &Descriptor, style: Style) -> String {
    let name = style.paint(Tone::Name, descriptor.name.as_str());
    let mut text = format!("{name} {}\n", clean(&descriptor.version));
    for line in wrap(&descriptor.description, 0).iter().filter(|line| !line.is_empty()) {
        text.push_str(&format!("{line}\n"));
    }
    let subscriptions: Vec<_> = descriptor.subscriptions.iter().flat_map(subscription).collect();
    let publishes: Vec<_> = descriptor.publishes.iter().map(ToString::to_string).collect();
    text.push_str(&rows("subscribes", &subscriptions));
    text.push_str(&rows("publishes", &publishes));
    text.push_str(&row("lanes", &descriptor.concurrency.to_string()));
    text.push_str(&rows("limits", &asked(&descriptor.limits)));
    text.push_str(&rows("asks for", &descriptor.capabilities.lines()));
    text.push_str(&row("contract", &descriptor.contract));
    text
}

/// The limits that it asks for; all others are the usual ones.
fn asked(limits: &Limits) -> Vec<String> {
    let limits = serde_json::to_value(limits).unwrap_or_default();
    let asked = limits.as_object().into_iter().flatten();
    asked.map(|(name, value)| format!("{name} {value}")).collect()
}

/// A subscription, and below it what it wants of the channel.
fn subscription(ask: &SubscriptionAsk) -> Vec<String> {
    let key = String::from(ask.key.clone());
    let start = match ask.start {
        Start::Offset(offset) => format!("offset {offset}"),
        start => start.to_string(),
    };
    let filter = ask.filter.as_ref().map_or_else(Vec::new, |filter| wrap(&filter.to_string(), FILTER_INDENT));
    let lines = filter.into_iter().map(|line| format!("  {line}"));
    std::iter::once(format!("{} (key {key}, from {start})", ask.channel)).chain(lines).collect()
}

fn row(what: &str, value: &str) -> String {
    format!("  {what:<12}{}\n", clean(value))
}

fn rows(what: &str, values: &[String]) -> String {
    let whats = std::iter::once(what).chain(std::iter::repeat(""));
    whats.zip(values).map(|(what, value)| row(what, value)).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_descriptor_is_a_short_list() {
        let descriptor = Descriptor::from_json(
            br#"{"contract":"baton:processor@0.1.0","name":"payment","version":"1.2.0","description":"Charges cards.",
                "subscriptions":[{"channel":"order-created","key":"single"},{"channel":"b","start":{"offset":5},
                "filter":{"any":[{"exact":{"type":"a"}},{"prefix":{"subject":"order-"}}]}}],
                "publishes":["payment-applied","payment-denied"],"limits":{"emits_max":5}}"#,
        )
        .unwrap();
        let expected = "payment 1.2.0\nCharges cards.\n  \
                        subscribes  order-created (key single, from earliest)\n              \
                        b (key default, from offset 5)\n                \
                        any(exact(type = \"a\"), prefix(subject = \"order-\"))\n  \
                        publishes   payment-applied\n              payment-denied\n  \
                        lanes       1\n  limits      emits_max 5\n  contract    baton:processor@0.1.0\n";
        assert_eq!(render_descriptor(&descriptor, Style::default()), expected);
    }

    #[test]
    fn a_file_that_is_not_there_is_not_found() {
        assert_eq!(read_component(Path::new("/nowhere.wasm")).err().unwrap().exit, Exit::NotFound);
    }
}
