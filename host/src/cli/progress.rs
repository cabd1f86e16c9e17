//! A sign of life on stderr for what takes longer than a second.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// What takes less than this shows nothing.
const PATIENCE: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_millis(100);

/// Does `work`; while it takes long, says so and for how long already.
pub fn during<T>(message: String, work: impl FnOnce() -> T) -> T {
    let (done, finished) = channel::<()>();
    let sign = thread::spawn(move || {
        if finished.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            let bar = ProgressBar::new_spinner().with_message(message);
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}  {elapsed_precise}") {
                bar.set_style(style);
            }
            bar.enable_steady_tick(TICK);
            // It ends when `done` is dropped, whatever happened to the work.
            let _ = finished.recv();
            bar.finish_and_clear();
        }
    });
    let result = work();
    drop(done);
    // The sign cannot fail in a way that matters to the result.
    let _ = sign.join();
    result
}

/// A bar over bytes: it is to be told how many of how many are done.
pub fn bytes() -> impl FnMut(u64, u64) {
    let bar = ProgressBar::hidden();
    move |done, total| {
        if bar.is_hidden() && bar.elapsed() > PATIENCE {
            bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        bar.set_length(total);
        bar.set_position(done);
        if done >= total {
            bar.finish_and_clear();
        }
    }
}
