//! Connections: how many there may be, how long one may take to say what it wants, and how they end. It knows
//! nothing of what is asked.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use super::Stopping;
use super::streams::Place;

/// How long a live read whose reader takes nothing may hold up a stop.
const STREAM_END_TIME_MAX: Duration = Duration::from_millis(250);
/// How long to wait when the system has no more files or memory for a connection.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// The bounds of connections.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The most connections at one time; the next one waits in the system's queue until another ends.
    pub connections_max: usize,
    /// How long a connection may take to send the head of a request, the idle time before it included: nobody
    /// keeps others out by saying nothing.
    pub head_time_max: Duration,
    /// How long requests in flight are waited for when the host stops.
    pub drain_time_max: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            connections_max: 1024,
            head_time_max: Duration::from_secs(60),
            drain_time_max: Duration::from_secs(5),
        }
    }
}

/// Answers connections with the routes.
pub struct Server {
    /// Where connections come from.
    pub listener: TcpListener,
    /// What answers.
    pub router: Router,
    /// Tells connections to end.
    pub stopping: Stopping,
    /// The bounds.
    pub bounds: Bounds,
}

impl Server {
    /// Runs until `shutdown` resolves, tells everyone through `stop`, and waits for what is in flight.
    pub async fn run(self, shutdown: impl Future<Output = ()>, stop: watch::Sender<bool>) {
        let room = Arc::new(Semaphore::new(self.bounds.connections_max));
        let mut connections = JoinSet::new();
        let mut shutdown = pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                (stream, permit) = self.accept(&room) => {
                    connections.spawn(self.connection(stream, permit));
                }
                Some(_) = connections.join_next() => {}
            }
        }
        stop.send_replace(true);
        drop(self.listener);
        // What is not answered by then is cut off: stopping has a deadline.
        let _ = tokio::time::timeout(self.bounds.drain_time_max, connections.join_all()).await;
    }

    /// The next connection, when there is room for it.
    async fn accept(&self, room: &Arc<Semaphore>) -> (TcpStream, Option<OwnedSemaphorePermit>) {
        // It is absent only if the semaphore was closed, which nobody does.
        let permit = Arc::clone(room).acquire_owned().await.ok();
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => return (stream, permit),
                Err(error) if of_one_connection(&error) => {}
                Err(error) => {
                    tracing::error!("cannot accept connections: {error}");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn connection(
        &self,
        stream: TcpStream,
        permit: Option<OwnedSemaphorePermit>,
    ) -> impl Future<Output = ()> + Send + use<> {
        let place = Place::default();
        let (router, place_of_requests) = (TowerToHyperService::new(self.router.clone()), place.clone());
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(place_of_requests.clone());
            router.call(request)
        });
        let (mut stopping, head_time_max) = (self.stopping.clone(), self.bounds.head_time_max);
        async move {
            let _permit = permit;
            // Without it an answer waits for the client's delayed acknowledgement; a failure costs only that.
            let _ = stream.set_nodelay(true);
            let mut builder = http1::Builder::new();
            builder.timer(TokioTimer::new()).header_read_timeout(head_time_max);
            let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
            let ended = tokio::select! {
                // First: once the connection knows of the stop, its live read has given its place back.
                biased;
                () = stopping.ended() => {
                    connection.as_mut().graceful_shutdown();
                    if place.is_taken() {
                        tokio::time::timeout(STREAM_END_TIME_MAX, connection).await.unwrap_or(Ok(()))
                    } else {
                        connection.await
                    }
                }
                ended = connection.as_mut() => ended,
            };
            if let Err(error) = ended {
                tracing::debug!("a connection ended badly: {error}");
            }
        }
    }
}

fn of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use crate::api::problem::Refusal;
    use crate::api::streams::{Source, Streams};
    use axum::response::sse::Event;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    struct Endless;

    impl Source for Endless {
        async fn next(&mut self) -> Result<Option<Event>, Refusal> {
            Ok(Some(Event::default().data("x".repeat(256 << 10))))
        }
    }

    async fn server(
        bounds: Bounds,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> (std::net::SocketAddr, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopping) = watch::channel(false);
        let stopping = Stopping(stopping);
        let (live_stopping, streams) = (stopping.clone(), Streams::new(8));
        let live = |place: Place| async move { streams.answer(Endless, live_stopping, place) };
        let router = Router::new().route("/", get(|| async { "hello" })).route("/live", get(live));
        let server = Server { listener, router, stopping, bounds };
        (address, tokio::spawn(server.run(shutdown, stop)))
    }

    async fn ask(stream: &mut TcpStream) {
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    }

    async fn answer(stream: &mut TcpStream) -> String {
        let mut text = Vec::new();
        while !text.ends_with(b"hello") {
            text.push(stream.read_u8().await.unwrap());
        }
        String::from_utf8(text).unwrap()
    }

    #[tokio::test]
    async fn a_connection_over_the_bound_waits_until_another_ends() {
        let bounds = Bounds { connections_max: 1, ..Bounds::default() };
        let (address, _server) = server(bounds, std::future::pending()).await;
        let mut first = TcpStream::connect(address).await.unwrap();
        ask(&mut first).await;
        answer(&mut first).await;
        let mut second = TcpStream::connect(address).await.unwrap();
        ask(&mut second).await;
        ask(&mut first).await;
        answer(&mut first).await;
        assert!(second.try_read(&mut [0]).is_err());
        drop(first);
        assert!(answer(&mut second).await.starts_with("HTTP/1.1 200"));
    }

    #[tokio::test]
    async fn who_never_says_what_it_wants_is_cut_off() {
        let bounds = Bounds { head_time_max: Duration::from_millis(20), ..Bounds::default() };
        let (address, _server) = server(bounds, std::future::pending()).await;
        for start in [&b""[..], b"GET / HTTP/1.1\r\nhost:"] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(start).await.unwrap();
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest).await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_stop_ends_connections_that_are_idle() {
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        let (address, server) = server(Bounds::default(), async { drop(ended.await) }).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        ask(&mut stream).await;
        answer(&mut stream).await;
        end.send(()).unwrap();
        server.await.unwrap();
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn a_stop_cuts_off_a_live_read_that_nobody_takes() {
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        let bounds = Bounds { drain_time_max: Duration::from_secs(3600), ..Bounds::default() };
        let (address, server) = server(bounds, async { drop(ended.await) }).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /live HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        stream.read_exact(&mut [0; 4096]).await.unwrap();
        end.send(()).unwrap();
        tokio::time::timeout(Duration::from_secs(60), server).await.unwrap().unwrap();
    }
}
