//! What commands print: results to stdout, as text for people or as JSON. Text from outside is cleaned, so that
//! an event cannot steer the terminal.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use super::failure::Failure;
use crate::model::fault::Fault;

/// Where results go, and in which form.
#[derive(Clone, Copy)]
pub struct Out {
    /// JSON instead of text.
    pub json: bool,
    style: Style,
}

impl Out {
    /// Text or JSON on stdout; colours only on a terminal and without `NO_COLOR`.
    pub fn new(json: bool) -> Self {
        Self { json, style: Style { colour: io::stdout().is_terminal() && !is_plain() } }
    }

    /// Prints one report: as a JSON document, or as `render` writes it.
    pub fn show<T: Serialize>(
        &self,
        report: &T,
        render: impl FnOnce(&T, Style) -> String,
    ) -> Result<(), Failure> {
        match self.json {
            true => self.line(&to_json(report, true)?),
            false => self.line(render(report, self.style).trim_end()),
        }
    }

    /// Prints one item of a stream: as a line of JSON, or as `render` writes it.
    pub fn item<T: Serialize>(
        &self,
        item: &T,
        render: impl FnOnce(&T, Style) -> String,
    ) -> Result<(), Failure> {
        match self.json {
            true => self.line(&to_json(item, false)?),
            false => self.line(&render(item, self.style)),
        }
    }

    fn line(&self, text: &str) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        writeln!(stdout, "{text}").and_then(|()| stdout.flush()).map_err(|error| Failure::output(&error))
    }
}

/// Whether somebody does not want colours: `NO_COLOR`.
pub fn is_plain() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}

fn to_json<T: Serialize>(value: &T, pretty: bool) -> Result<String, Failure> {
    let text = if pretty { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) };
    text.map_err(|error| Failure::failed(format!("cannot write JSON: {error}")))
}

/// Colours, or none.
#[derive(Clone, Copy, Debug, Default)]
pub struct Style {
    colour: bool,
}

/// What a text means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    /// Nothing special.
    #[default]
    Plain,
    /// All is well.
    Good,
    /// Something to know.
    Note,
    /// Something is wrong.
    Bad,
    /// The name of something.
    Name,
    /// Less important than the rest.
    Quiet,
}

impl Style {
    /// Colours a text by what it means.
    pub fn paint(self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Plain => return text.to_owned(),
            Tone::Good => "32",
            Tone::Note => "33",
            Tone::Bad => "1;31",
            Tone::Name => "1",
            Tone::Quiet => "2",
        };
        if self.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// Makes control characters visible, so that a text cannot steer the terminal. Line ends stay.
pub fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push('\n'),
            c if c.is_control() => out.extend(c.escape_default()),
            c => out.push(c),
        }
    }
    out
}

/// How wide running text is.
const WIDTH: usize = 96;
/// The most lines of one fault; the rest is in the log.
const FAULT_LINES_MAX: usize = 8;

/// A text in lines of at most the usual width less `indent`, broken at spaces where there are any.
pub fn wrap(text: &str, indent: usize) -> Vec<String> {
    let width = WIDTH.saturating_sub(indent).max(20);
    let mut lines = Vec::new();
    for paragraph in clean(text).lines() {
        let indented = paragraph.len() - paragraph.trim_start().len();
        let mut line = " ".repeat(indented.min(width / 2));
        for word in paragraph.trim_start().split(' ') {
            if !line.trim().is_empty() && line.chars().count() + 1 + word.chars().count() > width {
                lines.push(std::mem::take(&mut line));
            }
            if !line.trim().is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        lines.push(line);
    }
    if lines.len() > FAULT_LINES_MAX {
        lines.truncate(FAULT_LINES_MAX);
        lines.push("... (more in `baton logs`)".to_owned());
    }
    lines
}

/// A fault in lines, of which all but the first stand in by two.
pub fn fault_lines(fault: &Fault, indent: usize) -> Vec<String> {
    let text = format!("{}: {}", fault.kind.as_str(), fault.message);
    let lines = wrap(&text, indent + 2).into_iter().enumerate();
    lines.map(|(at, line)| if at == 0 { line } else { format!("  {line}") }).collect()
}

/// `1 event`, `2 events`.
pub fn counted(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

/// The first characters of a digest, enough to tell versions apart.
pub fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_made_visible() {
        assert_eq!(clean("a\u{1b}[31mb\nc\u{9b}"), "a\\u{1b}[31mb\nc\\u{9b}");
    }

    #[test]
    fn long_texts_are_broken_at_spaces_and_bounded() {
        let lines = wrap(&"word ".repeat(30), 0);
        assert!(lines.len() == 2 && lines.iter().all(|line| line.chars().count() <= WIDTH), "{lines:?}");
        assert_eq!(wrap("a:\n  b c", 0), ["a:", "  b c"]);
        assert_eq!(wrap(&"line\n".repeat(20), 0).len(), FAULT_LINES_MAX + 1);
    }

    #[test]
    fn colours_are_left_out_without_a_terminal() {
        assert_eq!(Style::default().paint(Tone::Bad, "x"), "x");
        assert_eq!(Style { colour: true }.paint(Tone::Bad, "x"), "\u{1b}[1;31mx\u{1b}[0m");
    }
}
