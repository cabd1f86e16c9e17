//! The WASI that a language's standard library brings: always linked, and inert. No files, environment, arguments or
//! sockets; output goes to the processor's log. Clocks and random numbers are replaced by ones that depend on
//! the call alone, so that a recorded input replays. It never blocks the thread: a sleep moves the guest's own clock.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use wasmtime::component::{HasData, Linker, Resource, ResourceTable};
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::bindings::clocks::{monotonic_clock, wall_clock};
use wasmtime_wasi::p2::bindings::random::{insecure, insecure_seed, random};
use wasmtime_wasi::p2::{DynPollable, OutputStream, Pollable, StreamError, StreamResult, subscribe};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use super::batch::Batch;
use super::instance::Guest;
use super::limits::{HANDLES_MAX, LOG_EVENT_BYTES_MAX, RANDOM_BYTES_MAX};
use super::logbook::{Logbook, Output};
use super::outside::{self, Sockets};

/// What WASI knows of one instance.
pub(super) struct Sandbox {
    table: ResourceTable,
    ctx: WasiCtx,
    /// Milliseconds since the Unix epoch at the start of the call.
    time_ms: u64,
    /// What the guest has slept in this call.
    slept_ns: u64,
    random: u64,
}

impl Sandbox {
    pub fn new(logbook: &Arc<Mutex<Logbook>>, sockets: Option<Arc<dyn Sockets>>) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(HANDLES_MAX);
        let stream = |output| Stdio { logbook: logbook.clone(), output };
        let mut ctx = WasiCtx::builder();
        ctx.stdout(stream(Output::Out)).stderr(stream(Output::Err)).allow_tcp(false).allow_udp(false);
        if let Some(sockets) = sockets {
            outside::open(&mut ctx, sockets);
        }
        Self { table, ctx: ctx.build(), time_ms: 0, slept_ns: 0, random: 0 }
    }

    /// Begins a call.
    pub fn begin(&mut self, batch: &Batch) {
        (self.time_ms, self.random, self.slept_ns) = (batch.time_ms(), batch.seed(), 0);
    }

    fn now_ns(&self) -> u64 {
        self.time_ms.saturating_mul(1_000_000).saturating_add(self.slept_ns)
    }

    /// SplitMix64: small, and the same on every machine.
    fn next(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        if len > RANDOM_BYTES_MAX {
            wasmtime::bail!("it asked for {len} random bytes at once; {RANDOM_BYTES_MAX} are allowed");
        }
        let mut bytes = Vec::with_capacity(len as usize + 8);
        while (bytes.len() as u64) < len {
            bytes.extend_from_slice(&self.next().to_le_bytes());
        }
        bytes.truncate(len as usize);
        Ok(bytes)
    }
}

/// Links everything that `wasi:cli/imports` has.
pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_sync(linker)?;
    linker.allow_shadowing(true);
    monotonic_clock::add_to_linker::<Guest, InSandbox>(linker, sandbox)?;
    wall_clock::add_to_linker::<Guest, InSandbox>(linker, sandbox)?;
    random::add_to_linker::<Guest, InSandbox>(linker, sandbox)?;
    insecure::add_to_linker::<Guest, InSandbox>(linker, sandbox)?;
    insecure_seed::add_to_linker::<Guest, InSandbox>(linker, sandbox)?;
    linker.allow_shadowing(false);
    Ok(())
}

fn sandbox(guest: &mut Guest) -> &mut Sandbox {
    &mut guest.sandbox
}

struct InSandbox;

impl HasData for InSandbox {
    type Data<'a> = &'a mut Sandbox;
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.sandbox.ctx, table: &mut self.sandbox.table }
    }
}

impl wall_clock::Host for Sandbox {
    fn now(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        let now = Duration::from_nanos(self.now_ns());
        Ok(wall_clock::Datetime { seconds: now.as_secs(), nanoseconds: now.subsec_nanos() })
    }

    fn resolution(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        Ok(wall_clock::Datetime { seconds: 0, nanoseconds: 1_000_000 })
    }
}

impl monotonic_clock::Host for Sandbox {
    fn now(&mut self) -> wasmtime::Result<u64> {
        Ok(self.now_ns())
    }

    fn resolution(&mut self) -> wasmtime::Result<u64> {
        Ok(1_000_000)
    }

    fn subscribe_instant(&mut self, when: u64) -> wasmtime::Result<Resource<DynPollable>> {
        self.subscribe_duration(when.saturating_sub(self.now_ns()))
    }

    fn subscribe_duration(&mut self, duration: u64) -> wasmtime::Result<Resource<DynPollable>> {
        self.slept_ns = self.slept_ns.saturating_add(duration);
        let slept = self.table.push(Slept)?;
        subscribe(&mut self.table, slept)
    }
}

/// A time that has come, because waiting for it moved the clock.
struct Slept;

#[wasmtime_wasi::async_trait]
impl Pollable for Slept {
    async fn ready(&mut self) {}
}

impl random::Host for Sandbox {
    fn get_random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        self.random_bytes(len)
    }

    fn get_random_u64(&mut self) -> wasmtime::Result<u64> {
        Ok(self.next())
    }
}

impl insecure::Host for Sandbox {
    fn get_insecure_random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        self.random_bytes(len)
    }

    fn get_insecure_random_u64(&mut self) -> wasmtime::Result<u64> {
        Ok(self.next())
    }
}

impl insecure_seed::Host for Sandbox {
    /// Constant: a standard library asks once for an instance and seeds its hash maps with it, so that anything
    /// else would make the order of a map depend on which call came first.
    fn insecure_seed(&mut self) -> wasmtime::Result<(u64, u64)> {
        Ok((0x6261_746f_6e00_0001, 0x7265_6c61_7900_0002))
    }
}

/// One of the guest's output streams.
#[derive(Clone)]
struct Stdio {
    logbook: Arc<Mutex<Logbook>>,
    output: Output,
}

impl IsTerminal for Stdio {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Stdio {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }

    /// Only WASI 0.3 asks for it, which is not linked.
    fn async_stream(&self) -> Box<dyn tokio::io::AsyncWrite + Send + Sync> {
        Box::new(tokio::io::sink())
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Stdio {
    async fn ready(&mut self) {}
}

#[wasmtime_wasi::async_trait]
impl OutputStream for Stdio {
    fn write(&mut self, bytes: bytes::Bytes) -> StreamResult<()> {
        if bytes.len() > LOG_EVENT_BYTES_MAX {
            return Err(StreamError::trap("it wrote more than the stream has room for"));
        }
        self.logbook.lock().write(self.output, &bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(LOG_EVENT_BYTES_MAX)
    }
}
