//! What the views alone can answer: channels, subscriptions, state. It reads no clock and no journal; how many events wait
//! behind a held one only the lanes know, so that is passed in.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::model::change::SubscriptionId;
use crate::model::report::{ChannelReport, StateEntry, SubscriptionReport};
use crate::model::time::rfc3339;
use crate::model::workflow::post::{mediator_of, processor_of};

use super::ledger::ledger;
use super::state::StateValue;
use super::wanted::filter_of;
use super::world::{Channel, Processor, World};

/// All channels in the order of their numbers; `waiting` says how many events of a subscription wait behind held ones.
pub fn channel_reports(world: &World, waiting: impl Fn(SubscriptionId) -> u64) -> Vec<ChannelReport> {
    let report = |channel: &Channel| ChannelReport {
        name: channel.name.to_string(),
        kind: if is_queue(world, channel) { "queue" } else { "topic" }.to_owned(),
        first: channel.first,
        next: channel.next,
        publishers: publishers(world, channel),
        subscriptions: channel
            .subscriptions
            .iter()
            .filter(|id| !is_own(world, **id))
            .filter_map(|id| subscription_report(world, *id, waiting(*id)))
            .collect(),
    };
    world.channels().iter().map(report).collect()
}

/// Whether a channel has one subscriber: the event queue or the inbox of a mediator, or the commands for a processor.
fn is_queue(world: &World, channel: &Channel) -> bool {
    let name = channel.name.as_str();
    let reads = |id: &SubscriptionId| {
        let subscription = world.subscriptions().get(*id as usize)?;
        let deployment = world.processors().get(subscription.processor as usize)?.deployment.as_ref()?;
        Some(deployment.descriptor.event_queue() == Some(&channel.name))
    };
    processor_of(name).is_some()
        || mediator_of(name).is_some()
        || channel.subscriptions.iter().any(|id| reads(id) == Some(true))
}

/// Whether a subscription is that of a part of the host, which nobody deployed.
fn is_own(world: &World, id: SubscriptionId) -> bool {
    let processor = world.subscriptions().get(id as usize).map(|subscription| subscription.processor);
    let processor = processor.and_then(|id| world.processors().get(id as usize));
    processor.is_some_and(|processor| processor.name.is_reserved())
}

fn publishers(world: &World, channel: &Channel) -> Vec<String> {
    let publishes = |processor: &&Processor| {
        processor.deployed
            && processor.deployment.as_ref().is_some_and(|d| d.descriptor.publishes.contains(&channel.name))
    };
    world.processors().iter().filter(publishes).map(|processor| processor.name.to_string()).collect()
}

/// A subscription's position, unless there is no such subscription.
pub fn subscription_report(world: &World, id: SubscriptionId, waiting: u64) -> Option<SubscriptionReport> {
    let subscription = world.subscriptions().get(id as usize)?;
    let processor = world.processors().get(subscription.processor as usize)?;
    let channel = world.channels().get(subscription.channel as usize)?;
    let (cursor, ahead) = (subscription.decided.cursor(), subscription.decided.ahead());
    let failed = || processor.held.range((id, 0)..=(id, u64::MAX));
    Some(SubscriptionReport {
        processor: processor.name.to_string(),
        channel: channel.name.to_string(),
        start: subscription.start,
        cursor,
        decided: (cursor - subscription.start + ahead).saturating_sub(subscription.expired),
        expired: subscription.expired,
        filtered: subscription.filtered,
        ahead,
        lag: channel.next.saturating_sub(cursor).saturating_sub(ahead),
        parked: failed().filter(|(_, held)| held.again.is_some()).count() as u64,
        held: failed().filter(|(_, held)| held.again.is_none()).count() as u64,
        waiting,
        dead: world.dead().of(id, 0).filter(|(_, dead)| dead.redriven.is_none()).count() as u64,
        discarded: subscription.discarded,
        ledger: ledger(world, id).unwrap_or_default(),
        filter: filter_of(world, id).cloned(),
    })
}

/// Whether events of the subscription's channel are still to be handled by it: it is not forgotten, its processor is deployed, and
/// what runs asks for the channel.
pub fn is_read(world: &World, id: SubscriptionId) -> bool {
    let read = || {
        let subscription = world.subscriptions().get(id as usize).filter(|s| !s.forgotten)?;
        let processor = world.processors().get(subscription.processor as usize).filter(|p| p.deployed)?;
        let channel = world.channels().get(subscription.channel as usize)?;
        let asks = &processor.deployment.as_ref()?.descriptor.subscriptions;
        Some(asks.iter().any(|ask| ask.channel == channel.name))
    };
    read().unwrap_or(false)
}

/// The state of a processor, of one key or of all, in order, at most `limit` entries; expired values are not there.
pub fn state_entries(processor: &Processor, key: Option<&str>, now_ms: u64, limit: usize) -> Vec<StateEntry> {
    let rows = processor.state.rows(key, now_ms, limit);
    rows.into_iter().map(|(key, name, value)| state_entry(&key, &name, &value)).collect()
}

fn state_entry(key: &str, name: &str, value: &StateValue) -> StateEntry {
    let json = serde_json::from_slice(&value.bytes).ok();
    let base64 = json.is_none().then(|| BASE64.encode(&value.bytes));
    StateEntry {
        key: key.to_owned(),
        name: name.to_owned(),
        value: json,
        value_base64: base64,
        expires: (value.expires_ms != 0).then(|| rfc3339(value.expires_ms)),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use crate::model::change::{Change, Control, Skip};
    use crate::model::ledger::Ledger;
    use crate::view::fixture::{channel_created, control, deployment, fault, processor_named};
    use serde_json::json;
    use uuid::Uuid;

    /// `mail` reads `orders` from offset 2 and publishes on `mails`; there are 10 orders.
    fn world() -> World {
        let mut world = World::default();
        control(&mut world, channel_created(0, "orders"));
        control(&mut world, channel_created(1, "mails"));
        control(&mut world, processor_named(0, "mail"));
        let created = Control::SubscriptionCreated { subscription: 0, processor: 0, channel: 0, start: 2 };
        control(&mut world, created);
        let deployment = Box::new(deployment(0, 1, &["orders"], &["mails"]));
        control(&mut world, Control::Deployed { deployment });
        for offset in 0..10 {
            world.fold(&Change::Event { channel: 0, offset, record: &[] });
        }
        world
    }

    #[test]
    fn a_subscription_says_what_it_did_and_what_is_left() {
        let mut world = world();
        world.fold(&Change::Skipped(Skip { subscription: 0, from: 6, to: 7 }));
        for offset in [2, 3, 8] {
            world.fold(&Change::Decided { subscription: 0, offset, flow: Uuid::nil() });
        }
        let (key, flow) = ("k".to_owned(), Uuid::nil());
        control(
            &mut world,
            Control::Held { subscription: 0, offset: 4, position: 4, flow, key, fault: fault(), again: None },
        );
        let expected = SubscriptionReport {
            processor: "mail".into(),
            channel: "orders".into(),
            start: 2,
            cursor: 4,
            decided: 4,
            expired: 0,
            filtered: 1,
            ahead: 2,
            lag: 4,
            held: 1,
            ledger: Ledger { accepted: 8, acked: 3, filtered: 1, to_do: 3, held: 1, ..Ledger::default() },
            dead: 0,
            discarded: 0,
            parked: 0,
            waiting: 3,
            filter: None,
        };
        assert_eq!(subscription_report(&world, 0, 3), Some(expected.clone()));
        assert_eq!(subscription_report(&world, 1, 0), None);
        let channels = channel_reports(&world, |_| 3);
        assert_eq!((channels[0].next, &channels[0].publishers), (10, &vec![]));
        assert_eq!(channels[0].subscriptions, [expected]);
        assert_eq!((channels[1].next, &channels[1].publishers), (0, &vec!["mail".to_owned()]));
    }

    #[test]
    fn what_expires_is_counted_by_those_who_had_not_decided_it() {
        let mut world = world();
        for offset in [2, 3, 6] {
            world.fold(&Change::Decided { subscription: 0, offset, flow: Uuid::nil() });
        }
        control(&mut world, Control::Undeployed { processor: 0, forget: false });
        control(&mut world, Control::Expired { channel: 0, to: 7, until_ms: 5 });
        let report = subscription_report(&world, 0, 0).unwrap();
        assert_eq!((report.cursor, report.decided, report.expired, report.lag), (7, 3, 2, 3));
        control(&mut world, processor_named(1, "late"));
        let created = Control::SubscriptionCreated { subscription: 1, processor: 1, channel: 0, start: 0 };
        control(&mut world, created);
        let report = subscription_report(&world, 1, 0).unwrap();
        assert_eq!((report.cursor, report.decided, report.expired, report.lag), (7, 0, 7, 3));
        let channel = &world.channels()[0];
        assert_eq!((channel.first, channel.expired_until_ms), (7, 5));
        assert_eq!(channel_reports(&world, |_| 0)[0].first, 7);
    }

    #[test]
    fn an_undeployed_processor_neither_reads_nor_publishes() {
        let mut world = world();
        assert!(is_read(&world, 0));
        control(&mut world, Control::Undeployed { processor: 0, forget: false });
        assert!(!is_read(&world, 0));
        let channels = channel_reports(&world, |_| 0);
        assert!(channels[1].publishers.is_empty());
        assert_eq!(channels[0].subscriptions.len(), 1);
    }

    #[test]
    fn state_is_shown_as_json_or_base64_until_it_expires() {
        let world = world();
        let set = |key: &str, value: &[u8], expires_ms| {
            let value = StateValue { bytes: value.into(), expires_ms };
            world.processors()[0].state.set(key, "n", Some(value));
        };
        set("a", br#"{"n":1}"#, 1_700_000_000_123);
        set("b", &[0xff, 0], 0);
        set("c", b"1", 5);
        let entries = state_entries(&world.processors()[0], None, 6, 10);
        assert_eq!(entries.len(), 2);
        assert_eq!(entries[0].value, Some(json!({"n": 1})));
        assert_eq!(entries[0].expires.as_deref(), Some("2023-11-14T22:13:20.123Z"));
        assert_eq!((&entries[1].value, entries[1].value_base64.as_deref()), (&None, Some("/wA=")));
        assert_eq!(state_entries(&world.processors()[0], Some("b"), 6, 10).len(), 1);
        assert_eq!(state_entries(&world.processors()[0], None, 6, 1).len(), 1);
    }
}
