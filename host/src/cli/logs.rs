//! `baton logs`: what a processor wrote, and what the host wrote about it.

use std::thread;
use std::time::Duration;

use clap::Args;

use super::Shared;
use super::client::query;
use super::failure::Failure;
use super::output::{Style, Tone, clean};
use crate::model::name::ProcessorName;
use crate::model::report::{LogLine, LogPage};

/// How often new lines are asked for.
const POLL: Duration = Duration::from_millis(500);
const PAGE_LINES: usize = 1000;

/// `baton logs`
#[derive(Args)]
#[command(after_long_help = "\
Examples:
  baton logs payment
  baton logs payment -f
  baton logs payment --flow 0199b3a4-7c1d-7e51-9f3a-2b8f6f0f6c11")]
pub struct LogsArgs {
    /// The processor.
    processor: ProcessorName,
    /// Go on with what comes.
    #[arg(short, long)]
    follow: bool,
    /// Only lines about this flow.
    #[arg(long, value_name = "ID")]
    flow: Option<String>,
}

/// Shows the lines.
pub fn run(args: LogsArgs, shared: &Shared) -> Result<(), Failure> {
    let client = shared.client();
    let mut after = 0;
    loop {
        let params = [
            ("after", Some(after.to_string())),
            ("limit", Some(PAGE_LINES.to_string())),
            ("flow", args.flow.clone()),
        ];
        let page: LogPage =
            client.get(format!("/v1/processors/{}/logs{}", args.processor, query(&params)))?;
        for line in &page.lines {
            shared.out().item(line, render_line)?;
        }
        after = page.next;
        match page.lines.len() {
            PAGE_LINES.. => {}
            _ if args.follow => thread::sleep(POLL),
            _ => return Ok(()),
        }
    }
}

fn render_line(line: &LogLine, style: Style) -> String {
    let tone = match line.level.as_str() {
        "error" => Tone::Bad,
        "warn" => Tone::Note,
        "debug" => Tone::Quiet,
        _ => Tone::Plain,
    };
    let level = style.paint(tone, &format!("{:<5}", line.level));
    let time = style.paint(Tone::Quiet, &line.time);
    let flow = line.flow.as_ref().map(|flow| style.paint(Tone::Quiet, &format!("  flow {flow}")));
    format!("{time}  {level}  {}{}", clean(&line.message), flow.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_when_how_bad_what_and_where() {
        let line = LogLine {
            number: 4,
            time: "2026-01-31T12:00:00Z".into(),
            processor: "payment".into(),
            level: "warn".into(),
            flow: Some("f-1".into()),
            message: "card\u{1b} refused".into(),
        };
        let expected = "2026-01-31T12:00:00Z  warn   card\\u{1b} refused  flow f-1";
        assert_eq!(render_line(&line, Style::default()), expected);
    }
}
