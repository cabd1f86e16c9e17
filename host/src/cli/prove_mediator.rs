//! `baton prove mediator`: mediated orders, a host that is killed, and runs that end as they have to.

use clap::Args;

use super::failure::Failure;
use super::prove::show;
use super::{Shared, progress};
use crate::prove::mediator::mediator;
use crate::prove::relay::OrderOptions;

/// `baton prove mediator`
#[derive(Args)]
#[command(after_long_help = "\
Examples:
  cargo run --release -- prove mediator
  cargo run --release -- prove mediator --orders 10000 --kills 100 --changes 50

It builds the bookshop from the source tree that this program was built from, serves it with the workflow place-order as a process of
its own in a folder that is gone in the end, and places orders, of which one in five is denied and undone,
and some are paid and given back because there are too few copies. Meanwhile the workflow is replaced by new versions. Exit code 1 if a count is
not zero that has to be.")]
pub struct MediatorArgs {
    /// How many orders are placed, at least.
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    orders: u64,
    /// How often the host is killed by SIGKILL and started again.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(0..=1_000))]
    kills: u32,
    /// How often the workflow's definition is changed.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(0..=1_000))]
    changes: u32,
    /// Where the times of kills come from.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

/// Runs the proof, and fails if it fails.
pub fn run(args: &MediatorArgs, shared: &Shared) -> Result<(), Failure> {
    let &MediatorArgs { orders, kills, changes, seed } = args;
    let options = OrderOptions { orders, kills, seed };
    show(progress::during("orders come in".to_owned(), || mediator(&options, changes)), shared)
}
