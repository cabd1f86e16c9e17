//! What describes the host to other programs: the topology, and the documents that are made of it.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::openapi::openapi;
use super::params::{NoParams, Params};
use super::problem::Refusal;
use crate::model::asyncapi::{ASYNCAPI_JSON, asyncapi};
use crate::model::topology::Topology;
use crate::node::Node;

/// `GET /v1/topology`
pub async fn topology(State(node): State<Node>, _: Params<NoParams>) -> Result<Json<Topology>, Refusal> {
    Ok(Json(durable_topology(&node).await?))
}

/// `GET /v1/openapi.json`: this interface.
pub async fn openapi_json(_: Params<NoParams>) -> Json<Value> {
    Json(openapi())
}

/// `GET /v1/asyncapi.json`: the topology as an AsyncAPI document; its server is the host as the request names it.
pub async fn asyncapi_json(
    State(node): State<Node>,
    _: Params<NoParams>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let document = asyncapi(&durable_topology(&node).await?, env!("CARGO_PKG_VERSION"), host);
    Ok(([(header::CONTENT_TYPE, ASYNCAPI_JSON)], Json(document)).into_response())
}

async fn durable_topology(node: &Node) -> Result<Topology, Refusal> {
    let topology = node.topology();
    node.until_durable().await?;
    Ok(topology)
}
