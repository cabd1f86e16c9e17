//! What one more idle instance takes of the machine's memory.

use std::sync::Arc;

use super::report::{Budget, Durability, Figure};
use super::sample::own_memory_bytes;
use super::{Bench, Error, crossing};
use crate::runtime::{Instance, NoHostCalls};

pub const HOW: &str = "growth of the process (RssAnon) by 200 instances of one component";

const INSTANCES: usize = 200;

pub fn run(bench: &Bench) -> Result<Vec<Figure>, Error> {
    let batch = crossing::batch(64, 256)?;
    // The first one also pays for what all share.
    let mut first = bench.program.instantiate(Arc::new(NoHostCalls))?;
    first.call(&batch)?;
    let before = own_memory_bytes();
    let mut instances: Vec<Instance> =
        (0..INSTANCES).map(|_| bench.program.instantiate(Arc::new(NoHostCalls))).collect::<Result<_, _>>()?;
    let made = own_memory_bytes();
    for instance in &mut instances {
        instance.call(&batch)?;
    }
    let called = own_memory_bytes();
    let each = |after: u64| after.saturating_sub(before) as f64 / 1024.0 / INSTANCES as f64;
    Ok(vec![
        Figure::new(
            "an instance that has handled a batch of 64 x 256 B",
            Durability::None,
            each(called),
            "KiB",
        )
        .budget(Budget::AtMost(128.0)),
        Figure::new("an instance that was never called", Durability::None, each(made), "KiB"),
    ])
}
