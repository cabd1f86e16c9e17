//! Does what each task says: well, badly, or for ever.

use baton_sdk::prelude::*;

#[derive(Deserialize)]
struct Task {
    way: String,
}

#[processor(
    name = "fickle",
    description = "Does what each task says.",
    subscribe("tasks"),
    publishes("tasks-done"),
    limits(event_time_ms_max = 300)
)]
fn work(event: Event<Task>, cx: &mut Context) -> Handled {
    let done = cx.state().get_or_default::<u64>("done")? + 1;
    cx.state().set("done", &done)?;
    match event.data().way.as_str() {
        "reject" => Err(Fault::reject("this task can never be done")),
        "once" if event.attempt() == 1 => Err(Fault::retry("the first attempt is never enough")),
        "trap" => trap(),
        "loop" => spin(),
        _ => cx.emit("tasks-done").no_data(),
    }
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
