//! Answers the host calls of one processor's guests.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::runtime::{CallScope, HostCalls, HostFailure, Level};
use crate::view::state::ProcessorState;

use super::logs::LogBook;

/// What the guests of one processor may ask.
pub struct ProcessorCalls {
    /// The processor's name, for the log.
    pub name: Arc<str>,
    /// The processor's keyed state.
    pub state: Arc<ProcessorState>,
    /// What the operator set for it.
    pub config: Arc<BTreeMap<String, String>>,
    /// Where its lines go.
    pub logs: Arc<LogBook>,
}

impl HostCalls for ProcessorCalls {
    fn state(&self, scope: &CallScope<'_>, event: u32, name: &str) -> Result<Option<Vec<u8>>, HostFailure> {
        let Some(key) = scope.key(event) else { return Ok(None) };
        Ok(self.state.get(key, name, scope.time_ms()).map(|value| value.bytes.to_vec()))
    }

    fn log(&self, scope: &CallScope<'_>, event: u32, level: Level, message: &str) {
        let level = match level {
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
        };
        self.logs.write(scope.time_ms(), &self.name, level, scope.flow(event), message);
    }

    fn config(&self, name: &str) -> Option<String> {
        self.config.get(name).cloned()
    }
}
