//! What happens in the shop: orders come in, and where a run stops, the missing word is said. It tells what it does and decides nothing of what
//! is right.

use serde_json::{Value, json};

use super::super::super::client::{Ask, part};
use super::super::super::failure::Failure;
use super::super::super::output::Out;
use super::super::act::Stage;
use super::super::orders::{ADA, DENIED, EXPIRED, LARGE, MISTYPED, SHORT, Wish};
use super::super::story::titled;
use super::super::tell;
use super::facts::{Expected, Scene, Stop};
use super::story;
use super::watch::{Watch, has_stopped, is_over, waits};
use crate::model::report::FlowReport;
use crate::model::workflow::report::{RunDetail, RunDone};
use crate::model::workflow::run::Status;

/// What a payment provider makes of 4242 4242 4242 4242.
const GOOD_CARD: &str = "tn_c53d7f6c097a50a5";
const SORT: &str = "sort-orders";
const PLACE: &str = "place-order";
const APPROVE: &str = "approve-order";

/// The scenes on a host.
pub struct Scenes<'a> {
    stage: &'a Stage,
    out: Out,
}

impl<'a> Scenes<'a> {
    /// On a stage.
    pub fn new(stage: &'a Stage, out: Out) -> Self {
        Self { stage, out }
    }

    /// An order as most are.
    pub fn paid(&self) -> Result<Scene, Failure> {
        self.play(&ADA, Expected::completed(1), |watch| Ok((watch.follow(PLACE, is_over)?, None)))
    }

    /// The card has expired: the run stops there, and goes on when another card comes.
    pub fn expired_card(&self) -> Result<Scene, Failure> {
        self.play(&EXPIRED, Expected::completed(2).stops_for("updated"), |watch| {
            let waiting = watch.follow(PLACE, waits)?;
            self.send_card(&waiting, "2039-12")?;
            Ok((watch.follow(PLACE, is_over)?, Stop::of(&waiting)))
        })
    }

    /// The card is declined: what is done is undone.
    pub fn declined_card(&self) -> Result<Scene, Failure> {
        self.play(&DENIED, Expected::undone(), |watch| Ok((watch.follow(PLACE, is_over)?, None)))
    }

    /// There are fewer copies than were paid for: the payment is given back.
    pub fn too_few_copies(&self) -> Result<Scene, Failure> {
        self.play(&SHORT, Expected::refunded(), |watch| Ok((watch.follow(PLACE, is_over)?, None)))
    }

    /// The next card cannot be charged as it is written: the step fails, and an operator resumes it with what is right.
    pub fn mistyped_card(&self) -> Result<Scene, Failure> {
        self.play(&MISTYPED, Expected::completed(3).stops_at("apply-payment"), |watch| {
            self.send_card(&watch.follow(PLACE, waits)?, "12/39")?;
            let faulted = watch.follow(PLACE, has_stopped)?;
            self.resume(&faulted)?;
            Ok((watch.follow(PLACE, has_stopped)?, Stop::of(&faulted)))
        })
    }

    /// A large order waits for a person.
    pub fn large_order(&self) -> Result<Scene, Failure> {
        self.play(&LARGE, Expected::completed(1).stops_for("ask"), |watch| {
            let waiting = watch.follow(APPROVE, waits)?;
            self.approve(&waiting)?;
            watch.follow(APPROVE, is_over)?;
            Ok((watch.follow(PLACE, is_over)?, Stop::of(&waiting)))
        })
    }

    /// Publishes the order, has `goes_on` follow its runs, and sees what came of it.
    fn play(
        &self,
        wish: &Wish,
        expected: Expected,
        goes_on: impl FnOnce(&mut Watch<'a>) -> Result<(RunDetail, Option<Stop>), Failure>,
    ) -> Result<Scene, Failure> {
        tell(self.out, &wish.story, |title, style| titled(title, style))?;
        let before = self.stage.stock(wish.sku)?;
        let flow = self.stage.tell("order-received", &wish.data())?;
        let mut watch = Watch::new(self.stage, self.out, flow);
        watch.follow(SORT, is_over)?;
        let (run, stop) = goes_on(&mut watch)?;
        let flow: FlowReport = self.stage.settled(&watch.flow)?;
        let after = self.stage.stock(wish.sku)?;
        let expected = expected.reserves(wish.quantity);
        let scene = Scene::new((wish.story, wish.sku), (run, stop, flow), (before, after), &expected);
        tell(self.out, &scene, story::end)?;
        Ok(scene)
    }

    /// The customer sends another card.
    fn send_card(&self, run: &RunDetail, expires: &str) -> Result<(), Failure> {
        let card = json!({
            "order_id": format!("order-{}", run.run.id),
            "card": {"token": GOOD_CARD, "last_four": "4242", "expires": expires},
        });
        self.pause(run, format!("baton publish card-updated --data '{card}'"))?;
        self.stage.tell("card-updated", &card).map(drop)
    }

    /// An operator gives the step the order with a card that can be read.
    fn resume(&self, run: &RunDetail) -> Result<(), Failure> {
        let order = run.context.as_ref().and_then(|context| context.get("order"));
        let mut order = order.cloned().unwrap_or_default();
        if let Some(order) = order.as_object_mut() {
            let card = json!({"token": GOOD_CARD, "last_four": "4242", "expires": "2039-12"});
            order.insert("card".to_owned(), card);
        }
        let id = &run.run.id;
        self.pause(run, format!("baton run resume {id} --from apply-payment --input '{order}'"))?;
        self.say(id, "resume", &json!({"from": "apply-payment", "input": order, "by": "cli"}))
    }

    /// Somebody approves the order.
    fn approve(&self, run: &RunDetail) -> Result<(), Failure> {
        let (id, data) = (&run.run.id, json!({"by": "Virginia"}));
        self.pause(run, format!("baton run signal {id} order-approved --data '{data}'"))?;
        self.say(id, "signal", &json!({"type": "order-approved", "data": data, "by": "cli"}))
    }

    /// Says where a run stopped, and by which command it goes on.
    fn pause(&self, run: &RunDetail, command: String) -> Result<(), Failure> {
        tell(self.out, run, |run, style| story::pause(&run.run, &command, style))
    }

    fn say(&self, run: &str, word: &str, body: &Value) -> Result<(), Failure> {
        let path = format!("/v1/runs/{}/{word}", part(run));
        let body = body.to_string().into_bytes();
        let ask = Ask { method: "POST", content_type: "application/json", body, ..Ask::get(path) };
        let done: RunDone = self.stage.client.ask(ask)?.read()?;
        match done.handled && done.run.run.status != Status::Faulted {
            true => Ok(()),
            false => Err(Failure::failed(format!("{run} did not go on after {word}"))),
        }
    }
}
