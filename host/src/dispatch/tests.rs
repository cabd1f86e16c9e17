//! Processors on channels, with native handlers and a journal in memory.

mod edge;
mod filters;
mod full;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::*;
use crate::channel::{Keeper, Limits, Parts, Reader, Window};
use crate::clock::ManualClock;
use crate::journal::storage::{Memory, Storage};
use crate::journal::{Options, Position, SegmentJournal};
use crate::model::descriptor::Descriptor;
use crate::model::event::{Event, Extension};
use crate::model::name::ChannelName;
use crate::model::record::Record;
use crate::model::retry::RetryCaps;
use crate::model::trace::{TraceParent, handling_span};
use crate::runtime::{CallError, NativeCall, NativeHandler, NewEmit, OutcomesBuilder, Verdict};
use crate::view::decided::AHEAD_MAX;
use crate::view::state::row_bytes;
use crate::view::world::World;

mod lanes;
mod operate;
mod retry;
mod suspects;

struct Host {
    domain: Domain,
    dispatcher: Dispatcher,
    clock: Arc<ManualClock>,
    _keeper: Keeper,
}

fn limits() -> Limits {
    Limits {
        hops_max: 6,
        flow_events_max: 100,
        undurable_bytes_max: 8 << 20,
        tail_bytes_max: 1 << 20,
        dedupe: Window { ms_max: 60_000, ids_max: 100_000 },
    }
}

fn open(storage: &Arc<Memory>) -> Host {
    open_on(storage.clone())
}

fn open_on(storage: Arc<dyn Storage>) -> Host {
    open_with(storage, Options::default())
}

fn open_with(storage: Arc<dyn Storage>, options: Options) -> Host {
    open_suspecting(storage, options, |_| Suspects::default())
}

fn open_suspecting(
    storage: Arc<dyn Storage>,
    options: Options,
    suspects: impl FnOnce(&Domain) -> Suspects,
) -> Host {
    let journal = Arc::new(SegmentJournal::open(storage, options).unwrap());
    let clock = Arc::new(ManualClock::at(1_000_000));
    let parts = Parts { journal, views: None, clock: clock.clone(), limits: limits() };
    let (domain, keeper) = Domain::open(parts).unwrap();
    let config = DispatchConfig {
        pool: PoolLimits { workers: 2, threads_max: 8 },
        drain: Duration::from_secs(5),
        configs: Configs::default(),
        lanes: BTreeMap::new(),
        retry: RetryCaps::default(),
        suspects: suspects(&domain),
    };
    let dispatcher = Dispatcher::start(&domain, config).unwrap();
    Host { domain, dispatcher, clock, _keeper: keeper }
}

fn host() -> Host {
    open(&Arc::new(Memory::new()))
}

fn channel(name: &str) -> ChannelName {
    ChannelName::new(name).unwrap()
}

fn event(id: u64, subject: &str) -> Event {
    Event {
        id: id.to_string(),
        source: "/test".into(),
        ty: "t".into(),
        subject: Some(subject.into()),
        data: Some(id.to_string().into()),
        ..Event::default()
    }
}

fn descriptor(name: &str, subscriptions: &str, publishes: &str, lanes: u32) -> Descriptor {
    let json = format!(
        r#"{{"contract":"baton:processor@0.1.0","name":"{name}","version":"1","concurrency":{lanes},
            "subscriptions":[{subscriptions}],"publishes":[{publishes}]}}"#
    );
    Descriptor::from_json(json.as_bytes()).unwrap()
}

type Handle = dyn Fn(&NativeCall<'_>, usize, &mut OutcomesBuilder) -> Verdict + Send + Sync;

struct Native(Arc<Handle>);

impl NativeHandler for Native {
    fn handle(&mut self, call: &NativeCall<'_>, out: &mut OutcomesBuilder) -> Result<(), CallError> {
        for index in 0..call.batch.len() {
            let verdict = (self.0)(call, index, out);
            out.finish(verdict, 0);
        }
        Ok(())
    }
}

fn version(
    descriptor: Descriptor,
    digest: &str,
    handle: impl Fn(&NativeCall<'_>, usize, &mut OutcomesBuilder) -> Verdict + Send + Sync + 'static,
) -> Version {
    let handle: Arc<Handle> = Arc::new(handle);
    Version::native(descriptor, digest, Arc::new(move || Box::new(Native(handle.clone()))))
}

fn copy_to(name: &'static str) -> impl Fn(&NativeCall<'_>, usize, &mut OutcomesBuilder) -> Verdict {
    move |call, index, out| {
        let data = call.batch.event(index).and_then(|event| event.data());
        out.emit(&NewEmit { channel: name, data, ..NewEmit::default() });
        Verdict::Handled
    }
}

/// Counts in the state of the key, and remembers what it saw in order.
fn counting(
    seen: &Arc<Mutex<Vec<(String, u64)>>>,
) -> impl Fn(&NativeCall<'_>, usize, &mut OutcomesBuilder) -> Verdict + use<> {
    let seen = seen.clone();
    move |call, index, out| {
        let event = call.batch.event(index).unwrap();
        let before = call.calls.state(&call.scope(), index as u32, "count").unwrap();
        let count = before.map_or(0, |bytes| String::from_utf8(bytes).unwrap().parse().unwrap());
        out.write("count", Some((count + 1_u64).to_string().as_bytes()), 0);
        seen.lock().push((event.key().to_owned(), event.offset()));
        Verdict::Handled
    }
}

impl Host {
    fn publish(&self, name: &str, events: &[Event]) {
        self.domain.publish(&channel(name), events).unwrap();
    }

    /// Waits until a processor has decided everything there is, but for what it holds and what waits behind that.
    fn settle(&self, processor: &str, undecided: u64) {
        let until = std::time::Instant::now() + Duration::from_secs(20);
        while self.lag(processor) != undecided {
            assert!(std::time::Instant::now() < until, "{processor} lags {}", self.lag(processor));
            std::thread::yield_now();
        }
    }

    /// Waits until a processor failed on something, and says what went wrong with the first.
    fn first_fault(&self, processor: &str) -> String {
        let until = std::time::Instant::now() + Duration::from_secs(20);
        loop {
            if let Some((_, message)) = self.held(processor).into_values().next() {
                return message;
            }
            if let Some(message) = self.dead(processor).into_values().next() {
                return message;
            }
            assert!(std::time::Instant::now() < until, "{processor} failed on nothing");
            std::thread::yield_now();
        }
    }

    fn lag(&self, processor: &str) -> u64 {
        self.domain.look(|world| {
            let id = world.processor_id(processor).unwrap();
            let subscriptions = &world.processors()[id as usize].subscriptions;
            let lag = |s: &u32| {
                let subscription = &world.subscriptions()[*s as usize];
                let end = world.channels()[subscription.channel as usize].next;
                end - subscription.decided.cursor() - subscription.decided.ahead()
            };
            subscriptions.iter().map(lag).sum()
        })
    }

    fn held(&self, processor: &str) -> BTreeMap<u64, (String, String)> {
        self.domain.look(|world| {
            let id = world.processor_id(processor).unwrap();
            let held = &world.processors()[id as usize].held;
            held.iter()
                .map(|((_, offset), held)| (*offset, (held.key.clone(), held.fault.message.clone())))
                .collect()
        })
    }

    /// The dead letters of a processor, by offset.
    fn dead(&self, processor: &str) -> BTreeMap<u64, String> {
        self.domain.look(|world| {
            let id = world.processor_id(processor).unwrap();
            let letters = world.processors()[id as usize].subscriptions.iter();
            let letters = letters.flat_map(|id| world.dead().of(*id, 0));
            letters.map(|(offset, dead)| (offset, dead.attempts.last().unwrap().message.clone())).collect()
        })
    }

    fn events(&self, name: &str) -> Vec<Event> {
        let id = self.domain.look(|world| world.channel_id(name)).unwrap();
        self.domain.durable().wait_blocking(Position(self.domain.visible())).unwrap();
        let items = self.domain.durable_events(id, 0, usize::MAX, usize::MAX).unwrap();
        items.iter().map(|item| Record::parse(&item.record).unwrap().to_event()).collect()
    }

    fn count(&self, processor: &str, key: &str) -> u64 {
        self.domain.look(|world| {
            let id = world.processor_id(processor).unwrap();
            let value = world.processors()[id as usize].state.get(key, "count", 0);
            value.map_or(0, |value| std::str::from_utf8(&value.bytes).unwrap().parse().unwrap())
        })
    }
}

#[test]
fn a_relay_carries_the_flow_from_hop_to_hop() {
    let host = host();
    host.publish("a", &[event(1, "o-1")]);
    let first = version(descriptor("first", r#"{"channel":"a"}"#, r#""b""#, 1), "d", copy_to("b"));
    let second = version(descriptor("second", r#"{"channel":"b"}"#, r#""c""#, 1), "d", copy_to("c"));
    host.dispatcher.deploy(&first).unwrap();
    host.dispatcher.deploy(&second).unwrap();
    host.publish("a", &[event(2, "o-2")]);
    host.settle("first", 0);
    host.settle("second", 0);
    let (start, end) = (host.events("a"), host.events("c"));
    assert_eq!(end.len(), 2);
    for (start, end) in start.iter().zip(&end) {
        assert_eq!(end.extensions["correlationid"], start.extensions["correlationid"]);
        assert_eq!((&end.subject, &end.data), (&start.subject, &start.data));
        assert_eq!(end.source, "/processors/second");
    }
    assert_ne!(end[0].id, end[1].id);
    assert_eq!(host.events("b")[0].extensions["causationid"].to_text(), "1");
}

#[test]
fn a_trace_goes_on_through_every_hop_under_the_span_of_each_handling() {
    let host = host();
    let outside = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let mut traced = event(1, "o-1");
    traced.extensions.insert("traceparent".into(), Extension::Text(outside.into()));
    let first = version(descriptor("first", r#"{"channel":"a"}"#, r#""b""#, 1), "d", copy_to("b"));
    let second = version(descriptor("second", r#"{"channel":"b"}"#, r#""c""#, 1), "d", copy_to("c"));
    host.dispatcher.deploy(&first).unwrap();
    host.dispatcher.deploy(&second).unwrap();
    host.publish("a", &[traced, event(2, "o-2")]);
    host.settle("first", 0);
    host.settle("second", 0);
    let parent = |event: &Event| TraceParent::parse(&event.extensions["traceparent"].to_text()).unwrap();
    let (middle, end) = (host.events("b"), host.events("c"));
    let position = |channel: &str| {
        let id = host.domain.look(|world| world.channel_id(channel)).unwrap();
        host.domain.event_at(id, 0).unwrap().unwrap().position
    };
    let processor = |name: &str| host.domain.look(|world| world.processor_id(name)).unwrap();
    assert_eq!(parent(&end[0]).trace_id, TraceParent::parse(outside).unwrap().trace_id);
    assert_eq!(parent(&middle[0]).parent_id, handling_span(position("a"), processor("first")));
    assert_eq!(parent(&end[0]).parent_id, handling_span(position("b"), processor("second")));
    assert!(!end[1].extensions.contains_key("traceparent"), "nobody begins a trace unasked");
}

#[test]
fn every_event_is_handled_once_and_in_order_per_key_across_channels_lanes_and_swaps() {
    let host = host();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let subscriptions = r#"{"channel":"a"},{"channel":"b"}"#;
    let deploy = |n: u32| {
        let lanes = n % 3 + 1;
        let version = version(descriptor("count", subscriptions, "", lanes), &n.to_string(), counting(&seen));
        host.dispatcher.deploy(&version).unwrap();
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0..3000_u64 {
                let name = if n % 3 == 0 { "b" } else { "a" };
                host.publish(name, &[event(n, &format!("k{}", n % 7))]);
            }
        });
        (0..20).for_each(deploy);
    });
    host.settle("count", 0);
    let counts: u64 = (0..7).map(|k| host.count("count", &format!("k{k}"))).sum();
    assert_eq!((counts, seen.lock().len()), (3000, 3000));
    let handled = seen.lock();
    for k in 0..7 {
        let key = format!("k{k}");
        let offsets = |third: bool| {
            let of = move |n: &u64| n % 7 == k && n.is_multiple_of(3) == third;
            (0..3000_u64).filter(of).count()
        };
        let of_key = handled.iter().filter(|(seen, _)| *seen == key).count();
        assert_eq!(of_key, offsets(true) + offsets(false));
    }
}

#[test]
fn a_fault_holds_its_key_and_only_its_key_until_it_is_tried_again() {
    let host = host();
    let mended = Arc::new(AtomicBool::new(false));
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (fixed, count) = (mended.clone(), counting(&seen));
    let attempts = Arc::new(Mutex::new(Vec::new()));
    let tries = attempts.clone();
    let handle = move |call: &NativeCall<'_>, index: usize, out: &mut OutcomesBuilder| {
        let event = call.batch.event(index).unwrap();
        if event.key() == "bad" && !fixed.load(Ordering::SeqCst) {
            tries.lock().push(event.attempt());
            out.note("the shelf is broken");
            return Verdict::Retry;
        }
        count(call, index, out)
    };
    let version = version(descriptor("p", r#"{"channel":"a"}"#, "", 2), "d", handle);
    host.dispatcher.deploy(&version).unwrap();
    let keys = ["good", "bad", "good", "bad", "fine", "bad"];
    for (n, key) in (0..).zip(keys) {
        host.publish("a", &[event(n, key)]);
    }
    host.first_fault("p");
    host.settle("p", 3);
    assert_eq!((host.count("p", "good"), host.count("p", "fine"), host.count("p", "bad")), (2, 1, 0));
    assert_eq!(host.held("p"), BTreeMap::from([(1, ("bad".into(), "the shelf is broken".into()))]));
    let again = || host.dispatcher.retry_held(&ProcessorName::new("p").unwrap()).unwrap();
    again();
    let until = std::time::Instant::now() + Duration::from_secs(20);
    // What is said while an attempt goes on is for what was there before it.
    let recorded = || {
        let held =
            |world: &World| world.processors()[0].held.values().map(|held| held.attempts).collect::<Vec<_>>();
        host.domain.look(held)
    };
    while recorded() != [2] && std::time::Instant::now() < until {
        std::thread::yield_now();
    }
    assert_eq!(*attempts.lock(), [1, 2]);
    mended.store(true, Ordering::SeqCst);
    again();
    host.settle("p", 0);
    assert!(host.held("p").is_empty());
    let bad: Vec<_> = seen.lock().iter().filter(|(key, _)| key == "bad").map(|(_, offset)| *offset).collect();
    assert_eq!(bad, [1, 3, 5]);
}

#[test]
fn a_new_channel_that_a_processor_reads_and_writes_is_one_channel() {
    let host = host();
    let handle = |call: &NativeCall<'_>, index: usize, out: &mut OutcomesBuilder| {
        let event = call.batch.event(index).unwrap();
        if event.attribute("causationid").is_none() {
            out.emit(&NewEmit { channel: "a", data: event.data(), ..NewEmit::default() });
        }
        Verdict::Handled
    };
    let echo = version(descriptor("echo", r#"{"channel":"a"}"#, r#""a","b""#, 1), "d", handle);
    host.dispatcher.deploy(&echo).unwrap();
    host.publish("a", &[event(1, "k")]);
    host.settle("echo", 0);
    assert_eq!(host.events("a").len(), 2);
}

#[test]
fn a_reader_that_waits_for_the_first_event_of_a_channel_gets_it() {
    let host = host();
    for n in 0..500 {
        let name = format!("c{n}");
        host.domain.host_channel(&channel(&name)).unwrap();
        let id = host.domain.look(|world| world.channel_id(&name)).unwrap();
        let mut reader = Reader::new(host.domain.clone(), id, 0);
        std::thread::scope(|scope| {
            scope.spawn(|| host.publish(&name, &[event(n, "k")]));
            while reader.take().unwrap().is_none() {
                std::thread::yield_now();
            }
        });
    }
}

#[test]
fn a_ring_is_stopped_and_shown() {
    let host = host();
    let ping = version(descriptor("ping", r#"{"channel":"a"}"#, r#""b""#, 1), "d", copy_to("b"));
    let pong = version(descriptor("pong", r#"{"channel":"b"}"#, r#""a""#, 1), "d", copy_to("a"));
    host.dispatcher.deploy(&ping).unwrap();
    host.dispatcher.deploy(&pong).unwrap();
    host.publish("a", &[event(1, "k")]);
    let message = host.first_fault("ping");
    assert!(message.contains("6 handlings deep") && message.contains("a -> b -> a"), "{message}");
}

#[test]
fn a_flow_that_explodes_runs_into_its_budget() {
    let host = host();
    let burst = |call: &NativeCall<'_>, index: usize, out: &mut OutcomesBuilder| {
        let data = call.batch.event(index).and_then(|event| event.data());
        (0..30).for_each(|_| out.emit(&NewEmit { channel: "b", data, ..NewEmit::default() }));
        Verdict::Handled
    };
    let first = version(descriptor("first", r#"{"channel":"a"}"#, r#""b""#, 1), "d", burst);
    let second = version(descriptor("second", r#"{"channel":"b"}"#, r#""c""#, 1), "d", copy_to("c"));
    let burst_again = version(descriptor("third", r#"{"channel":"c"}"#, r#""b""#, 1), "d", burst);
    for version in [&first, &second, &burst_again] {
        host.dispatcher.deploy(version).unwrap();
    }
    host.publish("a", &[event(1, "k")]);
    let message = host.first_fault("third");
    assert!(message.contains("has its 100 events"), "{message}");
}

#[test]
fn an_undeclared_channel_is_a_fault_that_names_the_declared_ones() {
    let host = host();
    let version = version(descriptor("p", r#"{"channel":"a"}"#, r#""b""#, 1), "d", copy_to("elsewhere"));
    host.dispatcher.deploy(&version).unwrap();
    host.publish("a", &[event(1, "k")]);
    let message = host.first_fault("p");
    assert!(message.contains("'elsewhere'") && message.contains("it names: b"), "{message}");
}

#[test]
fn a_restart_goes_on_where_the_journal_ends() {
    let storage = Arc::new(Memory::new());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let make = || version(descriptor("p", r#"{"channel":"a"}"#, "", 1), "d", counting(&seen));
    let before = open(&storage);
    let deployment = before.dispatcher.deploy(&make()).unwrap();
    for n in 0..50 {
        before.publish("a", &[event(n, "k")]);
    }
    before.settle("p", 0);
    before.dispatcher.stop();
    for n in 50..100 {
        before.publish("a", &[event(n, "k")]);
    }
    before.domain.journal().close().unwrap();
    let after = open(&storage);
    assert_eq!((after.count("p", "k"), after.lag("p")), (50, 50));
    after.publish("a", &[event(99, "k")]);
    assert_eq!(after.lag("p"), 50, "an id that was published before the restart is known after it");
    after.dispatcher.resume_deployed(&make(), Arc::new(deployment)).unwrap();
    after.settle("p", 0);
    assert_eq!((after.count("p", "k"), seen.lock().len()), (100, 100));
}

#[test]
fn expired_state_is_gone_for_readers_at_once_and_from_the_journal_after_a_sweep() {
    let host = host();
    let handle = |_: &NativeCall<'_>, _: usize, out: &mut OutcomesBuilder| {
        out.write("count", Some(b"1"), 1_000_500);
        Verdict::Handled
    };
    host.dispatcher.deploy(&version(descriptor("p", r#"{"channel":"a"}"#, "", 1), "d", handle)).unwrap();
    host.publish("a", &[event(1, "k")]);
    host.settle("p", 0);
    let bytes = || host.domain.look(|world| world.processors()[0].state.bytes());
    assert_eq!((host.domain.sweep_expired(), bytes()), (Ok(0), row_bytes("k", "count", 1)));
    host.clock.advance(500);
    host.domain.sweep_expired().unwrap();
    assert_eq!(bytes(), 0);
}

#[test]
fn an_outcome_that_becomes_far_more_than_it_is_is_refused() {
    let host = host();
    let flood = |_: &NativeCall<'_>, _: usize, out: &mut OutcomesBuilder| {
        let data = vec![b'x'; 1 << 19];
        (0..17).for_each(|_| out.emit(&NewEmit { channel: "b", data: Some(&data), ..NewEmit::default() }));
        Verdict::Handled
    };
    host.dispatcher.deploy(&version(descriptor("p", r#"{"channel":"a"}"#, r#""b""#, 1), "d", flood)).unwrap();
    host.publish("a", &[event(1, "k")]);
    let message = host.first_fault("p");
    assert!(message.contains("more than 8388608 bytes"), "{message}");
    assert!(host.events("b").is_empty());
}

#[test]
fn a_batch_whose_effects_fill_more_than_a_frame_is_committed_in_several() {
    let host = host();
    let large = |_: &NativeCall<'_>, _: usize, out: &mut OutcomesBuilder| {
        let data = vec![b'x'; 1 << 20];
        (0..3).for_each(|_| out.emit(&NewEmit { channel: "b", data: Some(&data), ..NewEmit::default() }));
        Verdict::Handled
    };
    let events: Vec<_> = (0..8).map(|n| event(n, &format!("k{n}"))).collect();
    host.publish("a", &events);
    host.dispatcher.deploy(&version(descriptor("p", r#"{"channel":"a"}"#, r#""b""#, 1), "d", large)).unwrap();
    host.settle("p", 0);
    assert_eq!(host.events("b").len(), 24);
}

#[test]
fn an_emit_cannot_pass_for_what_the_host_says() {
    let host = host();
    let forge = |_: &NativeCall<'_>, _: usize, out: &mut OutcomesBuilder| {
        let attributes = &[("correlationid", "mine")];
        out.emit(&NewEmit { channel: "b", attributes, ..NewEmit::default() });
        Verdict::Handled
    };
    host.dispatcher.deploy(&version(descriptor("p", r#"{"channel":"a"}"#, r#""b""#, 1), "d", forge)).unwrap();
    host.publish("a", &[event(1, "k")]);
    assert!(host.first_fault("p").contains("'correlationid'"));
}

#[test]
fn what_a_guest_says_of_its_fault_is_kept_within_bounds() {
    let host = host();
    let talk = |_: &NativeCall<'_>, _: usize, out: &mut OutcomesBuilder| {
        out.note(&"é".repeat(100_000));
        Verdict::Reject
    };
    host.dispatcher.deploy(&version(descriptor("p", r#"{"channel":"a"}"#, "", 1), "d", talk)).unwrap();
    host.publish("a", &[event(1, "k")]);
    assert_eq!(host.first_fault("p").chars().count(), 2003);
}

fn rejecting(which: &'static str) -> impl Fn(&NativeCall<'_>, usize, &mut OutcomesBuilder) -> Verdict {
    move |call, index, _| match call.batch.event(index).is_some_and(|event| event.key().starts_with(which)) {
        true => Verdict::Reject,
        false => Verdict::Handled,
    }
}

#[test]
fn a_long_row_of_events_of_a_held_key_holds_up_nobody_behind_it() {
    let host = host();
    let row: Vec<_> = (0..2000).map(|n| event(n, "bad")).collect();
    host.publish("a", &row);
    host.publish("a", &[event(2000, "good")]);
    let version =
        version(descriptor("p", r#"{"channel":"a","then":"stay-held"}"#, "", 1), "d", rejecting("bad"));
    host.dispatcher.deploy(&version).unwrap();
    host.settle("p", 2000);
    assert_eq!(host.held("p").len(), 1);
}

#[test]
fn a_processor_that_holds_too_many_keys_reads_no_more_and_says_so() {
    let host = host();
    let keys: Vec<_> = (0..3000).map(|n| event(n, &format!("bad-{n}"))).collect();
    host.publish("a", &keys);
    let version =
        version(descriptor("p", r#"{"channel":"a","then":"stay-held"}"#, "", 1), "d", rejecting("bad"));
    let deployment = host.dispatcher.deploy(&version).unwrap();
    let is_blocked = || host.dispatcher.look(deployment.processor, |running| running.unwrap().is_blocked());
    let until = std::time::Instant::now() + Duration::from_secs(20);
    while !is_blocked() {
        assert!(std::time::Instant::now() < until, "it holds {}", host.held("p").len());
        std::thread::yield_now();
    }
    let held = host.held("p").len();
    assert!((HELD_MAX..HELD_MAX + 600).contains(&held), "{held}");
}
