//! Counts ticks and tocks per key, and how many came out of order.

use baton_sdk::prelude::*;

#[derive(Deserialize)]
struct Tick {
    number: u64,
}

#[derive(Default, Serialize, Deserialize)]
struct Count {
    handled: u64,
    last: u64,
    disorders: u64,
}

#[processor(
    name = "tally",
    description = "Counts ticks and tocks per key.",
    concurrency = 2,
    subscribe("ticks"),
    subscribe("tocks")
)]
fn count(event: Event<Tick>, cx: &mut Context) -> Handled {
    let number = event.data().number;
    let mut count: Count = cx.state().get_or_default(event.channel())?;
    count.handled += 1;
    count.disorders += u64::from(number <= count.last);
    count.last = number;
    cx.state().set(event.channel(), &count)?;
    cx.nothing_to_tell("counted")
}
