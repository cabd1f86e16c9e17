//! What the demo found: the document of `--json`, and whether all of it is as it should be.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::failure::Failure;
use super::Place;
use crate::model::deployment::Deployment;
use crate::model::report::{FlowReport, FlowStatus};

/// Everything that was shown.
#[derive(Debug, Serialize)]
pub struct Facts {
    /// Where the shop is.
    pub opening: Opening,
    /// The orders, in their order.
    pub orders: Vec<Placed>,
    /// The stock around the denied order.
    pub stock: StockAround,
    /// What was dropped in later.
    pub latecomer: Latecomer,
    /// What is not as it should be; empty when all is well.
    pub wrong: Vec<String>,
}

/// The shop, open.
#[derive(Debug, Serialize)]
pub struct Opening {
    /// The host's URL.
    pub server: String,
    /// The folder that it serves.
    pub folder: PathBuf,
    /// The processors that run.
    pub processors: Vec<String>,
    /// How long cargo built.
    pub build_ms: u64,
    /// How long it took from the start of the host until all of them ran.
    pub load_ms: u64,
}

/// An order and what came of it.
#[derive(Debug, Serialize)]
pub struct Placed {
    /// Why it was placed.
    pub story: String,
    /// Its id.
    pub order: String,
    /// The event that should end it.
    pub ends_with: String,
    /// How long the customer waited until the end of it was durable.
    pub answered_us: u64,
    /// What came of it.
    pub flow: FlowReport,
}

/// The stock of one book.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stock {
    /// How many copies are there.
    pub on_hand: u32,
    /// How many of them are promised.
    pub reserved: u32,
}

/// The stock before, during and after an order that was denied.
#[derive(Debug, Serialize)]
pub struct StockAround {
    /// The book.
    pub sku: String,
    /// Before the order came.
    pub before: Option<Stock>,
    /// While its copies were kept for it.
    pub during: Option<Stock>,
    /// What the warehouse sent meanwhile, if the book ran low.
    pub delivered: u64,
    /// When nothing of it was left to do.
    pub after: Option<Stock>,
}

/// The processor that was dropped in while the host ran.
#[derive(Debug, Serialize)]
pub struct Latecomer {
    /// The file that was copied.
    pub file: PathBuf,
    /// How long it took from the copy until it ran.
    pub running_ms: u64,
    /// Its receipt.
    pub receipt: Deployment,
    /// How many mails were sent before it existed.
    pub mails_before: u64,
    /// How long it took from the copy until it had read them.
    pub caught_up_ms: u64,
    /// What it found.
    pub report: Value,
}

/// What a reader may try next.
#[derive(Debug, Serialize)]
pub struct Next {
    /// How to call this program and its host.
    #[serde(flatten)]
    pub place: Place,
    /// A file with an order.
    pub order: PathBuf,
    /// The flow of the first order.
    pub flow: String,
}

impl Placed {
    /// The events of its flow on a channel.
    pub fn on<'a>(&'a self, channel: &'a str) -> impl Iterator<Item = &'a Value> {
        let events = self.flow.events.iter().filter(move |event| event.channel == channel);
        events.filter_map(|event| event.event.get("data"))
    }

    fn wrong(&self) -> Option<String> {
        let order = &self.order;
        if self.flow.status != FlowStatus::Done {
            return Some(format!("{order} is not done: baton flow show {}", self.flow.flow));
        }
        let ended = self.on(&self.ends_with).next().is_some();
        (!ended).then(|| format!("{order} is done without {}", self.ends_with))
    }
}

impl StockAround {
    /// Whether the order left no trace in the stock.
    pub fn is_equal(&self) -> bool {
        let (Some(before), Some(after)) = (self.before, self.after) else { return false };
        let on_hand = u64::from(before.on_hand) + self.delivered;
        (on_hand, before.reserved) == (after.on_hand.into(), after.reserved)
    }

    /// What is not as it should be.
    pub fn wrong(&self) -> Option<String> {
        if !self.is_equal() {
            return Some(format!("the stock of {} is not what it was before the denied order", self.sku));
        }
        let kept = self.during.is_some() && self.during != self.before;
        (!kept).then(|| format!("no {} was kept for the denied order while it was open", self.sku))
    }
}

impl Latecomer {
    /// How many mails are in its report.
    pub fn mails(&self) -> u64 {
        self.report.get("emails").and_then(Value::as_u64).unwrap_or_default()
    }

    fn wrong(&self) -> Option<String> {
        let (got, sent) = (self.mails(), self.mails_before);
        let whole = got == sent && sent > 0;
        (!whole).then(|| format!("the report is about {got} mails, and {sent} were sent"))
    }
}

impl Facts {
    /// Everything, and what of it is wrong.
    pub fn new(opening: Opening, orders: Vec<Placed>, stock: StockAround, latecomer: Latecomer) -> Self {
        let wrong = orders.iter().map(Placed::wrong).chain([stock.wrong(), latecomer.wrong()]);
        let wrong = wrong.flatten().collect();
        Self { opening, orders, stock, latecomer, wrong }
    }

    /// A failure unless all of it is as it should be.
    pub fn verdict(&self) -> Result<(), Failure> {
        verdict(&self.wrong)
    }
}

/// A failure if anything is wrong.
pub fn verdict(wrong: &[String]) -> Result<(), Failure> {
    match wrong {
        [] => Ok(()),
        wrong => Err(Failure::failed(format!("the demo shows what should not be: {}", wrong.join("; ")))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around(before: u32, during: u32, after: u32) -> StockAround {
        let stock = |reserved| Some(Stock { on_hand: 40, reserved });
        StockAround {
            sku: "moby-dick".to_owned(),
            before: stock(before),
            during: stock(during),
            delivered: 0,
            after: stock(after),
        }
    }

    #[test]
    fn a_denied_order_keeps_copies_and_gives_them_back() {
        assert_eq!(around(2, 7, 2).wrong(), None);
        assert!(around(2, 7, 7).wrong().is_some_and(|wrong| wrong.contains("not what it was")));
        assert!(around(2, 2, 2).wrong().is_some_and(|wrong| wrong.contains("no moby-dick was kept")));
    }

    #[test]
    fn an_order_has_to_end_as_it_should() {
        let flow = |status| FlowReport {
            flow: "f-1".into(),
            status,
            overdue: false,
            deadline: None,
            reason: None,
            started: String::new(),
            latest: String::new(),
            expired: false,
            events: Vec::new(),
            truncated: false,
        };
        let placed = |status| Placed {
            story: String::new(),
            order: "order-1".into(),
            ends_with: "order-shipped".into(),
            answered_us: 1,
            flow: flow(status),
        };
        for (status, wrong) in [(FlowStatus::Open, "not done"), (FlowStatus::Done, "without order-shipped")] {
            assert!(placed(status).wrong().is_some_and(|found| found.contains(wrong)));
        }
    }
}
