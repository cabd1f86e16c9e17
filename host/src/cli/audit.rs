//! `baton audit`: what operators did.

use clap::Args;

use super::Shared;
use super::client::query;
use super::failure::Failure;
use super::output::{Style, Tone};
use super::table::{number, table, text, toned};
use crate::model::access::{Act, AuditPage};

/// `baton audit`
#[derive(Args)]
pub struct AuditArgs {
    /// How many of the latest acts, up to 1000.
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,
}

/// Shows the latest acts.
pub fn run(args: &AuditArgs, shared: &Shared) -> Result<(), Failure> {
    let path = format!("/v1/audit{}", query(&[("limit", Some(args.limit.to_string()))]));
    shared.out().show(&shared.client().get::<AuditPage>(path)?, render)
}

fn render(page: &AuditPage, style: Style) -> String {
    if page.acts.is_empty() {
        return "Nobody deployed, paused or changed anything yet.".to_owned();
    }
    let row = |act: &Act| {
        let tone = if act.status < 400 { Tone::Good } else { Tone::Bad };
        let what = format!("{} {}", act.method, act.path);
        [text(&act.time), toned(&act.by, Tone::Name), number(act.status.into()), toned(what, tone)]
    };
    table(["TIME", "BY", "STATUS", "ACT"], page.acts.iter().map(row).collect(), style)
}
