//! The zoo: guests that are hostile or broken, each with what must happen to it.

use super::Error;
use super::bytes::{COPY, Text, binary};
use crate::model::fault::FaultKind;

/// The processor beside which all of them run.
pub const NEIGHBOUR: &str = "neighbour";

/// What must happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It is not deployed, with an error of this code.
    Refused(&'static str),
    /// It is deployed, and its events end in faults of this kind.
    Fault(FaultKind),
    /// It is deployed, its events are handled, and nothing comes of what it tries.
    Handled,
    /// It is handled, or refused because compiling it takes too much: the machine decides.
    Compiled,
}

/// One guest.
pub struct Animal {
    /// Its name, that of the processor, and that of the channel that it reads.
    pub name: &'static str,
    /// What must happen.
    pub end: End,
    /// Its file.
    pub bytes: Vec<u8>,
}

/// A processor that behaves, from `ticks` to `tocks`.
pub fn neighbour() -> Result<Vec<u8>, Error> {
    let text = Text::new(NEIGHBOUR, COPY).described(r#"{"channel":"neighbour"}"#, r#"{"channel":"ticks"}"#);
    text.described(r#""event_time_ms_max":100"#, r#""event_time_ms_max":1000"#).bytes()
}

/// All of them.
pub fn animals() -> Result<Vec<Animal>, Error> {
    let kinds = [time()?, memory()?, floods()?, lies()?, pointers()?, starts()?, bombs()?, files()?, asks()?];
    Ok(kinds.into_iter().flatten().collect())
}

fn animal(name: &'static str, end: End, text: Text) -> Result<Animal, Error> {
    Ok(Animal { name, end, bytes: text.bytes()? })
}

/// A handler that does this and ends in a fault.
fn faulty(name: &'static str, kind: FaultKind, body: &str) -> Result<Animal, Error> {
    animal(name, End::Fault(kind), text(name, body))
}

fn text(name: &str, body: &str) -> Text {
    Text::handler(name, "zoo-out", body)
}

const LOOP: &str = "(loop $on (br $on))";
const WELL: &str = "(call $well (local.get $count))";
/// What every component begins with.
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";
/// Where the frame's own allocator gives its answer.
const REALLOC: &str = "(local.get $at))";

fn time() -> Result<Vec<Animal>, Error> {
    let day = format!("(call $block (call $subscribe (i64.const 86400000000000))) {WELL}");
    let deep = "(func $deep (result i32) (call $deep)) (func (export \"handle\") (param i32 i32 i32 i32 i32 i32) (result i32) (call $deep))";
    let realloc = format!("{LOOP} {REALLOC}");
    let free =
        text("endless-return", WELL).framed("(global.set $top (i32.const 65536)))", &format!("{LOOP})"));
    Ok(vec![
        faulty("endless-loop", FaultKind::Deadline, &format!("{LOOP} (i32.const 0)"))?,
        faulty("busy-wait", FaultKind::HostCalls, "(loop $on (drop (call $now)) (br $on)) (i32.const 0)")?,
        animal("blocking-call", End::Handled, text("blocking-call", &day))?,
        animal("recursion", End::Fault(FaultKind::Trap), Text::new("recursion", deep))?,
        animal(
            "endless-allocator",
            End::Fault(FaultKind::Deadline),
            text("endless-allocator", WELL).framed(REALLOC, &realloc),
        )?,
        animal("endless-return", End::Fault(FaultKind::Deadline), free)?,
    ])
}

fn memory() -> Result<Vec<Animal>, Error> {
    let more = |name: &'static str, module: &str, count: usize| {
        let instances = "(core instance (instantiate $extra))".repeat(count);
        let text = text(name, WELL).with(&format!("(core module $extra {module}) {instances}"));
        animal(name, End::Refused("component-not-instantiable"), text)
    };
    let handles = "(loop $on (drop (call $subscribe (i64.const 1))) (br $on)) (i32.const 0)";
    let slowly = "(loop $on (drop (memory.grow (i32.const 1))) (br $on)) (i32.const 0)";
    Ok(vec![
        faulty("memory-bomb", FaultKind::Memory, "(drop (memory.grow (i32.const 65000))) (i32.const 0)")?,
        faulty("slow-growth", FaultKind::Memory, slowly)?,
        more("many-instances", "(memory 1)", 400)?,
        more("many-memories", "(memory 1)", 5)?,
        more("large-memory", "(memory 60000)", 1)?,
        more("large-table", "(table 30000 funcref)", 1)?,
        faulty("handle-flood", FaultKind::Resources, handles)?,
    ])
}

/// So many emits, each with so many bytes of one arena of so many bytes as its data.
fn emits(count: u32, data: u32) -> String {
    format!(
        "(local $at i32) (local $n i32) (drop (memory.grow (i32.const 35)))
         (local.set $at (call $realloc (i32.const 0) (i32.const 0) (i32.const 8) (i32.const {rows})))
         (loop $next
           (call $emit (i32.add (local.get $at) (i32.mul (local.get $n) (i32.const 56))) (i32.const 7) (i32.const {data}))
           (br_if $next (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const {count}))))
         (memory.copy (i32.const 196608) (i32.const 1024) (i32.const 7))
         (call $answer (local.get $count) (i32.const 196608) (i32.const 2000000) (local.get $at) (i32.const {count})
           (i32.const 8) (i32.const 0) (i32.const 8) (i32.const 0))",
        rows = count * 56
    )
}

fn floods() -> Result<Vec<Animal>, Error> {
    let lines = format!(
        "(local $n i32) (loop $on (call $log-write (i32.const 0) (i32.const 3) (i32.const 1024) (i32.const 19))
           (br_if $on (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 10000)))) {WELL}"
    );
    let log = Text::handler("log-flood", "\\1b[2J\\1b[31m\\07no way\\0d\\0a", &lines);
    let state = "(i64.store (i32.const 4096) (i64.const 0x700000000)) (i64.store (i32.const 4104) (i64.const 0xc35000000000))
        (i64.store (i32.const 4112) (i64.const 0))
        (call $answer (local.get $count) (i32.const 1024) (i32.const 50000) (i32.const 8) (i32.const 0)
          (i32.const 4096) (i32.const 1) (i32.const 8) (i32.const 0))";
    let limit = "\"limits\":{\"state_key_bytes_max\":32768,";
    let output = "(drop (memory.grow (i32.const 200)))
        (call $answer (local.get $count) (i32.const 8) (i32.const 8388609) (i32.const 8) (i32.const 0) (i32.const 8) (i32.const 0)
          (i32.const 8) (i32.const 0))";
    let output = text("output-flood", output).described("4194304", "67108864");
    Ok(vec![
        faulty("emit-flood", FaultKind::Emits, &emits(1001, 0))?,
        faulty("giant-emit", FaultKind::BadEvent, &emits(1, 2_000_000))?,
        faulty("shared-spans", FaultKind::BadEvent, &emits(1000, 1_000_000))?,
        animal("log-flood", End::Handled, log)?,
        animal(
            "state-flood",
            End::Fault(FaultKind::State),
            text("state-flood", state).described("\"limits\":{", limit),
        )?,
        animal("output-flood", End::Fault(FaultKind::Output), output)?,
    ])
}

/// One emit with one attribute, of which something is not as it should be.
fn lie(name: &'static str, kind: FaultKind, data: &str, len: u32, change: &str) -> Result<Animal, Error> {
    let body = format!(
        "(local $out i32) (call $emit (i32.const 4096) (i32.const {len}) (i32.const 0))
         (i64.store (i32.const 8192) (i64.const 0xd00000007)) (i64.store (i32.const 8200) (i64.const 0x400000000))
         (local.set $out (call $answer (local.get $count) (i32.const 1024) (i32.const 64) (i32.const 4096) (i32.const 1)
           (i32.const 8) (i32.const 0) (i32.const 8192) (i32.const 1)))
         {change} (local.get $out)"
    );
    animal(name, End::Fault(kind), Text::handler(name, data, &body))
}

fn lies() -> Result<Vec<Animal>, Error> {
    use FaultKind::{BadEvent, Malformed, Trap, UndeclaredChannel};
    let own = "zoo-outcorrelationid";
    let set = |offset: u32, value: &str| {
        format!("(i32.store offset={offset} (local.get $out) (i32.const {value}))")
    };
    let row = |offset: u32, value: &str| {
        format!("(i32.store offset={offset} (i32.load offset=8 (local.get $out)) (i32.const {value}))")
    };
    Ok(vec![
        lie("spans-outside", Malformed, own, 7, "(i32.store (i32.const 4096) (i32.const 60))")?,
        lie("spans-overflow", Malformed, own, 7, "(i32.store (i32.const 4096) (i32.const -2))")?,
        lie("no-outcomes", Malformed, own, 7, &set(12, "0"))?,
        lie("huge-list", Trap, own, 7, &set(20, "0x7fffffff"))?,
        lie("huge-count", Malformed, own, 7, &row(4, "-1"))?,
        lie("wrong-verdict", Trap, own, 7, &row(0, "9"))?,
        lie("invalid-utf8", Malformed, "\\ff\\fe\\c0\\80", 4, "")?,
        lie("undeclared-channel", UndeclaredChannel, "secrets", 7, "")?,
        lie("own-flow-report", UndeclaredChannel, "baton.flows", 11, "")?,
        lie("forged-correlation", BadEvent, own, 7, "(i32.store (i32.const 4148) (i32.const 1))")?,
        lie("huge-attributes", Malformed, own, 7, "(i32.store (i32.const 4148) (i32.const -1))")?,
    ])
}

fn pointers() -> Result<Vec<Animal>, Error> {
    use FaultKind::{Malformed, Trap};
    let log = "(call $log-write (i32.const 0) (i32.const 1) (i32.const -16) (i32.const 64)) (i32.const 0)";
    let level = "(call $log-write (i32.const 0) (i32.const 99) (i32.const 1024) (i32.const 7)) (i32.const 0)";
    let get = "(call $state-get (i32.const 70) (i32.const 0) (i32.const 1) (i32.const 64)) (i32.const 0)";
    Ok(vec![
        faulty("wild-pointer", Trap, "(i32.const -8)")?,
        faulty("odd-pointer", Trap, "(i32.const 3)")?,
        faulty("wild-text", Trap, log)?,
        faulty("wrong-level", Trap, level)?,
        faulty("forged-handle", Trap, "(call $block (i32.const 77)) (i32.const 0)")?,
        faulty("foreign-event", Malformed, get)?,
        animal(
            "wild-allocator",
            End::Fault(Trap),
            text("wild-allocator", WELL).framed(REALLOC, "(i32.const -1))"),
        )?,
    ])
}

fn starts() -> Result<Vec<Animal>, Error> {
    let start = |name: &'static str, body: &str| {
        let well = "(func (export \"handle\") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 0))";
        let text = Text::new(name, &format!("{well} (func $start {body}) (start $start)"));
        animal(name, End::Refused("component-not-instantiable"), text)
    };
    let second = format!(
        "(i32.store (i32.const 16) (i32.add (i32.load (i32.const 16)) (i32.const 1)))
         (if (i32.eq (i32.load (i32.const 16)) (i32.const 2)) (then unreachable)) {WELL}"
    );
    // One key, so that each event is a call.
    let (plain, single) = ("\"channel\":\"trap-on-every-second\"", ",\"key\":\"single\"");
    let second = text("trap-on-every-second", &second).described(plain, &format!("{plain}{single}"));
    Ok(vec![
        start("endless-start", LOOP)?,
        start("trap-in-start", "unreachable")?,
        start("asking-start", "(loop $on (drop (call $now)) (br $on))")?,
        faulty("trap", FaultKind::Trap, "unreachable")?,
        animal("trap-on-every-second", End::Fault(FaultKind::Trap), second)?,
    ])
}

fn bombs() -> Result<Vec<Animal>, Error> {
    let with = |name: &'static str, end: End, module: &str| {
        animal(name, end, text(name, WELL).with(&format!("(core module $extra {module})")))
    };
    let blocks = format!("(func {} {})", "block ".repeat(20_000), "end ".repeat(20_000));
    let deep = [text("deep-components", WELL).bytes()?, components(2_000)].concat();
    let limit = End::Refused("component-compile-limit");
    Ok(vec![
        with("nested-loops", limit, &nested_loops(8_000))?,
        with("many-functions", End::Compiled, &"(func)".repeat(400_000))?,
        with("deep-blocks", End::Compiled, &blocks)?,
        Animal { name: "deep-components", end: End::Compiled, bytes: deep },
    ])
}

/// Loops in loops: what the compiler does with them grows with the third power of the depth.
fn nested_loops(depth: usize) -> String {
    let (open, close) = ("loop ".repeat(depth), "local.get 0 br_if 0 end ".repeat(depth));
    format!("(func (param i32) {open} {close})")
}

/// A section that is a component with a section that is a component, and so on.
fn components(depth: usize) -> Vec<u8> {
    let (mut heads, mut len) = (Vec::new(), 0);
    for _ in 0..depth {
        let mut head = vec![4];
        let mut rest = len + COMPONENT.len();
        while rest > 0x7f {
            head.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        head.push(rest as u8);
        head.extend(COMPONENT);
        len += head.len();
        heads.push(head);
    }
    heads.into_iter().rev().flatten().collect()
}

fn files() -> Result<Vec<Animal>, Error> {
    let raw = |name, code, bytes| Animal { name, end: End::Refused(code), bytes };
    let world = r#"(component (core module (@custom "baton-descriptor" "{\"contract\":\"baton:processor@0.1.0\",\"name\":\"another-world\",\"version\":\"1\",\"subscriptions\":[{\"channel\":\"a\"}]}")))"#;
    let refused = |name: &'static str, code: &'static str, imports: &str| {
        animal(name, End::Refused(code), text(name, WELL).with(imports))
    };
    let imports: String =
        (0..10_000).map(|n| format!("(import \"acme:shop/i{n}@1.0.0\" (instance))")).collect();
    let http = "(import \"wasi:http/outgoing-handler@0.2.3\" (instance))";
    let newer = "(import \"wasi:cli/environment@0.3.0\" (instance))";
    let wrong =
        "(import \"wasi:cli/exit@0.2.3\" (instance (export \"exit\" (func (param \"code\" string)))))";
    let not_offered = "component-import-not-offered";
    Ok(vec![
        raw("empty", "component-not-wasm", Vec::new()),
        raw("core-module", "component-core-module", binary("(module (memory 1))")?),
        raw("another-world", "component-wrong-world", binary(world)?),
        raw("no-descriptor", "descriptor-missing", binary("(component)")?),
        raw("noise", "component-invalid", [COMPONENT, &[0x5a; 5000]].concat()),
        refused("many-imports", not_offered, &imports)?,
        refused("http-not-granted", not_offered, http)?,
        refused("newer-imports", not_offered, newer)?,
        refused("wrong-import", "component-wrong-world", wrong)?,
        animal("another-name", End::Refused("name-mismatch"), text(NEIGHBOUR, WELL))?,
    ])
}

fn asks() -> Result<Vec<Animal>, Error> {
    let asks = |name: &'static str, from: &str, to: &str| {
        animal(name, End::Refused("descriptor-invalid"), text(name, WELL).described(from, to))
    };
    let large = format!("\"description\":\"{}\",\"version\"", "d".repeat(50_000_000));
    Ok(vec![
        asks("large-descriptor", "\"version\"", &large)?,
        asks("steering-texts", "\"version\"", "\"description\":\"\\u001b]0;owned\\u0007\",\"version\"")?,
        asks("asks-too-much", "4194304", "99999999999999")?,
        asks("speaks-for-the-host", "\"zoo-out\"", "\"baton.flows\"")?,
    ])
}
