//! Which offsets of a channel a subscription is done with: a cursor, and a window of bits above it.

use std::collections::VecDeque;

/// The most offsets that may be decided above an undecided one.
pub const AHEAD_MAX: u64 = 65_536;
/// The same for a subscription with a filter, which may read far to find little: half a megabyte of bits.
pub const AHEAD_FILTERED_MAX: u64 = 64 * AHEAD_MAX;

/// A set of offsets in which everything below `cursor` is contained.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decided {
    cursor: u64,
    /// Bit n of the window is offset `base` + n; `base` is a multiple of 64 and at most `cursor`.
    base: u64,
    window: VecDeque<u64>,
    ahead: u64,
}

impl Decided {
    /// Everything below `start` is decided, because it is not this subscription's.
    pub fn from(start: u64) -> Self {
        let base = start & !63;
        Self { cursor: start, base, window: VecDeque::new(), ahead: 0 }
    }

    /// The lowest offset that is not decided.
    pub fn cursor(&self) -> u64 {
        self.cursor
    }

    /// How many offsets above the cursor are decided.
    pub fn ahead(&self) -> u64 {
        self.ahead
    }

    /// Whether an offset is decided.
    pub fn contains(&self, offset: u64) -> bool {
        offset < self.cursor || self.bit(offset)
    }

    fn bit(&self, offset: u64) -> bool {
        let Some(n) = offset.checked_sub(self.base) else { return true };
        self.window.get((n / 64) as usize).is_some_and(|word| word >> (n % 64) & 1 == 1)
    }

    /// Adds an offset. Says whether it was new.
    pub fn insert(&mut self, offset: u64) -> bool {
        if self.contains(offset) {
            return false;
        }
        if offset == self.cursor && self.window.is_empty() {
            self.cursor += 1;
            self.base = self.cursor & !63;
            return true;
        }
        self.set(offset);
        if offset == self.cursor {
            self.advance()
        } else {
            self.ahead += 1
        }
        true
    }

    /// Adds everything below `to`. Says how many offsets were new.
    pub fn advance_to(&mut self, to: u64) -> u64 {
        self.insert_run(0, to)
    }

    /// Adds the offsets from `from` to before `to`, 64 at a time. Says how many were new.
    pub fn insert_run(&mut self, from: u64, to: u64) -> u64 {
        let from = from.max(self.cursor);
        if from >= to {
            return 0;
        }
        if from == self.cursor && self.window.is_empty() {
            self.cursor = to;
            self.base = to & !63;
            return to - from;
        }
        let new = self.set_run(from, to);
        self.ahead += new;
        if from == self.cursor {
            // What is counted as ahead begins above the cursor, and that is decided now.
            self.ahead -= 1;
            self.advance();
        }
        new
    }

    /// Whether one of the offsets from `from` to before `to` is decided, 64 at a time.
    pub fn contains_any(&self, from: u64, to: u64) -> bool {
        from < to
            && (from < self.cursor
                || words(from - self.base, to - self.base)
                    .any(|(word, bits)| self.window.get(word).is_some_and(|set| set & bits != 0)))
    }

    fn set_run(&mut self, from: u64, to: u64) -> u64 {
        let len = (to - self.base).div_ceil(64) as usize;
        if self.window.len() < len {
            self.window.resize(len, 0);
        }
        let mut new = 0;
        for (word, bits) in words(from - self.base, to - self.base) {
            if let Some(set) = self.window.get_mut(word) {
                new += u64::from((bits & !*set).count_ones());
                *set |= bits;
            }
        }
        new
    }

    fn set(&mut self, offset: u64) {
        let n = offset - self.base;
        let word = (n / 64) as usize;
        if self.window.len() <= word {
            self.window.resize(word + 1, 0);
        }
        if let Some(bits) = self.window.get_mut(word) {
            *bits |= 1 << (n % 64);
        }
    }

    fn advance(&mut self) {
        self.cursor += 1;
        while self.ahead > 0 && self.bit(self.cursor) {
            let run = self.run_at_cursor().min(self.ahead);
            self.cursor += run;
            self.ahead -= run;
        }
        while self.cursor - self.base >= 64 {
            self.window.pop_front();
            self.base += 64;
        }
        if self.ahead == 0 {
            self.window.clear();
        }
    }

    /// How many bits of the cursor's word are set from the cursor on.
    fn run_at_cursor(&self) -> u64 {
        let n = self.cursor - self.base;
        let word = self.window.get((n / 64) as usize).copied().unwrap_or_default();
        u64::from((word >> (n % 64)).trailing_ones())
    }

    /// The offsets above the cursor that are decided, lowest first.
    pub fn ahead_offsets(&self) -> impl Iterator<Item = u64> {
        let words = self.window.iter().zip(0_u64..);
        words
            .flat_map(|(bits, word)| (0..64).filter(move |n| bits >> n & 1 == 1).map(move |n| word * 64 + n))
            .map(|n| self.base + n)
            .filter(|offset| *offset > self.cursor)
    }
}

/// The bits from `from` to before `to`, by word.
fn words(from: u64, to: u64) -> impl Iterator<Item = (usize, u64)> {
    (from / 64..to.div_ceil(64)).map(move |word| {
        let low = from.saturating_sub(word * 64);
        let high = (to - word * 64).min(64);
        ((word as usize), (u64::MAX >> (64 - (high - low))) << low)
    })
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn it_agrees_with_a_plain_set_in_any_order() {
        let mut seed = 1_u64;
        for start in [0, 5, 64, 1000] {
            let (mut decided, mut plain) = (Decided::from(start), BTreeSet::new());
            for _ in 0..3000 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let offset = start + (seed >> 33) % 400;
                assert_eq!(decided.insert(offset), plain.insert(offset));
                let cursor = (start..).find(|o| !plain.contains(o));
                assert_eq!(Some(decided.cursor()), cursor);
                let ahead: Vec<u64> = plain.iter().copied().filter(|o| *o > decided.cursor()).collect();
                assert_eq!(decided.ahead_offsets().collect::<Vec<_>>(), ahead);
                assert_eq!(decided.ahead(), ahead.len() as u64);
            }
        }
    }

    #[test]
    fn what_is_passed_over_counts_once() {
        let mut decided = Decided::from(10);
        for offset in [11, 12, 40, 41, 200] {
            decided.insert(offset);
        }
        assert_eq!(decided.advance_to(5), 0);
        assert_eq!(decided.advance_to(13), 1);
        assert_eq!((decided.cursor(), decided.ahead()), (13, 3));
        assert_eq!(decided.advance_to(40), 27);
        assert_eq!((decided.cursor(), decided.ahead()), (42, 1));
        assert_eq!(decided.advance_to(300), 257);
        assert_eq!(decided, Decided::from(300));
    }

    #[test]
    fn runs_are_the_same_as_their_offsets_one_by_one() {
        let mut seed = 7_u64;
        let mut below = |end: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % end
        };
        for start in [0, 5, 64, 1000] {
            let (mut decided, mut plain) = (Decided::from(start), BTreeSet::new());
            for _ in 0..600 {
                let from = start + below(3000);
                let to = from + [1, 2, 63, 64, 65, 200][below(6) as usize];
                assert_eq!(decided.contains_any(from, to), (from..to).any(|o| plain.contains(&o)));
                let new = (from..to).filter(|o| plain.insert(*o)).count() as u64;
                assert_eq!(decided.insert_run(from, to), new);
                assert_eq!(Some(decided.cursor()), (start..).find(|o| !plain.contains(o)));
                let ahead: Vec<u64> = plain.iter().copied().filter(|o| *o > decided.cursor()).collect();
                assert_eq!(decided.ahead_offsets().collect::<Vec<_>>(), ahead);
                assert_eq!(decided.ahead(), ahead.len() as u64);
            }
        }
        let mut decided = Decided::from(3);
        assert_eq!((decided.insert_run(0, 1_000_000), decided.insert_run(5, 5)), (999_997, 0));
        assert_eq!((decided.cursor(), decided.window.len()), (1_000_000, 0));
    }

    #[test]
    fn in_order_it_keeps_no_window() {
        let mut decided = Decided::from(0);
        for offset in 0..1000 {
            assert!(decided.insert(offset));
        }
        assert_eq!((decided.cursor(), decided.window.len()), (1000, 0));
        assert!(!decided.insert(999));
    }
}
