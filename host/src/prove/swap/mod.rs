//! `baton prove swap`: a processor is replaced again and again under a publisher at full speed, the host is killed and started again, and in the
//! end what was acknowledged is held against what each subscription did.

#![allow(clippy::indexing_slicing, reason = "a member of JSON that is missing is null")]

mod delay;
mod guests;
mod tally;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::host::{Client, Process, Site, is_quiet, lag, random};
use super::{Card, Proof, ProveError, Row};
use guests::{Guests, version_of};
use tally::{Seen, wrongs};

/// How many keys the events have.
const KEYS: u64 = 64;
/// How many events one publish has.
const BATCH: u64 = 100;
/// How far the publisher may be ahead of the readers, so that the end of the proof is near when the swaps are over.
const AHEAD_MAX: u64 = 20_000;
/// A kill comes at random within so many milliseconds after a new version was dropped in.
const KILL_WITHIN_MS: u64 = 150;
const PAGE: u64 = 1_000;

/// How much is done.
#[derive(Clone, Copy, Debug)]
pub struct SwapOptions {
    /// How often the processor is replaced.
    pub swaps: u32,
    /// How often the host is killed.
    pub kills: u32,
    /// How many events a second are published; as many as there can be unless it says.
    pub rate: Option<u64>,
    /// Where chance comes from.
    pub seed: u64,
}

/// Proves that swaps and kills lose nothing, double nothing and turn nothing round.
pub fn swap(options: &SwapOptions) -> Result<Proof, ProveError> {
    let guests = Guests::build()?;
    let site = Site::new()?;
    site.drop_in("tally", &guests.tally)?;
    site.drop_in("relay", &guests.relay_as(0))?;
    let (process, _) = site.start()?;
    let client = site.client();
    client.until("both processors run", |client| runs(client, "tally").and(runs(client, "relay")))?;
    let stop = AtomicBool::new(false);
    let began = Instant::now();
    let (acknowledged, replaced) = std::thread::scope(|scope| {
        let publisher = scope.spawn(|| publish(&client, options.rate, &stop));
        let replaced = replace(options, &site, &client, &guests, process);
        stop.store(true, Ordering::SeqCst);
        let acknowledged =
            publisher.join().map_err(|_| ProveError::Host("the publisher panicked".to_owned()))?;
        Ok::<_, ProveError>((acknowledged, replaced?))
    })?;
    let seconds = began.elapsed().as_secs_f64();
    client.until("nothing is left to do", is_quiet)?;
    let delays = delay::measure(&site, &client, &guests, options.swaps + 1, acknowledged)?;
    let acknowledged = acknowledged + delays.events;
    client.until("nothing is left to do", is_quiet)?;
    let mut rows = vec![
        Row::new("events acknowledged", acknowledged as f64, "events").on(Card::Events),
        Row::new("published for", seconds, "s"),
        Row::new("swaps", f64::from(options.swaps), "").on(Card::Swaps),
        Row::new("kills (SIGKILL)", f64::from(options.kills), "").on(Card::Kills),
    ];
    rows.extend(compare(&client, acknowledged)?);
    rows.extend(replaced.rows(&client)?);
    rows.extend(delays.rows);
    drop(replaced.process);
    Ok(Proof::new("swap", options.seed, rows))
}

/// What was done to the host.
struct Replaced {
    process: Process,
    /// How long each start after a kill took until the host listened.
    recoveries: Vec<Duration>,
}

impl Replaced {
    fn rows(&self, client: &Client) -> Result<Vec<Row>, ProveError> {
        let receipts = client.get("/v1/deployments")?;
        let pauses = receipts["deployments"].as_array().into_iter().flatten().flat_map(|one| {
            one["pauses_us"].as_array().into_iter().flatten().filter_map(Value::as_u64).collect::<Vec<_>>()
        });
        let mut pauses: Vec<u64> = pauses.collect();
        pauses.sort_unstable();
        let at = |percent: usize| {
            pauses.get((pauses.len().saturating_sub(1)) * percent / 100).copied().unwrap_or(0)
        };
        let worst = self.recoveries.iter().max().map_or(0.0, |took| took.as_secs_f64() * 1e3);
        Ok(vec![
            Row::new("pause of a lane in a swap, p50", at(50) as f64, "us"),
            Row::new("pause of a lane in a swap, p99", at(99) as f64, "us"),
            Row::new("longest pause of a lane", at(100) as f64, "us"),
            Row::new("worst start after a kill", worst, "ms").on(Card::Recovery),
        ])
    }
}

/// Publishes numbered events, the same again where no answer came; says up to which number all were acknowledged.
fn publish(client: &Client, rate: Option<u64>, stop: &AtomicBool) -> u64 {
    let began = Instant::now();
    let mut acknowledged = 0;
    while !stop.load(Ordering::SeqCst) {
        let batch = batch(acknowledged);
        while !client.publish("ticks", &batch) {
            std::thread::yield_now();
        }
        acknowledged += BATCH;
        if let Some(rate) = rate {
            let due = Duration::from_secs_f64(acknowledged as f64 / rate.max(1) as f64);
            std::thread::sleep(due.saturating_sub(began.elapsed()));
        }
        if acknowledged % (AHEAD_MAX / 4) == 0 {
            wait_for_readers(client, stop);
        }
    }
    acknowledged
}

fn batch(after: u64) -> String {
    Value::Array((after + 1..=after + BATCH).map(tick).collect()).to_string()
}

/// The event of a number.
fn tick(number: u64) -> Value {
    json!({
        "specversion": "1.0", "id": number.to_string(), "source": "/prove", "type": "tick",
        "subject": format!("k{}", number % KEYS), "datacontenttype": "application/json", "data": {"number": number},
    })
}

fn wait_for_readers(client: &Client, stop: &AtomicBool) {
    let is_near = |client: &Client| {
        (stop.load(Ordering::SeqCst) || lag(client).is_some_and(|lag| lag < AHEAD_MAX)).then_some(())
    };
    // A host that is away for longer than the patience is found by those who look at it.
    let _ = client.until("the readers keep up", is_near);
}

fn runs(client: &Client, name: &str) -> Option<String> {
    let processor = client.get(&format!("/v1/processors/{name}")).ok()?;
    (processor["status"] == "running").then(|| processor["digest"].as_str().map(str::to_owned))?
}

/// Drops one version after another in, each once the one before it runs, and kills the host now and then.
fn replace(
    options: &SwapOptions,
    site: &Site,
    client: &Client,
    guests: &Guests,
    mut process: Process,
) -> Result<Replaced, ProveError> {
    let mut chance = options.seed;
    let mut recoveries = Vec::new();
    let mut kills = 0;
    let mut digest = client.until("the first version runs", |client| runs(client, "relay"))?;
    for version in 1..=options.swaps {
        site.drop_in("relay", &guests.relay_as(version))?;
        let due = u64::from(version) * u64::from(options.kills) / u64::from(options.swaps);
        while kills < due {
            std::thread::sleep(Duration::from_millis(random(&mut chance) % KILL_WITHIN_MS));
            process.kill()?;
            let (next, took) = site.start()?;
            (process, kills) = (next, kills + 1);
            recoveries.push(took);
        }
        let before = digest;
        digest = client
            .until("the next version runs", |client| runs(client, "relay").filter(|now| *now != before))?;
    }
    Ok(Replaced { process, recoveries })
}

fn compare(client: &Client, acknowledged: u64) -> Result<Vec<Row>, ProveError> {
    let ticks = wrongs(&channel(client, "ticks")?, acknowledged);
    let passed_on = channel(client, "tocks")?;
    let versions: BTreeSet<u32> = passed_on.iter().map(|event| event.version).collect();
    let tocks = wrongs(&passed_on, acknowledged);
    let kept = state(client, "relay", "passed")?.iter().filter_map(Value::as_u64).sum::<u64>();
    let mut miscounted = kept.abs_diff(acknowledged);
    let mut disorders = 0;
    for channel in ["ticks", "tocks"] {
        let counts = state(client, "tally", channel)?;
        let sum = |name: &str| counts.iter().filter_map(|count| count[name].as_u64()).sum::<u64>();
        miscounted += sum("handled").abs_diff(acknowledged);
        disorders += sum("disorders");
    }
    Ok(vec![
        Row::new("versions that passed events on", versions.len() as f64, ""),
        Row::zero("acknowledged and lost", ticks.lost).on(Card::Lost),
        Row::zero("recorded twice", ticks.doubled).on(Card::Doubled),
        Row::zero("not passed on", tocks.lost).on(Card::Lost),
        Row::zero("passed on twice", tocks.doubled).on(Card::Doubled),
        Row::zero("passed on out of the order of their key", tocks.out_of_order + ticks.out_of_order)
            .on(Card::Disordered),
        Row::zero("lost or doubled in the state of processors", miscounted).on(Card::Broken),
        Row::zero("seen out of order by another processor", disorders).on(Card::Disordered),
        Row::zero("commits of a version that was replaced", tocks.retired).on(Card::Retired),
    ])
}

fn state(client: &Client, processor: &str, name: &str) -> Result<Vec<Value>, ProveError> {
    let state = client.get(&format!("/v1/processors/{processor}/state?limit=10000"))?;
    let entries = state["entries"].as_array().cloned().unwrap_or_default();
    Ok(entries
        .into_iter()
        .filter(|entry| entry["name"] == name)
        .map(|entry| entry["value"].clone())
        .collect())
}

/// All events of a channel, in order.
fn channel(client: &Client, name: &str) -> Result<Vec<Seen>, ProveError> {
    let mut all = Vec::new();
    let mut from = 0;
    loop {
        let page = client.get(&format!("/v1/channels/{name}/events?from={from}&limit={PAGE}"))?;
        let events = page["events"].as_array().cloned().unwrap_or_default();
        if events.is_empty() {
            return Ok(all);
        }
        for event in &events {
            let event = &event["event"];
            let number = event["data"]["number"].as_u64().unwrap_or_default();
            let version = event["maker"].as_str().and_then(version_of).unwrap_or_default();
            all.push(Seen { number, key: number % KEYS, version });
        }
        from = page["next"].as_u64().unwrap_or(from + PAGE);
    }
}
