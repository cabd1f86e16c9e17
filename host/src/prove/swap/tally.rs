//! Holds what was acknowledged against what came of it, event by event. It knows numbers, keys and versions, and no host.

use std::collections::BTreeMap;

/// An event of a channel, as far as a proof looks at it.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// Its number.
    pub number: u64,
    /// Its key.
    pub key: u64,
    /// The version that made it; 0 for what came from outside.
    pub version: u32,
}

/// What is wrong with a channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wrongs {
    /// Numbers that were acknowledged and are not there.
    pub lost: u64,
    /// Numbers that are there more than once.
    pub doubled: u64,
    /// Events that stand before an earlier one of their key.
    pub out_of_order: u64,
    /// Events that an older version made after a newer one.
    pub retired: u64,
}

/// Looks at the events of a channel in their order: those numbered from 1 to `acknowledged` have to be there once.
pub fn wrongs(seen: &[Seen], acknowledged: u64) -> Wrongs {
    let mut wrongs = Wrongs::default();
    let mut counts = BTreeMap::<u64, u64>::new();
    let mut last_of_key = BTreeMap::<u64, u64>::new();
    let mut newest = 0;
    for event in seen {
        *counts.entry(event.number).or_default() += 1;
        let last = last_of_key.entry(event.key).or_default();
        wrongs.out_of_order += u64::from(event.number < *last);
        *last = event.number.max(*last);
        wrongs.retired += u64::from(event.version < newest);
        newest = newest.max(event.version);
    }
    wrongs.lost = (1..=acknowledged).filter(|number| !counts.contains_key(number)).count() as u64;
    wrongs.doubled = counts.values().map(|count| count - 1).sum();
    wrongs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(rows: &[(u64, u64, u32)]) -> Vec<Seen> {
        rows.iter()
            .map(|(number, key, version)| Seen { number: *number, key: *key, version: *version })
            .collect()
    }

    #[test]
    fn each_kind_of_wrong_is_counted_and_nothing_else() {
        let good = seen(&[(1, 1, 0), (2, 0, 0), (4, 0, 1), (3, 1, 1)]);
        assert_eq!(wrongs(&good, 4), Wrongs::default());
        assert_eq!(wrongs(&good, 5), Wrongs { lost: 1, ..Wrongs::default() });
        assert_eq!(wrongs(&good, 3), Wrongs::default(), "what was recorded and not acknowledged is no wrong");
        let doubled = seen(&[(1, 1, 0), (1, 1, 0)]);
        assert_eq!(wrongs(&doubled, 1), Wrongs { doubled: 1, ..Wrongs::default() });
        let turned = seen(&[(3, 1, 0), (1, 1, 0), (2, 0, 0)]);
        assert_eq!(wrongs(&turned, 3), Wrongs { out_of_order: 1, ..Wrongs::default() });
        let late = seen(&[(1, 1, 2), (2, 0, 1), (3, 1, 2)]);
        assert_eq!(wrongs(&late, 3), Wrongs { retired: 1, ..Wrongs::default() });
    }
}
