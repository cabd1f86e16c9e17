//! Expiry, what holds it back, what is counted, and starts behind a trim: over a journal in memory and a clock that is moved by hand.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;
use uuid::Uuid;

use super::{Deployable, Domain, Keeper, Limits, Parts, ReadError, Reader, TrimError, Window};
use crate::clock::ManualClock;
use crate::journal::storage::{Memory, Storage};
use crate::journal::{self, Options, SegmentJournal};
use crate::model::change::{Draft, ProcessorId};
use crate::model::descriptor::Descriptor;
use crate::model::event::Event;
use crate::model::name::ChannelName;
use crate::model::report::SubscriptionReport;
use crate::model::retention::{AgeBound, RetentionRules, RetentionSettings, SizeBound};
use crate::view::reports::subscription_report;

const SECOND: u64 = 1000;

/// A domain whose files outlive it.
struct Place {
    memory: Memory,
    views: TempDir,
    clock: Arc<ManualClock>,
}

impl Place {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::at(1_000_000));
        Self { memory: Memory::new(), views: tempfile::tempdir().unwrap(), clock }
    }

    fn try_open(&self) -> Result<(Domain, Keeper), String> {
        let limits = journal::Limits { segment_bytes_max: 4000, ..journal::Limits::default() };
        let options = Options { limits, ..Options::default() };
        let journal = SegmentJournal::open(Arc::new(self.memory.clone()), options).unwrap();
        let limits = Limits {
            hops_max: 6,
            flow_events_max: 100,
            undurable_bytes_max: 8 << 20,
            tail_bytes_max: 4000,
            dedupe: Window { ms_max: SECOND, ids_max: 1000 },
        };
        let parts = Parts {
            journal: Arc::new(journal),
            views: Some(self.views.path().to_owned()),
            clock: self.clock.clone(),
            limits,
        };
        Domain::open(parts).map_err(|error| error.to_string())
    }

    fn open(&self) -> (Domain, Keeper) {
        let (domain, keeper) = self.try_open().unwrap();
        domain.retain(rules("10s", "off"));
        (domain, keeper)
    }

    fn close(&self, (domain, keeper): (Domain, Keeper)) {
        keeper.stop();
        domain.journal().close().unwrap();
    }
}

fn rules(age: &str, bytes: &str) -> RetentionRules {
    let age = Some(AgeBound::try_from(age.to_owned()).unwrap());
    let bytes = Some(SizeBound::try_from(bytes.to_owned()).unwrap());
    RetentionRules { default: RetentionSettings { age, bytes }, ..RetentionRules::default() }
}

fn name(channel: &str) -> ChannelName {
    ChannelName::new(channel).unwrap()
}

/// Publishes events one second apart, each a frame of its own; all are durable.
fn publish(place: &Place, domain: &Domain, channel: &str, events: std::ops::Range<u64>) {
    for id in events {
        place.clock.advance(SECOND);
        let event = Event {
            id: id.to_string(),
            source: "/test".into(),
            ty: "t".into(),
            data: Some(vec![b'x'; 300].into()),
            ..Event::default()
        };
        domain.publish(&name(channel), &[event]).unwrap();
        // The tail lets go only of what is durable.
        domain.durable().wait_blocking(domain.journal().next()).unwrap();
    }
}

fn deploy(domain: &Domain, processor: &str, channel: &str) -> (ProcessorId, u64) {
    let json = format!(
        r#"{{"contract":"baton:processor@0.1.0","name":"{processor}","version":"1",
            "subscriptions":[{{"channel":"{channel}","start":"earliest"}}]}}"#
    );
    let descriptor = Descriptor::from_json(json.as_bytes()).unwrap();
    let digest = "d".repeat(64);
    let deployable = Deployable {
        digest,
        descriptor,
        file: "p.wasm".into(),
        load_us: 1,
        cached: false,
        config: Default::default(),
    };
    let deployment = domain.deploy(&deployable).unwrap();
    (deployment.processor, deployment.generation)
}

fn decide(domain: &Domain, (processor, generation): (ProcessorId, u64), offsets: std::ops::Range<u64>) {
    let id = domain.look(|world| world.processors()[processor as usize].subscriptions[0]);
    for offset in offsets {
        let mut draft = Draft::default();
        draft.decided(id, offset, Uuid::nil());
        domain.commit(processor, generation, draft).unwrap();
    }
}

fn subscription(domain: &Domain, processor: ProcessorId) -> SubscriptionReport {
    domain.look(|world| {
        let id = world.processors()[processor as usize].subscriptions[0];
        subscription_report(world, id, 0).unwrap()
    })
}

/// What rule 7 says of a subscription: everything from its start on is accounted for.
fn assert_sum(domain: &Domain, processor: ProcessorId) -> SubscriptionReport {
    let report = subscription(domain, processor);
    let next = domain.look(|world| world.channels()[0].next);
    assert_eq!(next - report.start, report.decided + report.expired + report.lag, "{report:?}");
    report
}

fn first(domain: &Domain) -> u64 {
    domain.channel_first(0)
}

#[test]
fn events_expire_by_age_and_readers_are_told() {
    let place = Place::new();
    let host = place.open();
    let domain = &host.0;
    publish(&place, domain, "orders", 0..30);
    let planned = domain.plan_trim().unwrap();
    let channels = planned.channels();
    let told = (channels[0].channel.as_str(), channels[0].events, channels[0].to, channels[0].age.as_str());
    assert_eq!(told, ("orders", 19, 19, "10s"));
    assert!(channels[0].bytes > 19 * 300 && channels[0].bytes < 19 * 600, "{}", channels[0].bytes);
    assert_eq!((first(domain), domain.journal().first().0), (0, 0));
    domain.trim().unwrap();
    assert_eq!(first(domain), 19);
    assert!(domain.journal().first().0 > 0);
    let events = domain.durable_events(0, 3, 5, 1 << 20).unwrap();
    assert_eq!(events.iter().map(|event| event.offset).collect::<Vec<_>>(), [19, 20, 21, 22, 23]);
    assert!(domain.event_at(0, 0).unwrap().is_none());
    let gone = Reader::new(domain.clone(), 0, 0).take().unwrap_err();
    assert_eq!(gone, ReadError::Expired { from: 0, first: 19 });
    assert!(domain.trim().unwrap().channels().is_empty());
    place.close(host);
}

#[test]
fn who_asked_the_index_before_a_trim_sees_what_is_left() {
    let place = Place::new();
    let host = place.open();
    let domain = &host.0;
    publish(&place, domain, "orders", 0..30);
    let positions: Vec<u64> = (0..30).map(|n| domain.event_at(0, n).unwrap().unwrap().position).collect();
    domain.trim().unwrap();
    let kept = domain.journal().first().0;
    let mut seen = Vec::new();
    domain.visit(&positions, u64::MAX, |frame| seen.push(frame.position.0)).unwrap();
    let left: Vec<u64> = positions.into_iter().filter(|position| *position >= kept).collect();
    assert!(kept > 0 && !left.is_empty());
    assert_eq!(seen, left);
    place.close(host);
}

#[test]
fn events_expire_by_size_and_what_is_left_fits() {
    let place = Place::new();
    let host = place.open();
    let domain = &host.0;
    domain.retain(rules("off", "5000B"));
    publish(&place, domain, "orders", 0..40);
    domain.trim().unwrap();
    let left = domain.durable_events(0, 0, 100, 1 << 20).unwrap();
    let bytes =
        |from: usize| left[from..].iter().map(|item| super::sizes::event_bytes(&item.record)).sum::<u64>();
    assert!(bytes(0) <= 5000 && bytes(0) + bytes(left.len() - 1) > 5000, "{} bytes are left", bytes(0));
    assert_eq!(left.last().unwrap().offset, 39);
    place.close(host);
}

#[test]
fn only_what_is_deployed_holds_events_back() {
    let place = Place::new();
    let host = place.open();
    let domain = &host.0;
    publish(&place, domain, "orders", 0..30);
    let (mail, audit) = (deploy(domain, "mail", "orders"), deploy(domain, "audit", "orders"));
    decide(domain, mail, 0..5);
    decide(domain, audit, 0..30);
    let channels = domain.trim().unwrap().channels();
    assert_eq!((channels[0].to, first(domain)), (5, 5));
    let held = &channels[0].held_back;
    assert_eq!((held.len(), held[0].processor.as_str(), held[0].cursor, held[0].events), (1, "mail", 5, 14));
    assert_eq!(assert_sum(domain, mail.0).expired, 0);
    decide(domain, mail, 7..9);
    domain.undeploy(mail.0, false).unwrap();
    domain.trim().unwrap();
    assert_eq!(first(domain), 19);
    let report = assert_sum(domain, mail.0);
    assert_eq!((report.expired, report.decided, report.cursor, report.lag), (12, 7, 19, 11));
    let again = deploy(domain, "mail", "orders");
    assert_eq!((again.0, assert_sum(domain, mail.0).expired), (mail.0, 12));
    let late = deploy(domain, "late", "orders");
    let report = assert_sum(domain, late.0);
    assert_eq!((report.expired, report.cursor), (19, 19));
    place.close(host);
}

#[test]
fn a_channel_that_keeps_everything_keeps_its_segments_and_is_named() {
    let place = Place::new();
    let host = place.open();
    let domain = &host.0;
    let mut rules = rules("10s", "off");
    let off = RetentionSettings { age: Some(AgeBound(None)), bytes: None };
    rules.channels.insert(name("ledger"), off);
    domain.retain(rules);
    publish(&place, domain, "ledger", 0..1);
    publish(&place, domain, "orders", 0..40);
    let trimmed = domain.trim().unwrap();
    assert_eq!((domain.channel_first(1), domain.journal().first().0), (29, 0));
    assert_eq!(trimmed.fates[0].kept_by, ["ledger: no retention is set"]);
    assert_eq!(trimmed.fates[1].kept_by, ["an older segment stays"]);
    place.close(host);
}

#[test]
fn ids_that_are_remembered_keep_their_segments() {
    let place = Place::new();
    let host = place.open();
    let domain = &host.0;
    domain.retain(rules("1ms", "off"));
    publish(&place, domain, "orders", 0..30);
    place.clock.advance(1);
    domain.trim().unwrap();
    assert_eq!(first(domain), 29);
    let last = domain.journal().segments().last().unwrap().base;
    assert!(domain.journal().first() <= last);
    let twice = Event { id: "29".into(), source: "/test".into(), ty: "t".into(), ..Event::default() };
    assert!(domain.publish(&name("orders"), &[twice]).is_err());
    place.close(host);
}

/// Everything that a host knows, as far as it can be asked for.
fn told(domain: &Domain) -> String {
    let reports: Vec<_> = (0..2).map(|processor| subscription(domain, processor)).collect();
    let events = domain.durable_events(0, 0, 1000, 1 << 20).unwrap();
    let events: Vec<_> =
        events.iter().map(|item| (item.offset, item.position, item.record.clone())).collect();
    domain.look(|world| {
        format!("{:?} {:?} {reports:?} {events:?}", world.channels(), world.processors()[0].deployment)
    })
}

/// A trimmed journal with two processors, one of them behind.
fn trimmed(place: &Place) -> String {
    let host = place.open();
    let domain = &host.0;
    publish(place, domain, "orders", 0..20);
    let (mail, audit) = (deploy(domain, "mail", "orders"), deploy(domain, "audit", "orders"));
    decide(domain, mail, 0..20);
    decide(domain, audit, 0..15);
    publish(place, domain, "orders", 20..40);
    domain.trim().unwrap();
    assert!(domain.journal().first().0 > 0);
    let before = told(domain);
    place.close(host);
    before
}

fn delete_views(views: &Path) {
    for entry in std::fs::read_dir(views).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            std::fs::remove_dir_all(path).unwrap()
        } else {
            std::fs::remove_file(path).unwrap()
        }
    }
}

fn damage(place: &Place, checkpoint: &str) {
    let file = place.memory.open(checkpoint).unwrap();
    file.write_at(file.len().unwrap() - 1, b"!").unwrap();
}

fn checkpoints(place: &Place) -> Vec<String> {
    place.memory.list().unwrap().into_iter().filter(|name| name.ends_with(".ckpt")).collect()
}

#[test]
fn after_a_trim_the_views_may_be_deleted_and_one_checkpoint_damaged() {
    let place = Place::new();
    let before = trimmed(&place);
    assert_eq!(checkpoints(&place).len(), 2);
    for harm in 0..3 {
        match harm {
            0 => {}
            1 => delete_views(place.views.path()),
            _ => {
                delete_views(place.views.path());
                damage(&place, checkpoints(&place).last().unwrap());
            }
        }
        let host = place.open();
        assert_eq!(told(&host.0), before, "harm {harm}");
        place.close(host);
    }
    delete_views(place.views.path());
    damage(&place, &checkpoints(&place)[0]);
    let refused = place.try_open().err().unwrap();
    assert!(refused.contains("no checkpoint") && refused.contains("journal verify"), "{refused}");
}

#[test]
fn a_damaged_checkpoint_is_replaced_before_anything_goes() {
    let place = Place::new();
    trimmed(&place);
    damage(&place, &checkpoints(&place)[0]);
    let host = place.open();
    let domain = &host.0;
    let (mail, audit) = ((0, 1), (1, 1));
    decide(domain, mail, 20..40);
    decide(domain, audit, 15..40);
    publish(&place, domain, "orders", 40..60);
    decide(domain, mail, 40..60);
    decide(domain, audit, 40..60);
    let from = domain.journal().first();
    domain.trim().unwrap();
    assert!(domain.journal().first() > from);
    let before = told(domain);
    place.close(host);
    delete_views(place.views.path());
    let host = place.open();
    assert_eq!(told(&host.0), before);
    place.close(host);
}

#[test]
fn a_trim_waits_for_nobody_but_says_that_another_runs() {
    let place = Place::new();
    let host = place.open();
    let alone = host.0.exclusive().unwrap();
    assert!(matches!(host.0.trim(), Err(TrimError::Busy)));
    drop(alone);
    host.0.trim().unwrap();
    place.close(host);
}
