//! What came of each animal, and what all of them cost the neighbour.

use serde::Serialize;

use super::neighbour::Cost;

/// The neighbour's events may take so long, all but one in a hundred.
const P99_MS_MAX: f64 = 20.0;

/// What came of one animal.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Its name.
    pub animal: String,
    /// What had to happen.
    pub expected: String,
    /// What the host did.
    pub happened: String,
    /// How long that took, in milliseconds.
    pub took_ms: f64,
    /// What the neighbour's events took meanwhile, all but one in a hundred, in milliseconds; none if it was over before one
    /// was due.
    pub neighbour_p99_ms: Option<f64>,
}

impl Row {
    /// Whether what had to happen did.
    pub fn is_kept(&self) -> bool {
        self.expected == self.happened
    }
}

/// All of it.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// What came of each animal.
    pub rows: Vec<Row>,
    /// What they cost the neighbour.
    pub neighbour: Cost,
    /// What could not be run, and why.
    pub not_run: Vec<String>,
}

impl Report {
    /// Whether the neighbour waited too long, in words.
    pub fn late(&self) -> Option<String> {
        let p99_ms = self.neighbour.p99_ms;
        (p99_ms > P99_MS_MAX)
            .then(|| format!("the neighbour's p99 was {p99_ms:.1} ms; {P99_MS_MAX} ms are promised"))
    }

    /// What is not as it must be, times left out.
    pub fn broken(&self) -> Vec<String> {
        let wrong = self.rows.iter().filter(|row| !row.is_kept());
        let mut broken: Vec<_> = wrong
            .map(|row| format!("{}: {} expected, {} happened", row.animal, row.expected, row.happened))
            .collect();
        let Cost { published, passed_on, .. } = self.neighbour;
        if published != passed_on {
            broken.push(format!("the neighbour got {published} events and passed {passed_on} on"));
        }
        broken
    }
}
