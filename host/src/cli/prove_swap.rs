//! `baton prove swap`: versions come and go, the host is killed, and nothing is lost.

use clap::Args;

use super::failure::Failure;
use super::prove::show;
use super::{Shared, progress};
use crate::prove::swap::{SwapOptions, swap};

/// `baton prove swap`
#[derive(Args)]
#[command(after_long_help = "\
Examples:
  cargo run --release -- prove swap
  cargo run --release -- prove swap --swaps 200 --kills 20 --rate 10000

It needs the source tree that this program was built from, because it builds the processors that it replaces. The host is this
program, in a folder of its own that is gone in the end. Exit code 1 if a count is not zero that has to be.")]
pub struct SwapArgs {
    /// How often the processor is replaced.
    #[arg(long, value_name = "N", default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    swaps: u32,
    /// How often the host is killed by SIGKILL and started again.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(0..=1_000))]
    kills: u32,
    /// How many events are published a second; without it as many as there can be.
    #[arg(long, value_name = "EVENTS", value_parser = clap::value_parser!(u64).range(1..))]
    rate: Option<u64>,
    /// Where the times of kills come from.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

/// Runs the proof, and fails if it fails.
pub fn run(args: &SwapArgs, shared: &Shared) -> Result<(), Failure> {
    let &SwapArgs { swaps, kills, rate, seed } = args;
    let options = SwapOptions { swaps, kills, rate, seed };
    show(progress::during("versions come and go".to_owned(), || swap(&options)), shared)
}
