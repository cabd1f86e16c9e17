//! Bytes that nobody wrote, for tests: what is sound is cut, doubled, swapped and turned over, by chance that is the same each time.
#![allow(clippy::indexing_slicing)]

use crate::journal::storage::simulated::Chance;

/// Does one to four things to the bytes.
pub fn mangle(bytes: &mut Vec<u8>, chance: &mut Chance) {
    for _ in 0..=chance.below(4) {
        let at = chance.below(bytes.len());
        let len = chance.below((bytes.len() - at).min(64) + 1);
        match chance.below(6) {
            _ if bytes.is_empty() => bytes.push(chance.number() as u8),
            0 | 1 => bytes[at] ^= 1 << chance.below(8),
            2 => drop(bytes.drain(at..at + len)),
            3 => {
                let part = bytes[at..at + len].to_vec();
                let to = chance.below(bytes.len());
                bytes.splice(to..to, part);
            }
            4 => bytes[at..at + len].iter_mut().for_each(|byte| *byte = chance.number() as u8),
            _ => bytes.truncate(at),
        }
    }
}
