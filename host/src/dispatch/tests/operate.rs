//! Pause and resume.

use super::*;
use crate::model::operation::Operator;

fn name(name: &str) -> ProcessorName {
    ProcessorName::new(name).unwrap()
}

impl Host {
    fn pause(&self, processor: &str) {
        self.dispatcher.pause(&name(processor), "stocktaking".to_owned(), Operator::Cli).unwrap();
    }

    fn unpause(&self, processor: &str) {
        self.dispatcher.resume(&name(processor), None, Operator::Cli).unwrap();
    }

    /// Publishes on `b` and waits until `other` has handled it: whoever reads `b` too had as much time.
    fn let_others_run(&self, from: u64) {
        let events: Vec<_> = (from..from + 200).map(|n| event(n, &format!("k{n}"))).collect();
        self.publish("b", &events);
        self.settle("other", 0);
    }
}

fn other() -> Version {
    version(descriptor("other", r#"{"channel":"b"}"#, "", 1), "d", |_, _, _| Verdict::Handled)
}

#[test]
fn a_paused_processor_begins_nothing_until_it_is_resumed() {
    let host = host();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let counts = |digest: &str| {
        version(descriptor("p", r#"{"channel":"a"},{"channel":"b"}"#, "", 2), digest, counting(&seen))
    };
    host.dispatcher.deploy(&other()).unwrap();
    host.dispatcher.deploy(&counts("1")).unwrap();
    host.publish("a", &[event(1, "k")]);
    host.settle("p", 0);
    host.pause("p");
    host.publish("a", &[event(2, "k")]);
    host.let_others_run(1000);
    host.dispatcher.deploy(&counts("2")).unwrap();
    host.let_others_run(2000);
    host.dispatcher.retry_held(&name("p")).unwrap();
    host.let_others_run(3000);
    assert_eq!((host.lag("p"), seen.lock().len()), (601, 1));
    host.unpause("p");
    host.settle("p", 0);
    assert_eq!((host.count("p", "k"), seen.lock().len()), (2, 602));
}

#[test]
fn a_pause_does_not_wait_for_what_is_in_flight_and_outlives_a_restart() {
    let storage = Arc::new(Memory::new());
    let before = open(&storage);
    let (began, has_begun) = std::sync::mpsc::channel();
    let (release, released) = std::sync::mpsc::channel::<()>();
    let released = Mutex::new(released);
    let slow = move |_: &NativeCall<'_>, _: usize, _: &mut OutcomesBuilder| {
        began.send(()).unwrap();
        released.lock().recv().unwrap();
        Verdict::Handled
    };
    let p = || descriptor("p", r#"{"channel":"a"}"#, "", 1);
    let deployment = before.dispatcher.deploy(&version(p(), "d", slow)).unwrap();
    before.publish("a", &[event(1, "k")]);
    has_begun.recv().unwrap();
    before.pause("p");
    before.publish("a", &[event(2, "k")]);
    release.send(()).unwrap();
    before.settle("p", 1);
    before.dispatcher.stop();
    before.domain.journal().close().unwrap();
    let after = open(&storage);
    let paused = after.domain.operation(deployment.processor).paused.unwrap();
    assert_eq!(
        (paused.reason.as_str(), paused.by, paused.time_ms),
        ("stocktaking", Operator::Cli, 1_000_000)
    );
    after.dispatcher.deploy(&other()).unwrap();
    let quick = version(p(), "d", |_, _, _| Verdict::Handled);
    after.dispatcher.resume_deployed(&quick, Arc::new(deployment)).unwrap();
    after.let_others_run(1000);
    assert_eq!(after.lag("p"), 1);
    after.unpause("p");
    after.settle("p", 0);
}

#[test]
fn who_is_forgotten_is_not_paused_when_he_comes_back() {
    let host = host();
    let p = version(descriptor("p", r#"{"channel":"a"}"#, "", 1), "d", |_, _, _| Verdict::Handled);
    host.dispatcher.deploy(&p).unwrap();
    host.pause("p");
    host.dispatcher.undeploy(&name("p"), true).unwrap();
    let refused = host.dispatcher.pause(&name("p"), "r".to_owned(), Operator::Cli);
    assert!(matches!(refused, Err(DispatchError::Unknown(_))));
    host.dispatcher.deploy(&p).unwrap();
    host.publish("a", &[event(1, "k")]);
    host.settle("p", 0);
}

struct Exhausted;

impl NativeHandler for Exhausted {
    fn handle(&mut self, _: &NativeCall<'_>, _: &mut OutcomesBuilder) -> Result<(), CallError> {
        Err(CallError::HostCalls { max: 1 })
    }
}

#[test]
fn what_passes_a_limit_on_one_event_after_another_is_paused_with_the_reason() {
    for together in [true, false] {
        let host = host();
        let exhausted: crate::dispatch::version::NativeFactory = Arc::new(|| Box::new(Exhausted));
        let version = Version::native(descriptor("p", r#"{"channel":"a"}"#, "", 1), "d", exhausted);
        host.dispatcher.deploy(&version).unwrap();
        let events: Vec<_> = (0..20).map(|n| event(n, &format!("k{n}"))).collect();
        if together {
            host.publish("a", &events);
        } else {
            events.iter().for_each(|event| host.publish("a", std::slice::from_ref(event)));
        }
        let until = std::time::Instant::now() + Duration::from_secs(20);
        let paused = loop {
            if let Some(paused) = host.dispatcher.operation(&name("p")).unwrap().paused {
                break paused;
            }
            assert!(std::time::Instant::now() < until, "it was not paused");
            std::thread::yield_now();
        };
        assert_eq!(paused.by, Operator::Host);
        assert!(paused.reason.starts_with("16 events in a row passed a limit"), "{}", paused.reason);
    }
}
