//! Does what each task says: well, badly, or for ever.

use std::time::SystemTime;

use baton_sdk::prelude::*;

#[derive(Deserialize)]
struct Task {
    way: String,
    #[serde(default)]
    not_before_ms: u64,
}

#[processor(
    name = "fickle",
    description = "Does what each task says.",
    subscribe("tasks", retry(attempts = 1), then = "stay-held"),
    subscribe("trials", retry(attempts = 3, delay = "50ms", factor = 1.0, total = "1h")),
    publishes("tasks-done"),
    limits(event_time_ms_max = 300)
)]
fn work(event: Event<Task>, cx: &mut Context) -> Handled {
    let done = cx.state().get_or_default::<u64>("done")? + 1;
    cx.state().set("done", &done)?;
    match event.data().way.as_str() {
        "reject" => Err(Fault::reject("this task can never be done")),
        "later" if now_ms(cx) < event.data().not_before_ms => {
            Err(Fault::retry("it is too early for this task"))
        }
        "trap" => trap(),
        "loop" => spin(),
        _ => cx.emit("tasks-done").no_data(),
    }
}

fn now_ms(cx: &Context<'_>) -> u64 {
    cx.now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

#[allow(clippy::panic)]
fn trap() -> Handled {
    panic!("the guest broke on purpose")
}

fn spin() -> Handled {
    loop {
        std::hint::spin_loop();
    }
}
