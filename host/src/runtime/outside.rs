//! What leads out of a sandbox: HTTP by a host call, TCP by the sockets of the standard library. It carries over what is said and decides nothing:
//! what a guest may reach is said by [`HostCalls`].
//!
//! A guest with sockets waits for others, so it runs on a stack of its own that is dropped when its time is over: no host call of it can hold a
//! thread for longer. Its clocks and random numbers are the real ones, as timeouts and handshakes need them.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use wasmtime::component::{ComponentType, HasData, Lift, Linker, Lower, Resource};
use wasmtime_wasi::WasiCtxBuilder;
use wasmtime_wasi::p2::DynPollable;
use wasmtime_wasi::p2::SocketError;
use wasmtime_wasi::p2::bindings::sockets::ip_name_lookup;
use wasmtime_wasi::p2::bindings::sockets::ip_name_lookup::ResolveAddressStream;
use wasmtime_wasi::p2::bindings::sockets::network::{self, ErrorCode, IpAddress, Network};
use wasmtime_wasi::sockets::WasiSocketsView;

use super::error::CallError;
use super::instance::Guest;

/// A call of an HTTP server, as a guest says it.
#[derive(Clone, Debug, PartialEq, Eq, ComponentType, Lift)]
#[component(record)]
pub struct HttpRequest {
    /// The method, in capitals.
    pub method: String,
    /// The whole address.
    pub url: String,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// The body; without one none is sent.
    pub body: Option<Vec<u8>>,
}

/// What a server answered, whatever its status.
#[derive(Clone, Debug, PartialEq, Eq, ComponentType, Lower)]
#[component(record)]
pub struct HttpResponse {
    /// The status.
    pub status: u16,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, ComponentType, Lower)]
#[component(record)]
pub struct HttpFailure {
    /// Of which kind.
    pub kind: HttpFailureKind,
    /// What went wrong, and what to do.
    pub message: String,
}

/// Kinds of failed requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lower)]
#[component(enum)]
#[repr(u8)]
pub enum HttpFailureKind {
    /// It is not granted.
    #[component(name = "denied")]
    Denied,
    /// It is no request that could be sent.
    #[component(name = "invalid")]
    Invalid,
    /// The server cannot be reached, or broke off.
    #[component(name = "unreachable")]
    Unreachable,
    /// It took too long.
    #[component(name = "timeout")]
    Timeout,
    /// The answer is too large.
    #[component(name = "too-large")]
    TooLarge,
}

/// Which servers the sockets of a guest may reach.
pub trait Sockets: Send + Sync {
    /// The addresses that a name stands for, of those that may be reached; from then on they may.
    fn resolve(&self, name: &str) -> Vec<IpAddr>;

    /// Whether a connection may be made.
    fn allows(&self, address: SocketAddr) -> bool;
}

/// What drives sockets: one runtime for all guests, made when the first guest has some.
#[derive(Default)]
pub(super) struct Driver(OnceLock<Runtime>);

impl Driver {
    /// Runs what waits for others, for so long.
    pub fn run<T>(
        &self,
        time_max: Duration,
        work: impl Future<Output = wasmtime::Result<T>>,
    ) -> wasmtime::Result<T> {
        let runtime = self.runtime().map_err(|error| CallError::Host(format!("no sockets: {error}")))?;
        let ms = u64::try_from(time_max.as_millis()).unwrap_or(u64::MAX);
        let timed = async { tokio::time::timeout(time_max, work).await };
        runtime.block_on(timed).unwrap_or_else(|_| Err(CallError::CallTime { ms }.into()))
    }

    fn runtime(&self) -> std::io::Result<&Runtime> {
        if let Some(runtime) = self.0.get() {
            return Ok(runtime);
        }
        let mut builder = Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).thread_name("baton-sockets").enable_all().build()?;
        Ok(self.0.get_or_init(|| runtime))
    }
}

/// Nobody waits for what is left: calls have ended, and the last handle may go in a place that must not block.
impl Drop for Driver {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Opens the sandbox for connections that are allowed, and for nothing else.
pub(super) fn open(ctx: &mut WasiCtxBuilder, sockets: Arc<dyn Sockets>) {
    use wasmtime_wasi::sockets::SocketAddrUse;
    ctx.allow_tcp(true).allow_udp(false).allow_ip_name_lookup(true);
    ctx.socket_addr_check(move |address, what| {
        let allowed = match what {
            SocketAddrUse::TcpConnect => sockets.allows(address),
            // What the system does itself before it connects.
            SocketAddrUse::TcpBind => address.ip().is_unspecified() && address.port() == 0,
            _ => false,
        };
        Box::pin(async move { allowed })
    });
}

/// Links the sockets of the standard library, of which names are looked up by the host.
pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    linker.allow_shadowing(true);
    ip_name_lookup::add_to_linker::<Guest, Lookup>(linker, |guest| LookupView { guest })?;
    linker.allow_shadowing(false);
    Ok(())
}

struct Lookup;

struct LookupView<'a> {
    guest: &'a mut Guest,
}

impl HasData for Lookup {
    type Data<'a> = LookupView<'a>;
}

impl network::Host for LookupView<'_> {
    fn convert_error_code(&mut self, error: SocketError) -> wasmtime::Result<ErrorCode> {
        WasiSocketsView::sockets(self.guest).convert_error_code(error)
    }

    fn network_error_code(
        &mut self,
        error: Resource<wasmtime::Error>,
    ) -> wasmtime::Result<Option<ErrorCode>> {
        WasiSocketsView::sockets(self.guest).network_error_code(error)
    }
}

impl network::HostNetwork for LookupView<'_> {
    fn drop(&mut self, network: Resource<Network>) -> wasmtime::Result<()> {
        network::HostNetwork::drop(&mut WasiSocketsView::sockets(self.guest), network)
    }
}

impl ip_name_lookup::Host for LookupView<'_> {
    /// A name that is not granted is not even looked up: a look-up alone can tell others something.
    fn resolve_addresses(
        &mut self,
        network: Resource<Network>,
        name: String,
    ) -> Result<Resource<ResolveAddressStream>, SocketError> {
        let addresses = self.guest.reachable().map_or_else(Vec::new, |sockets| sockets.resolve(&name));
        let Some(address) = addresses.first() else { return Err(ErrorCode::AccessDenied.into()) };
        WasiSocketsView::sockets(self.guest).resolve_addresses(network, address.to_string())
    }
}

impl ip_name_lookup::HostResolveAddressStream for LookupView<'_> {
    fn resolve_next_address(
        &mut self,
        stream: Resource<ResolveAddressStream>,
    ) -> Result<Option<IpAddress>, SocketError> {
        WasiSocketsView::sockets(self.guest).resolve_next_address(stream)
    }

    fn subscribe(
        &mut self,
        stream: Resource<ResolveAddressStream>,
    ) -> wasmtime::Result<Resource<DynPollable>> {
        WasiSocketsView::sockets(self.guest).subscribe(stream)
    }

    fn drop(&mut self, stream: Resource<ResolveAddressStream>) -> wasmtime::Result<()> {
        ip_name_lookup::HostResolveAddressStream::drop(&mut WasiSocketsView::sockets(self.guest), stream)
    }
}
