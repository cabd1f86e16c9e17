//! The latest lines of the processors' logs, in memory and bounded. What guests write and what the host says about
//! them stand together, because that is how somebody reads them.

use std::collections::VecDeque;

use parking_lot::Mutex;

use crate::model::name::ProcessorName;
use crate::model::report::LogLine;
use crate::model::text::escaped;
use crate::model::time::rfc3339;

/// The most lines that are kept.
pub const LOG_LINES_MAX: usize = 10_000;

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
    ring: VecDeque<Line>,
    written: u64,
}

struct Line {
    number: u64,
    time_ms: u64,
    processor: String,
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
        let message = escaped(message).into_owned();
        tracing::debug!(target: "baton::guest", processor, level, flow, "{message}");
        let mut lines = self.0.lock();
        lines.written += 1;
        let number = lines.written;
        if lines.ring.len() == LOG_LINES_MAX {
            lines.ring.pop_front();
        }
        let flow = flow.map(str::to_owned);
        lines.ring.push_back(Line { number, time_ms, processor: processor.to_owned(), level, flow, message });
    }

    /// The lines that somebody wants, oldest first.
    pub fn read(&self, filter: &LogFilter) -> Vec<LogLine> {
        let lines = self.0.lock();
        let wanted = |line: &&Line| {
            line.number > filter.after
                && filter.processor.as_ref().is_none_or(|name| name.as_str() == line.processor)
                && filter.flow.as_ref().is_none_or(|flow| line.flow.as_ref() == Some(flow))
        };
        let mut found: Vec<_> =
            lines.ring.iter().rev().filter(wanted).take(filter.limit).map(Line::report).collect();
        found.reverse();
        found
    }
}

impl Line {
    fn report(&self) -> LogLine {
        LogLine {
            number: self.number,
            time: rfc3339(self.time_ms),
            processor: self.processor.clone(),
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
}
