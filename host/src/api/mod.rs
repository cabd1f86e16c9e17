//! The HTTP interface: the CloudEvents binding for what comes in, JSON reports for what is asked, problem+json
//! for what is refused; `door` says who may ask at all. It owns requests and answers; it keeps no state and decides nothing that the node decides.

mod access;
mod allowance;
mod binding;
mod channels;
mod dead;
mod documents;
mod door;
#[cfg(test)]
mod door_tests;
mod flows;
mod header_text;
mod openapi;
mod operate;
mod operations;
mod params;
mod problem;
mod processors;
mod publish;
mod replay;
mod runs;
mod server;
mod streams;
mod subscriptions;
#[cfg(test)]
mod tests;
mod upkeep;
mod workflows;

use std::any::Any;
use std::future::Future;

use axum::Router;
use axum::extract::{DefaultBodyLimit, FromRef};
use axum::http::{Method, Uri};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tower_http::catch_panic::CatchPanicLayer;

use crate::node::Node;
use door::Door;
pub use openapi::openapi as openapi_document;
use problem::Refusal;
use server::{Bounds, Server};
use streams::Streams;

/// The largest body of a publish, a batch above all.
pub const PUBLISH_BYTES_MAX: usize = 16 << 20;
/// The largest component.
pub const COMPONENT_BYTES_MAX: usize = 64 << 20;
/// Answers requests on `listener` until `shutdown` resolves and what is in flight is answered, or the time for
/// that is over. Who waits for an event is answered at once that the host stops.
pub async fn serve(listener: TcpListener, node: Node, shutdown: impl Future<Output = ()> + Send) {
    let (stop, stopping) = watch::channel(false);
    let stopping = Stopping(stopping);
    let streams = Streams::new(node.config().settings.limits.streams_max);
    let listen = listener.local_addr().map_or(node.config().listen, |address| address);
    let door = Door::new(node.clone(), listen.ip());
    let router = router(Api { node, stopping: stopping.clone(), streams }, door);
    let server = Server { listener, router, stopping, bounds: Bounds::default() };
    server.run(shutdown, stop).await;
}

/// What handlers share.
#[derive(Clone)]
struct Api {
    node: Node,
    stopping: Stopping,
    streams: Streams,
}

/// Tells those who wait that the host stops.
#[derive(Clone)]
struct Stopping(watch::Receiver<bool>);

impl Stopping {
    /// Resolves when the host stops.
    async fn ended(&mut self) {
        // Without its sender the server is gone: that is an end too.
        let _ = self.0.wait_for(|stopping| *stopping).await;
    }
}

impl FromRef<Api> for Node {
    fn from_ref(api: &Api) -> Self {
        api.node.clone()
    }
}

impl FromRef<Api> for Stopping {
    fn from_ref(api: &Api) -> Self {
        api.stopping.clone()
    }
}

impl FromRef<Api> for Streams {
    fn from_ref(api: &Api) -> Self {
        api.streams.clone()
    }
}

/// All routes.
fn router(api: Api, door: Door) -> Router {
    Router::new()
        .route("/v1/channels", get(channels::list))
        .route("/v1/channels/{name}", get(channels::show))
        .route("/v1/channels/{name}/events", publish_route().get(channels::events))
        .route("/v1/processors", get(processors::list))
        .route("/v1/processors/{name}", component_route().get(processors::show).delete(processors::undeploy))
        .route("/v1/processors/{name}/resume", post(operate::resume))
        .route("/v1/processors/{name}/pause", post(operate::pause))
        .route("/v1/processors/{name}/replay", post(replay::replay))
        .route("/v1/processors/{name}/approve", post(operate::approve))
        .route("/v1/processors/{name}/rollback", post(operate::rollback))
        .route("/v1/processors/{name}/scale", put(operate::scale))
        .route("/v1/processors/{name}/state", get(processors::state))
        .route("/v1/processors/{name}/logs", get(processors::logs))
        .route("/v1/processors/{name}/subscriptions/{channel}/reset", post(subscriptions::reset))
        .route("/v1/subscriptions", get(subscriptions::list))
        .route("/v1/deployments", get(operations::deployments))
        .route("/v1/flows", get(flows::list))
        .route("/v1/flows/{id}", get(flows::show))
        .route("/v1/flows/{id}/resume", post(dead::resume_flow))
        .route("/v1/dead", get(dead::list))
        .route("/v1/dead/redrive", post(dead::redrive))
        .route("/v1/dead/rehearse", post(dead::rehearse))
        .route("/v1/dead/discard", post(dead::discard))
        .route("/v1/why", get(flows::why))
        .route("/v1/workflows", get(workflows::list))
        .route("/v1/workflows/{name}", workflow_route())
        .route("/v1/workflows/{name}/check-runs", post(workflows::check_runs))
        .route("/v1/runs", get(runs::list))
        .route("/v1/runs/{id}", get(runs::show))
        .route("/v1/runs/{id}/events", get(runs::events))
        .route("/v1/runs/{id}/resume", post(runs::resume))
        .route("/v1/runs/{id}/skip", post(runs::skip))
        .route("/v1/runs/{id}/cancel", post(runs::cancel))
        .route("/v1/runs/{id}/signal", post(runs::signal))
        .route("/v1/journal", get(upkeep::journal))
        .route("/v1/journal/trim", post(upkeep::trim))
        .route("/v1/backup", post(upkeep::backup))
        .route("/v1/config/reload", post(operations::reload_config))
        .route("/v1/config-schema.json", get(operations::config_schema))
        .route("/v1/status", get(operations::status))
        .route("/v1/topology", get(documents::topology))
        .route("/v1/openapi.json", get(documents::openapi_json))
        .route("/v1/asyncapi.json", get(documents::asyncapi_json))
        .route("/healthz", get(operations::healthz))
        .route("/readyz", get(operations::readyz))
        .route("/metrics", get(operations::metrics))
        .route("/v1/tokens", get(access::list).post(access::create))
        .route("/v1/audit", get(access::audit))
        .route("/v1/tokens/{name}", delete(access::revoke))
        .fallback(no_route)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(door, door::door))
        .layer(CatchPanicLayer::custom(panicked))
        .with_state(api)
}

fn publish_route() -> axum::routing::MethodRouter<Api> {
    post(publish::publish).layer(DefaultBodyLimit::max(PUBLISH_BYTES_MAX))
}

fn component_route() -> axum::routing::MethodRouter<Api> {
    put(processors::deploy).layer(DefaultBodyLimit::max(COMPONENT_BYTES_MAX))
}

fn workflow_route() -> axum::routing::MethodRouter<Api> {
    get(workflows::show).put(workflows::deploy).delete(workflows::remove)
}

async fn no_route(method: Method, uri: Uri) -> Refusal {
    let detail =
        format!("there is no {method} {}; what there is begins with /v1/, such as /v1/status", uri.path());
    Refusal::not_found("unknown-route", detail)
}

async fn wrong_method(method: Method, uri: Uri) -> Refusal {
    let detail = format!("{} does not take {method}; the Allow header says what it takes", uri.path());
    Refusal::new(axum::http::StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", detail)
}

fn panicked(cause: Box<dyn Any + Send>) -> Response {
    let text = cause.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| cause.downcast_ref::<&str>().copied()).unwrap_or("no message");
    tracing::error!(panic = text, "a request broke the host's own code");
    let detail = "the host's own code broke on this request; its log says more. This is a fault of Baton";
    Refusal::internal("host-fault", detail).into_response()
}
