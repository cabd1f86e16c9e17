//! Guests that nobody wrote: random modules, and bits of a sound component turned over. Whatever they are, the answer is an instance or an
//! error. The numbers that they are made of are the same each time.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arbitrary::Unstructured;
use wasm_smith::{Config, Module};

use super::support::{COPY, batch, component};
use crate::runtime::{Engine, EngineConfig, NoHostCalls};

const MODULES: u64 = 200;
const FLIPS: u64 = 300;
/// Bytes that one module is made of.
const RAW_BYTES: usize = 4096;

/// SplitMix64.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Loads it, and if that can be, makes an instance and calls it. Says how far it came.
fn run(engine: &Engine, bytes: &[u8]) -> &'static str {
    let Ok(program) = engine.load(bytes) else { return "not loaded" };
    let Ok(mut instance) = program.instantiate(Arc::new(NoHostCalls)) else { return "no instance" };
    match instance.call(&batch(2, b"{}")) {
        Ok(_) => "called",
        Err(_) => "broken",
    }
}

/// A module that asks for nothing, made of random bytes.
fn module(seed: u64) -> Vec<u8> {
    let mut state = seed;
    let raw: Vec<u8> = (0..RAW_BYTES / 8).flat_map(|_| next(&mut state).to_le_bytes()).collect();
    let config = Config {
        max_imports: 0,
        gc_enabled: false,
        exceptions_enabled: false,
        threads_enabled: false,
        memory64_enabled: false,
        reference_types_enabled: false,
        ..Config::default()
    };
    Module::new(config, &mut Unstructured::new(&raw)).unwrap().to_bytes()
}

fn leb(mut value: usize, out: &mut Vec<u8>) {
    while value > 0x7f {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// The component with one module more, of which it makes an instance: its start code runs.
fn with_module(component: &[u8], module: &[u8]) -> Vec<u8> {
    let mut bytes = component.to_vec();
    bytes.push(1);
    leb(module.len(), &mut bytes);
    bytes.extend(module);
    // One instance of the third module, without arguments.
    bytes.extend([2, 4, 1, 0, 2, 0]);
    bytes
}

/// How many came how far. A panic is told with the number of the guest.
fn tally(guests: impl Iterator<Item = Vec<u8>>) -> BTreeMap<&'static str, usize> {
    let engine = Engine::new(EngineConfig::in_process()).unwrap();
    let mut tally = BTreeMap::new();
    for (number, bytes) in guests.enumerate() {
        let ran = catch_unwind(AssertUnwindSafe(|| run(&engine, &bytes)));
        *tally.entry(ran.unwrap_or_else(|_| panic!("guest {number} broke the host"))).or_default() += 1;
    }
    tally
}

#[test]
fn random_modules_run_or_are_refused() {
    let sound = component(COPY);
    let tally = tally((0..MODULES).map(|seed| with_module(&sound, &module(seed))));
    assert!(tally["called"] > 20 && tally["no instance"] > 20, "they show nothing: {tally:?}");
}

#[test]
fn a_component_with_a_bit_turned_over_runs_or_is_refused() {
    let sound = component(COPY);
    let mut state = 1;
    let tally = tally((0..FLIPS).map(|_| {
        let at = next(&mut state) as usize % (sound.len() * 8);
        let mut bytes = sound.clone();
        bytes[at / 8] ^= 1 << (at % 8);
        bytes
    }));
    assert!(tally["called"] > 20 && tally["not loaded"] > 20, "they show nothing: {tally:?}");
}
