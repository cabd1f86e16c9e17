//! What operators and their machines ask: status, health, metrics and receipts.

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use serde_json::{Value, json};

use super::params::{NoParams, Params};
use super::problem::Refusal;
use crate::model::report::{DeploymentList, StatusReport};
use crate::node::{METRICS_TYPE, Node};

/// `GET /v1/deployments`
pub async fn deployments(State(node): State<Node>, _: Params<NoParams>) -> Json<DeploymentList> {
    Json(DeploymentList { deployments: node.deployments() })
}

/// `GET /v1/status`
pub async fn status(State(node): State<Node>, _: Params<NoParams>) -> Json<StatusReport> {
    Json(node.status())
}

/// `GET /healthz`: the process answers.
pub async fn healthz() -> Json<Value> {
    Json(json!({"healthy": true}))
}

/// `GET /readyz`: the host takes events.
pub async fn readyz(State(node): State<Node>) -> Result<Json<Value>, Refusal> {
    let status = node.status();
    if !status.ready {
        let reason = status.reason.unwrap_or_else(|| "it is starting or stopping".to_owned());
        return Err(Refusal::unavailable("not-ready", format!("the host takes no events: {reason}")));
    }
    Ok(Json(json!({"ready": true})))
}

/// `GET /metrics`, in the OpenMetrics text format.
pub async fn metrics(State(node): State<Node>) -> Result<impl IntoResponse, Refusal> {
    Ok(([(header::CONTENT_TYPE, METRICS_TYPE)], node.metrics().await?))
}
