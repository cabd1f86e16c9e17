//! Events that fail: tried again when their time has come, in order, and given up in the end.

use super::*;
use crate::channel::Upset;
use crate::model::operation::Operator;

/// Fails on events whose key begins with `bad` until it is mended, and counts the others; remembers key, offset and attempt.
struct Bench {
    host: Host,
    seen: Arc<Mutex<Vec<(String, u64, u32)>>>,
    mended: Arc<AtomicBool>,
}

fn bench_on(storage: &Arc<Memory>, ask: &str, lanes: u32) -> Bench {
    let host = open(storage);
    let (seen, mended) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
    let bench = Bench { host, seen, mended };
    bench.deploy("d", ask, lanes);
    bench
}

fn bench(ask: &str, lanes: u32) -> Bench {
    bench_on(&Arc::new(Memory::new()), ask, lanes)
}

/// Three attempts, a second and two apart.
const ASK: &str =
    r#"{"channel":"a","retry":{"attempts_max":3,"delay_ms":1000,"factor":2.0,"jitter_percent":0}}"#;

impl Bench {
    fn deploy(&self, digest: &str, ask: &str, lanes: u32) {
        let (seen, mended) = (self.seen.clone(), self.mended.clone());
        let handle = move |call: &NativeCall<'_>, index: usize, out: &mut OutcomesBuilder| {
            let event = call.batch.event(index).unwrap();
            seen.lock().push((event.key().to_owned(), event.offset(), event.attempt()));
            if event.key().starts_with("bad") && !mended.load(Ordering::SeqCst) {
                out.note("the shelf is broken");
                return Verdict::Retry;
            }
            let before = call.calls.state(&call.scope(), index as u32, "count").unwrap();
            let count = before.map_or(0, |bytes| String::from_utf8(bytes).unwrap().parse().unwrap());
            out.write("count", Some((count + 1_u64).to_string().as_bytes()), 0);
            Verdict::Handled
        };
        self.host.dispatcher.register(&version(descriptor("p", ask, "", lanes), digest, handle)).unwrap();
    }

    fn publish(&self, keys: &[&str]) {
        let first = self
            .host
            .domain
            .look(|world| world.channel_id("a").map_or(0, |id| world.channels()[id as usize].next));
        (first..).zip(keys).for_each(|(n, key)| self.host.publish("a", &[event(n, key)]));
    }

    /// The attempts at events of a key so far: offset and attempt.
    fn tried(&self, key: &str) -> Vec<(u64, u32)> {
        self.seen
            .lock()
            .iter()
            .filter(|(of, ..)| of == key)
            .map(|(_, offset, attempt)| (*offset, *attempt))
            .collect()
    }

    fn await_tried(&self, key: &str, count: usize) {
        let until = std::time::Instant::now() + Duration::from_secs(20);
        while self.tried(key).len() < count {
            assert!(std::time::Instant::now() < until, "{key}: {:?}", self.tried(key));
            std::thread::yield_now();
        }
    }

    /// Waits until so many attempts at an event are recorded.
    fn await_attempts(&self, offset: u64, count: u32) {
        let attempts = || {
            self.host.domain.look(|world| {
                let processor = &world.processors()[world.processor_id("p").unwrap() as usize];
                processor.held.get(&(processor.subscriptions[0], offset)).map_or(0, |held| held.attempts)
            })
        };
        let until = std::time::Instant::now() + Duration::from_secs(20);
        while attempts() != count {
            assert!(std::time::Instant::now() < until, "{offset} was tried {} times", attempts());
            std::thread::yield_now();
        }
    }

    fn await_dead(&self, offsets: &[u64]) {
        let until = std::time::Instant::now() + Duration::from_secs(20);
        while self.host.dead("p").into_keys().collect::<Vec<_>>() != offsets {
            assert!(std::time::Instant::now() < until, "dead are {:?}", self.host.dead("p"));
            std::thread::yield_now();
        }
    }

    fn subscription(&self) -> u32 {
        self.host
            .domain
            .look(|world| world.processors()[world.processor_id("p").unwrap() as usize].subscriptions[0])
    }

    fn failure(&self) -> Option<String> {
        let processor = self.host.domain.look(|world| world.processor_id("p").unwrap());
        self.host.dispatcher.look(processor, |running| running.unwrap().failure())
    }

    fn redrive(&self, offsets: &[u64]) -> Result<(), Upset> {
        let id = self.subscription();
        let events: Vec<_> = offsets.iter().map(|offset| (id, *offset)).collect();
        let processors = self.host.domain.redrive(&events)?;
        processors.into_iter().for_each(|processor| self.host.dispatcher.revived(processor));
        Ok(())
    }
}

#[test]
fn an_event_is_tried_again_when_its_time_has_come_and_is_a_dead_letter_in_the_end() {
    let bench = bench(ASK, 1);
    bench.publish(&["bad", "good", "bad", "good"]);
    bench.host.settle("p", 2);
    assert_eq!((bench.host.count("p", "good"), bench.tried("bad")), (2, vec![(0, 1)]));
    bench.host.clock.advance(1_000);
    bench.await_attempts(0, 2);
    bench.host.clock.advance(2_000);
    bench.await_dead(&[0]);
    // Its key goes on with the next one, which begins anew.
    bench.await_attempts(2, 1);
    assert_eq!(bench.tried("bad"), [(0, 1), (0, 2), (0, 3), (2, 1)]);
    bench.mended.store(true, Ordering::SeqCst);
    bench.host.clock.advance(1_000);
    bench.host.settle("p", 0);
    assert_eq!((bench.host.count("p", "bad"), bench.tried("bad").last()), (1, Some(&(2, 2))));
}

#[test]
fn a_redriven_event_joins_the_end_of_its_key_and_is_handled_once() {
    for lanes in [1, 4] {
        let bench = bench(r#"{"channel":"a","retry":{"attempts_max":1}}"#, lanes);
        bench.publish(&["bad", "bad", "good"]);
        bench.await_dead(&[0, 1]);
        bench.host.settle("p", 0);
        bench.mended.store(true, Ordering::SeqCst);
        bench.publish(&["bad"]);
        bench.redrive(&[1]).unwrap();
        bench.publish(&["bad"]);
        bench.await_tried("bad", 5);
        assert_eq!(bench.tried("bad").split_off(2), [(3, 1), (1, 2), (4, 1)]);
        bench.host.settle("p", 0);
        bench.await_dead(&[0]);
        assert_eq!(bench.host.count("p", "bad"), 3);
        assert!(matches!(bench.redrive(&[1]), Err(Upset::Gone { offset: 1, .. })));
        assert!(matches!(bench.redrive(&[0, 1]), Err(Upset::Gone { offset: 1, .. })));
        assert_eq!(bench.host.dead("p").len(), 1, "nothing of a redrive that is refused happens");
    }
}

#[test]
fn a_redriven_event_that_fails_again_gets_all_its_attempts_anew() {
    let bench = bench(ASK, 1);
    bench.publish(&["bad"]);
    for (attempts, delay_ms) in [(1, 1_000), (2, 2_000)] {
        bench.await_attempts(0, attempts);
        bench.host.clock.advance(delay_ms);
    }
    bench.await_dead(&[0]);
    bench.redrive(&[0]).unwrap();
    bench.await_attempts(0, 4);
    assert!(bench.host.dead("p").is_empty());
    bench.host.clock.advance(1_000);
    bench.await_attempts(0, 5);
    bench.mended.store(true, Ordering::SeqCst);
    bench.host.clock.advance(2_000);
    let until = std::time::Instant::now() + Duration::from_secs(20);
    while bench.host.count("p", "bad") == 0 && std::time::Instant::now() < until {
        std::thread::yield_now();
    }
    assert_eq!((bench.host.count("p", "bad"), bench.tried("bad").last()), (1, Some(&(0, 6))));
    assert!(bench.host.held("p").is_empty() && bench.host.dead("p").is_empty());
}

#[test]
fn a_restart_goes_on_with_what_is_parked_dead_and_redriven() {
    let storage = Arc::new(Memory::new());
    let first = bench_on(&storage, ASK, 1);
    first.publish(&["bad", "bad-2", "bad", "good"]);
    first.await_attempts(0, 1);
    first.await_attempts(1, 1);
    first.host.settle("p", 3);
    let all = first.host.domain.visible();
    first.host.domain.durable().wait_blocking(Position(all)).unwrap();
    first.host.dispatcher.stop();
    first.host.domain.journal().close().unwrap();
    let again = bench_on(&storage, ASK, 1);
    again.deploy("e", ASK, 1);
    // A new version tries what is parked at once.
    again.await_attempts(0, 2);
    again.await_attempts(1, 2);
    assert_eq!((again.tried("bad"), again.tried("bad-2")), (vec![(0, 2)], vec![(1, 2)]));
    again.mended.store(true, Ordering::SeqCst);
    again.host.clock.advance(1_000);
    again.host.settle("p", 0);
    assert_eq!((again.host.count("p", "bad"), again.host.count("p", "bad-2")), (2, 1));
    assert_eq!(again.tried("bad"), [(0, 2), (0, 3), (2, 1)]);
}

#[test]
fn a_handler_that_needs_no_order_is_passed_by_its_key() {
    let ask = r#"{"channel":"a","order":"pass","retry":{"delay_ms":1000,"jitter_percent":0}}"#;
    let bench = bench(ask, 2);
    bench.publish(&["bad", "bad", "good"]);
    bench.await_attempts(0, 1);
    bench.await_attempts(1, 1);
    assert_eq!(bench.tried("bad"), [(0, 1), (1, 1)]);
    bench.mended.store(true, Ordering::SeqCst);
    bench.publish(&["bad"]);
    bench.host.settle("p", 2);
    bench.host.clock.advance(1_000);
    bench.host.settle("p", 0);
    assert_eq!((bench.host.count("p", "bad"), bench.tried("bad").split_off(3)), (3, vec![(0, 2), (1, 2)]));
}

#[test]
fn what_is_held_waits_for_somebody_and_what_is_discarded_lets_its_key_go_on() {
    let ask = r#"{"channel":"a","then":"stay-held","retry":{"attempts_max":1}}"#;
    let bench = bench(ask, 1);
    bench.publish(&["bad", "bad", "bad-2"]);
    bench.host.settle("p", 3);
    let until = std::time::Instant::now() + Duration::from_secs(20);
    while bench.host.held("p").len() < 2 && std::time::Instant::now() < until {
        std::thread::yield_now();
    }
    bench.host.clock.advance(10_000_000);
    assert_eq!(bench.host.held("p").into_keys().collect::<Vec<_>>(), [0, 2]);
    bench.mended.store(true, Ordering::SeqCst);
    let processors = bench.host.domain.discard(&[(bench.subscription(), 0)], Operator::Cli).unwrap();
    processors.into_iter().for_each(|processor| bench.host.dispatcher.revived(processor));
    bench.host.settle("p", 1);
    assert_eq!((bench.host.count("p", "bad"), bench.tried("bad")), (1, vec![(0, 1), (1, 1)]));
    bench.host.dispatcher.retry_held(&ProcessorName::new("p").unwrap()).unwrap();
    bench.host.settle("p", 0);
    assert_eq!(bench.host.count("p", "bad-2"), 1);
    let counted = bench.host.domain.look(|world| {
        let subscription = &world.subscriptions()[0];
        (subscription.acked, subscription.discarded)
    });
    assert_eq!(counted, (2, 1));
}

#[test]
fn a_processor_with_too_many_dead_letters_reads_no_more_until_some_are_gone() {
    let bench = bench(r#"{"channel":"a","retry":{"attempts_max":1}}"#, 1);
    let batch = |from: usize, to: usize| (from..to).map(|n| event(n as u64, "bad")).collect::<Vec<_>>();
    for from in (0..DEAD_MAX + 2_000).step_by(2_000) {
        bench.host.publish("a", &batch(from, from + 2_000));
    }
    let processor = bench.host.domain.look(|world| world.processor_id("p").unwrap());
    let is_blocked = || bench.host.dispatcher.look(processor, |running| running.unwrap().is_blocked());
    let until = std::time::Instant::now() + Duration::from_secs(120);
    while !is_blocked() {
        assert!(std::time::Instant::now() < until, "{} are dead", bench.host.dead("p").len());
        std::thread::yield_now();
    }
    assert!((DEAD_MAX..DEAD_MAX + 600).contains(&bench.host.dead("p").len()));
    bench.mended.store(true, Ordering::SeqCst);
    bench.redrive(&(0..1_000).collect::<Vec<_>>()).unwrap();
    bench.host.settle("p", 0);
}

#[test]
fn behind_a_parked_key_a_bounded_number_of_events_waits() {
    let bench = bench(ASK, 1);
    let events: Vec<_> = (0..WAITING_MAX as u64 + 4_000).map(|n| event(n, "bad")).collect();
    events.chunks(2_000).for_each(|part| bench.host.publish("a", part));
    let processor = bench.host.domain.look(|world| world.processor_id("p").unwrap());
    let look = || {
        bench.host.dispatcher.look(processor, |running| {
            let running = running.unwrap();
            (running.is_blocked(), running.waiting().len())
        })
    };
    let until = std::time::Instant::now() + Duration::from_secs(60);
    while !look().0 {
        assert!(std::time::Instant::now() < until, "{} wait", look().1);
        std::thread::yield_now();
    }
    assert!((WAITING_MAX..WAITING_MAX + 600).contains(&look().1), "{}", look().1);
    bench.mended.store(true, Ordering::SeqCst);
    bench.host.clock.advance(1_000);
    let until = std::time::Instant::now() + Duration::from_secs(60);
    while bench.host.count("p", "bad") < events.len() as u64 {
        assert!(std::time::Instant::now() < until, "{} are handled", bench.host.count("p", "bad"));
        std::thread::yield_now();
    }
    let offsets: Vec<u64> = bench.tried("bad").iter().skip(1).map(|(offset, _)| *offset).collect();
    assert!(offsets.is_sorted() && offsets.len() == events.len());
}

#[test]
fn a_restart_in_the_middle_of_a_delay_waits_for_the_rest_of_it() {
    let storage = Arc::new(Memory::new());
    let first = bench_on(&storage, ASK, 1);
    first.publish(&["bad", "bad"]);
    first.await_attempts(0, 1);
    let all = first.host.domain.visible();
    first.host.domain.durable().wait_blocking(Position(all)).unwrap();
    first.host.dispatcher.stop();
    first.host.domain.journal().close().unwrap();
    let again = bench_on(&storage, ASK, 1);
    again.host.clock.advance(999);
    again.publish(&["good"]);
    again.host.settle("p", 2);
    assert_eq!(again.tried("bad"), []);
    again.mended.store(true, Ordering::SeqCst);
    again.host.clock.advance(1);
    again.host.settle("p", 0);
    assert_eq!(again.tried("bad"), [(0, 2), (1, 1)]);
}

#[test]
fn a_clock_that_jumps_a_day_takes_no_attempt_away() {
    let bench = bench(ASK, 1);
    bench.publish(&["bad"]);
    for attempts in 1..3 {
        bench.await_attempts(0, attempts);
        bench.host.clock.advance(24 * 3_600_000);
    }
    bench.await_dead(&[0]);
    assert_eq!(bench.tried("bad"), [(0, 1), (0, 2), (0, 3)]);
}

#[test]
fn what_is_redriven_the_moment_it_dies_is_handled_once() {
    let bench = bench(r#"{"channel":"a","retry":{"attempts_max":1}}"#, 4);
    bench.host.publish("a", &(0..200).map(|n| event(n, &format!("bad-{}", n % 50))).collect::<Vec<_>>());
    bench.await_dead(&(0..200).collect::<Vec<_>>());
    let (id, mut redriven) = (bench.subscription(), 0);
    let until = std::time::Instant::now() + Duration::from_secs(60);
    while !bench.host.dead("p").is_empty() {
        assert!(std::time::Instant::now() < until, "{redriven} redriven: {:?}", bench.failure());
        let dead = bench.host.domain.look(|world| {
            let rests = world.dead().of(id, 0).filter(|(_, dead)| dead.redriven.is_none());
            rests.map(|(offset, _)| offset).collect::<Vec<_>>()
        });
        dead.iter().for_each(|offset| bench.redrive(&[*offset]).unwrap());
        redriven += dead.len();
        bench.mended.store(redriven > 10_000, Ordering::SeqCst);
    }
    let counts: u64 = (0..50).map(|n| bench.host.count("p", &format!("bad-{n}"))).sum();
    assert_eq!((counts, bench.failure()), (200, None));
}

#[test]
fn what_is_redriven_together_goes_in_the_order_of_the_journal() {
    let ask = |channel| format!(r#"{{"channel":"{channel}","retry":{{"attempts_max":1}}}}"#);
    let bench = bench(&[ask("a"), ask("b")].join(","), 1);
    bench.publish(&["good"]);
    bench.host.publish("b", &[event(7, "bad")]);
    bench.publish(&["bad"]);
    bench.await_dead(&[0, 1]);
    bench.mended.store(true, Ordering::SeqCst);
    let events = bench.host.domain.look(|world| {
        let dead = world.dead().iter().map(|(event, _)| event);
        dead.collect::<Vec<_>>()
    });
    let processors = bench.host.domain.redrive(&events).unwrap();
    processors.into_iter().for_each(|processor| bench.host.dispatcher.revived(processor));
    bench.await_tried("bad", 4);
    assert_eq!(bench.tried("bad"), [(0, 1), (1, 1), (0, 2), (1, 2)]);
}
