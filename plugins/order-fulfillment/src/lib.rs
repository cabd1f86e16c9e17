//! Packs what has been paid.

use baton_sdk::prelude::*;

/// What fits into one parcel.
const PARCEL_BOOKS_MAX: u32 = 8;

#[derive(Serialize, Deserialize)]
struct PaymentApplied {
    order_id: String,
    sku: String,
    quantity: u32,
    customer: Customer,
    ship_to: Address,
}

#[derive(Serialize, Deserialize)]
struct Customer {
    name: String,
    email: String,
}

#[derive(Serialize, Deserialize)]
struct Address {
    street: String,
    postcode: String,
    city: String,
    country: String,
}

/// What the packers did, and all that the carrier needs.
#[derive(Serialize)]
struct OrderFulfilled<'a> {
    order_id: &'a str,
    sku: &'a str,
    /// How many books lie in each parcel.
    parcels: Vec<u32>,
    customer: &'a Customer,
    ship_to: &'a Address,
}

#[processor(
    name = "order-fulfillment",
    description = "Packs what has been paid.",
    subscribe("payment-applied"),
    publishes("order-fulfilled"),
    schema("payment-applied", "schemas/payment-applied.json")
)]
fn pack(event: Event<PaymentApplied>, cx: &mut Context) -> Handled {
    let order = event.data();
    if order.quantity == 0 {
        return Err(Fault::reject("an order of no books cannot be packed"));
    }
    let parcels = parcels(order.quantity);
    cx.state().set("parcels", &parcels)?;
    let PaymentApplied { order_id, sku, customer, ship_to, .. } = order;
    cx.publish("order-fulfilled", &OrderFulfilled { order_id, sku, parcels, customer, ship_to })
}

/// Full parcels, and a last one with the rest.
fn parcels(books: u32) -> Vec<u32> {
    let mut parcels = vec![PARCEL_BOOKS_MAX; (books / PARCEL_BOOKS_MAX) as usize];
    if !books.is_multiple_of(PARCEL_BOOKS_MAX) {
        parcels.push(books % PARCEL_BOOKS_MAX);
    }
    parcels
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing)]
    use super::*;
    use baton_sdk::serde_json::{Value, json};
    use baton_sdk::testing::{TestEvent, TestKit, event};

    fn paid(quantity: u32) -> TestEvent {
        event("payment-applied").subject("o-1").json(&json!({
            "order_id": "o-1", "sku": "dracula", "quantity": quantity, "amount_minor": 999, "currency": "EUR",
            "card_last_four": "4242", "customer": { "name": "Ada", "email": "ada@example.org" },
            "ship_to": { "street": "Rua Augusta 1", "postcode": "1100-048", "city": "Lisboa", "country": "PT" },
        }))
    }

    #[test]
    fn a_paid_order_is_packed_for_the_carrier() {
        let mut kit = TestKit::new(pack_processor());
        let out = kit.deliver(paid(17));
        let packed: Value = out.published("order-fulfilled")[0].data();
        assert_eq!(packed["parcels"], json!([8, 8, 1]));
        assert_eq!(packed["ship_to"]["city"], "Lisboa");
        assert_eq!(kit.state::<Vec<u32>>("o-1", "parcels"), Some(vec![8, 8, 1]));
    }

    #[test]
    fn parcels_hold_all_books_and_no_more_than_fits() {
        for books in 1..50 {
            let parcels = parcels(books);
            assert_eq!(parcels.iter().sum::<u32>(), books);
            assert!(parcels.iter().all(|parcel| (1..=PARCEL_BOOKS_MAX).contains(parcel)));
        }
    }

    #[test]
    fn an_order_of_nothing_is_rejected() {
        let out = TestKit::new(pack_processor()).deliver(paid(0));
        assert!(out.fault().is_some_and(Fault::is_reject));
    }
}
