//! What the terminal of `baton dev` shows: a line for everything that happens, each with its processor.

use std::collections::BTreeMap;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;
use std::time::Duration;

use serde::Serialize;

use super::super::demo::host::Host;
use super::super::failure::Failure;
use super::super::output::{Out, Style, Tone, clean};
use crate::model::name::{ChannelName, ProcessorName};
use crate::model::report::{DeployReport, LogLine};
use crate::node::{LogFilter, Node, ReadFrom};

/// How often new lines are looked for.
const POLL: Duration = Duration::from_millis(150);
/// The most lines, or events of one channel, that are shown at once.
const LINES_MAX: usize = 500;

/// One line.
#[derive(Debug, PartialEq, Serialize)]
pub struct Line {
    kind: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    processor: String,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    generation: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    flow: Option<String>,
}

impl Line {
    fn new(kind: &'static str, processor: &str, message: String) -> Self {
        Self { kind, processor: processor.to_owned(), message, code: None, generation: None, flow: None }
    }

    /// Something about the host or a build.
    pub fn host(message: String) -> Self {
        Self::new("host", "", message)
    }

    /// Something that is wrong.
    pub fn bad(code: &str, processor: &str, message: String) -> Self {
        Self { code: Some(code.to_owned()), ..Self::new("error", processor, message) }
    }

    /// A receipt.
    pub fn deployed(name: &ProcessorName, report: &DeployReport, message: String) -> Self {
        let generation = Some(report.deployment.generation);
        let kind = if report.unchanged { "unchanged" } else { "deployed" };
        Self { generation, ..Self::new(kind, name.as_str(), message) }
    }

    fn log(line: &LogLine) -> Self {
        let kind = match line.level.as_str() {
            "error" => "fault",
            "warn" => "warn",
            "debug" => "debug",
            _ => "info",
        };
        Self { flow: line.flow.clone(), ..Self::new(kind, &line.processor, line.message.clone()) }
    }

    fn render(&self, style: Style) -> String {
        let tone = match self.kind {
            "error" | "fault" => Tone::Bad,
            "warn" => Tone::Note,
            "deployed" => Tone::Good,
            "debug" | "unchanged" | "host" => Tone::Quiet,
            _ => Tone::Plain,
        };
        let who = if self.processor.is_empty() { "baton" } else { &self.processor };
        let flow = self.flow.as_ref().map(|flow| style.paint(Tone::Quiet, &format!("  flow {flow}")));
        let kind = style.paint(tone, &format!("{:<9}", self.kind));
        let who = style.paint(Tone::Name, &format!("{who:<12}"));
        format!("{who} {kind} {}{}", clean(&self.message), flow.unwrap_or_default())
    }
}

/// Shows lines.
#[derive(Clone)]
pub struct Feed {
    node: Node,
    threads: tokio::runtime::Handle,
    stopping: tokio::sync::watch::Receiver<bool>,
    out: Out,
    events: bool,
}

impl Feed {
    /// Shows what happens on a host, with each event if asked.
    pub fn new(host: &Host, out: Out, events: bool) -> Self {
        let (node, threads) = (host.node().clone(), host.threads().clone());
        Self { node, threads, stopping: host.stopping(), out, events }
    }

    /// Shows one line.
    pub fn tell(&self, line: &Line) -> Result<(), Failure> {
        self.out.item(line, Line::render)
    }

    /// Shows what comes, until the host stops; then the receiver has nothing more to wait for.
    pub fn follow(&self) -> Receiver<()> {
        let (ended, stopped) = mpsc::sync_channel(1);
        let feed = self.clone();
        thread::spawn(move || feed.run(&ended));
        stopped
    }

    fn run(&self, _ended: &SyncSender<()>) {
        let mut after = 0;
        let mut read = self.events.then(|| self.ends());
        while !*self.stopping.borrow() {
            let filter = LogFilter { after, limit: LINES_MAX, ..LogFilter::default() };
            let lines = self.node.logs(&filter);
            after = lines.last().map_or(after, |line| line.number);
            let told = lines.iter().try_for_each(|line| self.tell(&Line::log(line)));
            let told = told.and_then(|()| read.as_mut().map_or(Ok(()), |read| self.tell_events(read)));
            if told.is_err() {
                return;
            }
            thread::sleep(POLL);
        }
    }

    /// Where each channel ends now: what is older was seen before.
    fn ends(&self) -> BTreeMap<String, u64> {
        self.node.channels().into_iter().map(|channel| (channel.name, channel.next)).collect()
    }

    fn tell_events(&self, read: &mut BTreeMap<String, u64>) -> Result<(), Failure> {
        for channel in self.node.channels() {
            let from = read.entry(channel.name.clone()).or_default();
            let Ok(name) = ChannelName::new(channel.name.as_str()) else { continue };
            if channel.next <= *from {
                continue;
            }
            let page = self.node.events(&name, ReadFrom::Offset(*from), LINES_MAX, Duration::ZERO);
            let Ok(page) = self.threads.block_on(page) else { continue };
            for recorded in &page.events {
                let event = serde_json::to_value(&recorded.event).unwrap_or_default();
                let data = event.get("data").or_else(|| event.get("data_base64"));
                let data = data.map_or_else(String::new, ToString::to_string);
                let told: String = data.chars().take(200).collect();
                let line = format!("{} {told}", recorded.offset);
                self.tell(&Line::new("event", &channel.name, line))?;
            }
            *from = page.next;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_who_what_and_where() {
        let log = LogLine {
            number: 1,
            time: "2026-01-31T12:00:00Z".into(),
            processor: "greeter".into(),
            level: "error".into(),
            flow: Some("f-1".into()),
            message: "no\u{1b} name".into(),
        };
        let text = Line::log(&log).render(Style::default());
        assert_eq!(text, "greeter      fault     no\\u{1b} name  flow f-1");
        let text = Line::host("listening".into()).render(Style::default());
        assert_eq!(text, "baton        host      listening");
    }
}
