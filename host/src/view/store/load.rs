//! The views out of the store, each row in the place that it had.

use rusqlite::{Connection, Row};

use crate::model::change::SubscriptionId;
use crate::model::name::{ChannelName, NameError, ProcessorName};
use crate::view::decided::Decided;
use crate::view::failed::{Dead, Held};
use crate::view::state::StateValue;
use crate::view::world::{Channel, Processor, Subscription, World};

use super::Fault;
use super::sums::{self, each};
use super::write::{DeadRow, Failed, HeldRow};

impl From<NameError> for Fault {
    fn from(error: NameError) -> Self {
        Self::Broken(error.to_string())
    }
}

impl From<serde_json::Error> for Fault {
    fn from(error: serde_json::Error) -> Self {
        Self::Broken(error.to_string())
    }
}

/// Reads everything, and the position that it reflects.
pub(super) fn world(from: &Connection) -> Result<(World, u64), Fault> {
    let (mut world, mut next) = (World::default(), None);
    each(from, "channel", sums::CHANNEL, |row| channel(&mut world, row))?;
    each(from, "processor", sums::PROCESSOR, |row| processor(&mut world, row))?;
    each(from, "subscription", sums::SUBSCRIPTION, |row| subscription(&mut world, row))?;
    each(from, "deployment", sums::DEPLOYMENT, |row| deployment(&mut world, row))?;
    each(from, "state", sums::STATE, |row| state(&world, row))?;
    each(from, "dead", sums::DEAD, |row| dead(&mut world, row))?;
    each(from, "position", sums::POSITION, |row| {
        next = Some(unsigned(row, 1)?);
        Ok(())
    })?;
    let next = next.ok_or_else(|| Fault::Broken("it does not say which position it reflects".to_owned()))?;
    Ok((world, next))
}

fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(|number| number as u64)
}

/// The number of a row, which is its place among `len` so far.
fn number(row: &Row<'_>, len: usize) -> Result<u32, Fault> {
    let id: u32 = row.get(0)?;
    if id as usize == len { Ok(id) } else { Err(Fault::Broken(format!("row {len} has the number {id}"))) }
}

fn channel(world: &mut World, row: &Row<'_>) -> Result<(), Fault> {
    let id = number(row, world.channels().len())?;
    let name = ChannelName::new(row.get::<_, String>(1)?)?;
    let (next, first, expired_until_ms) = (unsigned(row, 2)?, unsigned(row, 3)?, unsigned(row, 4)?);
    world.load_channel(id, Channel { next, first, expired_until_ms, ..Channel::new(name) });
    Ok(())
}

fn processor(world: &mut World, row: &Row<'_>) -> Result<(), Fault> {
    let id = number(row, world.processors().len())?;
    let failed: Failed = serde_json::from_str(&row.get::<_, String>(3)?)?;
    let processor = Processor {
        name: ProcessorName::new(row.get::<_, String>(1)?)?,
        deployment: None,
        deployed: row.get(2)?,
        subscriptions: Vec::new(),
        held: failed.held.into_iter().map(held).collect(),
        operation: failed.operation,
        state: Default::default(),
    };
    world.load_processor(id, processor);
    Ok(())
}

fn held(row: HeldRow) -> ((SubscriptionId, u64), Held) {
    let HeldRow {
        subscription,
        offset,
        position,
        flow,
        key,
        fault,
        attempts,
        before,
        base,
        waited_ms,
        again,
    } = row;
    ((subscription, offset), Held { position, flow, key, fault, before, attempts, base, waited_ms, again })
}

fn subscription(world: &mut World, row: &Row<'_>) -> Result<(), Fault> {
    let id = number(row, world.subscriptions().len())?;
    let mut decided = Decided::from(unsigned(row, 4)?);
    for offset in ahead_offsets(decided.cursor(), row.get_ref(5)?.as_blob().map_err(rusqlite::Error::from)?) {
        decided.insert(offset);
    }
    let subscription = Subscription {
        processor: row.get(1)?,
        channel: row.get(2)?,
        start: unsigned(row, 3)?,
        decided,
        forgotten: row.get(6)?,
        filtered: unsigned(row, 7)?,
        replays: row.get(8)?,
        expired: unsigned(row, 9)?,
        acked: 0,
        discarded: unsigned(row, 11)?,
    };
    // A store of before did not count them: then there were no dead letters either.
    let acked = u64::try_from(row.get::<_, i64>(10)?).unwrap_or_else(|_| subscription.done_otherwise());
    let subscription = Subscription { acked, ..subscription };
    world.load_subscription(id, subscription);
    Ok(())
}

fn ahead_offsets(cursor: u64, bits: &[u8]) -> impl Iterator<Item = u64> {
    let set = |(byte, at): (&u8, u64)| {
        let byte = *byte;
        (0..8).filter(move |n| byte >> n & 1 == 1).map(move |n| at * 8 + n)
    };
    bits.iter().zip(0..).flat_map(set).map(move |n| cursor + 1 + n)
}

fn deployment(world: &mut World, row: &Row<'_>) -> Result<(), Fault> {
    number(row, world.deployments().len())?;
    world.load_deployment(serde_json::from_str(&row.get::<_, String>(1)?)?);
    Ok(())
}

fn dead(world: &mut World, row: &Row<'_>) -> Result<(), Fault> {
    let letter: DeadRow = serde_json::from_str(&row.get::<_, String>(2)?)?;
    let DeadRow { position, flow, key, attempts, count, group, redriven } = letter;
    let letter = Dead { position, flow, key, attempts, count, group, redriven };
    world.dead_mut().load((row.get(0)?, unsigned(row, 1)?), letter);
    Ok(())
}

fn state(world: &World, row: &Row<'_>) -> Result<(), Fault> {
    let Some(processor) = world.processors().get(row.get::<_, u32>(0)? as usize) else {
        return Err(Fault::Broken("state of a processor that is not there".to_owned()));
    };
    let bytes: Vec<u8> = row.get(4)?;
    let value = StateValue { bytes: bytes.into(), expires_ms: unsigned(row, 3)? };
    processor.state.load(&row.get::<_, String>(1)?, &row.get::<_, String>(2)?, value);
    Ok(())
}
