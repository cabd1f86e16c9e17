//! Answers the host calls of one processor's guests.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::model::grant::Granted;
use crate::runtime::{
    CallScope, HostCalls, HostFailure, HttpFailure, HttpRequest, HttpResponse, Level, Sockets,
};
use crate::view::state::ProcessorState;

use super::logs::LogBook;
use super::outside::{Http, Reachable, idempotency_key};
use super::secrets::Secrets;

/// What the guests of one processor may ask.
#[derive(Clone)]
pub struct ProcessorCalls {
    /// The processor's name, for the log.
    pub name: Arc<str>,
    /// The processor's keyed state.
    pub state: Arc<ProcessorState>,
    /// What the operator set for it.
    pub config: Arc<BTreeMap<String, String>>,
    /// What it may read and reach.
    pub granted: Granted,
    /// Its secrets.
    pub secrets: Secrets,
    /// How it calls servers.
    pub http: Arc<Http>,
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
        let message = self.secrets.hidden(message);
        self.logs.write(scope.time_ms(), &self.name, level, scope.flow(event), &message);
    }

    fn config(&self, name: &str) -> Option<String> {
        self.config.get(name).filter(|_| self.granted.allows_config(name)).cloned()
    }

    fn secret(&self, name: &str) -> Option<String> {
        let secret = self.secrets.get(name).filter(|_| self.granted.allows_secret(name));
        secret.map(str::to_owned)
    }

    fn http(
        &self,
        scope: &CallScope<'_>,
        event: u32,
        index: u64,
        request: &HttpRequest,
        time_max: Duration,
    ) -> Result<HttpResponse, HttpFailure> {
        let key = idempotency_key(&self.name, scope, event, index);
        self.http.send(&self.granted, request, &key, time_max)
    }

    fn sockets(&self) -> Option<Arc<dyn Sockets>> {
        let reachable = || Arc::new(Reachable::new(self.granted.clone())) as Arc<dyn Sockets>;
        self.granted.has_tcp().then(reachable)
    }
}
