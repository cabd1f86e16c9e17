//! What an operator does with a processor that goes on being deployed: pause, resume, scale.

use axum::Json;
use axum::extract::{Request, State};
use serde::Deserialize;

use super::params::{Named, NoParams, Params, read_json};
use super::problem::Refusal;
use crate::model::name::ProcessorName;
use crate::model::operation::{Lanes, Operator, Rate};
use crate::model::report::{DeployReport, ProcessorReport};
use crate::node::{DeployError, Node, Resume};

/// The body of an approval; without one it is all defaults.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ApproveBody {
    digest: Option<String>,
    by: Operator,
}

/// `POST /v1/processors/{name}/approve`: nothing, or `{"digest": "..."}`
pub async fn approve(
    State(node): State<Node>,
    Named(name): Named<ProcessorName>,
    _: Params<NoParams>,
    request: Request,
) -> Result<Json<DeployReport>, Refusal> {
    let expected = r#"nothing, or {"digest": "the digest of the version that waits"}"#;
    let ApproveBody { digest, by } = read_json(request, expected).await?;
    Ok(Json(node.approve(&name, digest.as_deref(), by).await?))
}

/// The body of a rollback; without one it is all defaults.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RollbackBody {
    by: Operator,
}

/// `POST /v1/processors/{name}/rollback`
pub async fn rollback(
    State(node): State<Node>,
    Named(name): Named<ProcessorName>,
    _: Params<NoParams>,
    request: Request,
) -> Result<Json<DeployReport>, Refusal> {
    let RollbackBody { by } = read_json(request, r#"nothing, or {"by": "cli"}"#).await?;
    Ok(Json(node.rollback(&name, by).await?))
}

/// The body of a pause.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PauseBody {
    reason: String,
    #[serde(default)]
    by: Operator,
}

/// `POST /v1/processors/{name}/pause`: `{"reason": "..."}`
pub async fn pause(
    State(node): State<Node>,
    Named(name): Named<ProcessorName>,
    _: Params<NoParams>,
    request: Request,
) -> Result<Json<ProcessorReport>, Refusal> {
    let expected = r#"{"reason": "why it is paused"}"#;
    let PauseBody { reason, by } = read_json(request, expected).await?;
    Ok(Json(node.pause(&name, &reason, by).await?))
}

/// The body of a resume; without one it is all defaults.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ResumeBody {
    rate: Option<String>,
    held: bool,
    by: Operator,
}

/// `POST /v1/processors/{name}/resume`: nothing, or `{"rate": "100/s", "held": true}`
pub async fn resume(
    State(node): State<Node>,
    Named(name): Named<ProcessorName>,
    _: Params<NoParams>,
    request: Request,
) -> Result<Json<ProcessorReport>, Refusal> {
    let expected = r#"nothing, or {"rate": "100/s" or "none", "held": true}"#;
    let ResumeBody { rate, held, by } = read_json(request, expected).await?;
    let rate = rate.as_deref().map(rate_or_none).transpose()?;
    Ok(Json(node.resume(&name, Resume { rate, held, by }).await?))
}

fn rate_or_none(text: &str) -> Result<Option<Rate>, DeployError> {
    match text {
        "none" => Ok(None),
        rate => Ok(Some(rate.parse()?)),
    }
}

/// The body of a scale.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ScaleBody {
    lanes: Option<Lanes>,
    #[serde(default)]
    reset: bool,
    #[serde(default)]
    by: Operator,
}

/// `PUT /v1/processors/{name}/scale`: `{"lanes": "1..4"}`, or `{"reset": true}` for what `baton.toml` or the descriptor say
pub async fn scale(
    State(node): State<Node>,
    Named(name): Named<ProcessorName>,
    _: Params<NoParams>,
    request: Request,
) -> Result<Json<ProcessorReport>, Refusal> {
    let expected = r#"{"lanes": "1..4"}, or {"reset": true}"#;
    let ScaleBody { lanes, reset, by } = read_json(request, expected).await?;
    if lanes.is_some() == reset {
        return Err(Refusal::bad_request(
            "bad-body",
            format!("the body: give lanes, or reset; expected {expected}"),
        ));
    }
    Ok(Json(node.scale(&name, lanes, by).await?))
}
