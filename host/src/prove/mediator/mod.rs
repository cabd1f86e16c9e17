//! `baton prove mediator`: mediated orders at full speed, of which one in five is denied and some find too few copies, while the host is killed and started again and the workflow's definition changes. In the end
//! every run must have ended as it has to, on the definition it began with, every command must have been given and acknowledged once, and only what is to be undone must be undone.

#![allow(clippy::indexing_slicing, reason = "a member of JSON that is missing is null")]

mod ledger;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use serde_json::Value;

use super::host::{Client, Site};
use super::relay::books::Order;
use super::relay::{OrderOptions, SHOP, read, while_killed};
use super::{Card, Proof, ProveError, Row, components};
use ledger::{DEFINITION, INBOX, Ledger, QUEUES};

/// The workflow that is run.
const WORKFLOW: &str = include_str!("../../../../plugins/mediators/place-order.yaml");
/// How many orders one publish has.
const BATCH: u64 = 20;
/// How many runs may be in progress before the customers wait.
const AHEAD_MAX: usize = 400;
const PAGE: usize = 1_000;

/// Proves that kills and so many changes of the definition leave every run with one of its ends, and every step done once.
pub fn mediator(options: &OrderOptions, changes: u32) -> Result<Proof, ProveError> {
    let site = Site::new()?;
    for (name, component) in SHOP.iter().zip(components::build(&SHOP)?) {
        site.drop_in(name, &component)?;
    }
    site.drop_in_workflow("place-order", &definition(0))?;
    let (process, _) = site.start()?;
    let client = site.client();
    client.until("the workflow is deployed", |client| is_open(client).then_some(()))?;
    let (placed, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let began = Instant::now();
    let changes =
        Changes { site: &site, every: options.orders / u64::from(changes + 1), left: changes, made: 0 };
    let customers = || order(&client, options.orders, (&placed, &stop), changes);
    let (acknowledged, killed) = while_killed(options, (&site, process), (&placed, &stop), customers)?;
    let acknowledged = acknowledged?;
    client.until("every run has ended", |client| (in_progress(client)? == 0).then_some(()))?;
    let seconds = began.elapsed().as_secs_f64();
    let mut rows = vec![
        Row::new("orders acknowledged", acknowledged as f64, "orders").on(Card::Events),
        Row::new("until the last run ended", seconds, "s"),
        Row::new("kills (SIGKILL)", f64::from(options.kills), "").on(Card::Kills),
    ];
    rows.extend(compare(&client, acknowledged)?);
    rows.push(killed.worst());
    drop(killed.process);
    Ok(Proof::new("mediator", options.seed, rows))
}

fn is_open(client: &Client) -> bool {
    let all = client.get("/v1/workflows").unwrap_or_default();
    all["workflows"].as_array().into_iter().flatten().any(|workflow| workflow["deployed"] == true)
}

/// How many runs are not over, and how many orders wait to become one.
fn in_progress(client: &Client) -> Option<usize> {
    let runs = |status: &str| {
        let page = client.get(&format!("/v1/runs?workflow=place-order&status={status}&limit={PAGE}")).ok()?;
        let runs = page["runs"].as_array()?;
        Some(runs.iter().filter(|run| run["over"] != true).count())
    };
    let processor = client.get("/v1/processors/place-order").ok()?;
    let lag =
        processor["subscriptions"].as_array()?.iter().filter_map(|one| one["lag"].as_u64()).sum::<u64>();
    Some(usize::try_from(lag).ok()? + runs("running")? + runs("waiting")? + runs("pending")?)
}

/// The workflow as its definition of this number: each of its commands says which it is.
fn definition(number: u32) -> String {
    let text = WORKFLOW.replace("version: '1.0.0'", &format!("version: '1.0.{number}'"));
    let mut is_call = false;
    let marked = text.lines().map(|line| {
        let was_call = std::mem::replace(&mut is_call, line.trim_start().starts_with("call: "));
        match was_call {
            true => {
                line.replace("with: { type:", &format!("with: {{ {DEFINITION}: '{number}', type:")) + "\n"
            }
            false => format!("{line}\n"),
        }
    });
    marked.collect()
}

/// What is still to change while orders come in.
struct Changes<'a> {
    site: &'a Site,
    /// After how many orders the definition changes.
    every: u64,
    left: u32,
    made: u32,
}

impl Changes<'_> {
    /// Changes the definition if it is time.
    fn at(&mut self, acknowledged: u64) -> Result<(), ProveError> {
        if self.left == 0 || acknowledged < u64::from(self.made + 1) * self.every {
            return Ok(());
        }
        (self.left, self.made) = (self.left - 1, self.made + 1);
        self.site.drop_in_workflow("place-order", &definition(self.made))
    }
}

/// Places numbered orders, the same again where no answer came, until there are enough and the kills are over; says how many.
fn order(
    client: &Client,
    orders: u64,
    (placed, stop): (&AtomicU64, &AtomicBool),
    mut changes: Changes<'_>,
) -> Result<u64, ProveError> {
    let mut acknowledged = 0;
    while acknowledged < orders || !stop.load(Ordering::SeqCst) {
        let batch = (acknowledged + 1..=acknowledged + BATCH).map(|number| Order(number).event());
        let batch = Value::Array(batch.collect()).to_string();
        while !client.publish("order-wanted", &batch) {
            std::thread::yield_now();
        }
        acknowledged += BATCH;
        placed.store(acknowledged, Ordering::SeqCst);
        changes.at(acknowledged)?;
        // A host that is away for longer than the patience is found by those who look at it.
        let keeps_up =
            |client: &Client| in_progress(client).is_some_and(|runs| runs < AHEAD_MAX).then_some(());
        let _ = client.until("the mediator keeps up", keeps_up);
    }
    Ok(acknowledged)
}

fn compare(client: &Client, acknowledged: u64) -> Result<Vec<Row>, ProveError> {
    let mut ledger = Ledger::default();
    for queue in QUEUES {
        read(client, queue, |event| ledger.command(queue, event))?;
    }
    read(client, INBOX, |event| ledger.acknowledgement(event))?;
    runs(client, |run| ledger.run(run))?;
    let told = SHOP.iter().map(|name| {
        let processor = client.get(&format!("/v1/processors/{name}"))?;
        let publishes = processor["descriptor"]["publishes"].as_array().cloned().unwrap_or_default();
        let count = |channel: &Value| {
            let channel = channel.as_str().unwrap_or_default();
            Ok::<_, ProveError>(client.get(&format!("/v1/channels/{channel}"))?["next"].as_u64().unwrap_or(0))
        };
        publishes.iter().map(count).sum::<Result<u64, _>>()
    });
    let told: u64 = told.sum::<Result<u64, ProveError>>()?;
    let status = client.get("/v1/status")?;
    let alarms = status["alarms"].as_array().map_or(0, Vec::len) as u64;
    let dead = client.get("/v1/dead")?["count"].as_u64().unwrap_or(u64::MAX);
    let wrongs = ledger.balance(acknowledged);
    Ok(vec![
        Row::new("steps carried out", wrongs.steps as f64, "steps"),
        Row::new("definitions that runs were on", wrongs.definitions as f64, ""),
        Row::zero("runs that went on with another definition", wrongs.turned).on(Card::Broken),
        Row::zero("orders without a run", wrongs.lost).on(Card::Lost),
        Row::zero("runs that did not end as they have to", wrongs.ends).on(Card::Broken),
        Row::zero("commands given twice", wrongs.commands_doubled).on(Card::Doubled),
        Row::zero("commands acknowledged twice", wrongs.acknowledged_twice).on(Card::Doubled),
        Row::zero("commands never acknowledged", wrongs.unacknowledged).on(Card::Lost),
        Row::zero("steps begun a second time", wrongs.again).on(Card::Doubled),
        Row::zero("reservations not undone that have to be, or undone that must not", wrongs.undone)
            .on(Card::Broken),
        Row::new("orders refused for want of copies, all paid", wrongs.short as f64, "orders"),
        Row::zero("payments not given back that have to be, or given back that must not", wrongs.refunds)
            .on(Card::Broken),
        Row::zero("events of commands that reached a topic", told).on(Card::Broken),
        Row::zero("dead letters", dead).on(Card::Broken),
        Row::zero("books that do not balance", alarms).on(Card::Broken),
    ])
}

/// All runs of the workflow, page by page.
fn runs(client: &Client, mut each: impl FnMut(&Value)) -> Result<(), ProveError> {
    let mut after = String::new();
    loop {
        let page = client.get(&format!("/v1/runs?workflow=place-order&limit={PAGE}{after}"))?;
        page["runs"].as_array().into_iter().flatten().for_each(&mut each);
        match page["after"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return Ok(()),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::model::workflow::read::read;
    use crate::model::workflow::task::Action;

    #[test]
    fn each_definition_can_be_told_by_its_commands() {
        let definition = read(&definition(7)).fine().unwrap();
        assert_eq!(definition.document.version, "1.0.7");
        let calls: Vec<_> = definition
            .all()
            .into_iter()
            .filter_map(|task| match &task.action {
                Action::Call(call) => {
                    Some((task.name.as_str(), call.event.attributes.contains_key(DEFINITION)))
                }
                _ => None,
            })
            .collect();
        assert!(calls.len() > QUEUES.len() && calls.iter().all(|(_, marked)| *marked), "{calls:?}");
    }
}
