//! The stock of one book: what is there, and what is promised to orders.

use baton_sdk::prelude::*;

/// How many copies there are and how many of them are promised.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stock {
    pub on_hand: u32,
    /// May exceed what is on hand: orders wait for the next delivery.
    pub reserved: u32,
}

/// What an order holds.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hold {
    /// So many copies.
    Reserved(u32),
    /// Nothing any more, and nothing ever again.
    Released,
}

impl Stock {
    /// A stock of which nothing is promised yet.
    pub fn of(on_hand: u32) -> Self {
        Self { on_hand, reserved: 0 }
    }

    /// What can still be sold; below zero when orders wait.
    pub fn available(self) -> i64 {
        i64::from(self.on_hand) - i64::from(self.reserved)
    }

    /// Promises copies to an order.
    pub fn reserve(self, quantity: u32) -> Self {
        Self { reserved: self.reserved.saturating_add(quantity), ..self }
    }

    /// Takes a promise back.
    pub fn release(self, quantity: u32) -> Self {
        Self { reserved: self.reserved.saturating_sub(quantity), ..self }
    }

    /// Adds what was delivered.
    pub fn add(self, quantity: u32) -> Self {
        Self { on_hand: self.on_hand.saturating_add(quantity), ..self }
    }
}
