//! Fills the shop's stock when it runs low: from the warehouses first, and from the publisher when all of these are low.
//!
//! Its own delivery comes back to it as the next `inventory-updated`. That ring ends, because a delivery is never
//! smaller than what is missing, and what is on its way counts as there: two orders in quick succession do not order twice.

mod levels;

use baton_sdk::prelude::*;
use levels::{Levels, Part};

/// Below this the shop's stock is low.
const LOW: i64 = 5;
/// A delivery fills the shop's stock up to this at least. Above `LOW`, so that a delivery is never answered by another.
const FULL: i64 = 20;
/// The publisher prints no fewer.
const PRINT_RUN: u32 = 25;

#[derive(Deserialize)]
struct InventoryUpdated {
    sku: String,
    available: i64,
    cause: Cause,
}

#[derive(Deserialize)]
struct Cause {
    event: String,
    quantity: u32,
}

#[derive(Serialize)]
struct StockReplenished<'a> {
    sku: &'a str,
    quantity: u32,
    parts: Vec<Part>,
}

#[processor(
    name = "warehouse",
    description = "Fills the shop's stock from the warehouses, and these from the publisher.",
    subscribe("inventory-updated", key = "/sku"),
    publishes("stock-replenished")
)]
fn replenish(event: Event<InventoryUpdated>, cx: &mut Context) -> Handled {
    let update = event.data();
    let on_its_way = still_on_its_way(update, cx)?;
    cx.state().set("on_its_way", &on_its_way)?;
    let expected = update.available.saturating_add(on_its_way.into());
    if expected >= LOW {
        return cx.nothing_to_tell(format_args!("{expected} are there or on their way"));
    }
    let missing = u32::try_from(FULL.saturating_sub(expected)).unwrap_or(u32::MAX);
    let parts = gather(missing, cx)?;
    let quantity = parts.iter().map(|part| part.quantity).sum();
    cx.state().set("on_its_way", &on_its_way.saturating_add(quantity))?;
    cx.publish("stock-replenished", &StockReplenished { sku: &update.sku, quantity, parts })
}

/// What was sent and has not been counted in yet.
fn still_on_its_way(update: &InventoryUpdated, cx: &mut Context<'_>) -> Result<u32, Fault> {
    let sent: u32 = cx.state().get_or_default("on_its_way")?;
    let arrived = if update.cause.event == "stock-replenished" { update.cause.quantity } else { 0 };
    Ok(sent.saturating_sub(arrived))
}

/// Transfers first; the publisher sends the rest once all warehouses are low.
fn gather(missing: u32, cx: &mut Context<'_>) -> Result<Vec<Part>, Fault> {
    let mut levels: Levels = cx.state().get_or_default("levels")?;
    let mut parts = levels.take(missing);
    let transferred: u32 = parts.iter().map(|part| part.quantity).sum();
    let rest = missing - transferred;
    if rest > 0 && levels.all_low() {
        cx.log_info(format_args!("all warehouses are low: {rest} more from the publisher"));
        parts.push(Part { from: "publisher".to_owned(), quantity: rest.max(PRINT_RUN) });
    }
    cx.state().set("levels", &levels)?;
    Ok(parts)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing)]
    use super::*;
    use baton_sdk::serde_json::{Value, json};
    use baton_sdk::testing::{TestEvent, TestKit, event};

    fn kit() -> TestKit {
        TestKit::new(replenish_processor())
    }

    fn update(available: i64, cause: &str, quantity: u32) -> TestEvent {
        let cause = json!({ "event": cause, "quantity": quantity });
        let data =
            json!({ "sku": "dracula", "on_hand": 9, "reserved": 9, "available": available, "cause": cause });
        event("inventory-updated").subject("o-1").json(&data)
    }

    #[test]
    fn enough_is_enough() {
        let out = kit().deliver(update(LOW, "order-created", 1));
        assert_eq!(out.told_nothing(), Some("5 are there or on their way"));
    }

    #[test]
    fn a_low_stock_is_filled_from_the_warehouses() {
        let out = kit().deliver(update(4, "order-created", 1));
        assert_eq!(
            out.published("stock-replenished")[0].data::<Value>(),
            json!({
                "sku": "dracula", "quantity": 16,
                "parts": [{ "from": "leipzig", "quantity": 10 }, { "from": "porto", "quantity": 6 }],
            })
        );
    }

    #[test]
    fn the_publisher_helps_when_all_are_low() {
        let out = kit().deliver(update(-10, "order-created", 15));
        let told: Value = out.published("stock-replenished")[0].data();
        assert_eq!(told["parts"][3], json!({ "from": "publisher", "quantity": PRINT_RUN }));
        assert_eq!(told["quantity"], 22 + PRINT_RUN);
    }

    #[test]
    fn what_is_on_its_way_is_not_sent_twice() {
        let mut kit = kit();
        kit.deliver(update(4, "order-created", 1));
        let out = kit.deliver(update(3, "order-created", 1));
        assert_eq!(out.told_nothing(), Some("19 are there or on their way"));
        let out = kit.deliver(update(19, "stock-replenished", 16));
        assert_eq!(out.told_nothing(), Some("19 are there or on their way"));
        assert_eq!(kit.state::<u32>("dracula", "on_its_way"), Some(0));
    }
}
