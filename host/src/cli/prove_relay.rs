//! `baton prove relay`: orders at full speed, a host that is killed, and books that balance.

use clap::Args;

use super::failure::Failure;
use super::prove::show;
use super::{Shared, progress};
use crate::prove::relay::{OrderOptions, relay};

/// `baton prove relay`
#[derive(Args)]
#[command(after_long_help = "\
Examples:
  cargo run --release -- prove relay
  cargo run --release -- prove relay --orders 100000 --kills 50

It builds the bookshop from the source tree that this program was built from, serves it as a process of its own in a folder
that is gone in the end, and places orders, of which one in five is declined. Exit code 1 if a count is not zero that has to be.")]
pub struct RelayArgs {
    /// How many orders are placed, at least.
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    orders: u64,
    /// How often the host is killed by SIGKILL and started again.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(0..=1_000))]
    kills: u32,
    /// Where the times of kills come from.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

/// Runs the proof, and fails if it fails.
pub fn run(args: &RelayArgs, shared: &Shared) -> Result<(), Failure> {
    let &RelayArgs { orders, kills, seed } = args;
    let options = OrderOptions { orders, kills, seed };
    show(progress::during("orders come in".to_owned(), || relay(&options)), shared)
}
