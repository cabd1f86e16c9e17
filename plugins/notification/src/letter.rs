//! What the shop writes about each kind of event. Each reads of its event only what the letter names.

use baton_sdk::prelude::*;

/// The subject of a mail, and its text without greetings.
pub struct Letter {
    pub subject: String,
    pub text: String,
}

#[derive(Deserialize)]
struct OrderCreated {
    sku: String,
    quantity: u32,
    total_minor: u64,
    currency: String,
    card: Card,
}

#[derive(Deserialize)]
struct Card {
    last_four: String,
}

#[derive(Deserialize)]
struct PaymentDenied {
    reason: String,
    card_last_four: String,
}

#[derive(Deserialize)]
struct PaymentRefunded {
    amount_minor: u64,
    currency: String,
    card_last_four: String,
    reason: String,
}

#[derive(Deserialize)]
struct OrderFulfilled {
    sku: String,
    parcels: Vec<u32>,
}

#[derive(Deserialize)]
struct OrderShipped {
    carrier: String,
    tracking: Vec<String>,
    days_max: u32,
    city: String,
}

impl Letter {
    /// The letter about an event of an order.
    pub fn about<T>(event: &Event<'_, T>, order: &str) -> Result<Self, Fault> {
        match event.channel() {
            "order-created" => event.decode().map(|created| Self::created(order, &created)),
            "payment-denied" => event.decode().map(|denied| Self::denied(order, &denied)),
            "payment-refunded" => event.decode().map(|refunded| Self::refunded(order, &refunded)),
            "order-fulfilled" => event.decode().map(|fulfilled| Self::fulfilled(order, &fulfilled)),
            _ => event.decode().map(|shipped| Self::shipped(order, &shipped)),
        }
    }

    fn created(order: &str, created: &OrderCreated) -> Self {
        let OrderCreated { sku, quantity, total_minor, currency, card } = created;
        Self {
            subject: format!("We have your order {order}"),
            text: format!(
                "thank you for ordering {quantity} x {sku}.\nWe charge {} to your card ending in {}.",
                money(*total_minor, currency),
                card.last_four
            ),
        }
    }

    fn denied(order: &str, denied: &PaymentDenied) -> Self {
        let why = match denied.reason.as_str() {
            "insufficient_funds" => "The amount is not covered.",
            "expired_card" => "The card has expired.",
            _ => "The bank does not say why. Please try another card.",
        };
        Self {
            subject: format!("We could not charge your card for {order}"),
            text: format!(
                "your card ending in {} was not accepted. {why}\nThe order is cancelled and nothing has been charged.",
                denied.card_last_four
            ),
        }
    }

    fn refunded(order: &str, refunded: &PaymentRefunded) -> Self {
        let PaymentRefunded { amount_minor, currency, card_last_four, reason } = refunded;
        Self {
            subject: format!("Your order {order} is cancelled"),
            text: format!(
                "we are sorry: {reason}.\nWe have given {} back to your card ending in {card_last_four}.",
                money(*amount_minor, currency)
            ),
        }
    }

    fn fulfilled(order: &str, fulfilled: &OrderFulfilled) -> Self {
        let parcels = match fulfilled.parcels.len() {
            1 => "one parcel".to_owned(),
            count => format!("{count} parcels"),
        };
        Self {
            subject: format!("Your order {order} is packed"),
            text: format!("your {} is packed into {parcels} and waits for the carrier.", fulfilled.sku),
        }
    }

    fn shipped(order: &str, shipped: &OrderShipped) -> Self {
        let OrderShipped { carrier, tracking, days_max, city } = shipped;
        Self {
            subject: format!("Your order {order} is on its way"),
            text: format!(
                "{carrier} brings it to {city} within {days_max} days.\nFollow it by: {}.",
                tracking.join(", ")
            ),
        }
    }
}

/// An amount in the hundredth parts of a currency.
fn money(minor: u64, currency: &str) -> String {
    format!("{}.{:02} {currency}", minor / 100, minor % 100)
}
