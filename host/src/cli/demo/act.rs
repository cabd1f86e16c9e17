//! What the demo does on the running host, over HTTP and by files, and what it reads back. It tells nothing itself.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use uuid::Uuid;

use super::super::client::{Ask, Client, Reply, query};
use super::super::credential::token;
use super::super::failure::{Exit, Failure};
use super::super::progress;
use super::facts::{Latecomer, Opening, Placed, Stock, StockAround};
use super::folder::Folder;
use super::orders::Wish;
use super::shop::{LATECOMER, RELAY, Shop};
use crate::model::deployment::Deployment;
use crate::model::event::Event;
use crate::model::report::{
    ChannelReport, DeploymentList, FlowReport, FlowStatus, ProcessorReport, ProcessorStatus, Publication,
    StateList, StatusReport,
};

/// How long anything on the host may take before the demo gives up.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long what is compiled at first may take until it runs, on a machine that is slow or busy. What does not run at all is told at once.
const COMPILE_PATIENCE: Duration = Duration::from_secs(600);
/// How long to wait before asking again.
const AGAIN_AFTER: Duration = Duration::from_millis(5);

/// Where the demo plays.
pub struct Stage {
    pub(super) client: Client,
}

impl Stage {
    /// On the host at `server`.
    pub fn new(server: &str) -> Self {
        Self { client: Client::new(server, token()) }
    }

    /// Takes the latecomer out with all that it knows, if an earlier demo left it on the folder.
    pub fn clear(&self) -> Result<(), Failure> {
        let ask = Ask { method: "DELETE", ..Ask::get(format!("/v1/processors/{LATECOMER}?forget=true")) };
        match self.client.ask(ask) {
            Err(failure) if failure.exit != Exit::NotFound => Err(failure),
            _ => Ok(()),
        }
    }

    /// Waits until all processors of the relay run.
    pub fn opening(&self, server: &str, folder: &Folder, shop: &Shop) -> Result<Opening, Failure> {
        let started = Instant::now();
        let all = || RELAY.iter().try_fold(true, |all, name| Ok(all & self.running(name)?.is_some()));
        progress::during("compiling seven processors".to_owned(), || {
            until_in(COMPILE_PATIENCE, "the processors do not run", || Ok(all()?.then_some(())))
        })?;
        Ok(Opening {
            server: server.to_owned(),
            folder: folder.path().to_owned(),
            processors: RELAY.map(str::to_owned).to_vec(),
            build_ms: ms(shop.build_time),
            load_ms: ms(started.elapsed()),
        })
    }

    /// Waits until these mediators run.
    pub fn await_mediators(&self, names: &[&str]) -> Result<(), Failure> {
        let all = || names.iter().try_fold(true, |all, name| Ok(all & self.running(name)?.is_some()));
        until_in(COMPILE_PATIENCE, "the workflows do not run", || Ok(all()?.then_some(())))
    }

    /// A processor or a mediator, when it runs. A file that is refused is a failure.
    pub fn running(&self, name: &str) -> Result<Option<ProcessorReport>, Failure> {
        let status: StatusReport = self.client.get("/v1/status")?;
        if let Some(problem) = status.problems.iter().find(|problem| problem.file.starts_with(name)) {
            return Err(Failure::failed(format!("{} does not run: {}", problem.file, problem.message)));
        }
        let found = status.processors.into_iter().find(|processor| processor.name == name);
        Ok(found.filter(|processor| processor.status == ProcessorStatus::Running))
    }

    /// Places an order, waits for its end, and for everything that it causes.
    pub fn place(&self, wish: &Wish) -> Result<Placed, Failure> {
        let id = Uuid::now_v7().simple().to_string().split_off(26);
        let order = format!("order-{id}");
        let started = Instant::now();
        let flow = self.place_order(wish, id)?;
        let answered = started.elapsed();
        let flow = self.settled(&flow)?;
        Ok(Placed {
            story: wish.story.to_owned(),
            order,
            ends_with: wish.ends_with.to_owned(),
            answered_us: u64::try_from(answered.as_micros()).unwrap_or(u64::MAX),
            flow,
        })
    }

    /// Publishes `place-order`, and gives the flow's id once the order's end is durable.
    fn place_order(&self, wish: &Wish, id: String) -> Result<String, Failure> {
        let timeout = format!("{}s", PATIENCE.as_secs());
        let params = query(&[("wait", Some(wish.ends_with.to_owned())), ("timeout", Some(timeout))]);
        let reply = self.publish("place-order", &params, id, &wish.data())?;
        match reply.status {
            200 => {
                let event: Value = reply.read()?;
                event.get("correlationid").and_then(Value::as_str).map(str::to_owned).ok_or_else(no_flow)
            }
            _ => flow_of(&reply),
        }
    }

    /// Publishes an event, and gives its flow's id.
    pub fn tell(&self, channel: &str, data: &Value) -> Result<String, Failure> {
        flow_of(&self.publish(channel, "", Uuid::now_v7().to_string(), data)?)
    }

    fn publish(&self, channel: &str, params: &str, id: String, data: &Value) -> Result<Reply, Failure> {
        let event = Event {
            id,
            source: "/baton/demo".to_owned(),
            ty: channel.to_owned(),
            datacontenttype: Some("application/json".to_owned()),
            data: Some(data.to_string().into()),
            ..Event::default()
        };
        self.client.ask(Ask {
            method: "POST",
            path: format!("/v1/channels/{channel}/events{params}"),
            content_type: "application/cloudevents+json",
            body: event.to_json().to_string().into_bytes(),
            wait: PATIENCE,
        })
    }

    /// A flow, once nothing of it is to be handled any more.
    pub fn settled(&self, flow: &str) -> Result<FlowReport, Failure> {
        until(&format!("flow {flow} is not done"), || {
            let flow: FlowReport = self.client.get(format!("/v1/flows/{flow}"))?;
            Ok((flow.status != FlowStatus::Open).then_some(flow))
        })
    }

    /// The stock of a book, as the inventory keeps it.
    pub fn stock(&self, sku: &str) -> Result<Option<Stock>, Failure> {
        self.state("inventory", sku, "stock")
    }

    fn state<T: serde::de::DeserializeOwned>(
        &self,
        processor: &str,
        key: &str,
        name: &str,
    ) -> Result<Option<T>, Failure> {
        let params = query(&[("key", Some(key.to_owned()))]);
        let list: StateList = self.client.get(format!("/v1/processors/{processor}/state{params}"))?;
        let value = list.entries.into_iter().find(|entry| entry.name == name).and_then(|entry| entry.value);
        Ok(value.and_then(|value| serde_json::from_value(value).ok()))
    }

    /// The stock around a denied order.
    pub fn compare_stock(
        &self,
        sku: &str,
        before: Option<Stock>,
        denied: &Placed,
    ) -> Result<StockAround, Failure> {
        let during = denied.on("inventory-updated").next();
        let during = during.and_then(|data| serde_json::from_value(data.clone()).ok());
        let quantity = |data: &Value| data.get("quantity").and_then(Value::as_u64);
        let delivered = denied.on("stock-replenished").filter_map(quantity).sum();
        let after = self.stock(sku)?;
        Ok(StockAround { sku: sku.to_owned(), before, during, delivered, after })
    }

    /// Drops the latecomer in as a file, and waits until it has read what was there before it.
    pub fn drop_in(&self, shop: &Shop, folder: &Folder) -> Result<Latecomer, Failure> {
        let mails_before = self.client.get::<ChannelReport>("/v1/channels/email-sent")?.next;
        let dropped = Instant::now();
        let file = shop.drop_into(folder, LATECOMER)?;
        let running =
            until_in(COMPILE_PATIENCE, &format!("{LATECOMER} does not run"), || self.running(LATECOMER))?;
        let running_ms = ms(dropped.elapsed());
        until(&format!("{LATECOMER} has not read all mails"), || {
            let lag = |processor: ProcessorReport| processor.subscriptions.iter().map(|s| s.lag).sum::<u64>();
            Ok(self.running(LATECOMER)?.map(lag).filter(|lag| *lag == 0))
        })?;
        let caught_up_ms = ms(dropped.elapsed());
        let report = self.state(LATECOMER, "single", "report")?.unwrap_or_default();
        let receipt = self.receipt(&running)?;
        Ok(Latecomer { file, running_ms, receipt, mails_before, caught_up_ms, report })
    }

    fn receipt(&self, running: &ProcessorReport) -> Result<Deployment, Failure> {
        let list: DeploymentList = self.client.get("/v1/deployments")?;
        let mine = |receipt: &Deployment| receipt.descriptor.name.as_str() == running.name;
        let receipt = list.deployments.into_iter().rev().find(mine);
        receipt.ok_or_else(|| Failure::failed(format!("there is no receipt of {}", running.name)))
    }
}

fn flow_of(reply: &Reply) -> Result<String, Failure> {
    let event = reply.read::<Publication>()?.events.into_iter().next();
    event.map(|event| event.flow).ok_or_else(no_flow)
}

fn no_flow() -> Failure {
    Failure::failed("the host's answer to an event names no flow")
}

/// Asks until there is an answer.
pub fn until<T>(trouble: &str, ask: impl FnMut() -> Result<Option<T>, Failure>) -> Result<T, Failure> {
    until_in(PATIENCE, trouble, ask)
}

fn until_in<T>(
    patience: Duration,
    trouble: &str,
    mut ask: impl FnMut() -> Result<Option<T>, Failure>,
) -> Result<T, Failure> {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(answer) = ask()? {
            return Ok(answer);
        }
        if Instant::now() > deadline {
            let after = patience.as_secs();
            return Err(Failure::new(
                Exit::Timeout,
                format!("{trouble} after {after} s; see `baton status`"),
            ));
        }
        thread::sleep(AGAIN_AFTER);
    }
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
