//! `baton prove crash`: the power goes at any call, and nothing that was acknowledged is lost.

use clap::Args;

use super::failure::Failure;
use super::prove::show;
use super::{Shared, progress};
use crate::prove::crash::{CrashOptions, crash};

/// `baton prove crash`
#[derive(Args)]
#[command(after_long_help = "\
Examples:
  cargo run --release -- prove crash
  cargo run --release -- prove crash --images 10000 --rounds 1000 --seed 42

SIGKILL proves nothing about durability, because the page cache survives it.
Here a simulated disk loses its power: of what was not synced it keeps none, a
prefix or a random subset, torn at 512 bytes or at any byte; and once more
while the host recovers. On other disks every n-th call fails, and of a host
that was stopped every file is damaged. A control with durability = \"os\" has
to lose something and six planted bugs have to be found, or the proof would
see nothing.

It needs no toolchain and no network. The same seed makes the same cuts. Exit
code 1 if a count is not as it has to be.")]
pub struct CrashArgs {
    /// How many power cuts of a journal alone are looked at, and as many of a host.
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    images: u32,
    /// How many hosts lose their power again and again, and are held against a model.
    #[arg(long, value_name = "N", default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rounds: u32,
    /// Where chance comes from.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

/// Runs the proof, and fails if it fails.
pub fn run(args: &CrashArgs, shared: &Shared) -> Result<(), Failure> {
    let &CrashArgs { images, rounds, seed } = args;
    let options = CrashOptions { images: images as usize, rounds: rounds as usize, seed };
    show(progress::during("the power goes".to_owned(), || crash(&options)), shared)
}
