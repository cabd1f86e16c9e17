//! The latest lines of the processors' logs, in memory and bounded. What guests write and what the host says about
//! them stand together, because that is how somebody reads them.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::model::name::ProcessorName;
use crate::model::report::LogLine;
use crate::model::text::escaped;
use crate::model::time::rfc3339;

/// The most lines that are kept.
pub const LOG_LINES_MAX: usize = 10_000;
/// The most bytes that they have together.
pub const LOG_BYTES_MAX: usize = 16 << 20;
/// The longest line, escaped; the rest of it is cut.
const LINE_BYTES_MAX: usize = 8 << 10;

/// Which lines somebody wants.
#[derive(Clone, Debug, Default)]
pub struct LogFilter {
    /// Of this processor only.
    pub processor: Option<ProcessorName>,
    /// Of this flow only.
    pub flow: Option<String>,
    /// Behind the line with this number only.
    pub after: u64,
    /// So many at most; the latest.
    pub limit: usize,
}

/// The latest lines.
#[derive(Default)]
pub struct LogBook(Mutex<Lines>);

#[derive(Default)]
struct Lines {
    by_processor: HashMap<Arc<str>, Own>,
    count: usize,
    bytes: usize,
    written: u64,
}

/// The lines of one processor, and their bytes.
#[derive(Default)]
struct Own {
    lines: VecDeque<Line>,
    bytes: usize,
}

struct Line {
    number: u64,
    time_ms: u64,
    level: &'static str,
    flow: Option<String>,
    message: String,
}

impl LogBook {
    /// Adds a line; control characters are escaped, so that a guest cannot steer a terminal.
    pub fn write(
        &self,
        time_ms: u64,
        processor: &str,
        level: &'static str,
        flow: Option<&str>,
        message: &str,
    ) {
        let mut message = escaped(message).into_owned();
        message.truncate(message.floor_char_boundary(LINE_BYTES_MAX));
        tracing::debug!(target: "baton::guest", processor, level, flow, "{message}");
        let mut lines = self.0.lock();
        lines.written += 1;
        let (number, flow) = (lines.written, flow.map(str::to_owned));
        lines.push(processor, Line { number, time_ms, level, flow, message });
    }

    /// The lines that somebody wants, oldest first.
    pub fn read(&self, filter: &LogFilter) -> Vec<LogLine> {
        let lines = self.0.lock();
        let is_of = |name: &str| filter.processor.as_ref().is_none_or(|wanted| wanted.as_str() == name);
        let wanted = |line: &&Line| {
            line.number > filter.after
                && filter.flow.as_ref().is_none_or(|flow| line.flow.as_ref() == Some(flow))
        };
        let of = |(name, own): (&'_ Arc<str>, &'_ Own)| {
            let lines = own.lines.iter().rev().filter(wanted).take(filter.limit);
            lines.map(|line| line.report(name)).collect::<Vec<_>>()
        };
        let processors = lines.by_processor.iter().filter(|(name, _)| is_of(name));
        let mut found: Vec<_> = processors.flat_map(of).collect();
        found.sort_unstable_by_key(|line| line.number);
        found.drain(..found.len().saturating_sub(filter.limit));
        found
    }
}

impl Lines {
    fn push(&mut self, processor: &str, line: Line) {
        self.count += 1;
        self.bytes += line.bytes();
        if !self.by_processor.contains_key(processor) {
            self.by_processor.insert(processor.into(), Own::default());
        }
        if let Some(own) = self.by_processor.get_mut(processor) {
            own.bytes += line.bytes();
            own.lines.push_back(line);
        }
        while self.count > LOG_LINES_MAX || self.bytes > LOG_BYTES_MAX {
            self.drop_one();
        }
    }

    /// The oldest line of whoever has most: one that floods the log loses its own.
    fn drop_one(&mut self) {
        let most = self.by_processor.iter_mut().max_by_key(|(_, own)| own.bytes);
        let Some((name, own)) = most else { return };
        let name = name.clone();
        if let Some(line) = own.lines.pop_front() {
            own.bytes -= line.bytes();
            (self.count, self.bytes) = (self.count - 1, self.bytes - line.bytes());
        }
        if own.lines.is_empty() {
            self.by_processor.remove(&name);
        }
    }
}

impl Line {
    /// About what it takes.
    fn bytes(&self) -> usize {
        size_of::<Self>() + self.message.len() + self.flow.as_ref().map_or(0, String::len)
    }

    fn report(&self, processor: &str) -> LogLine {
        LogLine {
            number: self.number,
            time: rfc3339(self.time_ms),
            processor: processor.to_owned(),
            level: self.level.to_owned(),
            flow: self.flow.clone(),
            message: self.message.clone(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_bounded_filtered_and_escaped() {
        let book = LogBook::default();
        for n in 0..LOG_LINES_MAX + 5 {
            let processor = if n % 2 == 0 { "even" } else { "odd" };
            book.write(0, processor, "info", Some("f"), &format!("{n}\u{1b}[31m\n"));
        }
        let all = book.read(&LogFilter { limit: usize::MAX, ..LogFilter::default() });
        assert_eq!((all.len(), all[0].number), (LOG_LINES_MAX, 6));
        assert_eq!(all[0].message, "5\\u{1b}[31m\\n");
        let odd = ProcessorName::new("odd").unwrap();
        let filter = LogFilter { processor: Some(odd), limit: 2, ..LogFilter::default() };
        let numbers: Vec<_> = book.read(&filter).iter().map(|line| line.number).collect();
        assert_eq!(numbers, [LOG_LINES_MAX as u64 + 2, LOG_LINES_MAX as u64 + 4]);
        let other = LogFilter { flow: Some("g".into()), limit: 9, ..LogFilter::default() };
        assert!(book.read(&other).is_empty());
    }

    #[test]
    fn one_that_floods_the_log_loses_its_own_lines() {
        let book = LogBook::default();
        let of = |name: &str| {
            let processor = Some(ProcessorName::new(name).unwrap());
            book.read(&LogFilter { processor, limit: usize::MAX, ..LogFilter::default() })
        };
        (0..100).for_each(|_| book.write(0, "quiet", "info", None, "well"));
        (0..2 * LOG_LINES_MAX).for_each(|_| book.write(0, "loud", "info", None, "\u{1b}"));
        assert_eq!((of("quiet").len(), of("loud").len()), (100, LOG_LINES_MAX - 100));
        (0..LOG_BYTES_MAX / LINE_BYTES_MAX)
            .for_each(|_| book.write(0, "long", "info", None, &"\u{1b}".repeat(4096)));
        let bytes: usize = of("long").iter().map(|line| line.message.len()).sum();
        assert!(bytes < LOG_BYTES_MAX && of("quiet").len() == 100, "{bytes}");
        assert_eq!(of("long")[0].message.len(), LINE_BYTES_MAX);
    }
}
