//! One sandbox: a store with an instance in it, and the calls into it. After a failed call it is spent.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use wasmtime::component::{Linker, TypedFunc, WasmStr};
use wasmtime::{Store, StoreContextMut};

use super::batch::Batch;
use super::bindings::{BatchRows, CONFIG, HTTP, LOG, Level, OutcomeRows, SECRETS, STATE};
use super::blame;
use super::calls::{CallScope, HostCalls};
use super::error::CallError;
use super::limits::{Accountant, OUTCOMES_BYTES_MAX, STATE_NAME_BYTES_MAX};
use super::logbook::Logbook;
use super::outcomes::Outcomes;
use super::outside::{HttpFailure, HttpRequest, HttpResponse, Sockets};
use super::program::Program;
use super::usage::Usage;
use super::wasi::Sandbox;
use crate::model::bounds::Bounds;

type Handle = TypedFunc<(BatchRows<'static>,), (OutcomeRows,)>;

/// A processor that runs, with memory of its own.
pub struct Instance {
    store: Store<Guest>,
    handle: Handle,
    bounds: Bounds,
    spent: bool,
    /// It keeps the engine's ticker alive, without which no deadline would come.
    program: Program,
}

/// What the host keeps for one instance.
pub(super) struct Guest {
    pub sandbox: Sandbox,
    accountant: Accountant,
    usage: Usage,
    logbook: Arc<Mutex<Logbook>>,
    calls: Arc<dyn HostCalls>,
    sockets: Option<Arc<dyn Sockets>>,
    /// How many HTTP servers were called in this call.
    requests: u64,
}

impl Instance {
    /// Makes a store and an instance in it. This runs the guest's start code, within the limits of a call: of CPU time, for on a machine that is
    /// short of CPUs it would be refused as one that never ends.
    pub(super) fn new(program: Program, calls: Arc<dyn HostCalls>) -> Result<Self, CallError> {
        let bounds = program.bounds();
        let mut store = Store::new(program.wasmtime(), Guest::new(&program, calls));
        store.limiter(|guest| &mut guest.accountant);
        store.call_hook(|mut store, hook| Ok(store.data_mut().usage.crosses(hook)?));
        store.epoch_deadline_callback(|store| Ok(store.data().usage.look()?));
        store.set_hostcall_fuel(OUTCOMES_BYTES_MAX);
        store.set_epoch_deadline(store.data().usage.first_look());
        let is_one_thread = store.data().sockets.is_none();
        store.data_mut().usage.count_cpu_time(is_one_thread);
        let made = match store.data().sockets {
            None => program.pre().instantiate(&mut store),
            Some(_) => instantiate_waiting(&program, &mut store),
        };
        let made = made.map_err(|error| blame::of(&error, &store.data().facts(bounds)))?;
        store.data().usage.finish()?;
        store.data_mut().usage.count_cpu_time(false);
        let handle = made.get_typed_func(&mut store, program.handle());
        let handle = handle.map_err(|error| CallError::malformed(format!("'handle': {error:#}")))?;
        store.data().logbook.lock().end();
        Ok(Self { store, handle, bounds, spent: false, program })
    }

    /// From now on its own time is CPU time, not that of a clock. Not for guests with sockets: theirs is the time of several threads.
    pub(super) fn count_cpu_time(&mut self) {
        self.store.data_mut().usage.count_cpu_time(true);
    }

    /// Hands a batch to the guest and takes its outcomes. The whole call has the time of one event.
    pub fn call(&mut self, batch: &Batch) -> Result<Outcomes, CallError> {
        if self.spent {
            return Err(CallError::Spent);
        }
        self.spent = true;
        self.store.data_mut().begin(batch);
        self.store.set_epoch_deadline(self.store.data().usage.first_look());
        let called = match self.store.data().sockets {
            None => self.handle.call(&mut self.store, (batch.rows(),)),
            Some(_) => self.call_waiting(batch),
        };
        self.store.data().logbook.lock().end();
        let (rows,) = called.map_err(|error| blame::of(&error, &self.store.data().facts(self.bounds)))?;
        self.store.data().usage.finish()?;
        let outcomes = Outcomes::check(rows, batch.len())?;
        self.spent = false;
        Ok(outcomes)
    }

    /// A call that may wait for others. It is dropped when its time is over, whatever it waits for.
    fn call_waiting(&mut self, batch: &Batch) -> wasmtime::Result<(OutcomeRows,)> {
        let time_max = Duration::from_millis(self.bounds.call_time_ms_max);
        let call = self.handle.call_async(&mut self.store, (batch.rows(),));
        self.program.driver().run(time_max, call)
    }

    /// Whether a call has failed. What it holds is not to be trusted then; drop it.
    pub fn is_spent(&self) -> bool {
        self.spent
    }

    /// What its memories and tables have together.
    pub fn memory_bytes(&self) -> u64 {
        self.store.data().accountant.used()
    }
}

impl Guest {
    fn new(program: &Program, calls: Arc<dyn HostCalls>) -> Self {
        let bounds = program.bounds();
        let logbook = Arc::new(Mutex::new(Logbook::new(calls.clone())));
        let sockets = calls.sockets();
        Self {
            sandbox: Sandbox::new(&logbook, sockets.clone()),
            accountant: Accountant::new(bounds.memory_bytes_max),
            usage: Usage::new(bounds, program.ticks()),
            logbook,
            calls,
            sockets,
            requests: 0,
        }
    }

    fn begin(&mut self, batch: &Batch) {
        self.usage.begin();
        self.requests = 0;
        self.sandbox.begin(batch);
        self.logbook.lock().begin(batch);
    }

    fn facts(&self, bounds: Bounds) -> blame::Facts {
        blame::Facts { bounds, complaint: self.logbook.lock().complaint() }
    }

    fn state(&self, event: u32, name: &str) -> Result<Option<Vec<u8>>, CallError> {
        let mut logbook = self.logbook.lock();
        logbook.at(event)?;
        let answer = self.calls.state(&CallScope::new(logbook.batch()), event, bounded(name)?);
        answer.map_err(|failure| CallError::Host(failure.0))
    }

    fn log(&self, event: u32, level: Level, message: &str) -> Result<(), CallError> {
        let mut logbook = self.logbook.lock();
        logbook.at(event)?;
        logbook.line(event, level, message);
        Ok(())
    }

    fn config(&self, name: &str) -> Result<Option<String>, CallError> {
        Ok(self.calls.config(bounded(name)?))
    }

    fn secret(&self, name: &str) -> Result<Option<String>, CallError> {
        Ok(self.calls.secret(bounded(name)?))
    }

    fn http(
        &mut self,
        event: u32,
        request: &HttpRequest,
    ) -> Result<Result<HttpResponse, HttpFailure>, CallError> {
        let mut logbook = self.logbook.lock();
        logbook.at(event)?;
        let index = self.requests;
        self.requests += 1;
        let time_max = self.usage.wait_max();
        Ok(self.calls.http(&CallScope::new(logbook.batch()), event, index, request, time_max))
    }

    /// What its sockets may reach.
    pub(super) fn reachable(&self) -> Option<&Arc<dyn Sockets>> {
        self.sockets.as_ref()
    }
}

/// Makes an instance whose start code may wait for others.
fn instantiate_waiting(
    program: &Program,
    store: &mut Store<Guest>,
) -> wasmtime::Result<wasmtime::component::Instance> {
    let time_max = Duration::from_millis(program.bounds().call_time_ms_max);
    let pre = program.pre_with_sockets()?;
    program.driver().run(time_max, pre.instantiate_async(store))
}

fn bounded(name: &str) -> Result<&str, CallError> {
    if name.len() <= STATE_NAME_BYTES_MAX {
        return Ok(name);
    }
    let len = name.len();
    Err(CallError::malformed(format!("a name has {len} bytes, {STATE_NAME_BYTES_MAX} are allowed")))
}

/// Links the host calls of the contract.
pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    type Ctx<'a> = StoreContextMut<'a, Guest>;
    linker.instance(STATE)?.func_wrap("get", |ctx: Ctx<'_>, (event, name): (u32, WasmStr)| {
        Ok((ctx.data().state(event, &name.to_str(&ctx)?)?,))
    })?;
    linker.instance(LOG)?.func_wrap(
        "write",
        |ctx: Ctx<'_>, (event, level, message): (u32, Level, WasmStr)| {
            Ok(ctx.data().log(event, level, &message.to_str(&ctx)?)?)
        },
    )?;
    linker.instance(CONFIG)?.func_wrap("get", |ctx: Ctx<'_>, (name,): (WasmStr,)| {
        Ok((ctx.data().config(&name.to_str(&ctx)?)?,))
    })?;
    linker.instance(SECRETS)?.func_wrap("get", |ctx: Ctx<'_>, (name,): (WasmStr,)| {
        Ok((ctx.data().secret(&name.to_str(&ctx)?)?,))
    })?;
    linker.instance(HTTP)?.func_wrap("send", |mut ctx: Ctx<'_>, (event, request): (u32, HttpRequest)| {
        Ok((ctx.data_mut().http(event, &request)?,))
    })
}
