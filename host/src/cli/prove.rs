//! `baton prove`: shows on this machine that the host keeps what it promises.

use std::path::Path;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::build::{Words, build};
use super::failure::Failure;
use super::output::{Style, Tone};
use super::progress;
use super::prove_all::AllArgs;
use super::prove_crash::CrashArgs;
use super::prove_mediator::MediatorArgs;
use super::prove_relay::RelayArgs;
use super::prove_swap::SwapArgs;
use super::table::{Cell, table, text, toned};
use super::{Shared, prove_all, prove_crash, prove_mediator, prove_relay, prove_swap};
use crate::prove::zoo::{self, CompileLimits, Options, Report, Row};
use crate::prove::{Proof, ProveError};
use crate::runtime::Compiler;

/// Events offered to the neighbour each second, unless somebody says.
const RATE: u64 = 10_000;
/// Processor time that one compilation may take, unless somebody says.
const COMPILE_S: u64 = 60;

/// `baton prove`
#[derive(Subcommand)]
pub enum ProveCommand {
    /// Run guests that are hostile or broken beside one that behaves.
    Zoo(ZooArgs),
    /// Replace a processor again and again under load, kill the host, and count what was lost, doubled or out of order.
    Swap(SwapArgs),
    /// Take orders in the bookshop while the host is killed, and hold payments, stock and mails against them.
    Relay(RelayArgs),
    /// Run mediated orders while the host is killed, and hold runs, commands and compensation against them.
    Mediator(MediatorArgs),
    /// Cut the power of a simulated disk at any call, and hold what is left against what was acknowledged.
    Crash(CrashArgs),
    /// Run all proofs, and print one card.
    All(AllArgs),
}

/// `baton prove zoo`
#[derive(Args)]
#[command(after_long_help = "\
Examples:
  cargo run --release -- prove zoo
  cargo run --release -- prove zoo --rate 2000 --json

Each animal has to be refused, to end in the fault of the limit that it passes, or to find that nothing
comes of what it tries. Meanwhile events are offered to a neighbour: none may be lost, and all but one
in a hundred are to be handled, durable and readable within 20 ms of when they were due. The guest that
tries what a standard library offers is built from the source tree that this program was built from.
Exits with 1 if anything of that is not so. Times of a debug build say nothing.")]
pub struct ZooArgs {
    /// Events offered to the neighbour each second.
    #[arg(long, value_name = "N", default_value_t = RATE, value_parser = clap::value_parser!(u64).range(100..=50_000))]
    rate: u64,
    /// Processor time that one compilation may take, in seconds.
    #[arg(long, value_name = "S", default_value_t = COMPILE_S, value_parser = clap::value_parser!(u64).range(1..=600))]
    compile_s: u64,
}

/// Proves.
pub fn run(command: ProveCommand, shared: &Shared) -> Result<(), Failure> {
    match command {
        ProveCommand::Zoo(args) => zoo(&args, shared),
        ProveCommand::Swap(args) => prove_swap::run(&args, shared),
        ProveCommand::Relay(args) => prove_relay::run(&args, shared),
        ProveCommand::Mediator(args) => prove_mediator::run(&args, shared),
        ProveCommand::Crash(args) => prove_crash::run(&args, shared),
        ProveCommand::All(args) => prove_all::run(&args, shared),
    }
}

/// Shows what came of a proof, and fails if it fails.
pub fn show(proof: Result<Proof, ProveError>, shared: &Shared) -> Result<(), Failure> {
    let proof = proof.map_err(|error| Failure::failed(error.to_string()))?;
    shared.out().show(&proof, |proof, _| proof.to_string())?;
    match proof.passed {
        true => Ok(()),
        false => Err(Failure::failed(format!("prove {} failed: a count is not as it has to be", proof.name))),
    }
}

impl Default for ZooArgs {
    fn default() -> Self {
        Self { rate: RATE, compile_s: COMPILE_S }
    }
}

fn zoo(args: &ZooArgs, shared: &Shared) -> Result<(), Failure> {
    let report = animals(args)?;
    shared.out().show(&report, render)?;
    let broken = report.broken().into_iter().chain(report.late()).collect::<Vec<_>>();
    if broken.is_empty() { Ok(()) } else { Err(Failure::failed(broken.join("\n"))) }
}

/// Lets the animals in.
pub fn animals(args: &ZooArgs) -> Result<Report, Failure> {
    let Compiler::Program(compiler) = Compiler::of_this_program() else {
        return Err(Failure::failed("this program cannot be found, so nothing can compile"));
    };
    let cpu = Duration::from_secs(args.compile_s);
    let compile_limits =
        CompileLimits { cpu_s_max: args.compile_s, time_max: cpu + cpu / 2, ..CompileLimits::default() };
    let options = Options { compiler, compile_limits, rate: args.rate, rogue: rogue() };
    let failed = |error: &dyn std::fmt::Display| Failure::failed(error.to_string());
    let runtime = tokio::runtime::Runtime::new().map_err(|error| failed(&error))?;
    let run = || runtime.block_on(zoo::run(options));
    progress::during("the animals are let in".to_owned(), run).map_err(|error| failed(&error))
}

/// The guest that needs a standard library, or why there is none.
fn rogue() -> Result<Vec<u8>, String> {
    let source = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/guests/zoo"));
    let built = build(source, &[], Words::Kept).map_err(|failure| failure.to_string())?;
    let file = built.first().ok_or("cargo built no component")?;
    std::fs::read(&file.file).map_err(|error| format!("{}: {error}", file.file.display()))
}

fn render(report: &Report, style: Style) -> String {
    let rows = report.rows.iter().map(row).collect();
    let animals = table(["ANIMAL", "WHAT THE HOST DID", "MS", "NEIGHBOUR P99 MS"], rows, style);
    let cost = &report.neighbour;
    let not_run = report.not_run.iter().map(|what| format!("not run: {what}\n")).collect::<String>();
    format!(
        "{animals}{not_run}\n{} animals, {} not as they must be.\nThe neighbour was offered {} events/s: {} taken, {} lost; p50 {:.1} ms, p99 {:.1} ms ({:.1} alone).",
        report.rows.len(),
        report.rows.iter().filter(|row| !row.is_kept()).count(),
        cost.rate,
        cost.published,
        cost.published.saturating_sub(cost.passed_on),
        cost.p50_ms,
        cost.p99_ms,
        cost.alone_p99_ms,
    )
}

fn row(row: &Row) -> [Cell; 4] {
    let happened = match row.is_kept() {
        true => text(&row.happened),
        false => toned(format!("{} (expected: {})", row.happened, row.expected), Tone::Bad),
    };
    let ms = |ms: Option<f64>| Cell::right(ms.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.1}")));
    [text(&row.animal), happened, ms(Some(row.took_ms)), ms(row.neighbour_p99_ms)]
}
