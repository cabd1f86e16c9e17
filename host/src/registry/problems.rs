//! The list of files that do not run, for people. Keeps since when, and logs each change once.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::wanted::FileFault;
use crate::clock::Clock;
use crate::model::report::FileProblem;
use crate::model::time::rfc3339;

/// What is wrong now, by file.
pub(super) struct Problems {
    clock: Arc<dyn Clock>,
    list: Mutex<BTreeMap<String, FileProblem>>,
}

impl Problems {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, list: Mutex::default() }
    }

    pub fn list(&self) -> Vec<FileProblem> {
        self.list.lock().values().cloned().collect()
    }

    /// Takes the faults that there are now for the ones that there were.
    pub fn set(&self, faults: BTreeMap<String, FileFault>) {
        let mut list = self.list.lock();
        for file in list.keys().filter(|file| !faults.contains_key(*file)) {
            tracing::info!(file, "mended or removed");
        }
        let mut old = std::mem::take(&mut *list);
        let problem = |(file, fault): (String, FileFault)| {
            let same = old.remove(&file).filter(|old| old.code == fault.code && old.message == fault.message);
            (file.clone(), same.unwrap_or_else(|| self.begin(file, fault)))
        };
        *list = faults.into_iter().map(problem).collect();
    }

    fn begin(&self, file: String, fault: FileFault) -> FileProblem {
        let FileFault { code, message } = fault;
        tracing::warn!(file, code, "{message}; nothing that runs was changed");
        FileProblem { file, code, message, since: rfc3339(self.clock.now_ms()) }
    }
}
