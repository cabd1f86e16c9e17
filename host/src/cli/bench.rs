//! `baton bench`: prints what the host costs on this machine, beside its budgets.

use clap::Args;

use super::Shared;
use super::failure::Failure;
use crate::bench::{self, BenchOptions};

/// `baton bench`
#[derive(Args)]
#[command(after_long_help = "\
Examples:
  cargo run --release -- bench
  cargo run --release -- bench --quick --json
  cargo run --release -- bench --only pipeline
  cargo run --release -- bench --only lasting --full

It needs the source tree that this program was built from, because it builds the processor that it
measures. Figures of a debug build say nothing.")]
pub struct BenchArgs {
    /// Rougher figures in less than a minute.
    #[arg(long)]
    quick: bool,
    /// Ten million events instead of one million where memory is looked at: minutes, and 10 GB of disk.
    #[arg(long, conflicts_with = "quick")]
    full: bool,
    /// This measurement only.
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
}

/// Measures.
pub fn run(args: BenchArgs, shared: &Shared) -> Result<(), Failure> {
    let options = BenchOptions { only: args.only, quick: args.quick, full: args.full };
    let report = bench::run(&options).map_err(|error| Failure::failed(error.to_string()))?;
    shared.out().show(&report.to_json(), |_, _| report.to_string())
}
