//! Writes to customers about their orders, and tells it as `email-sent`. Where the operator names a mail server and grants the connection, the mail
//! is sent before that; without one it is only told.

mod letter;
mod mail;

use baton_sdk::prelude::*;
use letter::Letter;

/// What every event about an order says; the rest is for the letter.
#[derive(Deserialize)]
struct AboutOrder {
    order_id: String,
    customer: Customer,
}

#[derive(Deserialize)]
struct Customer {
    name: String,
    email: String,
}

#[derive(Serialize)]
struct EmailSent<'a> {
    recipient: &'a str,
    subject: &'a str,
    body: &'a str,
    about: About<'a>,
}

#[derive(Serialize)]
struct About<'a> {
    event: &'a str,
    order_id: &'a str,
}

#[processor(
    name = "notification",
    description = "Writes to customers about their orders.",
    concurrency = 2,
    subscribe("order-created"),
    subscribe("payment-denied"),
    subscribe("payment-refunded"),
    subscribe("order-fulfilled"),
    subscribe("order-shipped"),
    publishes("email-sent"),
    config("smtp", "from"),
    tcp("{smtp}")
)]
fn write_to_customer(event: Event<AboutOrder>, cx: &mut Context) -> Handled {
    let AboutOrder { order_id, customer } = event.data();
    let Letter { subject, text } = Letter::about(&event, order_id)?;
    let body = format!("Dear {},\n\n{text}\n\nYour bookshop\n", customer.name);
    if let Some(server) = cx.config("smtp") {
        let key = format!("{}.{}", event.channel(), event.id());
        mail::send(&server, cx, &customer.email, &subject, &body, &key)?;
    }
    let about = About { event: event.channel(), order_id };
    let mail = EmailSent { recipient: &customer.email, subject: &subject, body: &body, about };
    cx.publish("email-sent", &mail)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing)]
    use super::*;
    use baton_sdk::serde_json::{Value, json};
    use baton_sdk::testing::{TestKit, event};

    fn mail(channel: &str, mut data: Value) -> Value {
        data["order_id"] = json!("order-7");
        data["customer"] = json!({ "name": "Ada Lovelace", "email": "ada@example.org" });
        let mut kit = TestKit::new(write_to_customer_processor());
        let out = kit.deliver(event(channel).subject("order-7").json(&data));
        assert_eq!(out.published("email-sent")[0].subject(), Some("order-7"));
        out.published("email-sent")[0].data()
    }

    fn body_has(mail: &Value, parts: &[&str]) -> bool {
        mail["body"].as_str().is_some_and(|body| parts.iter().all(|part| body.contains(part)))
    }

    #[test]
    fn an_order_is_confirmed() {
        let order = json!({
            "sku": "moby-dick", "quantity": 2, "total_minor": 2905, "currency": "EUR",
            "card": { "token": "tn_1", "last_four": "4242", "expires": "2030-04" },
        });
        let mail = mail("order-created", order);
        assert_eq!(mail["recipient"], "ada@example.org");
        assert_eq!(mail["subject"], "We have your order order-7");
        assert_eq!(mail["about"], json!({ "event": "order-created", "order_id": "order-7" }));
        assert!(
            body_has(&mail, &["Dear Ada Lovelace", "2 x moby-dick", "29.05 EUR", "ending in 4242"]),
            "{mail}"
        );
    }

    #[test]
    fn a_denial_says_what_to_do() {
        for (reason, advice) in [
            ("insufficient_funds", "not covered"),
            ("expired_card", "has expired"),
            ("declined", "Please try another card"),
        ] {
            let mail = mail("payment-denied", json!({ "reason": reason, "card_last_four": "9995" }));
            assert!(body_has(&mail, &["9995", advice, "nothing has been charged"]), "{mail}");
        }
    }

    #[test]
    fn a_refund_says_how_much_and_why() {
        let refunded = json!({
            "amount_minor": 2905, "currency": "EUR", "card_last_four": "4242", "reason": "we have too few copies",
        });
        let mail = mail("payment-refunded", refunded);
        assert_eq!(mail["subject"], "Your order order-7 is cancelled");
        assert!(body_has(&mail, &["29.05 EUR", "ending in 4242", "too few copies"]), "{mail}");
    }

    #[test]
    fn packing_and_shipping_are_announced() {
        let packed = mail("order-fulfilled", json!({ "sku": "dracula", "parcels": [8, 1] }));
        assert!(body_has(&packed, &["2 parcels"]), "{packed}");
        let shipped =
            json!({ "carrier": "Gelbpost", "tracking": ["RB1", "RB2"], "days_max": 2, "city": "Leipzig" });
        let shipped = mail("order-shipped", shipped);
        assert!(body_has(&shipped, &["Gelbpost", "RB1, RB2", "Leipzig", "2 days"]), "{shipped}");
    }

    #[test]
    fn an_event_without_a_customer_is_rejected() {
        let lost = event("order-shipped").json(&json!({ "order_id": "order-7" }));
        let out = TestKit::new(write_to_customer_processor()).deliver(lost);
        assert!(out.fault().is_some_and(|fault| fault.message().contains("missing field `customer`")));
    }
}
