//! Processors: reports of them, their state and logs; deploying and undeploying.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::COMPONENT_BYTES_MAX;
use super::params::{Named, NoParams, Params, at_most, read_body};
use super::problem::Refusal;
use crate::model::name::ProcessorName;
use crate::model::report::{LogPage, ProcessorList, ProcessorReport, StateList};
use crate::node::{DeployError, LogFilter, Node};

/// How many entries or lines an answer has unless the reader says.
const ROWS_DEFAULT: usize = 1000;
/// How many entries or lines an answer may have.
const ROWS_MAX: usize = 10_000;

fn unknown(name: &ProcessorName) -> Refusal {
    DeployError::UnknownProcessor { name: name.to_string() }.into()
}

/// `GET /v1/processors`
pub async fn list(State(node): State<Node>, _: Params<NoParams>) -> Json<ProcessorList> {
    Json(ProcessorList { processors: node.processors(), problems: node.problems() })
}

/// `GET /v1/processors/{name}`
pub async fn show(
    State(node): State<Node>,
    Named(name): Named<ProcessorName>,
    _: Params<NoParams>,
) -> Result<Json<ProcessorReport>, Refusal> {
    Ok(Json(node.processor(&name).ok_or_else(|| unknown(&name))?))
}

/// The query of a deploy.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeployParams {
    wait: Option<bool>,
}

/// `PUT /v1/processors/{name}`: the body is the component; answers when it runs, or at once with `wait=false`.
pub async fn deploy(
    State(node): State<Node>,
    Named(name): Named<ProcessorName>,
    Params(params): Params<DeployParams>,
    request: Request,
) -> Result<Response, Refusal> {
    let (component, _room) = read_body(request, COMPONENT_BYTES_MAX).await?;
    if params.wait == Some(false) {
        node.check_component(&name, &component)?;
        tokio::spawn(async move {
            if let Err(error) = node.deploy(&name, component).await {
                tracing::warn!(processor = %name, code = error.code(), "a component was not deployed: {error}");
            }
        });
        return Ok(StatusCode::ACCEPTED.into_response());
    }
    Ok(Json(node.deploy(&name, component).await?).into_response())
}

/// The query of an undeploy.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UndeployParams {
    #[serde(default)]
    forget: bool,
}

/// `DELETE /v1/processors/{name}`
pub async fn undeploy(
    State(node): State<Node>,
    Named(name): Named<ProcessorName>,
    Params(params): Params<UndeployParams>,
) -> Result<StatusCode, Refusal> {
    node.undeploy(&name, params.forget).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The query of the state.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateParams {
    key: Option<String>,
    limit: Option<usize>,
}

/// `GET /v1/processors/{name}/state`
pub async fn state(
    State(node): State<Node>,
    Named(name): Named<ProcessorName>,
    Params(params): Params<StateParams>,
) -> Result<Json<StateList>, Refusal> {
    let limit = at_most("limit", params.limit.unwrap_or(ROWS_DEFAULT), ROWS_MAX)?;
    let entries = node.state(&name, params.key.as_deref(), limit).ok_or_else(|| unknown(&name))?;
    node.until_durable().await?;
    Ok(Json(StateList { processor: name.into(), entries }))
}

/// The query of the log.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogParams {
    #[serde(default)]
    after: u64,
    flow: Option<String>,
    limit: Option<usize>,
}

/// `GET /v1/processors/{name}/logs`
pub async fn logs(
    State(node): State<Node>,
    Named(name): Named<ProcessorName>,
    Params(params): Params<LogParams>,
) -> Result<Json<LogPage>, Refusal> {
    if node.processor(&name).is_none() {
        return Err(unknown(&name));
    }
    let limit = at_most("limit", params.limit.unwrap_or(ROWS_DEFAULT), ROWS_MAX)?;
    let filter = LogFilter { processor: Some(name), flow: params.flow, after: params.after, limit };
    let lines = node.logs(&filter);
    let next = lines.last().map_or(params.after, |line| line.number);
    Ok(Json(LogPage { lines, next }))
}
