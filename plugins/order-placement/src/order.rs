//! An order as a customer writes it, and what may be wrong with it.

use baton_sdk::prelude::*;

/// The most copies that one order may ask for.
const QUANTITY_MAX: u32 = 20;

#[derive(Deserialize)]
pub struct PlaceOrder {
    pub sku: String,
    pub quantity: u32,
    pub unit_price_minor: u64,
    pub currency: String,
    pub customer: Customer,
    pub card: Card,
    pub ship_to: Address,
}

#[derive(Serialize, Deserialize)]
pub struct Customer {
    pub name: String,
    pub email: String,
}

#[derive(Serialize, Deserialize)]
pub struct Address {
    pub street: String,
    pub postcode: String,
    pub city: String,
    /// ISO 3166, two letters.
    pub country: String,
}

#[derive(Deserialize)]
pub struct Card {
    pub number: String,
    /// The last month in which it is valid, such as `2027-04`.
    pub expires: String,
}

/// One thing that the customer has to mend.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Problem {
    pub field: String,
    pub problem: String,
}

impl Problem {
    pub fn new(field: &str, problem: &str) -> Self {
        Self { field: field.to_owned(), problem: problem.to_owned() }
    }
}

impl PlaceOrder {
    /// What the order costs, unless that is more than a number can say.
    pub fn total_minor(&self) -> Option<u64> {
        self.unit_price_minor.checked_mul(self.quantity.into())
    }

    /// All that is wrong at once, so that the customer mends it at once.
    pub fn problems(&self) -> Vec<Problem> {
        let priced = self.unit_price_minor > 0 && self.total_minor().is_some();
        let checks = [
            ("sku", given(&self.sku), "says no book"),
            ("quantity", (1..=QUANTITY_MAX).contains(&self.quantity), "is not 1 to 20"),
            ("unit_price_minor", priced, "is not a price"),
            ("currency", capitals(&self.currency, 3), "is not a code such as EUR"),
            ("customer.name", given(&self.customer.name), "is empty"),
            ("customer.email", email(&self.customer.email), "is not an address"),
            ("card.number", luhn(&self.card.digits()), "is mistyped"),
            ("card.expires", month(&self.card.expires), "is not a month such as 2027-04"),
            ("ship_to.street", given(&self.ship_to.street), "is empty"),
            ("ship_to.postcode", given(&self.ship_to.postcode), "is empty"),
            ("ship_to.city", given(&self.ship_to.city), "is empty"),
            ("ship_to.country", capitals(&self.ship_to.country, 2), "is not a code such as PT"),
        ];
        let wrong = checks.iter().filter(|(_, right, _)| !right);
        wrong.map(|(field, _, problem)| Problem::new(field, problem)).collect()
    }
}

impl Card {
    /// The number without the spaces that people write.
    pub fn digits(&self) -> String {
        self.number.chars().filter(|c| !c.is_whitespace()).collect()
    }

    /// All that receipts and mails show of the number.
    pub fn last_four(&self) -> String {
        let digits = self.digits();
        digits.chars().skip(digits.chars().count().saturating_sub(4)).collect()
    }

    /// Stands for the number in every event after `place-order`, so that no other processor gets to see it.
    ///
    /// This is the test network's token, a plain fingerprint (FNV-1a). A shop with real cards takes a token from its
    /// payment provider before the order is placed.
    pub fn token(&self) -> String {
        let mix = |hash: u64, digit: u8| (hash ^ u64::from(digit)).wrapping_mul(0x0100_0000_01b3);
        let fingerprint = self.digits().bytes().fold(0xcbf2_9ce4_8422_2325, mix);
        format!("tn_{fingerprint:016x}")
    }
}

fn given(text: &str) -> bool {
    !text.trim().is_empty()
}

fn capitals(text: &str, count: usize) -> bool {
    text.len() == count && text.bytes().all(|c| c.is_ascii_uppercase())
}

fn email(text: &str) -> bool {
    let parts = text.split_once('@');
    parts.is_some_and(|(name, domain)| given(name) && domain.contains('.') && !text.contains(' '))
}

fn month(text: &str) -> bool {
    let Some((year, month)) = text.split_once('-') else {
        return false;
    };
    let digits = |part: &str| part.bytes().all(|c| c.is_ascii_digit());
    year.len() == 4 && month.len() == 2 && digits(year) && ("01"..="12").contains(&month) && digits(month)
}

/// The check digit of card numbers: from the right, every second digit doubled, crosswise sums, 0 modulo 10.
fn luhn(number: &str) -> bool {
    let digits: Option<Vec<u32>> = number.chars().map(|c| c.to_digit(10)).collect();
    let Some(digits) = digits.filter(|digits| (12..=19).contains(&digits.len())) else {
        return false;
    };
    let doubled = |digit: u32| if digit > 4 { 2 * digit - 9 } else { 2 * digit };
    let weighed = digits.iter().rev().enumerate();
    let sum: u32 = weighed.map(|(place, digit)| if place % 2 == 1 { doubled(*digit) } else { *digit }).sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn card(number: &str) -> Card {
        Card { number: number.to_owned(), expires: String::new() }
    }

    #[test]
    fn card_numbers_are_checked_by_their_check_digit() {
        for good in ["4242424242424242", "4111111111111111", "4000000000000002", "378282246310005"] {
            assert!(luhn(good), "{good}");
        }
        for bad in ["4242424242424241", "4242", "", "4242x24242424242"] {
            assert!(!luhn(bad), "{bad}");
        }
    }

    #[test]
    fn a_card_is_known_by_its_token_and_last_four() {
        let spaced = card("4000 0000 0000 9995");
        assert_eq!(spaced.last_four(), "9995");
        assert_eq!(spaced.token(), card("4000000000009995").token());
        assert_ne!(spaced.token(), card("4000000000000002").token());
    }

    #[test]
    fn months_are_months() {
        assert!(month("2027-12"));
        for bad in ["2027-13", "2027-00", "27-12", "2027-1", "12/27", "2027-1x", "x027-10"] {
            assert!(!month(bad), "{bad}");
        }
    }
}
