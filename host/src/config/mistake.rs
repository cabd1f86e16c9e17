//! What is wrong with a configuration, where, and what to do: several at once, each with its place. The one place that
//! draws lines of a file.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

/// The most mistakes that are shown at once.
const SHOWN_MAX: usize = 20;

/// Who said something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The file, at these bytes.
    File(Range<usize>),
    /// The variable with this name.
    Environment(String),
    /// This flag of the command line.
    Flag(&'static str),
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Who said it.
    pub place: Place,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

impl Mistake {
    pub(super) fn new(place: Place, message: impl Into<String>) -> Self {
        Self { place, message: message.into(), help: None }
    }

    pub(super) fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }
}

/// All that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistakes {
    /// The file.
    pub file: PathBuf,
    pub(super) text: String,
    /// What is wrong, in the order of the file.
    pub all: Vec<Mistake>,
}

impl Mistakes {
    /// Where something was said: `baton.toml:3:1`, or the variable, or the flag.
    pub fn place(&self, place: &Place) -> String {
        match place {
            Place::File(span) => {
                let (line, column) = line_and_column(&self.text, span.start);
                format!("{}:{line}:{column}", self.file.display())
            }
            Place::Environment(name) => name.clone(),
            Place::Flag(flag) => (*flag).to_owned(),
        }
    }

    /// For a terminal: each mistake with the lines that it is about.
    pub fn draw(&self, colour: bool, width: usize) -> String {
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() }.term_width(width);
        let drawn = self.all.iter().take(SHOWN_MAX).map(|mistake| self.draw_one(&renderer, mistake));
        let mut parts: Vec<String> = drawn.collect();
        parts.extend(self.rest());
        parts.join("\n\n")
    }

    fn draw_one(&self, renderer: &Renderer, mistake: &Mistake) -> String {
        let title = match &mistake.place {
            Place::File(_) => mistake.message.clone(),
            place => format!("{}: {}", self.place(place), mistake.message),
        };
        let mut group = Group::with_title(Level::ERROR.primary_title(title));
        if let Place::File(span) = &mistake.place {
            let mark = AnnotationKind::Primary.span(self.within(span));
            let path = self.file.display().to_string();
            group = group.element(Snippet::source(&self.text).path(path).annotation(mark));
        }
        if let Some(help) = &mistake.help {
            group = group.element(Level::HELP.message(help));
        }
        renderer.render(&[group])
    }

    /// A span that lies in the text for sure.
    fn within(&self, span: &Range<usize>) -> Range<usize> {
        let end = self.text.len();
        span.start.min(end)..span.end.min(end)
    }

    fn rest(&self) -> Option<String> {
        let more = self.all.len().saturating_sub(SHOWN_MAX);
        (more > 0).then(|| format!("... and {more} more"))
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, mistake) in self.all.iter().take(SHOWN_MAX).enumerate() {
            let line_end = if number > 0 { "\n" } else { "" };
            write!(f, "{line_end}{}: {}", self.place(&mistake.place), mistake.message)?;
            if let Some(help) = &mistake.help {
                write!(f, "; {help}")?;
            }
        }
        self.rest().map_or(Ok(()), |rest| write!(f, "\n{rest}"))
    }
}

/// The place of a byte, both counted from 1.
fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |end| end + 1);
    let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
    (before.matches('\n').count() + 1, column)
}
