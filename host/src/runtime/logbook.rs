//! What a guest says: lines from the `log` interface and from its standard output, bounded for each event.

use std::sync::Arc;

use super::batch::Batch;
use super::bindings::Level;
use super::calls::{CallScope, HostCalls};
use super::error::CallError;
use super::limits::{LOG_EVENT_BYTES_MAX, LOG_EVENT_LINES_MAX, LOG_LINE_BYTES_MAX};

/// The lines of one instance. Shared with its output streams, which the engine owns.
pub(super) struct Logbook {
    calls: Arc<dyn HostCalls>,
    /// The batch of the call, or `idle` between calls.
    batch: Batch,
    idle: Batch,
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
        let idle = Batch::new(0, 0);
        Self {
            calls,
            batch: idle.clone(),
            idle,
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

    /// Ends a call: half a line of output becomes a line. Lets go of the batch, so that its owner can fill its
    /// buffers again.
    pub fn end(&mut self) {
        for output in [Output::Out, Output::Err] {
            let line = std::mem::take(self.half(output));
            self.output_line(output, &line);
        }
        self.batch = self.idle.clone();
    }

    /// The last lines on standard error of this call: what a panic has said.
    pub fn complaint(&self) -> Option<String> {
        (!self.complaint.is_empty()).then(|| self.complaint.join(" "))
    }

    /// The events of the call.
    pub fn batch(&self) -> &Batch {
        &self.batch
    }

    /// Checks an event's index and notes that its handler is at work.
    pub fn at(&mut self, event: u32) -> Result<(), CallError> {
        let events = self.batch.len();
        if event as usize >= events {
            return Err(CallError::malformed(format!("it named event {event} of a batch of {events}")));
        }
        self.event = event;
        Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::tests::support::{Calls, batch};

    fn said(write: impl FnOnce(&mut Logbook)) -> (Vec<(u32, Level, String)>, Option<String>) {
        let calls = Arc::new(Calls::default());
        let mut book = Logbook::new(calls.clone());
        book.begin(&batch(2, b"{}"));
        write(&mut book);
        book.end();
        let lines = calls.lines.lock().clone();
        (lines, book.complaint())
    }

    #[test]
    fn output_becomes_lines_of_the_event_that_was_named_last() {
        let (lines, _) = said(|book| {
            book.write(Output::Out, b"one\ntw");
            assert!(book.at(1).is_ok());
            book.write(Output::Out, b"o\n\nhalf");
        });
        let expected = [(0, "one"), (1, "two"), (1, "half")];
        assert_eq!(lines, expected.map(|(event, line)| (event, Level::Info, line.to_owned())));
    }

    #[test]
    fn a_panic_is_kept_for_the_one_who_asks_why() {
        let (lines, complaint) =
            said(|book| book.write(Output::Err, b"\nthread panicked at src/lib.rs:1:\nno way\nnote: run\n"));
        assert_eq!(lines.len(), 3);
        assert_eq!(complaint.as_deref(), Some("thread panicked at src/lib.rs:1: no way"));
    }

    #[test]
    fn a_line_is_cut_between_characters() {
        let (lines, _) = said(|book| book.line(0, Level::Info, &"ä".repeat(LOG_LINE_BYTES_MAX)));
        assert_eq!(lines.iter().map(|line| line.2.len()).collect::<Vec<_>>(), [LOG_LINE_BYTES_MAX]);
        assert_eq!(cut("äää", 3), "ä");
    }

    #[test]
    fn output_without_an_end_takes_no_more_than_a_line() {
        let (lines, _) = said(|book| (0..100).for_each(|_| book.write(Output::Out, &[b'x'; 1000])));
        assert_eq!(lines.iter().map(|line| line.2.len()).collect::<Vec<_>>(), [LOG_LINE_BYTES_MAX]);
    }
}
