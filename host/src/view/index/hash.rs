//! The 64-bit hashes by which index files are sorted. They stand in files, so they never change within a format
//! version. They are not secret: whoever looks something up compares what is found with what was asked for.

use uuid::Uuid;

use crate::model::change::ChannelId;

const FLOW_SEED: u64 = 0x9e37_79b9_7f4a_7c15;
const ID_SEED: u64 = 0xc2b2_ae3d_27d4_eb4f;
const STEP: u64 = 0xd6e8_feb8_6659_fd93;

/// The hash of a flow.
pub fn of_flow(flow: Uuid) -> u64 {
    let (high, low) = flow.as_u64_pair();
    mix(mix(FLOW_SEED ^ high) ^ low)
}

/// The hash of an event's identity on its channel.
pub fn of_identity(channel: ChannelId, source: &[u8], id: &[u8]) -> u64 {
    bytes(bytes(mix(ID_SEED ^ u64::from(channel)), source), id)
}

fn bytes(seed: u64, bytes: &[u8]) -> u64 {
    let (words, tail) = bytes.as_chunks::<8>();
    let hash =
        words.iter().fold(seed ^ bytes.len() as u64, |hash, word| mix(hash ^ u64::from_le_bytes(*word)));
    let rest = tail.iter().fold(0, |rest, byte| rest << 8 | u64::from(*byte));
    mix(hash ^ rest)
}

/// The two halves of the full product, folded: every bit of the input reaches every bit of the output.
fn mix(word: u64) -> u64 {
    let product = u128::from(word ^ ID_SEED) * u128::from(STEP);
    (product >> 64) as u64 ^ product as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn hashes_of_similar_things_differ_and_spread() {
        let mut all = HashSet::new();
        for n in 0_u32..20_000 {
            all.insert(of_flow(Uuid::from_u128(n.into())));
            all.insert(of_identity(n, b"/shop", b"1"));
            all.insert(of_identity(1, b"/shop", format!("order-{n}").as_bytes()));
            all.insert(of_identity(1, format!("/shop/{n}").as_bytes(), b"1"));
        }
        assert_eq!(all.len(), 80_000);
        let tops: HashSet<u64> = all.iter().map(|hash| hash >> 56).collect();
        assert_eq!(tops.len(), 256);
    }

    #[test]
    fn the_hashes_in_files_stay_what_they_are() {
        assert_eq!(of_flow(Uuid::from_u128(1)), FLOW_ONE);
        assert_eq!(of_identity(3, b"/shop", b"order-12345"), IDENTITY_ONE);
        assert_ne!(of_identity(3, b"/shop1", b""), of_identity(3, b"/shop", b"1"));
    }

    const FLOW_ONE: u64 = 3_929_345_952_509_267_009;
    const IDENTITY_ONE: u64 = 12_127_543_224_403_961_401;
}
