//! Puts and removals that something else comes between: each is answered, and says what came of it.

use tokio::sync::oneshot::{self, Receiver as Answered};

use super::*;
use crate::registry::worker::Message;
use crate::registry::{Answer, PutError};

fn put(bench: &mut Bench, version: &str) -> Answered<Result<Answer, PutError>> {
    let (reply, answer) = oneshot::channel();
    let bytes = component("mail", version).into();
    bench.worker.take(Message::Put { name: "mail".parse().unwrap(), bytes, reply });
    bench.settle();
    answer
}

fn remove(bench: &mut Bench) -> Answered<Result<(), PutError>> {
    let (reply, answer) = oneshot::channel();
    bench.worker.take(Message::Remove { name: "mail".parse().unwrap(), reply });
    answer
}

#[test]
fn what_runs_is_unchanged_when_the_version_between_fails() {
    let mut bench = Bench::new();
    let mut first = put(&mut bench, "1");
    deployed(bench.offered().unwrap());
    bench.settle();
    assert!(matches!(first.try_recv().unwrap(), Ok(Answer::Deployed(_))));
    let mut second = put(&mut bench, "2");
    let mut third = put(&mut bench, "1");
    assert!(third.try_recv().is_err(), "the second is not answered yet");
    bench.offered().unwrap().done(Err(fault("guest-trap")));
    bench.settle();
    assert_eq!(second.try_recv().unwrap().unwrap_err().code(), "guest-trap");
    assert_eq!(third.try_recv().unwrap(), Ok(Answer::Unchanged(digest(&component("mail", "1")))));
    assert!(bench.offered().is_none());
}

#[test]
fn a_put_that_is_overtaken_says_so() {
    let mut bench = Bench::new();
    let mut first = put(&mut bench, "1");
    let mut second = put(&mut bench, "2");
    let mut third = put(&mut bench, "3");
    assert_eq!(second.try_recv().unwrap(), Err(PutError::Superseded));
    assert_eq!(bench.obey(), ["+mail 1", "+mail 3"]);
    assert!(first.try_recv().unwrap().is_ok() && third.try_recv().unwrap().is_ok());
}

#[test]
fn a_file_that_is_put_back_comes_after_the_removal() {
    let mut bench = Bench::new();
    bench.write("mail.wasm", &component("mail", "1"));
    bench.obey();
    bench.write("other.wasm", &component("stock", "1"));
    bench.round();
    let mut removed = remove(&mut bench);
    bench.write("other.wasm", &component("mail", "1"));
    assert_eq!(bench.obey(), ["-mail", "+mail 1"]);
    assert_eq!(removed.try_recv().unwrap(), Ok(()));
}

#[test]
fn a_removal_that_fails_is_tried_again_at_a_rescan() {
    let mut bench = Bench::new();
    bench.write("mail.wasm", &component("mail", "1"));
    bench.obey();
    let mut removed = remove(&mut bench);
    bench.settle();
    let Ok(Wanted::Remove(removal)) = bench.wanted.try_recv() else { panic!() };
    removal.done(Err(fault("domain-closed")));
    assert_eq!(bench.obey(), [""; 0]);
    assert_eq!(removed.try_recv().unwrap().unwrap_err().code(), "domain-closed");
    bench.worker.take(Message::Rescan);
    assert_eq!(bench.obey(), ["-mail"]);
}
