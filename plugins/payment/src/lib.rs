//! Charges the card of an order, or says why it cannot; gives back what it charged. The card networks' public test numbers decide.

use std::time::{Duration, SystemTime};

use baton_sdk::prelude::*;

/// The test numbers, by the tokens that `order-placement` makes of them, and what the network answers.
const TEST_CARDS: [(&str, Answer); 6] = [
    ("tn_c53d7f6c097a50a5", Answer::Approved), // 4242 4242 4242 4242, Visa
    ("tn_c500421738618c10", Answer::Approved), // 4111 1111 1111 1111, Visa
    ("tn_18ee04703e7005b9", Answer::Approved), // 5555 5555 5555 4444, Mastercard
    ("tn_ecd35f373df7dbfb", Answer::Declined), // 4000 0000 0000 0002
    ("tn_3a825f72b12c22d1", Answer::InsufficientFunds), // 4000 0000 0000 9995
    ("tn_ece7dc373e09596c", Answer::ExpiredCard), // 4000 0000 0000 0069
];

/// What the network says to a charge.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Approved,
    Declined,
    InsufficientFunds,
    ExpiredCard,
    /// Not a card of the test network: nobody's real card is charged here.
    UnknownCard,
}

#[derive(Serialize, Deserialize)]
struct OrderCreated {
    order_id: String,
    sku: String,
    quantity: u32,
    total_minor: u64,
    currency: String,
    customer: Customer,
    card: Card,
    ship_to: Address,
}

#[derive(Deserialize)]
struct RefundWanted {
    order_id: String,
    reason: String,
}

/// What an order was charged: kept until it is given back.
#[derive(Serialize, Deserialize)]
struct Charged {
    amount_minor: u64,
    currency: String,
    card_last_four: String,
    customer: Customer,
}

#[derive(Clone, Serialize, Deserialize)]
struct Customer {
    name: String,
    email: String,
}

#[derive(Serialize, Deserialize)]
struct Card {
    token: String,
    last_four: String,
    expires: String,
}

#[derive(Serialize, Deserialize)]
struct Address {
    street: String,
    postcode: String,
    city: String,
    country: String,
}

#[derive(Serialize)]
struct PaymentApplied<'a> {
    order_id: &'a str,
    sku: &'a str,
    quantity: u32,
    amount_minor: u64,
    currency: &'a str,
    card_last_four: &'a str,
    customer: &'a Customer,
    ship_to: &'a Address,
}

#[derive(Serialize)]
struct PaymentDenied<'a> {
    order_id: &'a str,
    sku: &'a str,
    quantity: u32,
    amount_minor: u64,
    currency: &'a str,
    card_last_four: &'a str,
    customer: &'a Customer,
    reason: Answer,
}

#[derive(Serialize)]
struct PaymentRefunded<'a> {
    order_id: &'a str,
    #[serde(flatten)]
    charged: &'a Charged,
    reason: &'a str,
}

/// The payment provider.
pub struct Payment;

#[processor(
    name = "payment",
    description = "Charges the card of an order, or says why it cannot; gives back what it charged.",
    subscribe("order-created"),
    subscribe("refund-wanted"),
    publishes("payment-applied", "payment-denied", "payment-refunded"),
    schema("order-created", "schemas/order-created.json"),
    schema("payment-applied", "schemas/payment-applied.json"),
    schema("payment-denied", "schemas/payment-denied.json"),
    schema("refund-wanted", "schemas/refund-wanted.json"),
    schema("payment-refunded", "schemas/payment-refunded.json")
)]
impl Processor for Payment {
    fn handle(event: Event<'_>, cx: &mut Context<'_>) -> Handled {
        match event.channel() {
            "order-created" => pay(&event.decode()?, cx),
            _ => refund(&event.decode()?, cx),
        }
    }
}

fn pay(order: &OrderCreated, cx: &mut Context<'_>) -> Handled {
    let answer = charge(&order.card, cx.now())?;
    cx.state().set("answer", &answer)?;
    match answer {
        Answer::Approved => {
            cx.state().set("charged", &charged(order))?;
            cx.publish("payment-applied", &applied(order))
        }
        reason => cx.publish("payment-denied", &denied(order, reason)),
    }
}

fn refund(wanted: &RefundWanted, cx: &mut Context<'_>) -> Handled {
    let RefundWanted { order_id, reason } = wanted;
    let Some(charged) = cx.state().get::<Charged>("charged")? else {
        return cx.nothing_to_tell(format_args!("nothing is charged for {order_id}"));
    };
    cx.state().delete("charged");
    cx.publish("payment-refunded", &PaymentRefunded { order_id, charged: &charged, reason })
}

fn charge(card: &Card, now: SystemTime) -> Result<Answer, Fault> {
    if end_of_month(&card.expires).or_reject("card.expires is not a month")? <= now {
        return Ok(Answer::ExpiredCard);
    }
    let known = TEST_CARDS.iter().find(|(token, _)| *token == card.token);
    Ok(known.map_or(Answer::UnknownCard, |(_, answer)| *answer))
}

/// The first moment after a month such as `2027-04`.
fn end_of_month(month: &str) -> Option<SystemTime> {
    let (year, month) = month.split_once('-')?;
    let (year, month) = (u64::from(year.parse::<u32>().ok()?), u64::from(month.parse::<u8>().ok()?));
    // A year that begins in March ends in the leap day, so the days before a month are a straight line.
    let from_march = (12 * year + month).checked_sub(2)?;
    let (year, month) = (from_march / 12, from_march % 12);
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5;
    let since_1970 = days.checked_sub(719_468)?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(since_1970 * 86_400))
}

fn charged(order: &OrderCreated) -> Charged {
    Charged {
        amount_minor: order.total_minor,
        currency: order.currency.clone(),
        card_last_four: order.card.last_four.clone(),
        customer: order.customer.clone(),
    }
}

fn applied(order: &OrderCreated) -> PaymentApplied<'_> {
    PaymentApplied {
        order_id: &order.order_id,
        sku: &order.sku,
        quantity: order.quantity,
        amount_minor: order.total_minor,
        currency: &order.currency,
        card_last_four: &order.card.last_four,
        customer: &order.customer,
        ship_to: &order.ship_to,
    }
}

fn denied(order: &OrderCreated, reason: Answer) -> PaymentDenied<'_> {
    PaymentDenied {
        order_id: &order.order_id,
        sku: &order.sku,
        quantity: order.quantity,
        amount_minor: order.total_minor,
        currency: &order.currency,
        card_last_four: &order.card.last_four,
        customer: &order.customer,
        reason,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing, clippy::unwrap_used)]
    use super::*;
    use baton_sdk::serde_json::{Value, json};
    use baton_sdk::testing::{Delivered, TestEvent, TestKit, event};

    fn kit() -> TestKit {
        TestKit::new(Payment::processor())
    }

    /// The kit's clock says 2026-01-01.
    fn order(token: &str, expires: &str) -> TestEvent {
        let order = json!({
            "order_id": "order-7", "sku": "moby-dick", "quantity": 2, "unit_price_minor": 1499,
            "total_minor": 2998, "currency": "EUR",
            "customer": { "name": "Ada Lovelace", "email": "ada@example.org" },
            "card": { "token": token, "last_four": "4242", "expires": expires },
            "ship_to": { "street": "Rua Augusta 1", "postcode": "1100-048", "city": "Lisboa", "country": "PT" },
        });
        event("order-created").subject("order-7").json(&order)
    }

    fn pay_with(token: &str, expires: &str) -> Delivered {
        kit().deliver(order(token, expires))
    }

    fn refund_of_it() -> TestEvent {
        let wanted = json!({ "order_id": "order-7", "reason": "we have too few copies" });
        event("refund-wanted").subject("order-7").json(&wanted)
    }

    #[test]
    fn a_good_card_is_charged() {
        for token in ["tn_c53d7f6c097a50a5", "tn_c500421738618c10", "tn_18ee04703e7005b9"] {
            let out = pay_with(token, "2030-04");
            let applied: Value = out.published("payment-applied")[0].data();
            assert_eq!(applied["amount_minor"], 2998);
            assert_eq!(applied["ship_to"]["city"], "Lisboa");
            assert!(out.published("payment-denied").is_empty());
        }
    }

    #[test]
    fn the_other_test_cards_are_denied_for_their_reason() {
        let cases = [
            ("tn_ecd35f373df7dbfb", "declined"),
            ("tn_3a825f72b12c22d1", "insufficient_funds"),
            ("tn_ece7dc373e09596c", "expired_card"),
            ("tn_5ca1ab1e5ca1ab1e", "unknown_card"),
        ];
        for (token, reason) in cases {
            let denied: Value = pay_with(token, "2030-04").published("payment-denied")[0].data();
            assert_eq!((&denied["reason"], &denied["sku"]), (&json!(reason), &json!("moby-dick")));
        }
    }

    #[test]
    fn a_card_is_good_until_the_end_of_its_month() {
        assert_eq!(pay_with("tn_c53d7f6c097a50a5", "2026-01").published("payment-applied").len(), 1);
        let denied: Value = pay_with("tn_c53d7f6c097a50a5", "2025-12").published("payment-denied")[0].data();
        assert_eq!(denied["reason"], "expired_card");
    }

    #[test]
    fn months_end_where_the_calendar_says() {
        let cases = [
            ("1970-01", 31),
            ("1970-12", 365),
            ("2000-02", 11_017),
            ("2024-02", 19_783),
            ("2100-02", 47_541),
        ];
        for (month, days) in cases {
            let end = SystemTime::UNIX_EPOCH + Duration::from_secs(days * 86_400);
            assert_eq!(end_of_month(month), Some(end), "{month}");
        }
        assert_eq!(end_of_month("04/27"), None);
    }

    #[test]
    fn a_month_that_is_none_is_rejected() {
        assert!(pay_with("tn_c53d7f6c097a50a5", "soon").fault().unwrap().is_reject());
    }

    #[test]
    fn what_was_charged_is_given_back_once() {
        let mut kit = kit();
        kit.deliver(order("tn_c53d7f6c097a50a5", "2030-04"));
        let refunded: Value = kit.deliver(refund_of_it()).published("payment-refunded")[0].data();
        assert_eq!(
            refunded,
            json!({
                "order_id": "order-7", "amount_minor": 2998, "currency": "EUR", "card_last_four": "4242",
                "customer": { "name": "Ada Lovelace", "email": "ada@example.org" }, "reason": "we have too few copies",
            })
        );
        let again = kit.deliver(refund_of_it());
        assert_eq!(again.told_nothing(), Some("nothing is charged for order-7"));
    }

    #[test]
    fn a_card_that_was_not_charged_gets_nothing_back() {
        let mut kit = kit();
        kit.deliver(order("tn_ecd35f373df7dbfb", "2030-04"));
        assert_eq!(kit.deliver(refund_of_it()).told_nothing(), Some("nothing is charged for order-7"));
    }
}
