//! `baton prove all`: every proof, and one card.

use clap::Args;

use super::Shared;
use super::failure::Failure;
use super::progress;
use super::prove::{ZooArgs, animals};
use crate::prove::crash::{CrashOptions, crash};
use crate::prove::mediator::mediator;
use crate::prove::relay::{OrderOptions, relay};
use crate::prove::swap::{SwapOptions, swap};
use crate::prove::{Proof, ProveError, Row, Scorecard};

/// `baton prove all`
#[derive(Args)]
#[command(after_long_help = "\
Examples:
  cargo run --release -- prove all
  cargo run --release -- prove all --times 5 --seed 42

All proofs one after the other: swap, relay, mediator, crash, zoo. What cannot be run is named with its reason, and counts as not
passed. Exit code 1 unless all passed.")]
pub struct AllArgs {
    /// How many times as much is done as by each proof alone.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    times: u32,
    /// Where chance comes from.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

/// Runs all proofs, and fails if one fails.
pub fn run(args: &AllArgs, shared: &Shared) -> Result<(), Failure> {
    let &AllArgs { times, seed } = args;
    let swaps = SwapOptions { swaps: 40 * times, kills: 5 * times, rate: None, seed };
    let orders = OrderOptions { orders: 10_000 * u64::from(times), kills: 10 * times, seed };
    let runs = OrderOptions { orders: 1_000 * u64::from(times), kills: 20 * times, seed };
    let cuts = CrashOptions { images: 500 * times as usize, rounds: 40 * times as usize, seed };
    let ran = [
        ("swap", prove("versions come and go", || swap(&swaps))),
        ("relay", prove("orders come in", || relay(&orders))),
        ("mediator", prove("mediated orders come in", || mediator(&runs, 10 * times))),
        ("crash", prove("the power goes", || crash(&cuts))),
        ("zoo", zoo(seed)),
    ];
    let (mut proofs, mut not_run) = (Vec::new(), Vec::new());
    for (name, proof) in ran {
        match proof {
            Ok(proof) => proofs.push(proof),
            Err(why) => not_run.push(format!("{name}: {why}")),
        }
    }
    let card = Scorecard::new(proofs, not_run);
    shared.out().show(&card, |card: &Scorecard, _| card.to_string())?;
    if card.passed { Ok(()) } else { Err(Failure::failed("not all is proved, see above")) }
}

fn prove(what: &str, proof: impl FnOnce() -> Result<Proof, ProveError>) -> Result<Proof, String> {
    progress::during(what.to_owned(), proof).map_err(|error| error.to_string())
}

/// The zoo in the form of the other proofs.
fn zoo(seed: u64) -> Result<Proof, String> {
    let report = animals(&ZooArgs::default()).map_err(|failure| failure.to_string())?;
    let (broken, cost) = (report.broken(), &report.neighbour);
    let rows = vec![
        Row::new("hostile and broken guests", report.rows.len() as f64, "guests"),
        Row::zero(
            "of these not as they must be",
            report.rows.iter().filter(|row| !row.is_kept()).count() as u64,
        ),
        Row::new("events of their neighbour", cost.published as f64, "events"),
        Row::zero("of these not passed on", cost.published.saturating_sub(cost.passed_on)),
        Row::new("the neighbour's p99", cost.p99_ms, "ms"),
        Row::zero("guests that could not be run", report.not_run.len() as u64),
    ];
    Ok(Proof::new("zoo", seed, rows).telling(broken.into_iter().chain(report.late()).collect()))
}
