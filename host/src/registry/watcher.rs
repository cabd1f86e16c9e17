//! Hints that something happened in the folder. Only hints: who gets one looks for himself, and looks now and then without one.

use std::path::Path;

use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};

/// How far a watch goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// What is directly in the folder.
    Folder,
    /// Everything below it.
    Tree,
}

/// Calls back after a change, from a thread of its own, until it is dropped.
pub struct Watcher {
    reach: Reach,
    notify: Option<RecommendedWatcher>,
    watches: bool,
}

impl Watcher {
    /// Without the system's help there is still the rescan.
    pub fn new(reach: Reach, hint: impl Fn() + Send + 'static) -> Self {
        let told = move |event: notify::Result<notify::Event>| {
            if event.map_or(true, |event| is_change(event.kind)) {
                hint();
            }
        };
        let notify = notify::recommended_watcher(told).inspect_err(|error| without(&error.to_string())).ok();
        Self { reach, notify, watches: false }
    }

    /// Watches the folder, if it does not already.
    pub fn watch(&mut self, dir: &Path) {
        let Some(notify) = self.notify.as_mut().filter(|_| !self.watches) else { return };
        let mode = match self.reach {
            Reach::Folder => RecursiveMode::NonRecursive,
            Reach::Tree => RecursiveMode::Recursive,
        };
        match notify.watch(dir, mode) {
            Ok(()) => self.watches = true,
            Err(error) => without(&error.to_string()),
        }
    }

    /// The folder is not the one that was watched.
    pub fn lost(&mut self, dir: &Path) {
        if let Some(notify) = self.notify.as_mut().filter(|_| self.watches) {
            // Fails when the system dropped the watch with the folder, which is as good.
            drop(notify.unwatch(dir));
            self.watches = false;
        }
    }
}

/// Looking at a file is no change; the registry itself does it.
fn is_change(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(access) => access == AccessKind::Close(AccessMode::Write),
        _ => true,
    }
}

fn without(error: &str) {
    tracing::warn!(error, "a folder is not watched; changes are found by the next look at it");
}
