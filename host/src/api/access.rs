//! Tokens: who may ask. A secret is in one answer only, the one that made it.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use serde::Deserialize;

use super::params::{Named, NoParams, Params, at_most, read_json};
use super::problem::Refusal;
use crate::access::RECENT_MAX;
use crate::model::access::{AuditPage, Role, TokenList};
use crate::model::name::TokenName;
use crate::node::{AccessError, Node};

/// How many acts are answered unless the reader says.
const ACTS_DEFAULT: usize = 100;

/// The body of a creation.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CreateBody {
    name: TokenName,
    roles: Vec<Role>,
}

/// `GET /v1/tokens`
pub async fn list(State(node): State<Node>, _: Params<NoParams>) -> Json<TokenList> {
    Json(TokenList { tokens: node.access().list() })
}

/// `POST /v1/tokens`: `{"name": "...", "roles": ["publish"]}`
pub async fn create(
    State(node): State<Node>,
    _: Params<NoParams>,
    request: Request,
) -> Result<impl IntoResponse, Refusal> {
    let expected = r#"{"name": "ci", "roles": ["publish"]}, each of publish, read, admin"#;
    let CreateBody { name, roles } = read_json(request, expected).await?;
    let made = off_the_runtime(move || node.create_token(&name, &roles)).await?;
    Ok((StatusCode::CREATED, [(header::CACHE_CONTROL, "no-store")], Json(made)))
}

/// `DELETE /v1/tokens/{name}`
pub async fn revoke(
    State(node): State<Node>,
    Named(name): Named<TokenName>,
    _: Params<NoParams>,
) -> Result<StatusCode, Refusal> {
    off_the_runtime(move || node.access().revoke(&name)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The query of the log.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditParams {
    limit: Option<usize>,
}

/// `GET /v1/audit`: what operators did
pub async fn audit(
    State(node): State<Node>,
    Params(AuditParams { limit }): Params<AuditParams>,
) -> Result<Json<AuditPage>, Refusal> {
    let limit = at_most("limit", limit.unwrap_or(ACTS_DEFAULT), RECENT_MAX)?;
    Ok(Json(AuditPage { acts: node.access().audit().latest(limit) }))
}

/// Tokens are synced to the disk.
async fn off_the_runtime<T: Send + 'static>(
    act: impl FnOnce() -> Result<T, AccessError> + Send + 'static,
) -> Result<T, Refusal> {
    let done = tokio::task::spawn_blocking(act).await;
    Ok(done.map_err(|error| Refusal::internal("host-failed", error.to_string()))??)
}
