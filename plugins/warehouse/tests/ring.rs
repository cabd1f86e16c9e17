//! `inventory` and `warehouse` answer each other: `inventory-updated`, `stock-replenished`, `inventory-updated`. That must end.
#![allow(missing_docs)]

use std::collections::VecDeque;

use baton_sdk::serde_json::{Value, json};
use baton_sdk::testing::{TestEvent, TestKit, event};
use inventory::Inventory;
use warehouse::replenish_processor;

/// Both processors, and the events that are on their way between them.
struct Ring {
    inventory: TestKit,
    warehouse: TestKit,
    events: VecDeque<TestEvent>,
    deliveries: u32,
}

impl Ring {
    fn new() -> Self {
        Self {
            inventory: TestKit::new(Inventory::processor()),
            warehouse: TestKit::new(replenish_processor()),
            events: VecDeque::new(),
            deliveries: 0,
        }
    }

    fn order(&mut self, id: &str, quantity: u32) {
        let order = json!({ "order_id": id, "sku": "dracula", "quantity": quantity });
        self.events.push_back(event("order-created").subject(id).json(&order));
    }

    /// Lets both work until nothing is left; says how many events that took.
    fn settle(&mut self) -> u32 {
        let mut handled = 0;
        while let Some(event) = self.events.pop_front() {
            handled += 1;
            assert!(handled < 1_000, "the ring does not end");
            let counted = self.inventory.deliver(event);
            for update in counted.published("inventory-updated") {
                let filled = self.warehouse.deliver(update.to_event());
                let deliveries = filled.published("stock-replenished");
                self.deliveries += deliveries.len() as u32;
                self.events.extend(deliveries.iter().map(|delivery| delivery.to_event()));
            }
        }
        handled
    }

    fn available(&self) -> Option<i64> {
        let stock: Value = self.inventory.state("dracula", "stock")?;
        Some(stock.get("on_hand")?.as_i64()? - stock.get("reserved")?.as_i64()?)
    }
}

#[test]
fn one_order_that_empties_the_shelf_settles_in_one_round() {
    let mut ring = Ring::new();
    ring.order("o-1", 6);
    assert_eq!(ring.settle(), 2);
    assert_eq!(ring.available(), Some(20));
}

#[test]
fn orders_in_quick_succession_settle_with_one_delivery() {
    let mut ring = Ring::new();
    for order in ["o-1", "o-2", "o-3"] {
        ring.order(order, 2);
    }
    ring.settle();
    assert_eq!((ring.deliveries, ring.available()), (1, Some(16)));
}

#[test]
fn it_settles_also_when_the_warehouses_are_empty() {
    let mut ring = Ring::new();
    for order in 0..40 {
        ring.order(&format!("o-{order}"), 20);
        ring.settle();
        assert!(ring.available() >= Some(5), "after order {order}");
    }
    ring.order("o-large", 4_000_000);
    assert_eq!(ring.settle(), 2);
}
