//! What operators and their machines ask: status, health, metrics and receipts.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use serde_json::{Value, json};

use super::params::{NoParams, Params};
use super::problem::Refusal;
use crate::config;
use crate::model::report::{DeploymentList, ReloadReport, StatusReport};
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

/// `POST /v1/config/reload`: reads baton.toml again; one that is wrong is refused and changes nothing.
pub async fn reload_config(
    State(node): State<Node>,
    _: Params<NoParams>,
) -> Result<Json<ReloadReport>, Refusal> {
    let reloaded = tokio::task::spawn_blocking(move || node.reload_config()).await;
    let reloaded = reloaded.map_err(|error| Refusal::internal("host-failed", error.to_string()))?;
    let refuse = |error: config::ConfigError| {
        Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, error.code(), error.to_string())
    };
    Ok(Json(reloaded.map_err(refuse)?))
}

/// `GET /v1/config-schema.json`: the JSON Schema of baton.toml.
pub async fn config_schema(_: Params<NoParams>) -> Json<Value> {
    Json(config::schema())
}
