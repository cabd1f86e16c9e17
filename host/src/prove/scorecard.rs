//! All proofs on one card: what was done, what must not have happened, and the controls without which the zeros would say nothing.

use std::fmt;

use serde::Serialize;

use super::{Card, Proof};

/// The lines of the card, and how the figures of several proofs become one.
const LINES: [(Card, &str, Join); 13] = [
    (Card::Events, "events acknowledged", Join::Sum),
    (Card::Swaps, "versions swapped under load", Join::Sum),
    (Card::Kills, "hosts killed (SIGKILL)", Join::Sum),
    (Card::Images, "crash images (power cuts)", Join::Sum),
    (Card::Failures, "disk calls that failed, files damaged", Join::Sum),
    (Card::Lost, "lost", Join::Sum),
    (Card::Doubled, "doubled", Join::Sum),
    (Card::Disordered, "out of the order of their key", Join::Sum),
    (Card::Retired, "committed by a version that was replaced", Join::Sum),
    (Card::Broken, "torn, half, unopenable or not adding up", Join::Sum),
    (Card::Planted, "planted bugs found", Join::Count),
    (Card::Control, "lost with durability = \"os\" (control)", Join::Sum),
    (Card::Recovery, "worst start after a kill, ms", Join::Most),
];

#[derive(Clone, Copy)]
enum Join {
    Sum,
    Most,
    /// How many there are that are not zero, of how many.
    Count,
}

/// What came of all proofs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Scorecard {
    /// Whether all of them passed.
    pub passed: bool,
    /// What they add up to.
    pub lines: Vec<Line>,
    /// The proofs.
    pub proofs: Vec<Proof>,
    /// What could not be run, and why: it counts as not passed.
    pub not_run: Vec<String>,
}

/// One line of the card.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Line {
    /// What.
    pub what: String,
    /// How much.
    pub figure: f64,
    /// Of how many, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of: Option<u64>,
}

impl Scorecard {
    /// Adds proofs up.
    pub fn new(proofs: Vec<Proof>, not_run: Vec<String>) -> Self {
        let line = |(card, what, join): &(Card, &str, Join)| {
            let rows = proofs.iter().flat_map(|proof| &proof.rows).filter(|row| row.card == Some(*card));
            let figures: Vec<f64> = rows.filter_map(|row| row.figure).collect();
            let found = figures.iter().filter(|figure| **figure > 0.0).count();
            let (figure, of) = match join {
                Join::Sum => (figures.iter().sum(), None),
                Join::Most => (figures.iter().copied().fold(0.0, f64::max), None),
                Join::Count => (found as f64, Some(figures.len() as u64)),
            };
            (!figures.is_empty()).then(|| Line { what: (*what).to_owned(), figure, of })
        };
        let passed = not_run.is_empty() && proofs.iter().all(|proof| proof.passed);
        Self { passed, lines: LINES.iter().filter_map(line).collect(), proofs, not_run }
    }
}

impl fmt::Display for Scorecard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.proofs.iter().try_for_each(|proof| writeln!(f, "{proof}\n"))?;
        writeln!(f, "All together\n")?;
        for Line { what, figure, of } in &self.lines {
            let of = of.map_or_else(String::new, |of| format!(" of {of}"));
            writeln!(f, "  {what:<46}{:>16}", format!("{figure:.0}{of}"))?;
        }
        self.not_run.iter().try_for_each(|why| writeln!(f, "\n  not run: {why}"))?;
        write!(f, "\n{}", if self.passed { "all proved" } else { "NOT all proved" })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::Row;
    use super::*;

    #[test]
    fn proofs_add_up_and_one_that_fails_or_is_missing_fails_all() {
        let proof = |lost| {
            let planted = |found| Row::some("planted", found).on(Card::Planted);
            let rows = vec![
                Row::zero("lost", lost).on(Card::Lost),
                Row::new("kills", 3.0, "").on(Card::Kills),
                Row::new("start", lost as f64 + 7.0, "ms").on(Card::Recovery),
                planted(2),
                planted(1),
            ];
            Proof::new("p", 1, rows)
        };
        let good = Scorecard::new(vec![proof(0), proof(0)], Vec::new());
        let text = good.to_string();
        assert!(good.passed && text.ends_with("all proved"), "{text}");
        let line = |what: &str| good.lines.iter().find(|line| line.what.contains(what)).unwrap().clone();
        assert_eq!((line("killed").figure, line("worst").figure), (6.0, 7.0));
        assert_eq!((line("planted").figure, line("planted").of), (4.0, Some(4)));
        assert!(
            good.lines.iter().all(|line| !line.what.contains("images")),
            "what was not counted has no line"
        );
        assert!(!Scorecard::new(vec![proof(0), proof(1)], Vec::new()).passed);
        let missing = Scorecard::new(vec![proof(0)], vec!["zoo: no toolchain".to_owned()]);
        assert!(!missing.passed && missing.to_string().contains("not run: zoo: no toolchain"));
    }
}
