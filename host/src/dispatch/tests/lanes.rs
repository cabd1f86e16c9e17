//! Lanes that come and go, and rates.

use std::collections::BTreeSet;
use std::time::Instant;

use super::*;
use crate::model::operation::{Lanes, Operator};

fn name(name: &str) -> ProcessorName {
    ProcessorName::new(name).unwrap()
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !done() {
        assert!(Instant::now() < end, "{what}");
        std::thread::yield_now();
    }
}

impl Host {
    fn scale(&self, lanes: &str) {
        let lanes: Lanes = lanes.parse().unwrap();
        self.dispatcher.scale(&name("p"), Some(lanes), Operator::Cli).unwrap();
    }

    fn rate(&self, rate: Option<&str>) {
        let rate = rate.map(|rate| rate.parse().unwrap());
        self.dispatcher.resume(&name("p"), rate, Operator::Cli).unwrap();
    }

    fn lanes(&self) -> u32 {
        let id = self.domain.look(|world| world.processor_id("p").unwrap());
        self.dispatcher.look(id, |running| running.unwrap().lanes())
    }

    fn spread(&self, from: u64, count: u64) {
        let events: Vec<_> = (from..from + count).map(|n| event(n, &format!("k{n}"))).collect();
        self.publish("a", &events);
    }
}

/// What handlers saw: keys that are in one now, and offsets by key in the order in which they were handled.
#[derive(Default)]
struct Model {
    busy: Mutex<BTreeSet<String>>,
    handled: Mutex<BTreeMap<String, Vec<u64>>>,
}

impl Model {
    /// Handles an event, or fails at the first attempt at every seventh.
    fn handle(&self, call: &NativeCall<'_>, index: usize) -> Verdict {
        let event = call.batch.event(index).unwrap();
        let key = event.key().to_owned();
        assert!(self.busy.lock().insert(key.clone()), "{key} is in two lanes");
        std::thread::yield_now();
        let fails = event.attempt() == 1 && event.offset() % 7 == 3;
        if !fails {
            self.handled.lock().entry(key.clone()).or_default().push(event.offset());
        }
        self.busy.lock().remove(&key);
        if fails { Verdict::Retry } else { Verdict::Handled }
    }
}

fn modelled(model: &Arc<Model>, digest: u64) -> Version {
    let model = model.clone();
    let p = descriptor("p", r#"{"channel":"a"},{"channel":"b"}"#, "", 1);
    version(p, &digest.to_string(), move |call, index, _| model.handle(call, index))
}

/// Numbers that look random and are the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

const KEYS: u64 = 9;
const EVENTS: u64 = 4000;

/// Whatever an operator does meanwhile: each key's events are handled once, in the order of the journal, one at a time.
#[test]
fn keys_keep_their_order_while_lanes_come_and_go_and_faults_happen() {
    let host = host();
    let model = Arc::new(Model::default());
    host.dispatcher.deploy(&modelled(&model, 0)).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0..EVENTS {
                let name = if n % 3 == 0 { "b" } else { "a" };
                host.publish(name, &[event(n, &format!("k{}", n * n % KEYS))]);
            }
        });
        let mut random = Random(7);
        for step in 1..120 {
            match random.below(8) {
                0 => host.dispatcher.pause(&name("p"), "r".to_owned(), Operator::Cli).unwrap(),
                1 => host.rate(None),
                2 => host.dispatcher.retry_held(&name("p")).unwrap(),
                3 => drop(host.dispatcher.deploy(&modelled(&model, step)).unwrap()),
                lanes => host.scale(["1", "2", "1..3", "5"][lanes as usize - 4]),
            }
            host.clock.advance(random.below(60));
            std::thread::yield_now();
        }
    });
    host.rate(None);
    until("it does not handle all", || {
        host.dispatcher.retry_held(&name("p")).unwrap();
        host.lag("p") == 0
    });
    let handled = model.handled.lock();
    assert_eq!(handled.values().map(Vec::len).sum::<usize>() as u64, EVENTS);
    for (key, offsets) in handled.iter() {
        assert_eq!(offsets, &in_journal_order(&host, key), "{key}");
    }
}

/// The offsets of a key's events in both channels, by position.
fn in_journal_order(host: &Host, key: &str) -> Vec<u64> {
    let of = |name: &str| {
        let id = host.domain.look(|world| world.channel_id(name)).unwrap();
        host.domain.durable().wait_blocking(Position(host.domain.visible())).unwrap();
        host.domain.durable_events(id, 0, usize::MAX, usize::MAX).unwrap()
    };
    let items = of("a").into_iter().chain(of("b"));
    let with_key = |item: &crate::channel::Item| {
        Record::parse(&item.record).unwrap().parts.subject.is_some_and(|subject| subject == key)
    };
    let mut items: Vec<_> = items.filter(with_key).collect();
    items.sort_unstable_by_key(|item| item.position);
    items.into_iter().map(|item| item.offset).collect()
}

/// A door that handlers stand before, and how many do.
#[derive(Default)]
struct Door {
    before: std::sync::atomic::AtomicUsize,
    open: AtomicBool,
}

impl Door {
    fn pass(&self) {
        self.before.fetch_add(1, Ordering::SeqCst);
        until("the door stays shut", || self.open.load(Ordering::SeqCst));
        self.before.fetch_sub(1, Ordering::SeqCst);
    }
}

#[test]
fn lanes_follow_the_backlog_up_at_once_and_down_slowly_and_give_their_instances_back() {
    let host = host();
    let (door, instances) = (Arc::new(Door::default()), Arc::new(()));
    let (at_door, alive) = (door.clone(), instances.clone());
    let factory = move || {
        let (door, alive) = (at_door.clone(), alive.clone());
        let handle: Arc<Handle> = Arc::new(move |_, _, _| {
            let _ = &alive;
            door.pass();
            Verdict::Handled
        });
        Box::new(Native(handle)) as Box<dyn NativeHandler>
    };
    let p = descriptor("p", r#"{"channel":"a"}"#, "", 1);
    host.dispatcher.deploy(&Version::native(p, "d", Arc::new(factory))).unwrap();
    host.scale("1..3");
    let resting = Arc::strong_count(&instances);
    host.spread(0, 600);
    until("nothing begins", || door.before.load(Ordering::SeqCst) == 1);
    assert_eq!(host.lanes(), 1);
    host.clock.advance(50);
    until("there are no more lanes", || door.before.load(Ordering::SeqCst) == 3);
    assert_eq!((host.lanes(), Arc::strong_count(&instances)), (3, resting + 2));
    door.open.store(true, Ordering::SeqCst);
    host.settle("p", 0);
    host.clock.advance(4_000);
    assert_eq!(host.lanes(), 3);
    until("there are not fewer lanes", || {
        host.clock.advance(50);
        host.lanes() == 1
    });
    until("instances are kept", || Arc::strong_count(&instances) == resting);
}

#[test]
fn one_slow_key_takes_one_lane_and_the_others_flow() {
    let host = host();
    let door = Arc::new(Door::default());
    let at_door = door.clone();
    let handle = move |call: &NativeCall<'_>, index: usize, _: &mut OutcomesBuilder| {
        if call.batch.event(index).unwrap().key() == "slow" {
            at_door.pass();
        }
        Verdict::Handled
    };
    host.dispatcher.deploy(&version(descriptor("p", r#"{"channel":"a"}"#, "", 2), "d", handle)).unwrap();
    host.publish("a", &[event(0, "slow")]);
    until("nothing begins", || door.before.load(Ordering::SeqCst) == 1);
    host.publish("a", &(1..300).map(|n| event(n, "slow")).collect::<Vec<_>>());
    host.spread(1000, 2000);
    host.settle("p", 300);
    assert_eq!(door.before.load(Ordering::SeqCst), 1);
    door.open.store(true, Ordering::SeqCst);
    host.settle("p", 0);
}

#[test]
fn a_rate_lets_so_many_begin_and_no_more() {
    let host = host();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let p = version(descriptor("p", r#"{"channel":"a"}"#, "", 2), "d", counting(&seen));
    host.dispatcher.deploy(&p).unwrap();
    host.rate(Some("10/s"));
    host.spread(0, 100);
    for handled in 1..20 {
        until("the rate lets nothing begin", || seen.lock().len() >= handled);
        host.clock.advance(99);
        assert_eq!(seen.lock().len(), handled);
        host.clock.advance(1);
    }
    host.dispatcher
        .deploy(&version(descriptor("p", r#"{"channel":"a"}"#, "", 2), "e", counting(&seen)))
        .unwrap();
    let id = host.domain.look(|world| world.processor_id("p").unwrap());
    assert_eq!(host.domain.operation(id).rate.unwrap().to_string(), "10/s");
    assert!(host.lag("p") >= 79);
    host.rate(None);
    host.settle("p", 0);
}
