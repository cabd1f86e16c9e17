//! Guests that break out of a bound: each gets the error that names the bound, and only its instance is lost.

use std::sync::Arc;
use std::time::Duration;

use super::support::{COPY, Calls, DESCRIPTOR, batch, component, component_with, handle, instance, load};
use crate::runtime::{
    CallError, CallScope, Engine, EngineConfig, Error, HostCalls, HostFailure, Level, NoHostCalls,
    OUTCOMES_BYTES_MAX,
};

const MEMORY_MAX: u64 = 4 << 20;

fn fault(main: &str) -> CallError {
    let (mut instance, _) = instance(main);
    let error = instance.call(&batch(1, b"{}")).unwrap_err();
    assert!(instance.is_spent());
    assert_eq!(instance.call(&batch(1, b"{}")).unwrap_err(), CallError::Spent);
    error
}

fn stillborn(main: &str, imports: &str) -> CallError {
    let engine = Engine::new(EngineConfig::in_process()).unwrap();
    let program = engine.load(&component_with(main, DESCRIPTOR, imports)).unwrap();
    match program.instantiate(Arc::new(NoHostCalls)) {
        Err(Error::Instantiate(error)) => error,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was made"),
    }
}

#[test]
fn an_endless_loop_meets_the_deadline() {
    let error = fault(&handle("(loop $on (br $on)) (i32.const 0)"));
    assert_eq!(error, CallError::Deadline { ms: 100 });
}

#[test]
fn an_endless_start_meets_the_deadline() {
    let main = format!("{COPY} (func $start (loop $on (br $on))) (start $start)");
    assert_eq!(stillborn(&main, ""), CallError::Deadline { ms: 100 });
}

#[test]
fn memory_is_bounded_at_growth() {
    let error = fault(&handle("(drop (memory.grow (i32.const 63))) (i32.const 0)"));
    assert_eq!(error, CallError::Memory { asked: 65 << 16, max: MEMORY_MAX });
}

#[test]
fn memories_and_tables_of_all_instances_count_together() {
    let extra = "(core module $extra (memory 32)) (core instance (instantiate $extra)) (core instance (instantiate $extra))";
    assert_eq!(stillborn(COPY, extra), CallError::Memory { asked: (2 + 32 + 32) << 16, max: MEMORY_MAX });
    let tables =
        "(core module $extra (memory 61) (table 20000 funcref)) (core instance (instantiate $extra))";
    assert!(matches!(stillborn(COPY, tables), CallError::Memory { .. }));
}

#[test]
fn the_elements_of_all_tables_count_together() {
    let tables = "(core module $extra (table 10001 funcref)) (core instance (instantiate $extra)) (core instance (instantiate $extra))";
    let expected = CallError::Resources { what: "table elements".into(), max: 20_000 };
    assert_eq!(stillborn(COPY, tables), expected);
}

#[test]
fn the_number_of_instances_memories_and_tables_is_bounded() {
    for (what, count, name, max) in [
        ("", 65, "core instances", 64),
        ("(memory 0)", 5, "memories", 4),
        ("(table 0 funcref) (table 0 funcref)", 33, "tables", 64),
    ] {
        let instances = "(core instance (instantiate $extra))".repeat(count);
        let extra = format!("(core module $extra {what}) {instances}");
        assert_eq!(stillborn(COPY, &extra), CallError::Resources { what: name.into(), max });
    }
}

#[test]
fn host_calls_are_bounded() {
    let limits = DESCRIPTOR.replace("\"limits\":{", "\"limits\":{\"host_calls_max\":1000,");
    let engine = Engine::new(EngineConfig::in_process()).unwrap();
    let flood = handle("(loop $on (drop (call $now)) (br $on)) (i32.const 0)");
    let program = engine.load(&component_with(&flood, &limits, "")).unwrap();
    let mut instance = program.instantiate(Arc::new(NoHostCalls)).unwrap();
    assert_eq!(instance.call(&batch(1, b"{}")).unwrap_err(), CallError::HostCalls { max: 1000 });
}

/// Holds every state read up for so long.
struct Slow(Duration);

impl HostCalls for Slow {
    fn state(&self, _: &CallScope<'_>, _: u32, _: &str) -> Result<Option<Vec<u8>>, HostFailure> {
        let (_keep, never) = std::sync::mpsc::channel::<()>();
        assert!(never.recv_timeout(self.0).is_err());
        Ok(None)
    }

    fn log(&self, _: &CallScope<'_>, _: u32, _: Level, _: &str) {}

    fn config(&self, _: &str) -> Option<String> {
        None
    }
}

/// A guest with 150 ms of its own reads its state once, for 400 ms, and then works on in loops.
fn reads_slowly(call_time_ms_max: u64) -> Result<usize, CallError> {
    let limits = DESCRIPTOR
        .replace("\"limits\":{", &format!("\"limits\":{{\"call_time_ms_max\":{call_time_ms_max},"))
        .replace("\"event_time_ms_max\":100", "\"event_time_ms_max\":150");
    let read = "(call $state-get (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 16)) (local.set $out";
    let main = COPY.replacen("(local.set $out", read, 1);
    let engine = Engine::new(EngineConfig::in_process()).unwrap();
    let program = engine.load(&component_with(&main, &limits, "")).unwrap();
    let mut instance = program.instantiate(Arc::new(Slow(Duration::from_millis(400)))).unwrap();
    instance.call(&batch(1, b"{}")).map(|outcomes| outcomes.len())
}

#[test]
fn a_host_call_takes_nothing_of_the_guests_own_time_and_is_bounded_with_it() {
    assert_eq!(reads_slowly(60_000), Ok(1));
    assert_eq!(reads_slowly(160), Err(CallError::CallTime { ms: 160 }));
}

#[test]
fn a_stack_overflow_is_a_trap() {
    let main = format!("(func $deep (call $deep)) {}", handle("(call $deep) (i32.const 0)"));
    let CallError::Trap { message, frames } = fault(&main) else { panic!("no trap") };
    assert!(message.contains("call stack exhausted"), "{message}");
    assert!(frames.iter().any(|frame| frame == "deep"), "{frames:?}");
}

#[test]
fn outcomes_are_bounded_before_they_are_copied() {
    let big = DESCRIPTOR.replace("4194304", "67108864");
    let lists = format!(
        "(drop (memory.grow (i32.const 200)))
         (i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const {})) (i32.const 0)",
        OUTCOMES_BYTES_MAX + 1
    );
    let engine = Engine::new(EngineConfig::in_process()).unwrap();
    let program = engine.load(&component_with(&handle(&lists), &big, "")).unwrap();
    let mut instance = program.instantiate(Arc::new(NoHostCalls)).unwrap();
    let error = instance.call(&batch(1, b"{}")).unwrap_err();
    assert_eq!(error, CallError::Output { max: OUTCOMES_BYTES_MAX as u64 });
}

#[test]
fn spans_outside_the_memory_are_a_fault_of_the_guest() {
    let lists = "(i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const 1000000)) (i32.const 0)";
    assert_eq!(fault(&handle(lists)).code(), "guest-trap");
}

#[test]
fn the_number_of_outcomes_must_be_that_of_the_events() {
    let none = "(memory.fill (i32.const 0) (i32.const 0) (i32.const 40)) \
                (i32.store (i32.const 8) (i32.const 64)) (i32.store (i32.const 16) (i32.const 64)) \
                (i32.store (i32.const 24) (i32.const 64)) (i32.store (i32.const 32) (i32.const 64)) (i32.const 0)";
    assert_eq!(fault(&handle(none)), CallError::Malformed { why: "0 outcomes for 1 events".into() });
}

#[test]
fn a_host_call_names_an_event_of_the_batch() {
    let get =
        handle("(call $state-get (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 64)) (i32.const 0)");
    let expected = CallError::Malformed { why: "it named event 1 of a batch of 1".into() };
    assert_eq!(fault(&get), expected);
    let log =
        handle("(call $log-write (i32.const 7) (i32.const 0) (i32.const 0) (i32.const 1)) (i32.const 0)");
    assert_eq!(fault(&log).code(), "guest-malformed");
}

#[test]
fn the_name_of_a_state_value_is_bounded() {
    let get = handle(
        "(call $state-get (i32.const 0) (i32.const 0) (i32.const 1025) (i32.const 2048)) (i32.const 0)",
    );
    let expected = CallError::Malformed { why: "a name has 1025 bytes, 1024 are allowed".into() };
    assert_eq!(fault(&get), expected);
}

#[test]
fn a_failure_of_the_host_is_not_the_guests() {
    let main = format!(
        "(data (i32.const 0) \"broken\") {}",
        handle("(call $state-get (i32.const 0) (i32.const 0) (i32.const 6) (i32.const 64)) (i32.const 0)")
    );
    assert_eq!(fault(&main), CallError::Host("the view is gone".into()));
}

#[test]
fn the_log_of_an_event_is_bounded_in_lines_and_bytes() {
    let spam = |len: u32| {
        format!(
            "(local $n i32) (loop $on (call $log-write (i32.const 0) (i32.const 1) (i32.const 0) (i32.const {len}))
             (br_if $on (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 1000)))) unreachable"
        )
    };
    for (len, lines, line_bytes) in [(1, 200, 1), (1000, 16, 1000), (5000, 4, 4096)] {
        let program = load(&handle(&spam(len)));
        let calls = Arc::new(Calls::default());
        let mut instance = program.instantiate(calls.clone()).unwrap();
        assert_eq!(instance.call(&batch(2, b"{}")).unwrap_err().code(), "guest-trap");
        let log = calls.lines.lock();
        assert_eq!(log.len(), lines + 1, "{len}");
        assert_eq!(log[0].2.len(), line_bytes);
        assert!(log[lines].2.contains("what follows is dropped"), "{}", log[lines].2);
    }
}

#[test]
fn a_hostile_neighbour_harms_nobody() {
    let engine = Engine::new(EngineConfig::in_process()).unwrap();
    let calls = Arc::new(Calls::default());
    let bad = engine.load(&component(&handle("unreachable"))).unwrap();
    let good = engine.load(&component(COPY)).unwrap();
    let (mut bad, mut good) =
        (bad.instantiate(calls.clone()).unwrap(), good.instantiate(calls.clone()).unwrap());
    assert!(bad.call(&batch(1, b"{}")).is_err());
    assert_eq!(good.call(&batch(1, b"{}")).unwrap().len(), 1);
}
