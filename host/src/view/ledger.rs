//! The book of a subscription: every event that it accepted is accounted for once. What is counted as it happens is held against what is
//! there: the offsets that are decided, the events that failed, the dead letters. A difference is a fault of Baton.

use crate::model::change::SubscriptionId;
use crate::model::ledger::{Ledger, LedgerAlarm};

use super::world::World;

/// The book of a subscription, unless there is none.
pub fn ledger(world: &World, id: SubscriptionId) -> Option<Ledger> {
    let subscription = world.subscriptions().get(id as usize).filter(|s| !s.forgotten)?;
    let processor = world.processors().get(subscription.processor as usize)?;
    let channel = world.channels().get(subscription.channel as usize)?;
    let decided = &subscription.decided;
    let undecided = channel.next.saturating_sub(decided.cursor()).saturating_sub(decided.ahead());
    let failed = || processor.held.range((id, 0)..=(id, u64::MAX));
    let again = failed().filter(|((_, offset), _)| decided.contains(*offset)).count() as u64;
    let redriven = world.dead().of(id, 0).filter(|(_, dead)| dead.redriven.is_some()).count() as u64;
    let parked = failed().filter(|(_, held)| held.again.is_some()).count() as u64;
    let held = failed().count() as u64 - parked;
    Some(Ledger {
        accepted: channel.next.saturating_sub(subscription.start),
        acked: subscription.acked,
        filtered: subscription.filtered,
        to_do: (undecided + again + redriven).saturating_sub(parked + held),
        parked,
        held,
        dead: world.dead().of(id, 0).count() as u64 - redriven,
        discarded: subscription.discarded,
        expired: subscription.expired,
    })
}

/// The books that do not balance.
pub fn audit(world: &World) -> Vec<LedgerAlarm> {
    let alarm = |id: SubscriptionId| {
        let difference = ledger(world, id)?.difference();
        let subscription = world.subscriptions().get(id as usize).filter(|_| difference != 0)?;
        Some(LedgerAlarm {
            processor: world.processors().get(subscription.processor as usize)?.name.to_string(),
            channel: world.channels().get(subscription.channel as usize)?.name.to_string(),
            difference,
        })
    };
    (0..world.subscriptions().len() as SubscriptionId).filter_map(alarm).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::model::change::{Again, Change, Control, Skip};
    use crate::model::operation::Operator;
    use crate::view::fixture::{Random, channel_created, control, fault, processor_named};

    fn founded() -> World {
        let mut world = World::default();
        control(&mut world, channel_created(0, "orders"));
        control(&mut world, processor_named(0, "mail"));
        (0..5).for_each(|offset| world.fold(&Change::Event { channel: 0, offset, record: &[] }));
        control(
            &mut world,
            Control::SubscriptionCreated { subscription: 0, processor: 0, channel: 0, start: 2 },
        );
        world
    }

    /// What lanes and operators may do with an event as it stands.
    fn step(world: &mut World, random: &mut Random) {
        let next = world.channels()[0].next;
        let offset = 2 + random.below(next - 2);
        let event = (0, offset);
        let held = world.processors()[0].held.get(&event).map(|held| held.again.is_some());
        let dead = world.dead().get(event).map(|dead| dead.redriven.is_some());
        let (flow, key, fault) = (Uuid::nil(), "k".to_owned(), fault());
        let comes = !world.is_decided(event) && dead != Some(false);
        match random.below(9) {
            0 | 1 => world.fold(&Change::Event { channel: 0, offset: next, record: &[] }),
            2 | 3 if comes => world.fold(&Change::Decided { subscription: 0, offset, flow }),
            4 if comes => {
                control(world, Control::Died { subscription: 0, offset, position: 0, flow, key, fault })
            }
            5 if comes => {
                let again = (random.below(2) == 0).then_some(Again::NOW);
                control(
                    world,
                    Control::Held { subscription: 0, offset, position: 0, flow, key, fault, again },
                );
            }
            6 if dead == Some(false) => {
                control(world, Control::Redriven { subscription: 0, offset, flow, at: 9 })
            }
            7 if dead == Some(false) || held == Some(false) => {
                control(world, Control::Discarded { subscription: 0, offset, flow, by: Operator::Cli });
            }
            8 if !world.is_decided(event) && held.is_none() && dead.is_none() => {
                world.fold(&Change::Skipped(Skip { subscription: 0, from: offset, to: offset + 1 }));
            }
            _ if random.below(40) == 0 => {
                control(world, Control::Expired { channel: 0, to: offset, until_ms: 0 })
            }
            _ if random.below(200) == 0 => {
                control(
                    world,
                    Control::SubscriptionReset { subscription: 0, to: offset, clear_state: false },
                );
            }
            _ => {}
        }
    }

    #[test]
    fn the_book_balances_whatever_happens_in_whatever_order() {
        for seed in 0..60 {
            let (mut world, mut random) = (founded(), Random(seed));
            for number in 0..400 {
                step(&mut world, &mut random);
                let ledger = ledger(&world, 0).unwrap();
                assert_eq!(ledger.difference(), 0, "seed {seed}, step {number}: {ledger:?}");
            }
            assert!(audit(&world).is_empty());
        }
    }

    #[test]
    fn a_book_that_does_not_balance_is_an_alarm() {
        let mut world = founded();
        world.fold(&Change::Decided { subscription: 0, offset: 2, flow: Uuid::nil() });
        world.miscount_for_test(0);
        let alarm = LedgerAlarm { processor: "mail".into(), channel: "orders".into(), difference: -1 };
        assert_eq!(audit(&world), [alarm]);
    }
}
