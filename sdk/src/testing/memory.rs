//! Stands in for the host: state, settings and clock in memory.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};

use super::delivered::Write;
use crate::host::{Host, Level};
use crate::http::{HttpError, Request, Response};

/// 2026-01-01T00:00:00Z.
const START_MS: u64 = 1_767_225_600_000;

/// The log lines of one call: the event's index, the level, the line.
pub(super) type Lines = Vec<(u32, Level, String)>;

/// Answers requests in place of servers.
pub(super) type Server = Box<dyn Fn(&Request) -> Result<Response, HttpError>>;

/// All that a processor's host would remember.
pub(super) struct Memory {
    pub config: HashMap<String, String>,
    pub secrets: HashMap<String, String>,
    pub server: Option<Server>,
    /// What was asked of the server.
    pub requests: RefCell<Vec<Request>>,
    pub now_ms: u64,
    state: BTreeMap<(String, String), Stored>,
    /// The keys of the events of the call that runs.
    keys: Vec<String>,
    lines: RefCell<Lines>,
}

struct Stored {
    value: Vec<u8>,
    expires_ms: u64,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            config: HashMap::new(),
            secrets: HashMap::new(),
            server: None,
            requests: RefCell::default(),
            now_ms: START_MS,
            state: BTreeMap::new(),
            keys: Vec::new(),
            lines: RefCell::default(),
        }
    }
}

impl Memory {
    /// A call with events of these keys begins.
    pub fn begin(&mut self, keys: &[String]) {
        self.keys = keys.to_vec();
    }

    /// What was logged since the last time.
    pub fn take_logs(&self) -> Lines {
        self.lines.take()
    }

    /// A value that is there and has not expired.
    pub fn read(&self, key: &str, name: &str) -> Option<Vec<u8>> {
        let stored = self.state.get(&(key.to_owned(), name.to_owned()))?;
        let lives = stored.expires_ms == 0 || stored.expires_ms > self.now_ms;
        lives.then(|| stored.value.clone())
    }

    /// Writes a value that never expires.
    pub fn write(&mut self, key: &str, name: &str, value: Vec<u8>) {
        self.put(key, name, Stored { value, expires_ms: 0 });
    }

    /// Applies what a handled event wrote.
    pub fn commit(&mut self, key: &str, writes: &[Write]) {
        for Write { name, value, expires_ms } in writes {
            match value {
                Some(value) => self.put(key, name, Stored { value: value.clone(), expires_ms: *expires_ms }),
                None => {
                    self.state.remove(&(key.to_owned(), name.clone()));
                }
            }
        }
    }

    fn put(&mut self, key: &str, name: &str, stored: Stored) {
        self.state.insert((key.to_owned(), name.to_owned()), stored);
    }
}

impl Host for Memory {
    fn state(&self, event: u32, name: &str) -> Option<Vec<u8>> {
        self.read(self.keys.get(event as usize)?, name)
    }

    fn log(&self, event: u32, level: Level, message: &str) {
        self.lines.borrow_mut().push((event, level, message.to_owned()));
    }

    fn config(&self, name: &str) -> Option<String> {
        self.config.get(name).cloned()
    }

    fn secret(&self, name: &str) -> Option<String> {
        self.secrets.get(name).cloned()
    }

    fn http(&self, request: &Request) -> Result<Response, HttpError> {
        self.requests.borrow_mut().push(request.clone());
        match &self.server {
            Some(server) => server(request),
            None => panic!(
                "the processor calls {} {}; say what answers: TestKit::http",
                request.method, request.url
            ),
        }
    }

    fn now_ms(&self) -> u64 {
        self.now_ms
    }
}
