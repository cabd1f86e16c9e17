//! Flows against a count of our own, and what is told of them; native handlers on a journal in memory, with a clock that is moved by hand.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::*;
use crate::channel::{Keeper, Limits, Parts, Window};
use crate::clock::ManualClock;
use crate::dispatch::{Configs, DispatchConfig, Dispatcher, PoolLimits, Suspects, Version};
use crate::journal::storage::Memory;
use crate::journal::{Options, Position, SegmentJournal};
use crate::model::change::{Change, Changes, Control};
use crate::model::descriptor::Descriptor;
use crate::model::event::Event;
use crate::model::flow::{FlowPage, TOLD};
use crate::model::name::{ChannelName, ProcessorName};
use crate::model::record::{Record, flow_of};
use crate::model::report::{FlowStatus, HandlingStatus};
use crate::model::retention::{AgeBound, RetentionRules, RetentionSettings};
use crate::model::retry::RetryCaps;
use crate::model::why;
use crate::runtime::{CallError, NativeCall, NativeHandler, NewEmit, OutcomesBuilder, Verdict};
use crate::view::decided::AHEAD_MAX;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

struct Host {
    domain: Domain,
    dispatcher: Dispatcher,
    clock: Arc<ManualClock>,
    _keeper: Keeper,
}

fn open(storage: &Arc<Memory>) -> Host {
    let journal = Arc::new(SegmentJournal::open(storage.clone(), Options::default()).unwrap());
    let clock = Arc::new(ManualClock::at(1_700_000_000_000));
    let limits = Limits {
        hops_max: 16,
        flow_events_max: 100_000,
        undurable_bytes_max: 64 << 20,
        tail_bytes_max: 1 << 16,
        dedupe: Window { ms_max: 60_000, ids_max: 1000 },
    };
    let parts = Parts { journal, views: None, clock: clock.clone(), limits };
    let (domain, keeper) = Domain::open(parts).unwrap();
    let config = DispatchConfig {
        retry: RetryCaps::default(),
        suspects: Suspects::default(),
        pool: PoolLimits { workers: 2, threads_max: 8 },
        drain: Duration::from_secs(5),
        configs: Configs::default(),
        lanes: Default::default(),
    };
    let dispatcher = Dispatcher::start(&domain, config).unwrap();
    Host { domain, dispatcher, clock, _keeper: keeper }
}

/// Emits its event on all its channels; fails on data that begins with `bad`.
struct Relay(Vec<String>);

impl NativeHandler for Relay {
    fn handle(&mut self, call: &NativeCall<'_>, out: &mut OutcomesBuilder) -> Result<(), CallError> {
        for index in 0..call.batch.len() {
            let data = call.batch.event(index).and_then(|event| event.data()).unwrap_or_default();
            if data.starts_with(b"bad") {
                out.finish(Verdict::Reject, 0);
                continue;
            }
            for channel in &self.0 {
                out.emit(&NewEmit { channel, data: Some(data), ..NewEmit::default() });
            }
            out.finish(Verdict::Handled, 0);
        }
        Ok(())
    }
}

fn event(id: u64, data: &str) -> Event {
    Event {
        id: id.to_string(),
        source: "/test".into(),
        ty: "t".into(),
        subject: Some(format!("o-{id}")),
        data: Some(data.to_owned().into()),
        ..Event::default()
    }
}

fn channel(name: &str) -> ChannelName {
    ChannelName::new(name).unwrap()
}

impl Host {
    fn deploy(&self, name: &str, reads: &[&str], writes: &[&str]) {
        let quoted = |names: &[&str]| names.iter().map(|n| format!("\"{n}\"")).collect::<Vec<_>>().join(",");
        let asks: Vec<String> = reads.iter().map(|name| format!("{{\"channel\":\"{name}\"}}")).collect();
        let json = format!(
            r#"{{"contract":"baton:processor@0.1.0","name":"{name}","version":"1","concurrency":2,
                "subscriptions":[{}],"publishes":[{}]}}"#,
            asks.join(","),
            quoted(writes)
        );
        let descriptor = Descriptor::from_json(json.as_bytes()).unwrap();
        let writes: Vec<String> = writes.iter().map(|name| (*name).to_owned()).collect();
        let version = Version::native(descriptor, "d", Arc::new(move || Box::new(Relay(writes.clone()))));
        self.dispatcher.deploy(&version).unwrap();
    }

    fn publish(&self, name: &str, events: &[Event]) {
        self.domain.publish(&channel(name), events).unwrap();
    }

    fn flows(&self, rules: &[(&str, FlowRule)]) -> Flows {
        let rules = rules.iter().map(|(name, rule)| ((*name).to_owned(), rule.clone())).collect();
        Flows::new(&self.domain, rules)
    }

    /// Everything that was told so far, in order: type and flow.
    fn told(&self) -> Vec<(String, String)> {
        let Some(id) = self.domain.look(|world| world.channel_id(TOLD)) else { return Vec::new() };
        self.domain.durable().wait_blocking(Position(self.domain.visible())).unwrap();
        let items = self.domain.durable_events(id, 0, usize::MAX, usize::MAX).unwrap();
        let told = |item: &crate::channel::Item| {
            let event = Record::parse(&item.record).unwrap().to_event();
            (event.ty, event.subject.unwrap())
        };
        items.iter().map(told).collect()
    }

    fn until<T>(&self, what: &str, mut there: impl FnMut() -> Option<T>) -> T {
        let until = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(found) = there() {
                return found;
            }
            assert!(Instant::now() < until, "{what}");
            std::thread::yield_now();
        }
    }
}

fn wanted(status: Option<FlowStatus>) -> Wanted {
    Wanted { status, older_than_ms: 0, channel: None, limit: 1000, after: None }
}

fn page(flows: &Flows, wanted: &Wanted) -> FlowPage {
    flows.list(wanted, &|_, _| false).unwrap()
}

/// What the journal says of each flow before a position, counted plainly: events, what is left, what is held.
fn counted(domain: &Domain, end: u64) -> BTreeMap<String, (u64, u64, bool)> {
    let (mut subscriptions, mut events) = (Vec::new(), Vec::new());
    let (mut decided, mut held) = (BTreeSet::new(), BTreeSet::new());
    let mut at = 0;
    while at < end {
        let frames = domain.journal().read(Position(at), 1 << 20).unwrap();
        for frame in &frames {
            at = frame.end().0;
            if frame.position.0 >= end {
                break;
            }
            for change in Changes::new(&frame.body).map(Result::unwrap) {
                match change {
                    Change::Event { channel, offset, record } => {
                        events.push((channel, offset, flow_of(record).unwrap()));
                    }
                    Change::Decided { subscription, offset, .. } => {
                        decided.insert((subscription, offset));
                    }
                    Change::Control(control) => match *control {
                        Control::SubscriptionCreated { subscription, channel, start, .. } => {
                            subscriptions.push((subscription, channel, start));
                        }
                        Control::Held { subscription, offset, .. }
                        | Control::Died { subscription, offset, .. } => {
                            held.insert((subscription, offset));
                        }
                        _ => {}
                    },
                    _ => {}
                }
            }
        }
    }
    let mut flows: BTreeMap<String, (u64, u64, bool)> = BTreeMap::new();
    for (channel, offset, flow) in events {
        let entry = flows.entry(flow.to_string()).or_default();
        entry.0 += 1;
        for (subscription, of, start) in &subscriptions {
            if *of == channel && offset >= *start && !decided.contains(&(*subscription, offset)) {
                entry.1 += 1;
                entry.2 |= held.contains(&(*subscription, offset));
            }
        }
    }
    flows
}

#[test]
fn at_every_moment_under_load_the_lists_agree_with_a_count_of_our_own() {
    let host = open(&Arc::new(Memory::new()));
    host.deploy("split", &["a"], &["b", "c"]);
    host.deploy("mail", &["b", "c"], &["d"]);
    host.deploy("audit", &["a", "d"], &[]);
    let flows = host.flows(&[]);
    let publishing = AtomicBool::new(true);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0..60_u64 {
                let data = |m: u64| if (n * 10 + m) % 97 == 5 { "bad" } else { "good" };
                let events: Vec<Event> = (0..10).map(|m| event(n * 10 + m, data(m))).collect();
                host.publish("a", &events);
                host.clock.advance(3);
            }
            publishing.store(false, Ordering::SeqCst);
        });
        while publishing.load(Ordering::SeqCst) {
            agree(&host.domain, &page(&flows, &wanted(None)));
        }
    });
    let stuck = host.until("only flows with dead letters are left", || {
        let page = page(&flows, &wanted(None));
        agree(&host.domain, &page);
        page.flows.iter().all(|flow| flow.status == FlowStatus::Stuck).then_some(page)
    });
    assert_eq!(stuck.flows.len(), 7);
    assert!(stuck.flows.iter().all(|flow| flow.waits_for[0].status == HandlingStatus::Dead));
    assert_eq!(page(&flows, &wanted(Some(FlowStatus::Stuck))).flows, stuck.flows);
    assert_eq!(page(&flows, &wanted(Some(FlowStatus::Open))).flows, []);
    assert_eq!(page(&flows, &wanted(Some(FlowStatus::Done))).flows.len(), 593);
}

fn agree(domain: &Domain, page: &FlowPage) {
    let expected: BTreeMap<_, _> =
        counted(domain, page.position).into_iter().filter(|(_, (_, left, _))| *left > 0).collect();
    let stuck = |status| status == FlowStatus::Stuck;
    let told: BTreeMap<_, _> = page
        .flows
        .iter()
        .map(|flow| (flow.flow.clone(), (flow.events, flow.waits_for_count, stuck(flow.status))))
        .collect();
    let differs = |flow: &&String| told.get(*flow) != expected.get(*flow);
    let differ: Vec<_> = told.keys().chain(expected.keys()).filter(differs).take(3).collect();
    let of = |flows: &BTreeMap<_, _>| differ.iter().map(|flow| flows.get(*flow).copied()).collect::<Vec<_>>();
    assert!(
        differ.is_empty(),
        "{} of {}: {:?}, not {:?}",
        told.len(),
        expected.len(),
        of(&told),
        of(&expected)
    );
    assert_eq!((page.next.as_deref(), page.incomplete), (None, false));
    assert!(page.flows.is_sorted_by_key(|flow| flow.flow.clone()));
}

#[test]
fn pages_hold_every_flow_once_in_both_directions() {
    let host = open(&Arc::new(Memory::new()));
    let flows = host.flows(&[("ends", FlowRule { ends: vec!["end".into()], ..FlowRule::default() })]);
    let mut follower = Follower::new(&flows).unwrap().unwrap();
    for n in 0..20 {
        host.publish("a", &[event(n, "")]);
        host.publish("ends", &[event(n, "")]);
        host.clock.advance(1000);
    }
    follower.round().unwrap();
    for (status, began_on) in [(None, "ends"), (Some(FlowStatus::Done), "a")] {
        let (mut ids, mut after) = (Vec::new(), None);
        loop {
            let page = page(&flows, &Wanted { limit: 7, after, ..wanted(status) });
            assert!(page.flows.iter().all(|flow| flow.channel == began_on));
            ids.extend(page.flows.into_iter().map(|flow| flow.flow));
            let Some(next) = page.next else { break };
            after = Some(After::parse(&next).unwrap());
        }
        ids.reverse();
        assert!(ids.is_sorted_by(|a, b| if status.is_none() { a > b } else { a < b }), "{ids:?}");
        assert_eq!(ids.len(), 20);
    }
    let of = |wanted: &Wanted| page(&flows, wanted).flows.len();
    assert_eq!(of(&Wanted { older_than_ms: 15_000, ..wanted(None) }), 6);
    assert_eq!(of(&Wanted { channel: Some("a".into()), ..wanted(None) }), 0);
    let open = page(&flows, &Wanted { limit: 1, ..wanted(Some(FlowStatus::Open)) });
    assert!(open.flows[0].reason.as_ref().unwrap().contains("ended without end"));
}

#[test]
fn done_and_overdue_are_told_once_over_restarts() {
    let storage = Arc::new(Memory::new());
    let rule = FlowRule { ends: Vec::new(), deadline_ms: Some(2 * DAY_MS), tell: true };
    let (good, bad) = {
        let host = open(&storage);
        host.deploy("split", &["a"], &["b", "a2"]);
        host.deploy("mail", &["b"], &["c"]);
        let flows = host.flows(&[("a", rule.clone())]);
        let mut follower = Follower::new(&flows).unwrap().unwrap();
        host.publish("a", &[event(1, "good"), event(2, "bad")]);
        let stuck = host.until("one flow is stuck", || {
            let page = page(&flows, &wanted(None));
            (page.flows.len() == 1 && page.flows[0].status == FlowStatus::Stuck).then_some(page)
        });
        let done = page(&flows, &wanted(Some(FlowStatus::Done))).flows[0].clone();
        follower.round().unwrap();
        follower.round().unwrap();
        let done_told = ("baton.flow.done".to_owned(), done.flow.clone());
        assert_eq!(host.told(), std::slice::from_ref(&done_told));
        host.clock.advance(2 * DAY_MS);
        let overdue = page(&flows, &wanted(Some(FlowStatus::Overdue)));
        assert_eq!((overdue.flows.len(), overdue.flows[0].status), (1, FlowStatus::Stuck));
        follower.round().unwrap();
        follower.round().unwrap();
        assert_eq!(host.told(), [done_told, ("baton.flow.overdue".to_owned(), stuck.flows[0].flow.clone())]);
        host.dispatcher.stop();
        host.domain.journal().close().unwrap();
        (done.flow, stuck.flows[0].flow.clone())
    };
    let host = open(&storage);
    host.clock.advance(3 * DAY_MS);
    let flows = host.flows(&[("a", rule)]);
    let mut follower = Follower::new(&flows).unwrap().unwrap();
    follower.round().unwrap();
    assert_eq!(host.told().len(), 2);
    // The processor that held it goes: nobody reads it any more.
    host.dispatcher.undeploy(&ProcessorName::new("split").unwrap(), false).unwrap();
    follower.round().unwrap();
    follower.round().unwrap();
    let told = host.told();
    assert_eq!(told[2..], [("baton.flow.done".to_owned(), bad)]);
    assert_eq!(told[0].1, good);
}

#[test]
fn what_is_told_is_an_event_with_facts_and_a_flow_of_its_own() {
    let host = open(&Arc::new(Memory::new()));
    host.deploy("split", &["a"], &["b"]);
    let flows = host.flows(&[("a", FlowRule { tell: true, ..FlowRule::default() })]);
    let mut follower = Follower::new(&flows).unwrap().unwrap();
    host.publish("a", &[event(1, "good")]);
    host.until("it is told", || {
        follower.round().unwrap();
        (!host.told().is_empty()).then_some(())
    });
    let id = host.domain.look(|world| world.channel_id(TOLD)).unwrap();
    let item = host.domain.event_at(id, 0).unwrap().unwrap();
    let event = Record::parse(&item.record).unwrap().to_event();
    let data: serde_json::Value = serde_json::from_slice(event.data.as_ref().unwrap()).unwrap();
    assert_eq!((data["state"].as_str(), data["events"].as_u64()), (Some("done"), Some(2)));
    assert_eq!((data["channel"].as_str(), data["subject"].as_str()), (Some("a"), Some("o-1")));
    assert_eq!(data["started"], data["ended"]);
    let flow: Uuid = event.subject.unwrap().parse().unwrap();
    assert_ne!(flow_of(&item.record), Some(flow));
    let moment = Moment::now(&host.domain);
    let traces = trace(&host.domain, &moment, &[flow], &HashSet::new()).unwrap();
    assert_eq!((traces[0].1.events, traces[0].1.left_count), (2, 0));
}

#[test]
fn beyond_the_bound_the_oldest_is_let_go_and_nobody_waits() {
    let host = open(&Arc::new(Memory::new()));
    let rule = FlowRule { ends: vec!["end".into()], tell: true, ..FlowRule::default() };
    let flows = host.flows(&[("a", rule)]);
    let mut follower = Follower::new(&flows).unwrap().unwrap();
    host.publish("a", &[event(0, "")]);
    let end = |id| Event { ty: "end".into(), ..event(id, "") };
    let mut next = 1;
    while next < AHEAD_MAX {
        let events: Vec<Event> = (next..AHEAD_MAX.min(next + 10_000)).map(end).collect();
        next += events.len() as u64;
        host.publish("a", &events);
    }
    follower.round().unwrap();
    follower.round().unwrap();
    assert_eq!(host.told().len() as u64, AHEAD_MAX - 1);
    host.publish("a", &[end(next)]);
    follower.round().unwrap();
    follower.round().unwrap();
    let told = host.told();
    let last: BTreeSet<_> = told[AHEAD_MAX as usize - 1..].iter().map(|(ty, _)| ty.as_str()).collect();
    assert_eq!(last, BTreeSet::from(["baton.flow.done", "baton.flow.unfollowed"]));
    assert_eq!(told.len() as u64, AHEAD_MAX + 1);
}

#[test]
fn an_event_that_expired_under_a_processor_is_told_from_one_that_it_handled() {
    let host = open(&Arc::new(Memory::new()));
    host.deploy("late", &["orders"], &[]);
    host.publish("orders", &[event(1, "handled")]);
    let late = host.domain.look(|world| world.processor_id("late")).unwrap();
    host.until("the first is handled", || {
        host.domain.look(|world| {
            world.subscriptions().iter().find(|s| s.processor == late)?.decided.contains(0).then_some(())
        })
    });
    host.dispatcher.undeploy(&ProcessorName::new("late").unwrap(), false).unwrap();
    host.publish("orders", &[event(2, "missed")]);
    host.clock.advance(DAY_MS);
    host.publish("orders", &[event(3, "young")]);
    let age = Some(AgeBound::try_from("1h".to_owned()).unwrap());
    let default = RetentionSettings { age, ..RetentionSettings::default() };
    host.domain.retain(RetentionRules { default, ..RetentionRules::default() });
    host.domain.trim().unwrap();
    host.domain.durable().wait_blocking(Position(host.domain.visible())).unwrap();
    let flows = host.flows(&[]);
    let why = |ask: &str| flows.why(&EventAsk::parse(ask), "late", |_| Lanes::default());
    assert_eq!(why("1").unwrap().verdict, why::Verdict::Handled);
    let missed = why("2").unwrap();
    assert_eq!(missed.verdict, why::Verdict::Expired);
    assert!(missed.text.contains("at offset 2"), "{}", missed.text);
    assert_eq!(why("3").unwrap().verdict, why::Verdict::Undeployed);
    let gone = why("orders@1").unwrap_err().to_string();
    assert!(gone.contains("has expired") && gone.contains("orders@2"), "{gone}");
}
