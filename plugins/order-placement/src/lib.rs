//! Takes orders: checks them, gives them an id, and tells the shop.
//!
//! What a customer gets wrong is no fault: it is told as `order-refused`, and the customer has an answer with all that is
//! to mend. Every order has a key of its own, so no order waits for another.

mod order;

use baton_sdk::prelude::*;
use order::{Address, Customer, PlaceOrder, Problem};

/// All that the shop needs to know of an order, so that no processor has to ask another.
#[derive(Serialize)]
struct OrderCreated {
    order_id: String,
    sku: String,
    quantity: u32,
    unit_price_minor: u64,
    total_minor: u64,
    currency: String,
    customer: Customer,
    card: CardToken,
    ship_to: Address,
}

#[derive(Serialize)]
struct CardToken {
    token: String,
    last_four: String,
    expires: String,
}

#[derive(Serialize)]
struct OrderRefused {
    order_id: String,
    problems: Vec<Problem>,
}

#[derive(Serialize)]
struct Placed<'a> {
    order_id: &'a str,
    total_minor: u64,
    currency: &'a str,
}

#[processor(
    name = "order-placement",
    description = "Takes orders.",
    subscribe("place-order", key = "id"),
    publishes("order-created", "order-refused"),
    schema("place-order", "schemas/place-order.json"),
    schema("order-created", "schemas/order-created.json"),
    schema("order-refused", "schemas/order-refused.json")
)]
fn place_order(event: Event, cx: &mut Context) -> Handled {
    let order_id = format!("order-{}", event.id());
    if cx.state().get_bytes("order").is_some() {
        let problem = Problem::new("id", "another order has this id already");
        return refuse(order_id, vec![problem], cx);
    }
    match event.decode::<PlaceOrder>() {
        Ok(order) => match order.problems() {
            problems if problems.is_empty() => accept(order_id, order, cx),
            problems => refuse(order_id, problems, cx),
        },
        Err(fault) => refuse(order_id, vec![Problem::new("", fault.message())], cx),
    }
}

fn accept(order_id: String, order: PlaceOrder, cx: &mut Context<'_>) -> Handled {
    let total_minor = order.total_minor().or_reject("the total is too large")?;
    let card = CardToken {
        token: order.card.token(),
        last_four: order.card.last_four(),
        expires: order.card.expires,
    };
    let created = OrderCreated {
        order_id,
        total_minor,
        card,
        sku: order.sku,
        quantity: order.quantity,
        unit_price_minor: order.unit_price_minor,
        currency: order.currency,
        customer: order.customer,
        ship_to: order.ship_to,
    };
    cx.state().set("order", &created)?;
    let OrderCreated { order_id, currency, .. } = &created;
    cx.reply(&Placed { order_id, total_minor, currency })?;
    cx.emit("order-created").subject(order_id).partition_key(order_id).json(&created)
}

fn refuse(order_id: String, problems: Vec<Problem>, cx: &mut Context<'_>) -> Handled {
    let refused = OrderRefused { order_id, problems };
    cx.reply(&refused)?;
    cx.emit("order-refused").subject(&refused.order_id).json(&refused)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing, clippy::unwrap_used)]
    use super::*;
    use baton_sdk::serde_json::{Value, json};
    use baton_sdk::testing::{TestEvent, TestKit, event};

    fn order() -> Value {
        json!({
            "sku": "moby-dick", "quantity": 2, "unit_price_minor": 1499, "currency": "EUR",
            "customer": { "name": "Ada Lovelace", "email": "ada@example.org" },
            "card": { "number": "4242 4242 4242 4242", "expires": "2030-04" },
            "ship_to": { "street": "Rua Augusta 1", "postcode": "1100-048", "city": "Lisboa", "country": "PT" },
        })
    }

    fn placing(order: &Value) -> TestEvent {
        event("place-order").id("7").partition_key("web").json(order)
    }

    #[test]
    fn a_good_order_is_created_kept_and_answered() {
        let mut kit = TestKit::new(place_order_processor());
        let out = kit.deliver(placing(&order()));
        let created = out.published("order-created")[0];
        assert_eq!((created.subject(), created.partition_key()), (Some("order-7"), Some("order-7")));
        assert_eq!(created.data::<Value>()["total_minor"], 2998);
        assert_eq!(kit.state::<Value>("7", "order"), Some(created.data()));
        let placed = json!({ "order_id": "order-7", "total_minor": 2998, "currency": "EUR" });
        assert_eq!(out.reply::<Value>(), Some(placed));
    }

    #[test]
    fn the_card_number_goes_no_further() {
        let mut kit = TestKit::new(place_order_processor());
        let out = kit.deliver(placing(&order()));
        let told = String::from_utf8_lossy(out.emitted()[0].bytes()).into_owned();
        assert!(!told.contains("4242 4242") && !told.contains("42424242"), "{told}");
        assert!(told.contains(r#""last_four":"4242""#), "{told}");
    }

    #[test]
    fn a_wrong_order_is_refused_with_all_that_is_wrong() {
        let mut wrong = order();
        wrong["quantity"] = json!(21);
        wrong["card"]["number"] = json!("4242 4242 4242 4241");
        wrong["customer"]["email"] = json!("ada");
        let mut kit = TestKit::new(place_order_processor());
        let out = kit.deliver(placing(&wrong));
        let refused: Value = out.published("order-refused")[0].data();
        let problems = refused["problems"].as_array().unwrap();
        let fields: Vec<_> = problems.iter().map(|problem| problem["field"].as_str().unwrap()).collect();
        assert_eq!(fields, ["quantity", "customer.email", "card.number"]);
        assert_eq!(out.reply::<Value>(), Some(refused));
        assert_eq!(kit.state::<Value>("7", "order"), None);
    }

    #[test]
    fn what_is_no_order_at_all_is_refused_too() {
        let out = TestKit::new(place_order_processor()).deliver(placing(&json!({ "sku": 1 })));
        let refused: Value = out.published("order-refused")[0].data();
        let problem = refused["problems"][0]["problem"].as_str().unwrap();
        assert!(problem.contains("at 'sku': invalid type"), "{problem}");
    }

    #[test]
    fn an_id_from_another_source_does_not_replace_an_order() {
        let mut kit = TestKit::new(place_order_processor());
        let first: Value = kit.deliver(placing(&order())).published("order-created")[0].data();
        let out = kit.deliver(placing(&order()).source("/other-shop"));
        assert_eq!(out.published("order-refused").len(), 1);
        assert_eq!(kit.state::<Value>("7", "order"), Some(first));
    }
}
