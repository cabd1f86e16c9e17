//! Passes every tick on as a tock, and counts what it passed on.

use baton_sdk::prelude::*;

#[derive(Serialize, Deserialize)]
struct Tick {
    number: u64,
}

/// What everything says that this version passes on; proofs make other versions of it by another text of this length.
const MAKER: &str = "version-0000000000";

#[processor(
    name = "relay",
    description = "Passes every tick on as a tock.",
    concurrency = 2,
    subscribe("ticks"),
    publishes("tocks")
)]
fn pass_on(event: Event<Tick>, cx: &mut Context) -> Handled {
    let passed = cx.state().get_or_default::<u64>("passed")? + 1;
    cx.state().set("passed", &passed)?;
    cx.emit("tocks").extension("maker", MAKER).json(event.data())
}
