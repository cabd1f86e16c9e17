//! What a swap costs events in flight: one event after the other is published and awaited on the other side, and those under way while a version is replaced
//! are held against the others.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::super::host::{Client, Site};
use super::super::{ProveError, Row};
use super::guests::Guests;
use super::{runs, tick};

/// How many swaps are measured.
const SWAPS: u32 = 20;
/// How long nothing is replaced between two of them.
const REST: Duration = Duration::from_millis(100);

/// One event on its way there and back.
struct Trip {
    began: Instant,
    took: Duration,
}

/// What was measured, and how many events it took.
pub struct Measured {
    /// Events that were acknowledged.
    pub events: u64,
    /// Its figures.
    pub rows: Vec<Row>,
}

/// Measures with versions from `first` on; numbers of events go on behind `after`.
pub fn measure(
    site: &Site,
    client: &Client,
    guests: &Guests,
    first: u32,
    after: u64,
) -> Result<Measured, ProveError> {
    let stop = AtomicBool::new(false);
    let (trips, windows) = std::thread::scope(|scope| {
        let travels = scope.spawn(|| travel(client, after, &stop));
        let windows = swap_and_rest(site, client, guests, first);
        stop.store(true, Ordering::SeqCst);
        let trips = travels.join().map_err(|_| ProveError::Host("the traveller panicked".to_owned()))?;
        Ok::<_, ProveError>((trips, windows?))
    })?;
    let meets =
        |trip: &Trip| windows.iter().any(|(from, to)| trip.began < *to && trip.began + trip.took > *from);
    let (during, else_): (Vec<&Trip>, Vec<&Trip>) = trips.iter().partition(|trip| meets(trip));
    let (alone, swapped) = (sorted(&else_), sorted(&during));
    let own_us = handler_us(client)?;
    let row = |what: &str, us: f64| Row::new(what, us, "us");
    let added = |percent| (at(&swapped, percent) - at(&alone, percent)).max(0.0);
    let rows = vec![
        row("one event there and back, p50", at(&alone, 50)),
        row("one event there and back, p99", at(&alone, 99)),
        row("added while a version is replaced, p50", added(50)),
        row("added while a version is replaced, p99", added(99)),
        row("of all that the handler's own time, mean", own_us),
    ];
    Ok(Measured { events: trips.len() as u64, rows })
}

fn travel(client: &Client, after: u64, stop: &AtomicBool) -> Vec<Trip> {
    let mut trips = Vec::new();
    while !stop.load(Ordering::SeqCst) {
        let event = tick(after + 1 + trips.len() as u64).to_string();
        let began = Instant::now();
        while !client.publish_and_wait("ticks", "tocks", &event) {
            std::thread::yield_now();
        }
        trips.push(Trip { began, took: began.elapsed() });
    }
    trips
}

fn swap_and_rest(
    site: &Site,
    client: &Client,
    guests: &Guests,
    first: u32,
) -> Result<Vec<(Instant, Instant)>, ProveError> {
    let mut windows = Vec::new();
    for version in first..first + SWAPS {
        let before = client.until("a version runs", |client| runs(client, "relay"))?;
        let began = Instant::now();
        site.drop_in("relay", &guests.relay_as(version))?;
        client.until("the next version runs", |client| runs(client, "relay").filter(|now| *now != before))?;
        windows.push((began, Instant::now()));
        std::thread::sleep(REST);
    }
    Ok(windows)
}

fn sorted(trips: &[&Trip]) -> Vec<Duration> {
    let mut took: Vec<_> = trips.iter().map(|trip| trip.took).collect();
    took.sort_unstable();
    took
}

fn at(sorted: &[Duration], percent: usize) -> f64 {
    let place = sorted.len().saturating_sub(1) * percent / 100;
    sorted.get(place).map_or(0.0, |took| took.as_secs_f64() * 1e6)
}

/// The mean time of a call of the relay, by the host's own metrics.
fn handler_us(client: &Client) -> Result<f64, ProveError> {
    let metrics = client.text("/metrics")?;
    let value = |name: &str| {
        let line =
            metrics.lines().find(|line| line.starts_with(name) && line.contains("processor=\"relay\""))?;
        line.rsplit(' ').next()?.parse::<f64>().ok()
    };
    let sum = value("baton_processor_call_seconds_sum").unwrap_or(0.0);
    let count = value("baton_processor_call_seconds_count").unwrap_or(1.0).max(1.0);
    Ok(sum / count * 1e6)
}
