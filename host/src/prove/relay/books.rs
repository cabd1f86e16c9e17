//! What the bookshop's relay has to come to for the orders that were acknowledged, and what differs from it. It reads events and asks no host.

#![allow(clippy::indexing_slicing, reason = "a member of JSON that is missing is null")]

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// The books that are ordered, and how many of each the inventory begins with.
pub const BOOKS: [(&str, u64); 4] =
    [("moby-dick", 40), ("frankenstein", 25), ("middlemarch", 12), ("dracula", 6)];
/// What a copy costs.
const PRICE_MINOR: u64 = 1_499;
/// The channels that are read, in the order of the relay.
pub const CHANNELS: [&str; 8] = [
    "place-order",
    "order-created",
    "payment-applied",
    "payment-denied",
    "order-fulfilled",
    "order-shipped",
    "stock-replenished",
    "email-sent",
];

/// The order of a number: the same at each run.
#[derive(Clone, Copy, Debug)]
pub struct Order(pub u64);

impl Order {
    /// Its book, as a place among [`BOOKS`].
    fn book(self) -> usize {
        (self.0 % BOOKS.len() as u64) as usize
    }

    fn quantity(self) -> u64 {
        1 + self.0 % 3
    }

    /// Whether its card is declined.
    fn is_denied(self) -> bool {
        self.0.is_multiple_of(5)
    }

    /// Its `place-order` event.
    pub fn event(self) -> Value {
        let card = if self.is_denied() { "4000 0000 0000 0002" } else { "4242 4242 4242 4242" };
        json!({
            "specversion": "1.0", "id": self.0.to_string(), "source": "/prove", "type": "place-order",
            "datacontenttype": "application/json",
            "data": {
                "sku": BOOKS[self.book()].0, "quantity": self.quantity(), "unit_price_minor": PRICE_MINOR, "currency": "EUR",
                "customer": {"name": "Ada Lovelace", "email": "ada@example.org"},
                "card": {"number": card, "expires": "2099-12"},
                "ship_to": {"street": "Rua Augusta 1", "postcode": "1100-048", "city": "Lisboa", "country": "PT"},
            },
        })
    }

    /// On which channels it has to appear, once each.
    fn path(self) -> &'static [&'static str] {
        match self.is_denied() {
            true => &["place-order", "order-created", "payment-denied"],
            false => &["place-order", "order-created", "payment-applied", "order-fulfilled", "order-shipped"],
        }
    }
}

/// What was seen.
#[derive(Default)]
pub struct Books {
    /// How often an order appeared on a channel.
    seen: BTreeMap<(&'static str, u64), u64>,
    /// How often it was written about, by what that was about.
    mails: BTreeMap<(String, u64), u64>,
    delivered: [u64; BOOKS.len()],
    charged_minor: u64,
    strange: u64,
}

/// What differs.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Wrongs {
    /// Events that should be there.
    pub lost: u64,
    /// Events that are there more than once.
    pub doubled: u64,
    /// Events that no order accounts for.
    pub strange: u64,
    /// Mails too few or too many.
    pub mails: u64,
    /// What was charged too little or too much, in cents.
    pub charged_minor: u64,
    /// Copies that the stock has too few or too many of.
    pub copies: u64,
}

impl Books {
    /// Takes an event of a channel in.
    pub fn take(&mut self, channel: &'static str, event: &Value) {
        let data = &event["data"];
        let number = |text: &Value| text.as_str()?.strip_prefix("order-")?.parse::<u64>().ok();
        let order = match channel {
            "place-order" => event["id"].as_str().and_then(|id| id.parse().ok()),
            "email-sent" => number(&data["about"]["order_id"]),
            "stock-replenished" => return self.delivery(data),
            _ => number(&data["order_id"]),
        };
        let Some(order) = order else {
            self.strange += 1;
            return;
        };
        if channel == "email-sent" {
            let about = data["about"]["event"].as_str().unwrap_or_default().to_owned();
            *self.mails.entry((about, order)).or_default() += 1;
            return;
        }
        if channel == "payment-applied" {
            self.charged_minor += data["amount_minor"].as_u64().unwrap_or_default();
        }
        *self.seen.entry((channel, order)).or_default() += 1;
    }

    fn delivery(&mut self, data: &Value) {
        let book = BOOKS.iter().position(|(sku, _)| data["sku"] == *sku);
        match (book.and_then(|book| self.delivered.get_mut(book)), data["quantity"].as_u64()) {
            (Some(delivered), Some(quantity)) => *delivered += quantity,
            _ => self.strange += 1,
        }
    }

    /// Holds what was seen, and the stock as the inventory keeps it (on hand, reserved), against the orders from 1 on that were acknowledged.
    pub fn balance(&self, acknowledged: u64, stock: &[(u64, u64)]) -> Wrongs {
        let mut wrongs = Wrongs { strange: self.strange, ..Wrongs::default() };
        let (mut expected, mut letters) = (0, 0);
        let mut reserved = [0; BOOKS.len()];
        let mut charged = 0;
        for order in (1..=acknowledged).map(Order) {
            for channel in order.path() {
                expected += 1;
                let times = self.seen.get(&(*channel, order.0)).copied().unwrap_or(0);
                wrongs.lost += u64::from(times == 0);
                wrongs.doubled += times.saturating_sub(1);
                if matches!(
                    *channel,
                    "order-created" | "payment-denied" | "order-fulfilled" | "order-shipped"
                ) {
                    letters += 1;
                    let written = self.mails.get(&((*channel).to_owned(), order.0)).copied().unwrap_or(0);
                    wrongs.mails += written.abs_diff(1);
                }
            }
            if !order.is_denied() {
                reserved[order.book()] += order.quantity();
                charged += order.quantity() * PRICE_MINOR;
            }
        }
        wrongs.strange += (self.seen.len() as u64).saturating_sub(expected - wrongs.lost);
        wrongs.mails += (self.mails.len() as u64).saturating_sub(letters);
        wrongs.charged_minor = charged.abs_diff(self.charged_minor);
        for (book, (_, before)) in BOOKS.iter().enumerate() {
            let (on_hand, kept) = stock.get(book).copied().unwrap_or_default();
            wrongs.copies += on_hand.abs_diff(before + self.delivered[book]) + kept.abs_diff(reserved[book]);
        }
        wrongs
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Events by their channels.
    type Events = Vec<(&'static str, Value)>;

    /// What a relay makes of so many orders, and its stock.
    fn run(orders: u64) -> (Events, Vec<(u64, u64)>) {
        let mut events = Vec::new();
        let mut stock: Vec<_> = BOOKS.iter().map(|(_, before)| (*before, 0)).collect();
        for order in (1..=orders).map(Order) {
            let id = format!("order-{}", order.0);
            for channel in order.path() {
                let amount = order.quantity() * PRICE_MINOR;
                let event = match *channel {
                    "place-order" => order.event(),
                    _ => json!({"data": {"order_id": id, "amount_minor": amount}}),
                };
                events.push((*channel, event));
                if !["place-order", "payment-applied"].contains(channel) {
                    let about = json!({"about": {"event": channel, "order_id": id}});
                    events.push(("email-sent", json!({"data": about})));
                }
            }
            if !order.is_denied() {
                stock[order.book()].1 += order.quantity();
            }
        }
        events.push(("stock-replenished", json!({"data": {"sku": "dracula", "quantity": 25}})));
        stock[3].0 += 25;
        (events, stock)
    }

    fn balance(events: &[(&'static str, Value)], stock: &[(u64, u64)]) -> Wrongs {
        let mut books = Books::default();
        events.iter().for_each(|(channel, event)| books.take(channel, event));
        books.balance(20, stock)
    }

    #[test]
    fn a_relay_that_does_its_work_adds_up() {
        let (events, stock) = run(20);
        assert_eq!(balance(&events, &stock), Wrongs::default());
    }

    #[test]
    fn whatever_is_missing_or_too_much_is_found() {
        let (events, stock) = run(20);
        for at in 0..events.len() {
            let mut fewer = events.clone();
            fewer.remove(at);
            assert_ne!(balance(&fewer, &stock), Wrongs::default(), "without {:?}", events[at]);
            let mut more = events.clone();
            more.push(events[at].clone());
            assert_ne!(balance(&more, &stock), Wrongs::default(), "twice {:?}", events[at]);
        }
        let mut strange = events.clone();
        strange.push(("order-created", json!({"data": {"order_id": "order-21"}})));
        assert_eq!(balance(&strange, &stock).strange, 1);
        let mut taken = stock.clone();
        taken[0].1 -= 1;
        assert_eq!(balance(&events, &taken).copies, 1);
    }
}
