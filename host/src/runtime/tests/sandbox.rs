//! What a guest sees of the world: time, chance and sleep depend on the call alone.

use super::support::{batch, handle, instance};
use crate::runtime::{Batch, CallError, Level};

const UNREACHABLE: &str = "unreachable";

/// A handler that traps if `wrong` and logs one line otherwise.
fn expect(wrong: &str) -> String {
    handle(&format!(
        "(if {wrong} (then {UNREACHABLE}))
         (call $log-write (i32.const 0) (i32.const 2) (i32.const 32) (i32.const 3)) (loop $on (br $on)) (i32.const 0)"
    ))
}

fn holds(wrong: &str) {
    let (mut instance, calls) = instance(&format!("(data (i32.const 32) \"yes\") {}", expect(wrong)));
    assert_eq!(instance.call(&batch(1, b"{}")).unwrap_err(), CallError::Deadline { ms: 100 });
    assert_eq!(*calls.lines.lock(), [(0, Level::Warn, "yes".to_owned())]);
}

#[test]
fn the_clock_stands_at_the_time_of_the_call() {
    holds("(i64.ne (call $now) (i64.const 1800000000000000000))");
}

#[test]
fn a_sleep_of_a_day_moves_the_guests_clock_and_holds_nobody_up() {
    let day = 86_400_000_000_000_i64;
    holds(&format!(
        "(i64.ne (i64.add (i64.const 1800000000000000000) (i64.const {day}))
           (block (result i64) (call $block (call $subscribe (i64.const {day}))) (call $now)))"
    ));
}

#[test]
fn random_numbers_come_from_the_seed_of_the_call() {
    // The first number of SplitMix64 with the seed 7.
    holds(&format!("(i64.ne (call $random) (i64.const {}))", 7_191_089_600_892_374_487_u64 as i64));
}

#[test]
fn handles_are_bounded() {
    let (mut instance, _) =
        instance(&handle("(loop $on (drop (call $subscribe (i64.const 1))) (br $on)) (i32.const 0)"));
    let error = instance.call(&Batch::new(0, 0)).unwrap_err();
    assert_eq!(error, CallError::Resources { what: "handles".into(), max: 10_000 });
}
