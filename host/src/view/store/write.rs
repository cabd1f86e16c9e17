//! Rows into the store, each with its checksum: one transaction per batch. Numbers go through SQLite's signed ones bit by bit.

use std::sync::Arc;

use rusqlite::{Connection, Transaction, params};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::model::change::{Again, ProcessorId, SubscriptionId};
use crate::model::deployment::Deployment;
use crate::model::fault::Fault;
use crate::model::operation::Operation;
use crate::view::decided::Decided;
use crate::view::failed::{Dead, EventRef, Held};
use crate::view::state::StateRow;
use crate::view::world::{Channel, Processor, Rows, Subscription};

/// The events of a processor that failed, and what an operator said of it.
#[derive(Serialize, Deserialize)]
pub(super) struct Failed {
    pub held: Vec<HeldRow>,
    /// Not there in a store of the first release.
    #[serde(default)]
    pub operation: Operation,
}

/// A held event in the JSON of its processor.
#[derive(Serialize, Deserialize)]
pub(super) struct HeldRow {
    pub subscription: SubscriptionId,
    pub offset: u64,
    pub position: u64,
    pub flow: Uuid,
    pub key: String,
    pub fault: Fault,
    pub attempts: u32,
    /// The last four are not there in a store of the first release.
    #[serde(default)]
    pub before: Vec<Fault>,
    #[serde(default)]
    pub base: u32,
    #[serde(default)]
    pub waited_ms: u64,
    #[serde(default)]
    pub again: Option<Again>,
}

/// A dead letter.
#[derive(Serialize, Deserialize)]
pub(super) struct DeadRow {
    pub position: u64,
    pub flow: Uuid,
    pub key: String,
    pub attempts: Vec<Fault>,
    pub count: u32,
    pub group: String,
    pub redriven: Option<u64>,
}

/// Writes everything, or nothing.
pub(super) fn rows(connection: &mut Connection, rows: &Rows, next_position: u64) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    for (id, row) in &rows.channels {
        channel(&transaction, *id, row)?;
    }
    for (id, row) in &rows.processors {
        processor(&transaction, *id, row)?;
    }
    for (id, row) in &rows.subscriptions {
        subscription(&transaction, *id, row)?;
    }
    for (place, row) in &rows.deployments {
        deployment(&transaction, *place, row)?;
    }
    for (id, rows) in &rows.state {
        state(&transaction, *id, rows)?;
    }
    dead(&transaction, &rows.dead)?;
    let mut position =
        transaction.prepare_cached("UPDATE position SET next = ?1, checksum = checksum(1, ?1)")?;
    position.execute([next_position as i64])?;
    drop(position);
    transaction.commit()
}

fn channel(to: &Transaction<'_>, id: u32, row: &Channel) -> rusqlite::Result<usize> {
    let replace = "REPLACE INTO channel (id, name, next, first, expired_until_ms, checksum)
        VALUES (?1, ?2, ?3, ?4, ?5, checksum(?1, ?2, ?3, ?4, ?5))";
    to.prepare_cached(replace)?.execute(params![
        id,
        row.name.as_str(),
        row.next as i64,
        row.first as i64,
        row.expired_until_ms as i64
    ])
}

fn processor(to: &Transaction<'_>, id: ProcessorId, row: &Processor) -> rusqlite::Result<usize> {
    let failed = Failed {
        held: row.held.iter().map(|(event, held)| held_row(*event, held)).collect(),
        operation: row.operation.clone(),
    };
    to.prepare_cached("REPLACE INTO processor VALUES (?1, ?2, ?3, ?4, checksum(?1, ?2, ?3, ?4))")?
        .execute(params![id, row.name.as_str(), row.deployed, json(&failed)?])
}

fn held_row((subscription, offset): (SubscriptionId, u64), held: &Held) -> HeldRow {
    let Held { position, flow, key, fault, before, attempts, base, waited_ms, again } = held.clone();
    HeldRow { subscription, offset, position, flow, key, fault, attempts, before, base, waited_ms, again }
}

fn subscription(to: &Transaction<'_>, id: SubscriptionId, row: &Subscription) -> rusqlite::Result<usize> {
    let replace = "REPLACE INTO subscription
        (id, processor, channel, start, cursor, ahead, forgotten, filtered, replays, expired, acked, discarded, checksum)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, checksum(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12))";
    to.prepare_cached(replace)?.execute(params![
        id,
        row.processor,
        row.channel,
        row.start as i64,
        row.decided.cursor() as i64,
        ahead_bits(&row.decided),
        row.forgotten,
        row.filtered as i64,
        row.replays,
        row.expired as i64,
        row.acked as i64,
        row.discarded as i64
    ])
}

/// Bit n of the blob is the offset n + 1 above the cursor: at most 8 KiB, however many there are.
fn ahead_bits(decided: &Decided) -> Vec<u8> {
    let mut bits = Vec::new();
    for offset in decided.ahead_offsets() {
        let n = (offset - decided.cursor() - 1) as usize;
        bits.resize(n / 8 + 1, 0_u8);
        if let Some(byte) = bits.last_mut() {
            *byte |= 1 << (n % 8);
        }
    }
    bits
}

fn deployment(to: &Transaction<'_>, place: usize, row: &Arc<Deployment>) -> rusqlite::Result<usize> {
    let receipt = json(row.as_ref())?;
    to.prepare_cached("REPLACE INTO deployment VALUES (?1, ?2, checksum(?1, ?2))")?
        .execute(params![place as i64, receipt])
}

fn state(to: &Transaction<'_>, processor: ProcessorId, rows: &[StateRow]) -> rusqlite::Result<()> {
    let mut set =
        to.prepare_cached("REPLACE INTO state VALUES (?1, ?2, ?3, ?4, ?5, checksum(?1, ?2, ?3, ?4, ?5))")?;
    let mut delete =
        to.prepare_cached("DELETE FROM state WHERE processor = ?1 AND key = ?2 AND name = ?3")?;
    for (key, name, value) in rows {
        match value {
            Some(value) => {
                set.execute(params![processor, key, name, value.expires_ms as i64, &value.bytes[..]])?
            }
            None => delete.execute(params![processor, key, name])?,
        };
    }
    Ok(())
}

fn dead(to: &Transaction<'_>, rows: &[(EventRef, Option<Arc<Dead>>)]) -> rusqlite::Result<()> {
    let mut set = to.prepare_cached("REPLACE INTO dead VALUES (?1, ?2, ?3, checksum(?1, ?2, ?3))")?;
    let mut delete = to.prepare_cached("DELETE FROM dead WHERE subscription = ?1 AND offset = ?2")?;
    for ((subscription, offset), letter) in rows {
        match letter {
            Some(letter) => set.execute(params![subscription, *offset as i64, json(&dead_row(letter))?])?,
            None => delete.execute(params![subscription, *offset as i64])?,
        };
    }
    Ok(())
}

fn dead_row(letter: &Dead) -> DeadRow {
    let Dead { position, flow, key, attempts, count, group, redriven } = letter.clone();
    DeadRow { position, flow, key, attempts, count, group, redriven }
}

fn json<T: Serialize>(value: &T) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}
