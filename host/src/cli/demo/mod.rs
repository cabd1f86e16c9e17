//! `baton demo`: the bookshop from its sources to a processor dropped in while orders run. It uses the host as everyone
//! does, over HTTP and by files in its folder, and checks everything that it shows.

mod act;
mod facts;
mod folder;
pub(super) mod host;
mod mediated;
mod orders;
mod relay;
mod shop;
mod story;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::failure::Failure;
use super::output::{Out, Style};
use super::{SERVER_DEFAULT, Shared};
use crate::telemetry;
use act::Stage;
use facts::{Facts, Next};
use folder::Folder;
use host::Host;
use orders::{ADA, BRAM, DENIED, MARY};
use shop::Shop;

/// `baton demo`
#[derive(Args)]
#[command(after_long_help = "\
Examples:
  baton demo                       builds, shows, and stays up to be played with
  baton demo --exit --json         the same as one JSON document; exit code 0 only if all of it is true
  baton demo --data my-shop        on a folder that stays
  baton demo --mediator            the same orders, carried out by workflows

It needs the sources (the folder plugins/ of Baton's repository) and Rust with the target wasm32-wasip2.")]
pub struct DemoArgs {
    /// A folder to serve that stays [default: a temporary one].
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The address to listen on [default: 127.0.0.1:7077, or a free port if that is taken].
    #[arg(long, value_name = "ADDRESS", env = "BATON_LISTEN")]
    listen: Option<SocketAddr>,
    /// End when everything is shown.
    #[arg(long)]
    exit: bool,
    /// The same shop with mediators: workflows, runs that stop and go on, a payment that is undone.
    #[arg(long)]
    mediator: bool,
}

/// How to reach the host from a terminal.
#[derive(Debug, Serialize)]
pub struct Place {
    /// How to call this program.
    pub program: String,
    /// How to name the server on the command line; empty for the usual one.
    pub server: String,
}

/// Builds, serves and shows the bookshop.
pub fn run(args: DemoArgs, shared: &Shared) -> Result<(), Failure> {
    telemetry::start_log("warn");
    let out = shared.out();
    let shop = Shop::build()?;
    let folder = Folder::open(args.data)?;
    shop.open_in(&folder)?;
    let host = Host::start(folder.path(), args.listen)?;
    if args.mediator {
        let shown = mediated::show(&host, &shop, &folder, out);
        return end(host, shown, args.exit, |facts, place| mediated::next(facts, place, &folder, out))?
            .verdict();
    }
    let shown = show(&host, &shop, &folder, out);
    end(host, shown, args.exit, |facts, place| next(facts, place, &folder, out))?.verdict()
}

/// Ends the host: at once, or when somebody has played with it as `next` says.
fn end<F>(
    host: Host,
    shown: Result<F, Failure>,
    at_once: bool,
    next: impl FnOnce(&F, Place) -> Result<(), Failure>,
) -> Result<F, Failure> {
    let shown = match shown {
        Err(_) if host.is_stopping() => Err(Failure::failed("stopped before the end")),
        Ok(facts) if !at_once => next(&facts, place(&host)).map(|()| {
            host.until_stopped();
            facts
        }),
        shown => shown,
    };
    host.stop();
    shown
}

fn place(host: &Host) -> Place {
    let is_usual = host.server() == SERVER_DEFAULT;
    let server = if is_usual { String::new() } else { format!(" --server {}", host.server()) };
    Place { program: program(), server }
}

/// Says what to try.
fn next(facts: &Facts, place: Place, folder: &Folder, out: Out) -> Result<(), Failure> {
    let order = folder.write("order.json", &ADA.data().to_string())?;
    let flow = facts.orders.first().map(|order| order.flow.flow.clone()).unwrap_or_default();
    tell(out, &Next { place, order, flow }, story::next)
}

/// How to call this program from the current folder.
fn program() -> String {
    let here = std::env::current_dir().unwrap_or_default();
    let program = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("baton"));
    program.strip_prefix(here).unwrap_or(&program).display().to_string()
}

/// Everything that is shown, in its order.
fn show(host: &Host, shop: &Shop, folder: &Folder, out: Out) -> Result<Facts, Failure> {
    let stage = Stage::new(host.server());
    stage.clear()?;
    let opening = stage.opening(host.server(), folder, shop)?;
    tell(out, &opening, story::opening)?;
    let mut orders = Vec::new();
    for wish in [&ADA, &BRAM, &MARY] {
        let placed = stage.place(wish)?;
        tell(out, &placed, story::order)?;
        orders.push(placed);
    }
    let before = stage.stock(DENIED.sku)?;
    let denied = stage.place(&DENIED)?;
    let stock = stage.compare_stock(DENIED.sku, before, &denied)?;
    tell(out, &denied, story::order)?;
    tell(out, &stock, story::stock)?;
    orders.push(denied);
    let latecomer = stage.drop_in(shop, folder)?;
    tell(out, &latecomer, story::latecomer)?;
    let facts = Facts::new(opening, orders, stock, latecomer);
    match out.json {
        true => out.show(&facts, |_, _| String::new())?,
        false => out.item(&facts, story::verdict)?,
    }
    Ok(facts)
}

/// Tells a part of the story as it happens; JSON comes as one document at the end.
fn tell<T: serde::Serialize>(
    out: Out,
    part: &T,
    render: impl FnOnce(&T, Style) -> String,
) -> Result<(), Failure> {
    if out.json { Ok(()) } else { out.item(part, render) }
}
