//! Waits until something was saved. Hints only: whoever waits looks for himself, and now and then without one.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

use super::sources::Crate;
use crate::registry::{Reach, Watcher};

/// How long sources must rest before they are built: editors save in steps, and tools save many files.
const SETTLE: Duration = Duration::from_millis(80);
/// How often sources are looked at without any hint.
const RESCAN: Duration = Duration::from_secs(2);
/// How soon an end is noticed.
const STEP: Duration = Duration::from_millis(100);

/// Saves of sources.
pub struct Saves {
    hints: Receiver<()>,
    /// Each watches one folder; they end with this value.
    _watchers: Vec<Watcher>,
}

impl Saves {
    /// Watches the folders of crates.
    pub fn watch(crates: &[Crate]) -> Self {
        let (post, hints) = mpsc::sync_channel(1);
        let watch = |folder: std::path::PathBuf| {
            let post = post.clone();
            // Full means that somebody will look anyway.
            let mut watcher = Watcher::new(Reach::Folder, move || {
                let _ = post.try_send(());
            });
            watcher.watch(&folder);
            watcher
        };
        let watchers = crates.iter().flat_map(Crate::folders).map(watch).collect();
        Self { hints, _watchers: watchers }
    }

    /// Waits for a save, or until it is time to look without one. False when it is over.
    pub fn wait(&self, stopped: &Receiver<()>) -> bool {
        let mut waited = Duration::ZERO;
        while waited < RESCAN {
            if !matches!(stopped.try_recv(), Err(mpsc::TryRecvError::Empty)) {
                return false;
            }
            match self.hints.recv_timeout(STEP) {
                Ok(()) => {
                    while self.hints.recv_timeout(SETTLE).is_ok() {}
                    return true;
                }
                Err(RecvTimeoutError::Timeout) => waited += STEP,
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
        true
    }
}
