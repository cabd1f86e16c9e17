//! The same work by a native consumer on NATS JetStream, on this machine and in the same run: what the budget of
//! consume-process-produce is a ratio to. It needs the feature `nats` and a `nats-server`; without them it says so and measures nothing.

#[cfg(feature = "nats")]
mod consumer;
#[cfg(feature = "nats")]
mod server;

use super::report::Figure;
use super::{Bench, Error};

pub const HOW: &str = "256 B events through Baton's guest (fsync) and through a native consumer on JetStream as it comes (synced every two minutes)";

/// Says what is missing.
#[cfg(not(feature = "nats"))]
pub fn run(_: &Bench) -> Result<Vec<Figure>, Error> {
    let why = "this program was built without it; `cargo run --release --features nats -- bench --only jetstream`, \
               with nats-server on the PATH";
    Err(Error::NotRun { why: why.to_owned() })
}

/// Measures both in turn.
#[cfg(feature = "nats")]
pub fn run(bench: &Bench) -> Result<Vec<Figure>, Error> {
    use super::durable::{waiting, while_published};
    use super::report::Durability;

    let server = server::Server::start()?;
    let runtime = tokio::runtime::Runtime::new()?;
    let batches = if bench.quick { 50 } else { 200 };
    let [theirs, ours] = [
        runtime.block_on(consumer::waiting(server.address(), batches))?,
        waiting(bench, Durability::Fsync)?.rate,
    ];
    let mut figures = pair("waiting events", ours, theirs).to_vec();
    let [theirs, ours] = [
        runtime.block_on(consumer::while_published(server.address(), bench.time()))?,
        while_published(bench, Durability::Fsync)?.rate,
    ];
    figures.extend(pair("while they are published", ours, theirs));
    Ok(figures)
}

/// How both did, and the ratio that is held to.
#[cfg(feature = "nats")]
fn pair(which: &str, ours: f64, theirs: f64) -> [Figure; 3] {
    use super::report::{Budget, Durability};

    let ratio = Figure::new(format!("{which}: Baton / JetStream"), Durability::Fsync, ours / theirs, "x");
    [
        Figure::new(format!("{which}: Baton"), Durability::Fsync, ours, "events/s"),
        Figure::new(format!("{which}: native consumer on JetStream"), Durability::Os, theirs, "events/s"),
        ratio.budget(Budget::AtLeast(10.0)),
    ]
}
