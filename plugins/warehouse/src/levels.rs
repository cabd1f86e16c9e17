//! How many copies of one book lie in each warehouse, and what may be taken.

use baton_sdk::prelude::*;

/// What each warehouse keeps for its own region.
pub const KEPT: u32 = 5;

/// The warehouses in the order in which they are asked, and what is there at first.
const AT_FIRST: [(&str, u32); 3] = [("leipzig", 15), ("porto", 12), ("gdansk", 10)];

/// The levels of one book.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Levels(Vec<Level>);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Level {
    warehouse: String,
    copies: u32,
}

/// A part of a delivery.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Part {
    pub from: String,
    pub quantity: u32,
}

impl Default for Levels {
    fn default() -> Self {
        let level = |(warehouse, copies): (&str, u32)| Level { warehouse: warehouse.to_owned(), copies };
        Self(AT_FIRST.map(level).into())
    }
}

impl Levels {
    /// Takes up to `wanted` copies, warehouse by warehouse; none goes below what it keeps.
    pub fn take(&mut self, wanted: u32) -> Vec<Part> {
        let mut missing = wanted;
        let mut parts = Vec::new();
        for level in &mut self.0 {
            let quantity = level.copies.saturating_sub(KEPT).min(missing);
            if quantity > 0 {
                level.copies -= quantity;
                missing -= quantity;
                parts.push(Part { from: level.warehouse.clone(), quantity });
            }
        }
        parts
    }

    /// Whether no warehouse can give anything.
    pub fn all_low(&self) -> bool {
        self.0.iter().all(|level| level.copies <= KEPT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warehouses_give_in_turn_and_keep_their_share() {
        let mut levels = Levels::default();
        let part = |from: &str, quantity| Part { from: from.to_owned(), quantity };
        assert_eq!(levels.take(12), [part("leipzig", 10), part("porto", 2)]);
        assert!(!levels.all_low());
        assert_eq!(levels.take(100), [part("porto", 5), part("gdansk", 5)]);
        assert!(levels.all_low());
        assert_eq!(levels.take(1), []);
    }
}
