//! Knows how much of each book is there and how much is reserved.
//!
//! The key is the book, so all that happens to one book happens in the order of the journal, whatever the channel. Each
//! order's hold is kept beside the stock: a release gives back what that order took, once, and an order whose
//! payment was denied never takes anything later.

mod stock;

use std::collections::BTreeMap;
use std::time::Duration;

use baton_sdk::prelude::*;
use stock::{Hold, Stock};

/// What is there before the first event, unless the setting `catalogue` says otherwise. A book that is not listed
/// starts with none.
const CATALOGUE: [(&str, u32); 4] =
    [("moby-dick", 40), ("frankenstein", 25), ("middlemarch", 12), ("dracula", 6)];

/// How long it is remembered that an order was released.
const RELEASED_FOR: Duration = Duration::from_secs(30 * 24 * 3600);

/// What `order-created` and `payment-denied` say that matters here.
#[derive(Deserialize)]
struct Order {
    order_id: String,
    sku: String,
    quantity: u32,
}

#[derive(Deserialize)]
struct StockReplenished {
    sku: String,
    quantity: u32,
}

#[derive(Serialize)]
struct InventoryUpdated<'a> {
    sku: &'a str,
    on_hand: u32,
    reserved: u32,
    available: i64,
    cause: Cause<'a>,
}

/// Why the stock is another.
#[derive(Serialize)]
struct Cause<'a> {
    event: &'a str,
    quantity: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    order_id: Option<&'a str>,
}

/// The inventory.
pub struct Inventory;

#[processor(
    name = "inventory",
    description = "Knows how much of each book is there and how much is reserved.",
    key = "/sku",
    subscribe("order-created"),
    subscribe("payment-denied"),
    subscribe("stock-replenished"),
    publishes("inventory-updated")
)]
impl Processor for Inventory {
    fn handle(event: Event<'_>, cx: &mut Context<'_>) -> Handled {
        match event.channel() {
            "order-created" => reserve(&event.decode()?, cx),
            "payment-denied" => release(&event.decode()?, cx),
            _ => replenish(&event.decode()?, cx),
        }
    }
}

fn reserve(order: &Order, cx: &mut Context<'_>) -> Handled {
    let name = hold_name(order);
    match cx.state().get(&name)? {
        Some(Hold::Reserved(_)) => return cx.nothing_to_tell("this order has its copies already"),
        Some(Hold::Released) => return cx.nothing_to_tell("this order's payment was denied"),
        None => cx.state().set(&name, &Hold::Reserved(order.quantity))?,
    }
    let stock = stock_of(&order.sku, cx)?.reserve(order.quantity);
    let order_id = Some(order.order_id.as_str());
    tell(&order.sku, stock, Cause { event: "order-created", quantity: order.quantity, order_id }, cx)
}

fn release(order: &Order, cx: &mut Context<'_>) -> Handled {
    let name = hold_name(order);
    let held = cx.state().get(&name)?;
    cx.state().set_for(&name, &Hold::Released, RELEASED_FOR)?;
    let Some(Hold::Reserved(quantity)) = held else {
        return cx.nothing_to_tell("this order holds nothing");
    };
    let stock = stock_of(&order.sku, cx)?.release(quantity);
    let order_id = Some(order.order_id.as_str());
    tell(&order.sku, stock, Cause { event: "payment-denied", quantity, order_id }, cx)
}

fn replenish(delivery: &StockReplenished, cx: &mut Context<'_>) -> Handled {
    let stock = stock_of(&delivery.sku, cx)?.add(delivery.quantity);
    let cause = Cause { event: "stock-replenished", quantity: delivery.quantity, order_id: None };
    tell(&delivery.sku, stock, cause, cx)
}

fn hold_name(order: &Order) -> String {
    format!("hold:{}", order.order_id)
}

fn stock_of(sku: &str, cx: &mut Context<'_>) -> Result<Stock, Fault> {
    if let Some(stock) = cx.state().get("stock")? {
        return Ok(stock);
    }
    let catalogue = cx.config_json::<BTreeMap<String, u32>>("catalogue")?;
    let listed = match &catalogue {
        Some(catalogue) => catalogue.get(sku).copied(),
        None => CATALOGUE.iter().find(|(known, _)| *known == sku).map(|(_, on_hand)| *on_hand),
    };
    Ok(Stock::of(listed.unwrap_or(0)))
}

fn tell(sku: &str, stock: Stock, cause: Cause<'_>, cx: &mut Context<'_>) -> Handled {
    cx.state().set("stock", &stock)?;
    let Stock { on_hand, reserved } = stock;
    let available = stock.available();
    cx.publish("inventory-updated", &InventoryUpdated { sku, on_hand, reserved, available, cause })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing)]
    use super::*;
    use baton_sdk::serde_json::{Value, json};
    use baton_sdk::testing::{TestEvent, TestKit, event};

    fn kit() -> TestKit {
        TestKit::new(Inventory::processor())
    }

    fn of_order(channel: &str, order: &str, quantity: u32) -> TestEvent {
        let data = json!({ "order_id": order, "sku": "dracula", "quantity": quantity, "currency": "EUR" });
        event(channel).subject(order).json(&data)
    }

    fn stock(kit: &TestKit) -> Option<Stock> {
        kit.state("dracula", "stock")
    }

    #[test]
    fn an_order_reserves_and_tells() {
        let out = kit().deliver(of_order("order-created", "o-1", 2));
        assert_eq!(
            out.published("inventory-updated")[0].data::<Value>(),
            json!({
                "sku": "dracula", "on_hand": 6, "reserved": 2, "available": 4,
                "cause": { "event": "order-created", "quantity": 2, "order_id": "o-1" },
            })
        );
    }

    #[test]
    fn stock_after_a_denied_order_is_stock_before() {
        let mut kit = kit();
        kit.deliver(of_order("order-created", "o-1", 1));
        let before = stock(&kit);
        kit.deliver(of_order("order-created", "o-2", 3));
        assert_ne!(stock(&kit), before);
        kit.deliver(of_order("payment-denied", "o-2", 3));
        assert_eq!(stock(&kit), before);
    }

    #[test]
    fn an_order_takes_once_and_gives_back_once() {
        let mut kit = kit();
        kit.deliver(of_order("order-created", "o-1", 2));
        let again = kit.deliver(of_order("order-created", "o-1", 2));
        assert_eq!(again.told_nothing(), Some("this order has its copies already"));
        kit.deliver(of_order("payment-denied", "o-1", 2));
        let again = kit.deliver(of_order("payment-denied", "o-1", 2));
        assert_eq!(again.told_nothing(), Some("this order holds nothing"));
        assert_eq!(stock(&kit), Some(Stock::of(6)));
    }

    #[test]
    fn an_order_denied_before_it_was_seen_takes_nothing() {
        let mut kit = kit();
        kit.deliver(of_order("payment-denied", "o-1", 2));
        let late = kit.deliver(of_order("order-created", "o-1", 2));
        assert_eq!(late.told_nothing(), Some("this order's payment was denied"));
        assert_eq!(stock(&kit), None);
    }

    #[test]
    fn more_can_be_ordered_than_is_there_until_a_delivery_comes() {
        let mut kit = kit();
        let out = kit.deliver(of_order("order-created", "o-1", 8));
        assert_eq!(out.published("inventory-updated")[0].data::<Value>()["available"], -2);
        let delivery = json!({ "sku": "dracula", "quantity": 10 });
        let out = kit.deliver(event("stock-replenished").subject("o-1").json(&delivery));
        assert_eq!(out.published("inventory-updated")[0].data::<Value>()["available"], 8);
        assert_eq!(stock(&kit), Some(Stock { on_hand: 16, reserved: 8 }));
    }

    #[test]
    fn the_operator_may_set_the_catalogue() {
        let mut kit = kit().config("catalogue", r#"{"dracula": 100}"#);
        kit.deliver(of_order("order-created", "o-1", 1));
        assert_eq!(stock(&kit), Some(Stock { on_hand: 100, reserved: 1 }));
        let mut kit = TestKit::new(Inventory::processor()).config("catalogue", "100 books");
        let out = kit.deliver(of_order("order-created", "o-1", 1));
        assert!(out.fault().is_some_and(|fault| fault.message().contains("config 'catalogue'")));
    }
}
