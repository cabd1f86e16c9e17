//! The whole relay on native test kits: each processor declares its own view of the payloads, and here these views meet.
#![allow(clippy::indexing_slicing, missing_docs)]

use std::collections::VecDeque;

use baton_sdk::serde_json::{Value, json};
use baton_sdk::testing::{Delivered, Emitted, TestEvent, TestKit, event};
use baton_sdk::{Definition, Descriptor};

/// All processors but `email-analysis`.
const SHOP: [fn() -> Definition; 7] = [
    order_placement::place_order_processor,
    payment::Payment::processor,
    inventory::Inventory::processor,
    warehouse::replenish_processor,
    order_fulfillment::pack_processor,
    shipping::ship_processor,
    notification::write_to_customer_processor,
];

struct Shop {
    processors: Vec<(&'static Descriptor, TestKit)>,
    orders: u32,
}

impl Shop {
    fn open() -> Self {
        let kit = |make: fn() -> Definition| (make().descriptor, TestKit::new(make()));
        Self { processors: SHOP.map(kit).into(), orders: 0 }
    }

    /// Places an order and lets the relay run; returns all that was told, in order.
    fn order(&mut self, sku: &str, card: &str) -> Vec<Emitted> {
        self.orders += 1;
        let order = json!({
            "sku": sku, "quantity": 2, "unit_price_minor": 1499, "currency": "EUR",
            "customer": { "name": "Ada Lovelace", "email": "ada@example.org" },
            "card": { "number": card, "expires": "2030-04" },
            "ship_to": { "street": "Rua Augusta 1", "postcode": "1100-048", "city": "Lisboa", "country": "PT" },
        });
        self.run(event("place-order").id(&self.orders.to_string()).json(&order))
    }

    fn run(&mut self, first: TestEvent) -> Vec<Emitted> {
        let mut told: Vec<Emitted> = Vec::new();
        let mut events = VecDeque::from([(String::from("place-order"), first)]);
        while let Some((channel, event)) = events.pop_front() {
            for outcome in self.deliver(&channel, &event) {
                for emitted in outcome.emitted() {
                    events.push_back((emitted.channel().to_owned(), emitted.to_event()));
                    told.push(emitted.clone());
                }
            }
            assert!(told.len() < 100, "the relay does not end");
        }
        told
    }

    fn deliver(&mut self, channel: &str, event: &TestEvent) -> Vec<Delivered> {
        let hears = |descriptor: &Descriptor| descriptor.subscriptions.iter().any(|s| s.channel == channel);
        let hearing = self.processors.iter_mut().filter(|(descriptor, _)| hears(descriptor));
        hearing.map(|(_, kit)| kit.deliver(event.clone())).collect()
    }

    fn stock(&self, sku: &str) -> Option<Value> {
        let mut processors = self.processors.iter();
        let (_, inventory) = processors.find(|(descriptor, _)| descriptor.name == "inventory")?;
        inventory.state(sku, "stock")
    }
}

fn channels(told: &[Emitted]) -> Vec<&str> {
    told.iter().map(Emitted::channel).collect()
}

#[test]
fn a_paid_order_is_shipped_and_every_step_is_mailed() {
    let told = Shop::open().order("moby-dick", "4242 4242 4242 4242");
    let mut channels = channels(&told);
    channels.sort_unstable();
    assert_eq!(
        channels,
        [
            "email-sent",
            "email-sent",
            "email-sent",
            "inventory-updated",
            "order-created",
            "order-fulfilled",
            "order-shipped",
            "payment-applied",
        ]
    );
    assert!(told.iter().all(|event| event.subject() == Some("order-1")));
}

#[test]
fn stock_after_a_denied_order_is_stock_before() {
    let mut shop = Shop::open();
    shop.order("moby-dick", "4111 1111 1111 1111");
    let before = shop.stock("moby-dick");
    let told = shop.order("moby-dick", "4000 0000 0000 9995");
    assert!(channels(&told).contains(&"payment-denied"));
    assert!(!channels(&told).contains(&"order-fulfilled"));
    assert_eq!(shop.stock("moby-dick"), before);
}

#[test]
fn every_test_card_gets_the_networks_answer_and_its_number_stays_private() {
    let cases = [
        ("4242 4242 4242 4242", None),
        ("4111 1111 1111 1111", None),
        ("5555 5555 5555 4444", None),
        ("4000 0000 0000 0002", Some("declined")),
        ("4000 0000 0000 9995", Some("insufficient_funds")),
        ("4000 0000 0000 0069", Some("expired_card")),
        ("3782 822463 10005", Some("unknown_card")),
    ];
    for (card, reason) in cases {
        let told = Shop::open().order("moby-dick", card);
        let denied = told.iter().find(|event| event.channel() == "payment-denied");
        let why = denied.map(|event| event.data::<Value>()["reason"].clone());
        assert_eq!(why, reason.map(Value::from), "{card}");
        let joined = card.replace(' ', "");
        for event in &told {
            let data = String::from_utf8_lossy(event.bytes());
            assert!(!data.contains(card) && !data.contains(&joined), "{data}");
        }
    }
}

#[test]
fn a_book_that_runs_low_is_replenished_within_the_flow() {
    let mut shop = Shop::open();
    let told = shop.order("dracula", "4242 4242 4242 4242");
    let deliveries = channels(&told).iter().filter(|channel| **channel == "stock-replenished").count();
    assert_eq!(deliveries, 1);
    assert_eq!(shop.stock("dracula"), Some(json!({ "on_hand": 22, "reserved": 2 })));
}

#[test]
fn an_analysis_that_comes_late_reads_all_mails() {
    let mut shop = Shop::open();
    let mut told = shop.order("moby-dick", "4242 4242 4242 4242");
    told.extend(shop.order("frankenstein", "4000 0000 0000 0002"));
    let mut analysis = TestKit::new(email_analysis::analyse_processor());
    for mail in told.iter().filter(|event| event.channel() == "email-sent") {
        analysis.deliver(mail.to_event());
    }
    let report: Value = analysis.state("single", "report").unwrap_or_default();
    assert_eq!(report["emails"], 5);
    assert_eq!(report["per_kind"]["payment-denied"], 1);
    assert_eq!(report["per_domain"]["example.org"], 5);
}
