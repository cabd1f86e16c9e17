//! Makes components out of a few lines of text, and batches and host calls to run them with.

use std::sync::Arc;

use parking_lot::Mutex;
use uuid::Uuid;

use crate::model::record::{Parts, Record, Stamp, encode};
use crate::runtime::{
    Batch, CallScope, Engine, EngineConfig, HostCalls, HostFailure, Instance, Level, Program,
};

/// One emit for each event, on the event's own channel, with its data: copies the arena as a whole.
pub const COPY: &str = r#"
(func (export "handle") (param $arena i32) (param $arena_len i32) (param $events i32) (param $count i32) (param i32 i32) (result i32)
  (local $out i32) (local $outcomes i32) (local $emits i32) (local $copy i32) (local $end i32)
  (local.set $out (call $realloc (i32.const 0) (i32.const 0) (i32.const 8) (i32.const 40)))
  (local.set $copy (call $realloc (i32.const 0) (i32.const 0) (i32.const 8) (local.get $arena_len)))
  (local.set $outcomes (call $realloc (i32.const 0) (i32.const 0) (i32.const 8) (i32.mul (local.get $count) (i32.const 40))))
  (local.set $emits (call $realloc (i32.const 0) (i32.const 0) (i32.const 8) (i32.mul (local.get $count) (i32.const 56))))
  (memory.copy (local.get $copy) (local.get $arena) (local.get $arena_len))
  (memory.fill (local.get $out) (i32.const 0) (i32.const 40))
  (i32.store offset=0 (local.get $out) (local.get $copy))
  (i32.store offset=4 (local.get $out) (local.get $arena_len))
  (i32.store offset=8 (local.get $out) (local.get $outcomes))
  (i32.store offset=12 (local.get $out) (local.get $count))
  (i32.store offset=16 (local.get $out) (local.get $emits))
  (i32.store offset=20 (local.get $out) (local.get $count))
  (i32.store offset=24 (local.get $out) (i32.const 8))
  (i32.store offset=32 (local.get $out) (i32.const 8))
  (local.set $end (i32.add (local.get $events) (i32.mul (local.get $count) (i32.const 96))))
  (block $done (loop $next
    (br_if $done (i32.eq (local.get $events) (local.get $end)))
    (i32.store offset=0 (local.get $outcomes) (i32.const 0))
    (i32.store offset=4 (local.get $outcomes) (i32.const 1))
    (i32.store offset=8 (local.get $outcomes) (i32.const 0))
    (i64.store offset=12 (local.get $outcomes) (i64.const 0xffffffff))
    (i64.store offset=20 (local.get $outcomes) (i64.const 0xffffffff))
    (i64.store offset=32 (local.get $outcomes) (i64.const 0))
    (i64.store offset=0 (local.get $emits) (i64.load offset=0 (local.get $events)))
    (i64.store offset=8 (local.get $emits) (i64.const 0xffffffff))
    (i64.store offset=16 (local.get $emits) (i64.const 0xffffffff))
    (i64.store offset=24 (local.get $emits) (i64.const 0xffffffff))
    (i64.store offset=32 (local.get $emits) (i64.const 0xffffffff))
    (i64.store offset=40 (local.get $emits) (i64.load offset=56 (local.get $events)))
    (i64.store offset=48 (local.get $emits) (i64.const 0))
    (local.set $events (i32.add (local.get $events) (i32.const 96)))
    (local.set $outcomes (i32.add (local.get $outcomes) (i32.const 40)))
    (local.set $emits (i32.add (local.get $emits) (i32.const 56)))
    (br $next)))
  (local.get $out))"#;

/// The start of a handler that does what `body` says and then runs on.
pub fn handle(body: &str) -> String {
    format!(
        "(func (export \"handle\") (param $arena i32) (param i32 i32) (param $count i32) (param i32 i32) (result i32) {body})"
    )
}

pub const DESCRIPTOR: &str = r#"{"contract":"baton:processor@0.1.0","name":"guest","version":"1.0.0","subscriptions":[{"channel":"orders"}],"limits":{"memory_bytes_max":4194304,"event_time_ms_max":100}}"#;

/// A component whose main module is `main`.
pub fn component(main: &str) -> Vec<u8> {
    component_with(main, DESCRIPTOR, "")
}

/// A component with a descriptor and imports of its own.
pub fn component_with(main: &str, descriptor: &str, imports: &str) -> Vec<u8> {
    let descriptor = descriptor.replace('"', "\\\"");
    let text = include_str!("../../../../tests/guests/zoo/frame.wat")
        .replace("    ;; main\n", main)
        .replace("  ;; imports\n", imports)
        .replace("DESCRIPTOR", &descriptor);
    wat::parse_str(text).unwrap()
}

pub fn load(main: &str) -> Program {
    Engine::new(EngineConfig::in_process()).unwrap().load(&component(main)).unwrap()
}

pub fn instance(main: &str) -> (Instance, Arc<Calls>) {
    let calls = Arc::new(Calls::default());
    (load(main).instantiate(calls.clone()).unwrap(), calls)
}

/// Answers every state read with the key and the name, and keeps the log.
#[derive(Default)]
pub struct Calls {
    pub lines: Mutex<Vec<(u32, Level, String)>>,
}

impl HostCalls for Calls {
    fn state(&self, scope: &CallScope<'_>, event: u32, name: &str) -> Result<Option<Vec<u8>>, HostFailure> {
        match name {
            "broken" => Err(HostFailure("the view is gone".to_owned())),
            _ => Ok(scope.key(event).map(|key| format!("{key}/{name}").into_bytes())),
        }
    }

    fn log(&self, _: &CallScope<'_>, event: u32, level: Level, message: &str) {
        self.lines.lock().push((event, level, message.to_owned()));
    }

    fn config(&self, name: &str) -> Option<String> {
        Some(name.to_uppercase())
    }
}

/// A batch of `count` events with `data`.
pub fn batch(count: usize, data: &[u8]) -> Batch {
    let mut batch = Batch::new(1_800_000_000_000, 7);
    for index in 0..count {
        push(&mut batch, index, data);
    }
    batch
}

pub fn push(batch: &mut Batch, index: usize, data: &[u8]) {
    let mut bytes = Vec::new();
    let parts =
        Parts { id: "id-1", source: "/shop", ty: "order-created", data: Some(data), ..Parts::default() };
    let stamp = Stamp { flow: Uuid::from_u128(7), cause: None, causationid: None, hops: 0 };
    encode(&mut bytes, &parts, &stamp, std::iter::empty());
    let record = Record::parse(&bytes).unwrap();
    batch.push("orders", &format!("key-{index}"), index as u64, 1, 1_700_000_000_000, &record);
}
