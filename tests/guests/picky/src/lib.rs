//! Counts the ticks that its filter passes, per key, and tells each.

use baton_sdk::prelude::*;

#[derive(Serialize, Deserialize)]
struct Tick {
    number: u64,
}

#[processor(
    name = "picky",
    description = "Counts the ticks that it wants.",
    concurrency = 2,
    subscribe("ticks", filter = any(exact(type = "wanted"), all(prefix(subject = "vip-"), not(suffix(subject = "-x")))), then = "stay-held"),
    subscribe("others", start = latest),
    publishes("picked")
)]
fn pick(event: Event<Tick>, cx: &mut Context) -> Handled {
    let handled = cx.state().get_or_default::<u64>("handled")? + 1;
    cx.state().set("handled", &handled)?;
    if event.data().number == 666 && handled == 1 {
        return Err(Fault::reject("not this one first"));
    }
    cx.publish("picked", event.data())
}
