//! The engine: settings, the linker that all programs share, the ticks that deadlines count, and loading.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use wasmtime::component::{Component, Linker};
use wasmtime::{Config, EngineWeak, WasmBacktraceDetails, WasmFeatures};

use super::cache::Cache;
use super::compiler::{self, CompileLimits, Compiler, Refused};
use super::error::Error;
use super::inspect::inspect;
use super::instance::{self, Guest};
use super::limits::STACK_BYTES_MAX;
use super::outside::{self, Driver};
use super::program::{Compiled, Program};
use super::wasi;

/// How long an epoch lasts, by which deadlines are measured.
pub(super) const TICK: Duration = Duration::from_millis(10);

/// How the host runs processors.
#[derive(Clone, Debug, Default)]
pub struct EngineConfig {
    /// Where compiled code is kept; absent, it is compiled at each start.
    pub cache_dir: Option<PathBuf>,
    /// Who compiles.
    pub compiler: Compiler,
    /// What one compilation may use, if a process of its own does it.
    pub compile_limits: CompileLimits,
}

impl EngineConfig {
    /// Without a cache, and compiling in this process: for components that are trusted.
    pub fn in_process() -> Self {
        Self { compiler: Compiler::InProcess, ..Self::default() }
    }
}

/// Compiles and runs processors. Cheap to clone; the ticker ends with the last clone, program and instance.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
}

struct Shared {
    wasmtime: wasmtime::Engine,
    linker: Linker<Guest>,
    /// For guests that have sockets, made when the first one comes.
    linker_with_sockets: OnceLock<Linker<Guest>>,
    driver: Driver,
    cache: Option<Cache>,
    compiler: Compiler,
    compile_limits: CompileLimits,
    /// One compilation at a time: each uses all cores.
    compiling: Mutex<()>,
    refused: Mutex<Refused>,
    /// How many epochs there have been.
    ticks: Arc<AtomicU64>,
}

impl Engine {
    /// Starts an engine and its ticker.
    pub fn new(config: EngineConfig) -> Result<Self, Error> {
        let wasmtime = wasmtime::Engine::new(&settings()).map_err(failed)?;
        let linker = linker(&wasmtime).map_err(failed)?;
        let ticks = Arc::<AtomicU64>::default();
        start_ticker(wasmtime.weak(), ticks.clone())
            .map_err(|error| Error::Engine { why: format!("no ticker: {error}") })?;
        let cache = config.cache_dir.as_deref().and_then(|dir| open_cache(dir, &wasmtime));
        let EngineConfig { compiler, compile_limits, .. } = config;
        let compiling = Mutex::default();
        let shared = Shared {
            wasmtime,
            linker,
            linker_with_sockets: OnceLock::new(),
            driver: Driver::default(),
            cache,
            compiler,
            compile_limits,
            compiling,
            refused: Mutex::default(),
            ticks,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Checks a component and compiles it, or takes its code from the cache.
    pub fn load(&self, bytes: &[u8]) -> Result<Program, Error> {
        self.load_by(bytes, &self.shared.compiler)
    }

    /// The same for a component that is part of this program: this process compiles it, whoever compiles all others.
    pub(super) fn load_own(&self, bytes: &[u8]) -> Result<Program, Error> {
        self.load_by(bytes, &Compiler::InProcess)
    }

    fn load_by(&self, bytes: &[u8], compiler: &Compiler) -> Result<Program, Error> {
        let inspected = inspect(bytes)?;
        inspected.check_imports()?;
        let started = Instant::now();
        let cached = self.cached(&inspected.digest);
        let from_cache = cached.is_some();
        let component = cached.map_or_else(|| self.compile(bytes, &inspected.digest, compiler), Ok)?;
        Program::new(self, inspected, Compiled { component, compile_time: started.elapsed(), from_cache })
    }

    /// Whether loading it takes no longer than reading it: what is wrong with it is known without compiling, its code is in the cache, or
    /// this process compiles what it trusts.
    pub fn loads_at_once(&self, bytes: &[u8]) -> bool {
        let is_cached = |digest: &str| self.shared.cache.as_ref().is_some_and(|cache| cache.has(digest));
        !matches!(self.shared.compiler, Compiler::Program(_))
            || inspect(bytes).map_or(true, |inspected| is_cached(&inspected.digest))
    }

    fn cached(&self, digest: &str) -> Option<Component> {
        self.shared.cache.as_ref()?.get(self.wasmtime(), digest)
    }

    fn compile(&self, bytes: &[u8], digest: &str, compiler: &Compiler) -> Result<Component, Error> {
        let Shared { cache, compile_limits, compiling, refused, .. } = &*self.shared;
        let _one = compiling.lock();
        if let Some(error) = refused.lock().error_of(digest) {
            return Err(error);
        }
        let code = compiler.compile(self.wasmtime(), compile_limits, bytes);
        let code = code.inspect_err(|error| refused.lock().note(digest, error))?;
        let component = compiler::take(self.wasmtime(), &code)?;
        if let Some(cache) = cache {
            cache.put(digest, &code);
        }
        Ok(component)
    }

    pub(super) fn wasmtime(&self) -> &wasmtime::Engine {
        &self.shared.wasmtime
    }

    pub(super) fn linker(&self) -> &Linker<Guest> {
        &self.shared.linker
    }

    pub(super) fn linker_with_sockets(&self) -> wasmtime::Result<&Linker<Guest>> {
        if let Some(linker) = self.shared.linker_with_sockets.get() {
            return Ok(linker);
        }
        let mut linker = Linker::new(self.wasmtime());
        outside::link(&mut linker)?;
        instance::link(&mut linker)?;
        Ok(self.shared.linker_with_sockets.get_or_init(|| linker))
    }

    pub(super) fn driver(&self) -> &Driver {
        &self.shared.driver
    }

    pub(super) fn ticks(&self) -> Arc<AtomicU64> {
        self.shared.ticks.clone()
    }
}

/// A cache that cannot be opened costs time, nothing else.
fn open_cache(dir: &Path, engine: &wasmtime::Engine) -> Option<Cache> {
    let opened = Cache::open(dir, engine);
    let warn = |error| tracing::warn!(dir = %dir.display(), %error, "no cache of compiled code");
    opened.map_err(warn).ok()
}

fn failed(error: wasmtime::Error) -> Error {
    Error::Engine { why: format!("{error:#}") }
}

/// What no guest needs and the engine need not have: each is code that a guest could reach otherwise.
const FEATURES_OFF: [WasmFeatures; 14] = [
    WasmFeatures::THREADS,
    WasmFeatures::SHARED_EVERYTHING_THREADS,
    WasmFeatures::GC,
    WasmFeatures::FUNCTION_REFERENCES,
    WasmFeatures::EXCEPTIONS,
    WasmFeatures::LEGACY_EXCEPTIONS,
    WasmFeatures::STACK_SWITCHING,
    WasmFeatures::MEMORY64,
    WasmFeatures::CUSTOM_PAGE_SIZES,
    WasmFeatures::WIDE_ARITHMETIC,
    WasmFeatures::CM_ASYNC,
    WasmFeatures::CM_THREADING,
    WasmFeatures::CM_ERROR_CONTEXT,
    WasmFeatures::CM_GC,
];

/// What decides how code is compiled and bounded. Memory stays at the engine's reservation of 4 GiB of addresses for each instance and its
/// guard pages behind: it costs no memory, saves every bounds check, and 10,000 instances are a third of what a process can address.
pub(super) fn settings() -> Config {
    let mut config = Config::new();
    for feature in FEATURES_OFF {
        config.wasm_features(feature, false);
    }
    config.wasm_multi_memory(false);
    config.epoch_interruption(true);
    config.concurrency_support(false);
    config.max_wasm_stack(STACK_BYTES_MAX);
    config.memory_init_cow(true);
    config.guard_before_linear_memory(false);
    config.wasm_backtrace_details(WasmBacktraceDetails::Disable);
    config.cranelift_nan_canonicalization(true);
    config.relaxed_simd_deterministic(true);
    config
}

fn linker(engine: &wasmtime::Engine) -> wasmtime::Result<Linker<Guest>> {
    let mut linker = Linker::new(engine);
    wasi::link(&mut linker)?;
    instance::link(&mut linker)?;
    Ok(linker)
}

/// How many epochs a time is. The first may end at once, so there is one more.
pub(super) fn ticks(ms: u64) -> u64 {
    ms.div_ceil(TICK.as_millis() as u64) + 1
}

fn start_ticker(engine: EngineWeak, ticks: Arc<AtomicU64>) -> std::io::Result<()> {
    let tick = move || {
        while let Some(engine) = engine.upgrade() {
            ticks.fetch_add(1, Ordering::Relaxed);
            engine.increment_epoch();
            drop(engine);
            thread::sleep(TICK);
        }
    };
    thread::Builder::new().name("baton-epochs".to_owned()).spawn(tick).map(drop)
}
