//! The orders that the demo places. They are what customers would send; how they fare is up to the processors.

use serde_json::{Value, json};

/// An order, and how it should end.
pub struct Wish {
    /// Why it is placed, for people.
    pub story: &'static str,
    /// The book.
    pub sku: &'static str,
    /// How many copies.
    pub quantity: u32,
    /// What one copy costs.
    pub unit_price_minor: u64,
    /// One of the card networks' public test numbers.
    pub card: &'static str,
    /// Who orders: name, mail address.
    pub customer: [&'static str; 2],
    /// Where it goes: street, postcode, city, country.
    pub ship_to: [&'static str; 4],
    /// The event that ends it.
    pub ends_with: &'static str,
}

/// An order as most are: charged, packed, shipped.
pub const ADA: Wish = Wish {
    story: "Ada orders 2 x moby-dick",
    sku: "moby-dick",
    quantity: 2,
    unit_price_minor: 1499,
    card: "4242 4242 4242 4242",
    customer: ["Ada Lovelace", "ada@example.org"],
    ship_to: ["Rua Augusta 1", "1100-048", "Lisboa", "PT"],
    ends_with: "order-shipped",
};

/// An order that leaves few copies, so that the warehouse acts.
pub const BRAM: Wish = Wish {
    story: "Bram orders 3 x dracula: few are left, so the warehouse acts",
    sku: "dracula",
    quantity: 3,
    unit_price_minor: 1199,
    card: "4111 1111 1111 1111",
    customer: ["Bram Stoker", "bram@example.ie"],
    ship_to: ["Marino Crescent 15", "D03 K2", "Dublin", "IE"],
    ends_with: "order-shipped",
};

/// An order to another country.
pub const MARY: Wish = Wish {
    story: "Mary orders 1 x frankenstein",
    sku: "frankenstein",
    quantity: 1,
    unit_price_minor: 999,
    card: "5555 5555 5555 4444",
    customer: ["Mary Shelley", "mary@example.com"],
    ship_to: ["Karl-Liebknecht-Str. 8", "04107", "Leipzig", "DE"],
    ends_with: "order-shipped",
};

/// An order whose card is declined.
pub const DENIED: Wish = Wish {
    story: "Herman orders 5 x moby-dick, and his card is declined",
    sku: "moby-dick",
    quantity: 5,
    unit_price_minor: 1499,
    card: "4000 0000 0000 0002",
    customer: ["Herman Melville", "herman@example.com"],
    ship_to: ["Pearl Street 6", "10004", "New York", "US"],
    ends_with: "payment-denied",
};

/// An order whose card has expired.
pub const EXPIRED: Wish = Wish {
    story: "Mary orders 1 x frankenstein, and her card has expired",
    card: "4000 0000 0000 0069",
    ends_with: "card-updated",
    ..MARY
};

/// An order of more copies than there are.
pub const SHORT: Wish = Wish {
    story: "Bram orders 8 x dracula, of which there are 6",
    quantity: 8,
    ends_with: "payment-refunded",
    ..BRAM
};

/// An order whose card has expired, and whose next one cannot be charged as it is written. Few copies are left, so that the warehouse acts.
pub const MISTYPED: Wish = Wish {
    story: "Bram orders 3 x dracula, and sends a card whose month is no month",
    card: "4000 0000 0000 0069",
    ends_with: "card-updated",
    ..BRAM
};

/// An order so large that somebody has to look at it.
pub const LARGE: Wish = Wish {
    story: "George orders 12 x middlemarch: somebody has to approve that",
    sku: "middlemarch",
    quantity: 12,
    unit_price_minor: 1099,
    card: "4242 4242 4242 4242",
    customer: ["George Eliot", "george@example.org"],
    ship_to: ["Rua do Carmo 12", "1200-093", "Lisboa", "PT"],
    ends_with: "order-approved",
};

impl Wish {
    /// The data of its `place-order` event.
    pub fn data(&self) -> Value {
        let [name, email] = self.customer;
        let [street, postcode, city, country] = self.ship_to;
        json!({
            "sku": self.sku, "quantity": self.quantity,
            "unit_price_minor": self.unit_price_minor, "currency": "EUR",
            "customer": { "name": name, "email": email },
            "card": { "number": self.card, "expires": "2039-12" },
            "ship_to": { "street": street, "postcode": postcode, "city": city, "country": country },
        })
    }
}
