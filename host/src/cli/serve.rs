//! `baton serve`: runs a host until it is told to stop.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::failure::Failure;
use super::output::{Style, Tone};
use super::{Shared, credential, progress};
use crate::config::{Config, Sources};
use crate::node::Node;
use crate::runtime::Compiler;
use crate::{api, telemetry};

/// `baton serve`
#[derive(Args)]
#[command(after_long_help = "\
Examples:
  baton serve                      the folder you are in
  baton serve shop --listen 127.0.0.1:8080
  BATON_LOG=baton=debug baton serve

The folder may hold baton.toml (settings) and processors/ (components: what is dropped in there runs).
SIGTERM or Ctrl-C stops in order; a second one ends at once.")]
pub struct ServeArgs {
    /// The folder with baton.toml and processors/, both optional.
    #[arg(value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// The address to listen on; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// The folder for the journal and caches [default: DIR/.baton].
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// Where the host is.
#[derive(Serialize)]
struct Started {
    listening: String,
    processors: PathBuf,
    data: PathBuf,
}

/// Runs the host.
pub fn run(args: ServeArgs, shared: &Shared) -> Result<(), Failure> {
    telemetry::start_log("info");
    let data = args.data.map(|data| absolute(data).display().to_string());
    let sources = Sources::of_process().flag("--listen", "listen", args.listen).flag("--data", "data", data);
    let config = Config::load_with(&args.dir, sources).map_err(|error| Failure::config(&error))?;
    let token = credential::token_of_host()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("cannot start threads: {error}")))?;
    runtime.block_on(serve(config, &token, shared))
}

async fn serve(config: Config, token: &str, shared: &Shared) -> Result<(), Failure> {
    let listen = config.listen;
    // Bound first: a second host on one address fails before it opens anything.
    let listener = TcpListener::bind(listen).await.map_err(|error| cannot_listen(listen, &error))?;
    let address = listener.local_addr().map_err(|error| cannot_listen(listen, &error))?;
    let shutdown = shutdown_signal()?;
    let started = Started {
        listening: format!("http://{address}"),
        processors: absolute(config.processors_dir()),
        data: absolute(config.data_dir.clone()),
    };
    // A long journal is read again after a crash: somebody waits and should see why.
    let builder = Node::builder().config(config).compiled_by(Compiler::of_this_program());
    let start = || Handle::current().block_on(builder.start());
    let node = tokio::task::block_in_place(|| progress::during("reading the journal".to_owned(), start));
    let node = node.map_err(|error| Failure::failed(error.to_string()))?;
    node.admit_local(token);
    shared.out().show(&started, render_started)?;
    api::serve(listener, node.clone(), shutdown).await;
    node.stop().await;
    Ok(())
}

fn absolute(path: PathBuf) -> PathBuf {
    std::path::absolute(&path).unwrap_or(path)
}

/// Why no host can be at an address, and what to do.
pub fn cannot_listen(address: SocketAddr, error: &std::io::Error) -> Failure {
    Failure::failed(format!(
        "cannot listen on {address}: {error}\nAnother host may be there already (`baton status`); \
         --listen ADDRESS takes another address."
    ))
}

fn render_started(started: &Started, style: Style) -> String {
    let row = |what: &str, value: String| format!("{what:<12}{value}\n");
    [
        row("listening", style.paint(Tone::Name, &started.listening)),
        row("processors", started.processors.display().to_string()),
        row("data", started.data.display().to_string()),
        "Drop components into the processors folder, or `baton deploy FILE`. Then `baton status`.".to_owned(),
    ]
    .concat()
}

/// Resolves at the first signal; the second ends the process at once.
pub fn shutdown_signal() -> Result<impl Future<Output = ()> + Send + 'static, Failure> {
    let mut signals =
        Signals::new().map_err(|error| Failure::failed(format!("cannot listen for signals: {error}")))?;
    Ok(async move {
        signals.next().await;
        tracing::info!("stopping; a second signal ends at once");
        tokio::spawn(async move {
            signals.next().await;
            std::process::exit(1);
        });
    })
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_started_host_says_where_it_is_and_what_to_do() {
        let started = Started {
            listening: "http://127.0.0.1:7077".into(),
            processors: "shop/processors".into(),
            data: "shop/.baton".into(),
        };
        let text = render_started(&started, Style::default());
        for part in ["listening   http://127.0.0.1:7077\n", "data        shop/.baton\n", "baton status"] {
            assert!(text.contains(part), "{text}");
        }
    }
}
