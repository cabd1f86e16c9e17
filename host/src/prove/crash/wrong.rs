//! What can be wrong with what a power cut left, counted by kind.

use std::collections::BTreeMap;

use super::super::{Card, Row};

/// How many wrongs are told in words.
const TOLD_MAX: usize = 5;

/// A kind of wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// It does not open, or does not go on.
    Unopened,
    /// Something that was acknowledged is not there.
    Lost,
    /// A frame is not as it was written.
    Torn,
    /// An event took effect twice, or never.
    NotOnce,
    /// Of a key a later event was handled first.
    Disorder,
    /// What was decided, what was emitted and what state holds are not of one moment.
    Apart,
    /// A version that was replaced did something.
    Retired,
    /// A damaged file made other answers, and nobody was told.
    Silent,
    /// A part of the host panicked.
    Panicked,
}

/// One wrong, in words.
#[derive(Clone, Debug)]
pub struct Wrong {
    pub kind: Kind,
    pub what: String,
}

impl Wrong {
    pub fn new(kind: Kind, what: impl std::fmt::Display) -> Self {
        Self { kind, what: what.to_string() }
    }
}

/// What was looked at, and what was wrong.
#[derive(Debug, Default)]
pub struct Wrongs {
    counts: BTreeMap<Kind, u64>,
    /// The first ones in words.
    pub told: Vec<String>,
}

impl Wrongs {
    /// Takes in what came of one image.
    pub fn note(&mut self, what: &str, checked: Result<(), Wrong>) {
        let Err(wrong) = checked else { return };
        *self.counts.entry(wrong.kind).or_default() += 1;
        if self.told.len() < TOLD_MAX {
            self.told.push(format!("{what}: {}", wrong.what));
        }
    }

    /// Adds what somebody else found.
    pub fn add(&mut self, other: Wrongs) {
        other.counts.into_iter().for_each(|(kind, count)| *self.counts.entry(kind).or_default() += count);
        let room = TOLD_MAX.saturating_sub(self.told.len());
        self.told.extend(other.told.into_iter().take(room));
    }

    /// How many of a kind.
    pub fn of(&self, kind: Kind) -> u64 {
        self.counts.get(&kind).copied().unwrap_or(0)
    }

    /// A row for each kind that must not be.
    pub fn rows(&self) -> Vec<Row> {
        let row = |(kind, what, card): (Kind, &str, Card)| Row::zero(what, self.of(kind)).on(card);
        [
            (Kind::Lost, "acknowledged and lost", Card::Lost),
            (Kind::Torn, "frames that are not as they were written", Card::Broken),
            (Kind::Unopened, "images that do not open or do not go on", Card::Broken),
            (Kind::NotOnce, "events handled twice or never", Card::Doubled),
            (Kind::Disorder, "events out of the order of their key", Card::Disordered),
            (Kind::Apart, "outputs and positions not of one moment", Card::Broken),
            (Kind::Retired, "commits of a version that was replaced", Card::Retired),
            (Kind::Silent, "other answers from a damaged file", Card::Broken),
            (Kind::Panicked, "panics", Card::Broken),
        ]
        .into_iter()
        .map(row)
        .collect()
    }
}
