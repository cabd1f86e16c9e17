//! Native handlers, and the checks that they share with guests.

use std::sync::Arc;

use super::support::{Calls, batch, push};
use crate::runtime::{
    Batch, CallError, Executor, NativeCall, NativeHandler, NewEmit, OutcomesBuilder, Verdict, Write,
};

struct Native<F>(F);

impl<F: FnMut(&NativeCall<'_>, &mut OutcomesBuilder) + Send> NativeHandler for Native<F> {
    fn handle(&mut self, call: &NativeCall<'_>, out: &mut OutcomesBuilder) -> Result<(), CallError> {
        (self.0)(call, out);
        Ok(())
    }
}

fn native(handle: impl FnMut(&NativeCall<'_>, &mut OutcomesBuilder) + Send + 'static) -> Executor {
    Executor::native(Box::new(Native(handle)), Arc::new(Calls::default()))
}

#[test]
fn outcomes_keep_what_was_built() {
    let mut executor = native(|call, out| {
        for (index, event) in call.batch.events().enumerate() {
            let value = call.calls.state(&call.scope(), index as u32, "n").unwrap();
            let attributes = [("tenant", "acme")];
            out.emit(&NewEmit {
                channel: "out",
                subject: Some(event.key()),
                data: event.data(),
                attributes: &attributes,
                ..NewEmit::default()
            });
            out.write("n", value.as_deref(), 5);
            out.reply(b"true");
            out.finish(Verdict::Handled, 0);
        }
    });
    let outcomes = executor.call(&batch(2, b"{}")).unwrap();
    let second = outcomes.iter().nth(1).unwrap();
    let emit = second.emits().next().unwrap();
    assert_eq!((emit.channel(), emit.subject(), emit.ty()), ("out", Some("key-1"), None));
    assert_eq!(emit.attributes().collect::<Vec<_>>(), [("tenant", "acme")]);
    let write = Write { name: "n", value: Some(b"key-1/n"), expires_ms: 5 };
    assert_eq!(second.writes().collect::<Vec<_>>(), [write]);
    assert_eq!(second.reply(), Some(b"true".as_slice()));
}

#[test]
fn a_fault_commits_nothing_and_says_why() {
    let mut executor = native(|_, out| {
        out.emit(&NewEmit { channel: "out", ..NewEmit::default() });
        out.note("the bank is closed");
        out.finish(Verdict::Retry, 500);
    });
    let outcomes = executor.call(&batch(1, b"{}")).unwrap();
    let outcome = outcomes.iter().next().unwrap();
    assert_eq!((outcome.emits().len(), outcome.retry_after_ms()), (0, 500));
    assert_eq!((outcome.verdict(), outcome.note()), (Verdict::Retry, Some("the bank is closed")));
}

#[test]
fn what_breaks_the_contract_is_refused_in_words() {
    let why = |handle: fn(&NativeCall<'_>, &mut OutcomesBuilder)| match native(handle)
        .call(&batch(1, b"{}"))
        .unwrap_err()
    {
        CallError::Malformed { why } => why,
        other => panic!("{other}"),
    };
    assert_eq!(why(|_, _| ()), "0 outcomes for 1 events");
    let unfinished = why(|_, out| {
        out.finish(Verdict::Handled, 0);
        out.write("n", None, 0);
    });
    assert_eq!(unfinished, "the outcomes count 0 writes, there are 1");
    let nameless = why(|_, out| {
        out.write("", None, 0);
        out.finish(Verdict::Handled, 0);
    });
    assert_eq!(nameless, "a write's name is absent or empty");
    let long = why(|_, out| {
        out.write(&"n".repeat(1025), None, 0);
        out.finish(Verdict::Handled, 0);
    });
    assert_eq!(long, "a write's name has 1025 bytes, 1024 are allowed");
}

#[test]
fn an_event_alone_is_the_same_event() {
    let batch = batch(3, b"payload");
    let alone = batch.only(2).unwrap();
    assert_eq!((alone.len(), alone.key(0)), (1, Some("key-2")));
    assert!(alone.bytes() < batch.bytes());
    let (one, two) = (alone.event(0).unwrap(), batch.event(2).unwrap());
    assert_eq!((one.data(), one.offset(), one.channel()), (two.data(), two.offset(), two.channel()));
    assert!(one.attributes().eq(two.attributes()));
    assert_eq!(one.attribute("recordedtime"), Some("2023-11-14T22:13:20.000Z"));
    assert!(batch.only(3).is_none());
}

#[test]
fn a_cleared_batch_is_as_new() {
    let mut batch = batch(3, b"payload");
    batch.clear(1, 2);
    assert_eq!((batch.len(), batch.time_ms(), batch.seed()), (0, 1, 2));
    push(&mut batch, 0, b"x");
    assert_eq!(batch.bytes(), super::support::batch(1, b"x").bytes());
    assert!(Batch::new(0, 0).is_empty());
}
