//! Hands parcels to the carrier of the country, with a tracking number for each.

use baton_sdk::prelude::*;

#[derive(Deserialize)]
struct OrderFulfilled {
    order_id: String,
    parcels: Vec<u32>,
    customer: Customer,
    ship_to: Address,
}

#[derive(Serialize, Deserialize)]
struct Customer {
    name: String,
    email: String,
}

#[derive(Deserialize)]
struct Address {
    city: String,
    country: String,
}

#[derive(Serialize)]
struct OrderShipped<'a> {
    order_id: &'a str,
    carrier: &'static str,
    tracking: Vec<String>,
    days_max: u32,
    city: &'a str,
    customer: &'a Customer,
}

/// Who carries to a country, and how long that takes at most.
struct Route {
    country: &'static str,
    carrier: &'static str,
    days_max: u32,
}

const ROUTES: [Route; 3] = [
    Route { country: "DE", carrier: "Gelbpost", days_max: 2 },
    Route { country: "PL", carrier: "Poczta Bałtycka", days_max: 3 },
    Route { country: "PT", carrier: "Correios do Tejo", days_max: 3 },
];

/// The carrier to all other countries.
const ABROAD: Route = Route { country: "", carrier: "Albatross Air Freight", days_max: 10 };

#[processor(
    name = "shipping",
    description = "Hands parcels to a carrier.",
    subscribe("order-fulfilled"),
    publishes("order-shipped")
)]
fn ship(event: Event<OrderFulfilled>, cx: &mut Context) -> Handled {
    let OrderFulfilled { order_id, parcels, customer, ship_to } = event.data();
    let Route { carrier, days_max, .. } = route(&ship_to.country);
    let number = |parcel| tracking(order_id, parcel);
    let tracking: Vec<_> = (0..parcels.len()).map(number).collect();
    cx.state().set("tracking", &tracking)?;
    let (carrier, days_max, city) = (*carrier, *days_max, ship_to.city.as_str());
    cx.publish("order-shipped", &OrderShipped { order_id, carrier, tracking, days_max, city, customer })
}

fn route(country: &str) -> &'static Route {
    ROUTES.iter().find(|route| route.country == country).unwrap_or(&ABROAD)
}

/// A number as the Universal Postal Union writes them (S10): two letters, eight digits, a check digit, a country. It
/// derives from the order and the parcel, so handling the event again gives the same one.
fn tracking(order_id: &str, parcel: usize) -> String {
    let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let seed = order_id.bytes().chain(parcel.to_le_bytes()).fold(0xcbf2_9ce4_8422_2325, mix);
    let digits = format!("{:08}", seed % 100_000_000);
    format!("RB{digits}{}DE", check_digit(&digits))
}

fn check_digit(digits: &str) -> u32 {
    let weights = [8, 6, 4, 2, 3, 5, 9, 7];
    let sum: u32 = digits.chars().filter_map(|c| c.to_digit(10)).zip(weights).map(|(d, w)| d * w).sum();
    match 11 - sum % 11 {
        10 => 0,
        11 => 5,
        digit => digit,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing)]
    use super::*;
    use baton_sdk::serde_json::{Value, json};
    use baton_sdk::testing::{TestKit, event};

    fn shipped_to(country: &str) -> Value {
        let packed = json!({
            "order_id": "o-1", "sku": "dracula", "parcels": [8, 1],
            "customer": { "name": "Ada", "email": "ada@example.org" },
            "ship_to": { "street": "Rua Augusta 1", "postcode": "1100", "city": "Lisboa", "country": country },
        });
        let mut kit = TestKit::new(ship_processor());
        let out = kit.deliver(event("order-fulfilled").subject("o-1").json(&packed));
        let shipped: Value = out.published("order-shipped")[0].data();
        assert_eq!(kit.state::<Value>("o-1", "tracking").as_ref(), Some(&shipped["tracking"]));
        shipped
    }

    #[test]
    fn each_country_has_its_carrier() {
        assert_eq!(shipped_to("PT")["carrier"], "Correios do Tejo");
        assert_eq!(shipped_to("NZ")["carrier"], "Albatross Air Freight");
        assert_eq!(shipped_to("DE")["days_max"], 2);
    }

    #[test]
    fn each_parcel_has_a_number_that_stays() {
        let (first, again) = (shipped_to("PT"), shipped_to("PT"));
        assert_eq!(first["tracking"], again["tracking"]);
        assert_ne!(first["tracking"][0], first["tracking"][1]);
    }

    /// The example of the standard.
    #[test]
    fn check_digits_are_those_of_s10() {
        assert_eq!(check_digit("47312482"), 9);
    }
}
