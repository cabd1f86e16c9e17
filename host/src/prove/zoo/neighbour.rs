//! The processor that behaves: events are offered to it at a steady rate whatever else happens, and each is looked for behind it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde::Serialize;
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use super::Error;
use super::animals::neighbour;
use crate::model::event::Event;
use crate::model::name::ChannelName;
use crate::node::{Node, ReadFrom};

/// How often events are offered.
const TICK: Duration = Duration::from_millis(10);
/// How many events are read at once.
const PAGE: usize = 1000;
/// How many keys they have.
const KEYS: u64 = 64;
/// How long the last ones may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What all of it cost the neighbour.
#[derive(Clone, Debug, Serialize)]
pub struct Cost {
    /// Events offered each second.
    pub rate: u64,
    /// Events that the host took.
    pub published: u64,
    /// Events that the neighbour passed on and that are durable.
    pub passed_on: u64,
    /// Half of them took less, from when they were due until they could be read, in milliseconds.
    pub p50_ms: f64,
    /// All but one in a hundred took less.
    pub p99_ms: f64,
    /// The same while there was no animal.
    pub alone_p99_ms: f64,
}

/// A time since the beginning and how long an event took, in microseconds.
type Seen = (u64, u64);

/// What runs beside the animals.
pub struct Neighbour {
    began: Instant,
    rate: u64,
    /// No more is offered.
    stop: Arc<AtomicBool>,
    /// How many were offered, once all of them were.
    all: Arc<OnceLock<u64>>,
    seen: Arc<Mutex<Vec<Seen>>>,
    offers: JoinHandle<Result<u64, Error>>,
    reads: JoinHandle<Result<(), Error>>,
}

impl Neighbour {
    /// Deploys it and begins to offer events.
    pub async fn start(node: &Node, rate: u64) -> Result<Self, Error> {
        node.deploy_component(neighbour()?).await?;
        let (began, stop) = (Instant::now(), Arc::<AtomicBool>::default());
        let (all, seen) = (Arc::<OnceLock<u64>>::default(), Arc::<Mutex<Vec<Seen>>>::default());
        let offers = tokio::spawn(offer(node.clone(), began, rate, stop.clone()));
        let reads = tokio::spawn(read(node.clone(), began, all.clone(), seen.clone()));
        Ok(Self { began, rate, stop, all, seen, offers, reads })
    }

    /// What events took that were due since a time, in milliseconds: all but one in a hundred.
    pub fn p99_ms_since(&self, since: Instant) -> Option<f64> {
        let since = since.saturating_duration_since(self.began).as_micros() as u64;
        let seen = self.seen.lock();
        let took: Vec<_> =
            seen.iter().rev().take_while(|(due, _)| *due >= since).map(|(_, took)| *took).collect();
        (!took.is_empty()).then(|| quantile(took, 0.99))
    }

    /// Ends, and waits until what was offered is there.
    pub async fn stop(self, alone_p99_ms: f64) -> Result<Cost, Error> {
        self.stop.store(true, Ordering::SeqCst);
        let published = self.offers.await??;
        self.all.get_or_init(|| published);
        self.reads.await??;
        let took: Vec<u64> = self.seen.lock().iter().map(|(_, took)| *took).collect();
        Ok(Cost {
            rate: self.rate,
            published,
            passed_on: took.len() as u64,
            p50_ms: quantile(took.clone(), 0.5),
            p99_ms: quantile(took, 0.99),
            alone_p99_ms,
        })
    }
}

/// Offers what is due, late or not: an event's time counts from when it was due, so that waiting hides nothing.
async fn offer(node: Node, began: Instant, rate: u64, stop: Arc<AtomicBool>) -> Result<u64, Error> {
    let channel = ChannelName::new("ticks")?;
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut number = 0;
    while !stop.load(Ordering::SeqCst) {
        let due = ticks.tick().await.into_std().saturating_duration_since(began).as_micros();
        let count = rate * TICK.as_millis() as u64 / 1000;
        let events = (number..number + count).map(|number| tick(number, due)).collect();
        number += count;
        node.publish_all(&channel, events).await?;
    }
    Ok(number)
}

fn tick(number: u64, due: u128) -> Event {
    Event {
        id: number.to_string(),
        source: "/zoo".to_owned(),
        ty: "tick".to_owned(),
        subject: Some((number % KEYS).to_string()),
        datacontenttype: Some("application/json".to_owned()),
        data: Some(due.to_string().into()),
        ..Event::default()
    }
}

/// Reads what the neighbour passes on until all of it is there.
async fn read(
    node: Node,
    began: Instant,
    all: Arc<OnceLock<u64>>,
    seen: Arc<Mutex<Vec<Seen>>>,
) -> Result<(), Error> {
    let channel = ChannelName::new("tocks")?;
    let mut next = 0;
    let mut last = Instant::now();
    loop {
        let page = node.events(&channel, ReadFrom::Offset(next), PAGE, TICK).await?;
        let now = began.elapsed().as_micros() as u64;
        let due = |event: &Value| event.get("data")?.as_u64();
        let found = page.events.iter().filter_map(|recorded| due(&recorded.event));
        let before = next;
        seen.lock().extend(found.map(|due| (due, now.saturating_sub(due))));
        next = page.next;
        if next > before {
            last = Instant::now();
        }
        let is_done = all.get().is_some_and(|all| next >= *all);
        if is_done || last.elapsed() > PATIENCE {
            return Ok(());
        }
    }
}

/// In milliseconds.
fn quantile(mut took: Vec<u64>, part: f64) -> f64 {
    took.sort_unstable();
    let place = ((took.len() as f64 * part) as usize).min(took.len().saturating_sub(1));
    took.get(place).copied().unwrap_or(0) as f64 / 1e3
}
