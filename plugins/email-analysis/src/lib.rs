//! Keeps running figures about the shop's mails. It reads from the first mail on, also from those that were sent before it
//! existed, and nobody else has to know of it.

use std::collections::BTreeMap;

use baton_sdk::prelude::*;

/// The most recipient domains that are counted by name; the rest counts as `(other)`.
const DOMAINS_MAX: usize = 100;
const OTHER: &str = "(other)";

#[derive(Deserialize)]
struct EmailSent {
    recipient: String,
    subject: String,
    body: String,
    about: About,
}

#[derive(Deserialize)]
struct About {
    event: String,
}

/// All mails so far.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Report {
    emails: u64,
    per_kind: BTreeMap<String, u64>,
    per_domain: BTreeMap<String, u64>,
    body_chars_total: u64,
    body_chars_average: u64,
    longest: Option<Longest>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Longest {
    subject: String,
    body_chars: u64,
}

#[processor(
    name = "email-analysis",
    description = "Keeps running figures about the shop's mails.",
    subscribe("email-sent", key = "single", start = "earliest"),
    publishes("email-report")
)]
fn analyse(event: Event<EmailSent>, cx: &mut Context) -> Handled {
    let mut report: Report = cx.state().get_or_default("report")?;
    report.count(event.data());
    cx.state().set("report", &report)?;
    cx.emit("email-report").subject("emails").json(&report)
}

impl Report {
    fn count(&mut self, mail: &EmailSent) {
        let body_chars = mail.body.chars().count() as u64;
        self.emails += 1;
        self.body_chars_total += body_chars;
        self.body_chars_average = self.body_chars_total / self.emails;
        *self.per_kind.entry(mail.about.event.clone()).or_default() += 1;
        self.count_domain(&mail.recipient);
        if self.longest.as_ref().is_none_or(|longest| longest.body_chars < body_chars) {
            self.longest = Some(Longest { subject: mail.subject.clone(), body_chars });
        }
    }

    fn count_domain(&mut self, recipient: &str) {
        let domain = recipient.rsplit_once('@').map_or(OTHER, |(_, domain)| domain).to_lowercase();
        let counted = self.per_domain.contains_key(&domain) || self.per_domain.len() < DOMAINS_MAX;
        let domain = if counted { domain } else { OTHER.to_owned() };
        *self.per_domain.entry(domain).or_default() += 1;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing)]
    use super::*;
    use baton_sdk::serde_json::json;
    use baton_sdk::testing::{Delivered, TestKit, event};

    fn deliver(kit: &mut TestKit, recipient: &str, about: &str, body: &str) -> Delivered {
        kit.deliver(event("email-sent").subject("order-7").json(&json!({
            "recipient": recipient, "subject": format!("about {about}"), "body": body,
            "about": { "event": about, "order_id": "order-7" },
        })))
    }

    #[test]
    fn figures_run_over_all_mails() {
        let mut kit = TestKit::new(analyse_processor());
        deliver(&mut kit, "ada@example.org", "order-created", "12345678");
        deliver(&mut kit, "bob@example.com", "order-created", "1234");
        let out = deliver(&mut kit, "eve@EXAMPLE.org", "payment-denied", "ééé");
        let report: Report = out.published("email-report")[0].data();
        assert_eq!((report.emails, report.body_chars_total, report.body_chars_average), (3, 15, 5));
        assert_eq!(report.per_kind["order-created"], 2);
        assert_eq!(report.per_domain["example.org"], 2);
        let longest = Longest { subject: "about order-created".to_owned(), body_chars: 8 };
        assert_eq!(report.longest, Some(longest));
        assert_eq!(kit.state("single", "report"), Some(report));
    }

    #[test]
    fn the_report_is_about_all_orders_and_no_single_one() {
        let mut kit = TestKit::new(analyse_processor());
        let out = deliver(&mut kit, "ada@example.org", "order-created", "");
        assert_eq!(out.published("email-report")[0].subject(), Some("emails"));
    }

    #[test]
    fn domains_are_bounded() {
        let mut report = Report::default();
        for domain in 0..=DOMAINS_MAX {
            report.count_domain(&format!("ada@{domain}.org"));
        }
        report.count_domain("ada@0.org");
        report.count_domain("nobody");
        assert_eq!(report.per_domain.len(), DOMAINS_MAX + 1);
        assert_eq!((report.per_domain[OTHER], report.per_domain["0.org"]), (2, 2));
    }
}
