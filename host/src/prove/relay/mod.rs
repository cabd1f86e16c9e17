//! `baton prove relay`: the bookshop takes orders at full speed, the host is killed and started again, and in the end payments, stock and mails are held
//! against the orders that were acknowledged.

#![allow(clippy::indexing_slicing, reason = "a member of JSON that is missing is null")]

pub(super) mod books;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::host::{Client, Process, Site, is_quiet, lag, random};
use super::{Card, Proof, ProveError, Row, components};
use books::{BOOKS, Books, CHANNELS, Order};

/// The processors of the relay.
pub(super) const SHOP: [&str; 7] =
    ["order-placement", "payment", "inventory", "warehouse", "order-fulfillment", "shipping", "notification"];
/// How many orders one publish has.
const BATCH: u64 = 50;
/// How far the customers may be ahead of the shop.
const AHEAD_MAX: u64 = 2_000;
const PAGE: u64 = 1_000;

/// How much is done.
#[derive(Clone, Copy, Debug)]
pub struct OrderOptions {
    /// How many orders are placed, at least.
    pub orders: u64,
    /// How often the host is killed meanwhile.
    pub kills: u32,
    /// Where chance comes from.
    pub seed: u64,
}

/// Proves that kills lose no order, charge none twice, and leave stock and mails as they have to be.
pub fn relay(options: &OrderOptions) -> Result<Proof, ProveError> {
    let site = Site::new()?;
    for (name, component) in SHOP.iter().zip(components::build(&SHOP)?) {
        site.drop_in(name, &component)?;
    }
    let (process, _) = site.start()?;
    let client = site.client();
    client.until("the shop is open", |client| is_open(client).then_some(()))?;
    let (placed, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let began = Instant::now();
    let customers = || order(&client, options.orders, &placed, &stop);
    let (acknowledged, killed) = while_killed(options, (&site, process), (&placed, &stop), customers)?;
    let seconds = began.elapsed().as_secs_f64();
    client.until("nothing is left to do", is_quiet)?;
    let mut rows = vec![
        Row::new("orders acknowledged", acknowledged as f64, "orders").on(Card::Events),
        Row::new("placed for", seconds, "s"),
        Row::new("kills (SIGKILL)", f64::from(options.kills), "").on(Card::Kills),
    ];
    rows.extend(compare(&client, acknowledged)?);
    rows.push(killed.worst());
    drop(killed.process);
    Ok(Proof::new("relay", options.seed, rows))
}

fn is_open(client: &Client) -> bool {
    let all = client.get("/v1/processors").unwrap_or_default();
    let running = all["processors"].as_array().into_iter().flatten().filter(|one| one["status"] == "running");
    running.count() == SHOP.len()
}

/// Places numbered orders, the same again where no answer came, until there are enough and the kills are over; says up to which number all were
/// acknowledged.
fn order(client: &Client, orders: u64, placed: &AtomicU64, stop: &AtomicBool) -> u64 {
    let mut acknowledged = 0;
    while acknowledged < orders || !stop.load(Ordering::SeqCst) {
        let batch = (acknowledged + 1..=acknowledged + BATCH).map(|number| Order(number).event());
        let batch = Value::Array(batch.collect()).to_string();
        while !client.publish("place-order", &batch) {
            std::thread::yield_now();
        }
        acknowledged += BATCH;
        placed.store(acknowledged, Ordering::SeqCst);
        if acknowledged.is_multiple_of(AHEAD_MAX / 4) {
            // A host that is away for longer than the patience is found by those who look at it.
            let keeps_up = |client: &Client| lag(client).is_some_and(|lag| lag < AHEAD_MAX).then_some(());
            let _ = client.until("the shop keeps up", keeps_up);
        }
    }
    acknowledged
}

/// What was done to the host.
pub(super) struct Killed {
    pub process: Process,
    /// How long each start took until the host listened.
    recoveries: Vec<Duration>,
}

impl Killed {
    /// The longest start.
    pub fn worst(&self) -> Row {
        let worst = self.recoveries.iter().max().map_or(0.0, |took| took.as_secs_f64() * 1e3);
        Row::new("worst start after a kill", worst, "ms").on(Card::Recovery)
    }
}

/// Has customers place orders while the host is killed; they end once it is not any more. Gives what they say.
pub(super) fn while_killed<T: Send>(
    options: &OrderOptions,
    (site, process): (&Site, Process),
    (placed, stop): (&AtomicU64, &AtomicBool),
    customers: impl FnOnce() -> T + Send,
) -> Result<(T, Killed), ProveError> {
    std::thread::scope(|scope| {
        let customers = scope.spawn(customers);
        let killed = kill(options, site, placed, process);
        stop.store(true, Ordering::SeqCst);
        let said = customers.join().map_err(|_| ProveError::Host("the customers panicked".to_owned()))?;
        Ok((said, killed?))
    })
}

/// Kills the host again and again while orders come in, evenly over them and a little by chance.
fn kill(
    options: &OrderOptions,
    site: &Site,
    placed: &AtomicU64,
    mut process: Process,
) -> Result<Killed, ProveError> {
    let mut chance = options.seed;
    let mut recoveries = Vec::new();
    let share = options.orders / u64::from(options.kills.max(1));
    for kill in 0..u64::from(options.kills) {
        let due = kill * share + random(&mut chance) % share.max(1);
        while placed.load(Ordering::SeqCst) < due {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_millis(random(&mut chance) % 20));
        process.kill()?;
        let (next, took) = site.start()?;
        process = next;
        recoveries.push(took);
    }
    Ok(Killed { process, recoveries })
}

fn compare(client: &Client, acknowledged: u64) -> Result<Vec<Row>, ProveError> {
    let mut books = Books::default();
    for channel in CHANNELS {
        read(client, channel, |event| books.take(channel, event))?;
    }
    let wrongs = books.balance(acknowledged, &stock(client)?);
    let status = client.get("/v1/status")?;
    let alarms = status["alarms"].as_array().map_or(0, Vec::len) as u64;
    let dead = client.get("/v1/dead")?["count"].as_u64().unwrap_or(u64::MAX);
    let open = |state: &str| {
        let flows = client.get(&format!("/v1/flows?state={state}&limit=1000"))?;
        Ok::<_, ProveError>(flows["flows"].as_array().map_or(u64::MAX, |flows| flows.len() as u64))
    };
    Ok(vec![
        Row::zero("events of the relay that are missing", wrongs.lost).on(Card::Lost),
        Row::zero("events that are there twice", wrongs.doubled).on(Card::Doubled),
        Row::zero("events that no order accounts for", wrongs.strange).on(Card::Broken),
        Row::zero("mails too few or too many", wrongs.mails).on(Card::Broken),
        Row::zero("cents charged too little or too much", wrongs.charged_minor).on(Card::Broken),
        Row::zero("copies too few or too many in the stock", wrongs.copies).on(Card::Broken),
        Row::zero("orders that are not done", open("open")? + open("stuck")?).on(Card::Broken),
        Row::zero("dead letters", dead).on(Card::Broken),
        Row::zero("books that do not balance", alarms).on(Card::Broken),
    ])
}

/// What the inventory keeps of each book: on hand, and reserved.
fn stock(client: &Client) -> Result<Vec<(u64, u64)>, ProveError> {
    let of = |(sku, _): &(&str, u64)| {
        let state = client.get(&format!("/v1/processors/inventory/state?key={sku}&limit=10000"))?;
        let entries = state["entries"].as_array().cloned().unwrap_or_default();
        let stock = entries.iter().find(|entry| entry["name"] == "stock").map(|entry| entry["value"].clone());
        let stock = stock.unwrap_or_default();
        let count = |name: &str| stock[name].as_u64().unwrap_or_default();
        Ok((count("on_hand"), count("reserved")))
    };
    BOOKS.iter().map(of).collect()
}

/// Every event of a channel.
pub(super) fn read(client: &Client, channel: &str, mut each: impl FnMut(&Value)) -> Result<(), ProveError> {
    let mut from = 0;
    loop {
        let page = client.get(&format!("/v1/channels/{channel}/events?from={from}&limit={PAGE}"))?;
        let events = page["events"].as_array().cloned().unwrap_or_default();
        if events.is_empty() {
            return Ok(());
        }
        events.iter().for_each(|event| each(&event["event"]));
        from = page["next"].as_u64().unwrap_or(from + PAGE);
    }
}
