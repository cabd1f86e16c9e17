//! What a guest says: lines from the `log` interface and from its standard output, bounded for each event.

use std::sync::Arc;

use super::batch::Batch;
use super::bindings::Level;
use super::calls::{CallScope, HostCalls};
use super::limits::{LOG_EVENT_BYTES_MAX, LOG_EVENT_LINES_MAX, LOG_LINE_BYTES_MAX};

/// The lines of one instance. Shared with its output streams, which the engine owns.
pub(super) struct Logbook {
    calls: Arc<dyn HostCalls>,
    batch: Batch,
    /// What each event has used. Empty until the first line of a call.
    used: Vec<Used>,
    /// The event whose handler spoke to the host last: the best guess for a line of output.
    event: u32,
    out: String,
    err: String,
    complaint: Vec<String>,
}

#[derive(Clone, Copy, Default)]
struct Used {
    bytes: usize,
    lines: u32,
    full: bool,
}

/// A stream of a guest's output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Output {
    Out,
    Err,
}

impl Logbook {
    pub fn new(calls: Arc<dyn HostCalls>) -> Self {
        Self {
            calls,
            batch: Batch::new(0, 0),
            used: Vec::new(),
            event: 0,
            out: String::new(),
            err: String::new(),
            complaint: Vec::new(),
        }
    }

    /// Begins a call.
    pub fn begin(&mut self, batch: &Batch) {
        self.batch = batch.clone();
        self.used.clear();
        self.complaint.clear();
        self.event = 0;
    }

    /// Ends a call: half a line of output becomes a line.
    pub fn end(&mut self) {
        for output in [Output::Out, Output::Err] {
            let line = std::mem::take(self.half(output));
            self.output_line(output, &line);
        }
        self.batch = Batch::new(0, 0);
    }

    /// The last lines on standard error of this call: what a panic has said.
    pub fn complaint(&self) -> Option<String> {
        (!self.complaint.is_empty()).then(|| self.complaint.join(": "))
    }

    /// Notes which event the guest is at.
    pub fn at(&mut self, event: u32) {
        self.event = event;
    }

    /// Takes a line of an event.
    pub fn line(&mut self, event: u32, level: Level, message: &str) {
        let message = cut(message, LOG_LINE_BYTES_MAX);
        let events = self.batch.len().max(1);
        self.used.resize(events, Used::default());
        let Some(used) = self.used.get_mut(event as usize) else { return };
        let scope = CallScope::new(&self.batch);
        if used.lines < LOG_EVENT_LINES_MAX && used.bytes + message.len() <= LOG_EVENT_BYTES_MAX {
            used.lines += 1;
            used.bytes += message.len();
            self.calls.log(&scope, event, level, message);
        } else if !std::mem::replace(&mut used.full, true) {
            let limits = format!("{LOG_EVENT_LINES_MAX} lines, {LOG_EVENT_BYTES_MAX} bytes");
            let full = format!("the log of this event is full ({limits}); what follows is dropped");
            self.calls.log(&scope, event, Level::Warn, &full);
        }
    }

    /// Takes bytes of standard output or error and cuts them into lines.
    pub fn write(&mut self, output: Output, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        let mut lines = text.split('\n');
        let last = lines.next_back().unwrap_or_default();
        for line in lines {
            let mut whole = std::mem::take(self.half(output));
            whole.push_str(line);
            self.output_line(output, &whole);
        }
        let half = self.half(output);
        let room = LOG_LINE_BYTES_MAX.saturating_sub(half.len());
        half.push_str(cut(last, room));
    }

    fn half(&mut self, output: Output) -> &mut String {
        match output {
            Output::Out => &mut self.out,
            Output::Err => &mut self.err,
        }
    }

    fn output_line(&mut self, output: Output, line: &str) {
        let line = line.trim_end();
        if line.is_empty() {
            return;
        }
        let level = if output == Output::Err { Level::Error } else { Level::Info };
        if output == Output::Err && !line.starts_with("note: ") {
            self.complain(line);
        }
        self.line(self.event, level, line);
    }

    fn complain(&mut self, line: &str) {
        if self.complaint.len() == 2 {
            self.complaint.remove(0);
        }
        self.complaint.push(cut(line, 512).to_owned());
    }
}

/// The start of a text, at most `max` bytes of it, never half a character.
fn cut(text: &str, max: usize) -> &str {
    let end = text.floor_char_boundary(max);
    text.get(..end).unwrap_or(text)
}
