//! What comes of a proof: rows of figures, of which some have to be zero. What was not run is no proof.

use std::fmt;

use serde::Serialize;

/// Why a proof did not come to an end. It says nothing about what was to be proved.
#[derive(Debug, thiserror::Error)]
pub enum ProveError {
    /// The processors could not be built.
    #[error(
        "the processors of the proof could not be built: {0}; it needs cargo with the target wasm32-wasip2 (`rustup target add \
         wasm32-wasip2`) and the source tree that this program was built from"
    )]
    Guest(String),
    /// A host did not do what it should, or did not answer.
    #[error("the host of the proof: {0}")]
    Host(String),
    /// The system refused.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// What came of a proof.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Proof {
    /// Its name.
    pub name: String,
    /// What its chance came from: the same seed makes the same choices.
    pub seed: u64,
    /// Whether everything is zero that has to be.
    pub passed: bool,
    /// What was counted.
    pub rows: Vec<Row>,
    /// What was wrong, in words: the first few.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub told: Vec<String>,
}

/// One figure.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// What was counted or measured.
    pub what: String,
    /// How much it was; none if it was not run.
    pub figure: Option<f64>,
    /// Its unit.
    pub unit: String,
    /// Whether it has to be zero.
    pub must_be_zero: bool,
    /// Whether it must not be zero: a control, without which the zeros say nothing.
    pub must_be_some: bool,
    /// Where it counts on the card of all proofs.
    #[serde(skip)]
    pub card: Option<Card>,
}

/// The lines of the card of all proofs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Card {
    /// Events that were acknowledged.
    Events,
    /// Versions that took over from others.
    Swaps,
    /// Hosts that were killed.
    Kills,
    /// Power cuts that were looked at.
    Images,
    /// Calls of a disk that failed, and files that were damaged.
    Failures,
    /// What was lost.
    Lost,
    /// What was done twice.
    Doubled,
    /// What was out of the order of its key.
    Disordered,
    /// What a version committed after it was replaced.
    Retired,
    /// What was torn, half, did not open or did not add up.
    Broken,
    /// Bugs that were planted: after how many tries each was found.
    Planted,
    /// What a control lost, as it has to.
    Control,
    /// How long a start took, in milliseconds.
    Recovery,
}

impl Row {
    /// Something that was counted or measured.
    pub fn new(what: &str, figure: f64, unit: &str) -> Self {
        let (what, unit) = (what.to_owned(), unit.to_owned());
        Self { what, figure: Some(figure), unit, must_be_zero: false, must_be_some: false, card: None }
    }

    /// Something that must not have happened.
    pub fn zero(what: &str, count: u64) -> Self {
        Self { must_be_zero: true, ..Self::new(what, count as f64, "") }
    }

    /// Something that must have happened, or the proof would not see what it looks for.
    pub fn some(what: &str, count: u64) -> Self {
        Self { must_be_some: true, ..Self::new(what, count as f64, "") }
    }

    /// The same, counted on the card of all proofs.
    #[must_use]
    pub fn on(self, card: Card) -> Self {
        Self { card: Some(card), ..self }
    }

    fn fails(&self) -> bool {
        let is_some = self.figure.is_some_and(|figure| figure > 0.0);
        self.must_be_zero && self.figure != Some(0.0) || self.must_be_some && !is_some
    }
}

impl Proof {
    /// A proof with its rows; it passed if none of them fails.
    pub fn new(name: &str, seed: u64, rows: Vec<Row>) -> Self {
        let passed = !rows.iter().any(Row::fails);
        Self { name: name.to_owned(), seed, passed, rows, told: Vec::new() }
    }

    /// Says in words what was wrong.
    pub fn telling(self, told: Vec<String>) -> Self {
        Self { told, ..self }
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "prove {}, seed {}\n", self.name, self.seed)?;
        for row in &self.rows {
            let figure = row.figure.map_or_else(|| "not run".to_owned(), |figure| format!("{figure:.0}"));
            let figure = format!("{figure} {}", row.unit);
            let verdict = match (row.must_be_zero || row.must_be_some, row.fails()) {
                (true, true) if row.must_be_some => "  WRONG: has to be found",
                (true, true) => "  WRONG: has to be 0",
                (true, false) => "  as it has to be",
                _ => "",
            };
            writeln!(f, "  {:<46}{:>16}{verdict}", row.what, figure.trim_end())?;
        }
        self.told.iter().try_for_each(|told| writeln!(f, "\n  {told}"))?;
        write!(f, "\n{}", if self.passed { "proved" } else { "NOT proved" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_that_has_to_be_zero_decides_and_all_others_do_not() {
        let rows = |lost| vec![Row::new("events", 12_000.0, "events"), Row::zero("lost", lost)];
        let good = Proof::new("swap", 7, rows(0));
        assert!(good.passed && good.to_string().ends_with("proved"));
        assert!(good.to_string().contains("lost") && good.to_string().contains("as it has to be"));
        let bad = Proof::new("swap", 7, rows(1));
        assert!(!bad.passed && bad.to_string().contains("WRONG: has to be 0"));
        let not_run = Row { figure: None, ..Row::zero("lost", 0) };
        assert!(!Proof::new("swap", 7, vec![not_run]).passed, "what did not run is not proved");
        let control = |found| Proof::new("crash", 7, vec![Row::some("lost (control)", found)]);
        assert!(control(3).passed && !control(0).passed, "a control that finds nothing proves nothing");
        let told = control(0).telling(vec!["seed 7: gone".to_owned()]).to_string();
        assert!(told.contains("WRONG: has to be found") && told.contains("seed 7: gone"), "{told}");
    }
}
