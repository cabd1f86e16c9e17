//! Passes every tick on as a tock, and counts what it passed on.

use baton_sdk::prelude::*;

#[derive(Serialize, Deserialize)]
struct Tick {
    number: u64,
}

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
    cx.publish("tocks", event.data())
}
