//! The wasm side of the contract: the canonical ABI of `wit/processor.wit`, written by hand because every record
//! of the contract is made of integers and so is its own memory layout. Knows nothing of handlers.

use std::alloc::{Layout, alloc, handle_alloc_error, realloc};
use std::cell::UnsafeCell;
use std::time::SystemTime;

use crate::descriptor::Definition;
use crate::host::{Host, Level};
use crate::http::{HttpError, HttpErrorKind, Request, Response};
use crate::run::run;
use crate::wire::{AttributeRow, Batch, EventRow, Output};

/// The world `processor` in the form in which the linker learns it. `tests/contract.rs` makes and checks it.
pub const COMPONENT_TYPE: &[u8; include_bytes!("../wit/component-type.bin").len()] =
    include_bytes!("../wit/component-type.bin");

#[link(wasm_import_module = "baton:processor/state@0.1.0")]
unsafe extern "C" {
    #[link_name = "get"]
    fn state_get(event: u32, name: *const u8, name_len: usize, answer: *mut MaybeList);
}

#[link(wasm_import_module = "baton:processor/config@0.1.0")]
unsafe extern "C" {
    #[link_name = "get"]
    fn config_get(name: *const u8, name_len: usize, answer: *mut MaybeList);
}

#[link(wasm_import_module = "baton:processor/log@0.1.0")]
unsafe extern "C" {
    #[link_name = "write"]
    fn log_write(event: u32, level: u32, message: *const u8, message_len: usize);
}

#[link(wasm_import_module = "baton:processor/secrets@0.1.0")]
unsafe extern "C" {
    #[link_name = "get"]
    fn secret_get(name: *const u8, name_len: usize, answer: *mut MaybeList);
}

#[link(wasm_import_module = "baton:processor/http@0.1.0")]
unsafe extern "C" {
    #[link_name = "send"]
    fn http_send(
        event: u32,
        method: *const u8,
        method_len: usize,
        url: *const u8,
        url_len: usize,
        headers: *const Pair,
        headers_len: usize,
        has_body: u32,
        body: *const u8,
        body_len: usize,
        answer: *mut HttpAnswer,
    );
}

unsafe extern "C" {
    fn __wasm_call_ctors();
}

/// `option<list<u8>>`, and `option<string>` too.
#[repr(C)]
struct MaybeList {
    is_some: u8,
    start: *mut u8,
    len: usize,
}

impl MaybeList {
    const NONE: Self = Self { is_some: 0, start: std::ptr::null_mut(), len: 0 };

    /// # Safety
    /// The host must have written it, its bytes by way of `cabi_realloc`.
    unsafe fn take(self) -> Option<Vec<u8>> {
        (self.is_some != 0).then(|| unsafe { own(self.start, self.len) })
    }
}

/// `tuple<string, string>`.
#[repr(C)]
struct Pair {
    name: *mut u8,
    name_len: usize,
    value: *mut u8,
    value_len: usize,
}

/// `result<response, failure>`: what the names say if it is a response; a failure has its kind in place of the status, and its message in
/// place of the headers.
#[repr(C)]
struct HttpAnswer {
    is_failure: u8,
    _padding: [u8; 3],
    status: u16,
    headers: *mut u8,
    headers_len: usize,
    body: *mut u8,
    body_len: usize,
}

impl HttpAnswer {
    const NONE: Self = Self {
        is_failure: 0,
        _padding: [0; 3],
        status: 0,
        headers: std::ptr::null_mut(),
        headers_len: 0,
        body: std::ptr::null_mut(),
        body_len: 0,
    };

    /// # Safety
    /// The host must have written it, its lists by way of `cabi_realloc`.
    unsafe fn take(self) -> Result<Response, HttpError> {
        unsafe {
            if self.is_failure != 0 {
                let message = text(self.headers, self.headers_len);
                return Err(HttpError { kind: HttpErrorKind::of(self.status as u8), message });
            }
            let pairs = own::<Pair>(self.headers.cast(), self.headers_len);
            let pair = |pair: Pair| (text(pair.name, pair.name_len), text(pair.value, pair.value_len));
            let headers = pairs.into_iter().map(pair).collect();
            Ok(Response { status: self.status, headers, body: own(self.body, self.body_len) })
        }
    }
}

/// # Safety
/// As for [`own`].
unsafe fn text(start: *mut u8, len: usize) -> String {
    let bytes = unsafe { own(start, len) };
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// A secret that was granted.
pub fn secret(name: &str) -> Option<String> {
    let mut answer = MaybeList::NONE;
    // SAFETY: the signature is that of the contract; the host fills `answer`.
    let text = unsafe {
        secret_get(name.as_ptr(), name.len(), &raw mut answer);
        answer.take()
    };
    text.and_then(|text| String::from_utf8(text).ok())
}

/// Calls an HTTP server.
pub fn http(event: u32, request: &Request) -> Result<Response, HttpError> {
    let Request { method, url, headers, body } = request;
    let pair = |(name, value): &(String, String)| Pair {
        name: name.as_ptr().cast_mut(),
        name_len: name.len(),
        value: value.as_ptr().cast_mut(),
        value_len: value.len(),
    };
    let headers: Vec<Pair> = headers.iter().map(pair).collect();
    let bytes = body.as_deref().unwrap_or_default();
    let mut answer = HttpAnswer::NONE;
    // SAFETY: the signature is that of the contract; the host copies what it is lent and fills `answer`.
    unsafe {
        http_send(
            event,
            method.as_ptr(),
            method.len(),
            url.as_ptr(),
            url.len(),
            headers.as_ptr(),
            headers.len(),
            u32::from(body.is_some()),
            bytes.as_ptr(),
            bytes.len(),
            &raw mut answer,
        );
        answer.take()
    }
}

/// The real host.
struct Imports;

impl Host for Imports {
    fn state(&self, event: u32, name: &str) -> Option<Vec<u8>> {
        let mut answer = MaybeList::NONE;
        // SAFETY: the signature is that of the contract; the host fills `answer`.
        unsafe {
            state_get(event, name.as_ptr(), name.len(), &raw mut answer);
            answer.take()
        }
    }

    fn log(&self, event: u32, level: Level, message: &str) {
        // SAFETY: the signature is that of the contract; the host copies the message.
        unsafe { log_write(event, level as u32, message.as_ptr(), message.len()) }
    }

    fn config(&self, name: &str) -> Option<String> {
        let mut answer = MaybeList::NONE;
        // SAFETY: the signature is that of the contract; the host fills `answer`.
        let text = unsafe {
            config_get(name.as_ptr(), name.len(), &raw mut answer);
            answer.take()
        };
        text.and_then(|text| String::from_utf8(text).ok())
    }

    fn now_ms(&self) -> u64 {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        now.map_or(0, |now| now.as_millis() as u64)
    }
}

/// A list as the canonical ABI passes it.
#[repr(C)]
struct List {
    start: *const u8,
    len: usize,
}

impl List {
    const EMPTY: Self = Self { start: std::ptr::null(), len: 0 };

    fn of<T>(rows: &[T]) -> Self {
        Self { start: rows.as_ptr().cast(), len: rows.len() }
    }
}

/// The record `outcomes` as the canonical ABI returns it.
#[repr(C)]
pub struct Outcomes([List; 5]);

/// What the last call answered: the host reads it after the call, and the next call writes over it.
struct Answer(UnsafeCell<(Output, Outcomes)>);

// SAFETY: an instance has one thread, and a component is never entered while a call runs in it.
unsafe impl Sync for Answer {}

static ANSWER: Answer = Answer(UnsafeCell::new((Output::new(), Outcomes([List::EMPTY; 5]))));

/// The six numbers that the record `batch` is passed as.
pub struct Arguments {
    /// The arena's bytes.
    pub arena: (*mut u8, usize),
    /// The rows of the events.
    pub events: (*mut u8, usize),
    /// The rows of their attributes.
    pub attributes: (*mut u8, usize),
}

/// Handles one call of `handler.handle`.
///
/// # Safety
/// Only the host's call may lead here, once at a time, with lists that it made by `cabi_realloc`.
pub unsafe fn handle(definition: &Definition, batch: Arguments) -> *const Outcomes {
    unsafe {
        construct_once();
        let arena = own::<u8>(batch.arena.0, batch.arena.1);
        let events = own::<EventRow>(batch.events.0.cast(), batch.events.1);
        let attributes = own::<AttributeRow>(batch.attributes.0.cast(), batch.attributes.1);
        let batch = Batch { arena: &arena, events: &events, attributes: &attributes };
        let (output, outcomes) = &mut *ANSWER.0.get();
        run(definition, batch, &Imports, output);
        *outcomes = lists(output);
        outcomes
    }
}

fn lists(output: &Output) -> Outcomes {
    Outcomes([
        List::of(&output.arena),
        List::of(&output.outcomes),
        List::of(&output.emits),
        List::of(&output.writes),
        List::of(&output.attributes),
    ])
}

/// The host has read the answer.
///
/// # Safety
/// Only the host may lead here, after [`handle`] and before the next call.
pub unsafe fn handled() {
    unsafe { (*ANSWER.0.get()).0.trim() }
}

/// Takes over a list that the host made in this memory.
///
/// # Safety
/// `start` must come from [`cabi_realloc`] for `len` items of `T`.
unsafe fn own<T>(start: *mut T, len: usize) -> Vec<T> {
    unsafe { Vec::from_raw_parts(start, len, len) }
}

/// Runs the constructors of the C library. Naming them keeps the linker from wrapping every export in them.
fn construct_once() {
    static CONSTRUCTED: std::sync::Once = std::sync::Once::new();
    // SAFETY: the linker makes it; it runs once.
    CONSTRUCTED.call_once(|| unsafe { __wasm_call_ctors() });
}

/// Makes room for a list that the host passes.
///
/// # Safety
/// Called by the host as the canonical ABI says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cabi_realloc(old: *mut u8, old_len: usize, align: usize, new_len: usize) -> *mut u8 {
    unsafe {
        let layout = Layout::from_size_align_unchecked(new_len, align);
        let start = match (old_len, new_len) {
            (0, 0) => return std::ptr::without_provenance_mut(align),
            (0, _) => alloc(layout),
            _ => realloc(old, Layout::from_size_align_unchecked(old_len, align), new_len),
        };
        if start.is_null() {
            handle_alloc_error(layout);
        }
        start
    }
}
