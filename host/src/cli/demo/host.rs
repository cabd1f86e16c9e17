//! The host that the demo runs beside its own story. It starts, says where it is, and ends in order; what happens on it
//! is asked over HTTP.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::Path;

use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::super::credential::token_of_host;
use super::super::failure::Failure;
use super::super::serve::{cannot_listen, shutdown_signal};
use crate::api;
use crate::config::Config;
use crate::node::Node;
use crate::runtime::Compiler;

/// A host on threads of its own.
pub struct Host {
    runtime: Runtime,
    node: Node,
    server: String,
    /// True from the moment that it is to end, whoever says so.
    stop: watch::Sender<bool>,
    /// Resolves when it answers nobody any more.
    served: JoinHandle<()>,
}

impl Host {
    /// Serves a folder until somebody stops it.
    pub fn start(folder: &Path, listen: Option<SocketAddr>) -> Result<Self, Failure> {
        let config = Config::load(folder).map_err(|error| Failure::config(&error))?;
        Self::start_with(config, listen)
    }

    /// Serves what a configuration says; a usual address that is taken gives way to a free one.
    pub fn start_with(config: Config, listen: Option<SocketAddr>) -> Result<Self, Failure> {
        let runtime =
            Runtime::new().map_err(|error| Failure::failed(format!("cannot start threads: {error}")))?;
        let (stop, _) = watch::channel(false);
        let served = runtime.block_on(serve(config, listen, stop.clone()));
        let (server, node, served) = served?;
        Ok(Self { runtime, node, server, stop, served })
    }

    /// Its URL.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// The host itself.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// The threads that it runs on.
    pub fn threads(&self) -> &tokio::runtime::Handle {
        self.runtime.handle()
    }

    /// True from the moment that it is to end.
    pub fn stopping(&self) -> watch::Receiver<bool> {
        self.stop.subscribe()
    }

    /// Whether somebody asked it to stop.
    pub fn is_stopping(&self) -> bool {
        *self.stop.borrow()
    }

    /// Waits until somebody asks it to stop.
    pub fn until_stopped(&self) {
        self.runtime.block_on(told(self.stop.subscribe()));
    }

    /// Ends it in order.
    pub fn stop(self) {
        self.stop.send_replace(true);
        if let Err(error) = self.runtime.block_on(self.served) {
            tracing::error!(%error, "the HTTP interface did not end in order");
        }
        self.runtime.block_on(self.node.stop());
    }
}

async fn serve(
    mut config: Config,
    listen: Option<SocketAddr>,
    stop: watch::Sender<bool>,
) -> Result<(String, Node, JoinHandle<()>), Failure> {
    let listener = bind(listen, config.listen).await?;
    config.listen = listener.local_addr().map_err(|error| cannot_listen(config.listen, &error))?;
    let server = format!("http://{}", config.listen);
    let (signal, token) = (shutdown_signal()?, token_of_host()?);
    let builder = Node::builder().config(config).compiled_by(Compiler::of_this_program());
    let node = builder.start().await.map_err(|error| Failure::failed(error.to_string()))?;
    node.admit_local(&token);
    let shutdown = async move {
        tokio::select! {
            () = signal => {}
            () = told(stop.subscribe()) => {}
        }
        stop.send_replace(true);
    };
    Ok((server, node.clone(), tokio::spawn(api::serve(listener, node, shutdown))))
}

async fn told(mut stop: watch::Receiver<bool>) {
    // A sender that is gone says the same.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Binds the address that was named; the usual one gives way to a free port when it is taken.
async fn bind(named: Option<SocketAddr>, usual: SocketAddr) -> Result<TcpListener, Failure> {
    let address = named.unwrap_or(usual);
    match TcpListener::bind(address).await {
        Err(error) if named.is_none() && error.kind() == ErrorKind::AddrInUse => {
            let free = SocketAddr::new(address.ip(), 0);
            TcpListener::bind(free).await.map_err(|error| cannot_listen(free, &error))
        }
        bound => bound.map_err(|error| cannot_listen(address, &error)),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taken_address_gives_way_unless_it_was_named() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let holder = TcpListener::bind(taken).await.unwrap();
        let other = bind(None, taken).await.unwrap().local_addr().unwrap();
        assert_ne!(other.port(), taken.port());
        let failure = bind(Some(taken), taken).await.err().unwrap();
        assert!(failure.message.contains(&taken.to_string()), "{failure}");
        drop(holder);
    }
}
