//! What was measured: figures beside their budgets and their pairs, as a table or as JSON.

use std::fmt::{self, Write as _};

use serde::Serialize;

/// When an event of a figure counted as done: a figure without this says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// Synced to the disk.
    Fsync,
    /// With the operating system.
    Os,
    /// In memory: lost with the process.
    Memory,
    /// Nothing was stored.
    None,
}

/// What a figure is to be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Budget {
    /// No more than this.
    AtMost(f64),
    /// No less than this.
    AtLeast(f64),
}

/// One thing that was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    /// What it is.
    pub what: String,
    /// When an event counted as done.
    pub durability: Durability,
    /// The figure.
    pub value: f64,
    /// Its unit.
    pub unit: &'static str,
    /// What it is to be, if there is a budget.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    /// What was measured beside it in the same run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beside: Option<Beside>,
}

/// The other half of a pair, in the figure's unit.
#[derive(Clone, Debug, Serialize)]
pub struct Beside {
    /// What it is.
    pub what: &'static str,
    /// The figure.
    pub value: f64,
}

/// The figures of one measurement.
#[derive(Clone, Debug, Serialize)]
pub struct Section {
    /// Its name, as `--only` takes it.
    pub name: &'static str,
    /// What was done, in one line.
    pub how: &'static str,
    /// What came of it.
    pub figures: Vec<Figure>,
    /// Why nothing came of it: what it needs is not here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_run: Option<String>,
}

/// Everything that was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// How many threads can run at once here.
    pub cores: usize,
    /// Whether the measurements were cut short, and are rougher for it.
    pub quick: bool,
    /// The measurements in their order.
    pub sections: Vec<Section>,
}

impl Figure {
    /// A figure without a budget.
    pub fn new(what: impl Into<String>, durability: Durability, value: f64, unit: &'static str) -> Self {
        Self { what: what.into(), durability, value, unit, budget: None, beside: None }
    }

    /// The same with a budget.
    pub fn budget(self, budget: Budget) -> Self {
        Self { budget: Some(budget), ..self }
    }

    /// The same with what was measured beside it.
    pub fn beside(self, what: &'static str, value: f64) -> Self {
        Self { beside: Some(Beside { what, value }), ..self }
    }

    /// Whether it keeps its budget; nothing without one.
    pub fn is_kept(&self) -> Option<bool> {
        match self.budget? {
            Budget::AtMost(most) => Some(self.value <= most),
            Budget::AtLeast(least) => Some(self.value >= least),
        }
    }
}

impl Report {
    /// The figures that miss their budgets.
    pub fn missed(&self) -> impl Iterator<Item = &Figure> {
        self.sections.iter().flat_map(|section| &section.figures).filter(|f| f.is_kept() == Some(false))
    }

    /// One JSON document.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rough = if self.quick { ", cut short: rough figures" } else { "" };
        writeln!(f, "on {} cores{rough}", self.cores)?;
        for section in &self.sections {
            writeln!(f, "\n{}: {}", section.name, section.how)?;
            section.figures.iter().try_for_each(|figure| row(f, figure))?;
            section.not_run.iter().try_for_each(|why| writeln!(f, "  not run: {why}"))?;
        }
        let missed = self.missed().count();
        writeln!(f, "\n{missed} of {} budgets missed", self.budgets())
    }
}

impl Report {
    fn budgets(&self) -> usize {
        let figures = self.sections.iter().flat_map(|section| &section.figures);
        figures.filter(|figure| figure.budget.is_some()).count()
    }
}

fn row(f: &mut fmt::Formatter<'_>, figure: &Figure) -> fmt::Result {
    let class = match figure.durability {
        Durability::Fsync => "fsync",
        Durability::Os => "os",
        Durability::Memory => "memory",
        Durability::None => "-",
    };
    let value = format!("{} {}", number(figure.value), figure.unit);
    let mut rest = String::new();
    if let Some(budget) = figure.budget {
        let (sign, bound) = match budget {
            Budget::AtMost(most) => ("<=", most),
            Budget::AtLeast(least) => (">=", least),
        };
        let verdict = if figure.is_kept() == Some(true) { "kept" } else { "MISSED" };
        write!(rest, "{sign} {}: {verdict}", number(bound))?;
    }
    if let Some(Beside { what, value }) = &figure.beside {
        let gap = if rest.is_empty() { "" } else { "; " };
        write!(rest, "{gap}{what}: {}", number(*value))?;
    }
    writeln!(f, "  {:<58} {class:<6} {value:>18}  {rest}", figure.what)
}

/// A number with the digits that mean something.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 1e3 => grouped(value),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let places = digits.len();
    let separated = digits.chars().enumerate().flat_map(|(index, digit)| {
        let comma = index > 0 && (places - index).is_multiple_of(3);
        comma.then_some(',').into_iter().chain([digit])
    });
    separated.collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn report() -> Report {
        let kept = Figure::new("one hop", Durability::Fsync, 1.5, "ms").budget(Budget::AtMost(2.0));
        let missed = Figure::new("rate", Durability::Os, 1_234_567.0, "events/s")
            .budget(Budget::AtLeast(2e6))
            .beside("raw", 3e6);
        let plain = Figure::new("memory", Durability::None, 64.0, "KiB");
        let figures = vec![kept, missed, plain];
        let section = Section { name: "some", how: "somehow", figures, not_run: None };
        let why = Some("there is no server".to_owned());
        let missing = Section { name: "other", how: "with a server", figures: Vec::new(), not_run: why };
        Report { cores: 2, quick: true, sections: vec![section, missing] }
    }

    #[test]
    fn a_table_names_durability_budget_and_pair() {
        let text = report().to_string();
        for words in
            ["on 2 cores, cut short", "fsync", "<= 2.00: kept", "1,234,567 events/s", "1 of 2 budgets"]
        {
            assert!(text.contains(words), "{words} in {text}");
        }
        assert!(text.contains(">= 2,000,000: MISSED; raw: 3,000,000"), "{text}");
        assert!(text.contains("other: with a server\n  not run: there is no server"), "{text}");
    }

    #[test]
    fn json_holds_the_same() {
        let json = report().to_json();
        let figures = &json["sections"][0]["figures"];
        assert_eq!(figures[0]["budget"]["at_most"], 2.0);
        assert_eq!(figures[1]["beside"]["value"], 3e6);
        assert_eq!(figures[2]["durability"], "none");
        assert!(figures[2].get("budget").is_none());
    }
}
