//! What operators and their machines ask: status, health, metrics, receipts and flows.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::sse::Event;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use uuid::Uuid;

use super::Api;
use super::params::{Named, NoParams, Params};
use super::problem::Refusal;
use super::streams::{self, Place, Source, message};
use crate::model::report::{DeploymentList, FlowNews, StatusReport};
use crate::node::{FlowFollower, METRICS_TYPE, Node};

/// `GET /v1/deployments`
pub async fn deployments(State(node): State<Node>, _: Params<NoParams>) -> Json<DeploymentList> {
    Json(DeploymentList { deployments: node.deployments() })
}

/// `GET /v1/flows/{id}`: the flow as it is, or with `Accept: text/event-stream` as it goes on, to its end.
pub async fn flow(
    State(api): State<Api>,
    Named(id): Named<Uuid>,
    _: Params<NoParams>,
    headers: HeaderMap,
    place: Place,
) -> Result<Response, Refusal> {
    let unknown = || Refusal::not_found("unknown-flow", format!("there is no flow '{id}'"));
    if streams::is_wanted(&headers) {
        let follower = api.node.follow_flow(id).await?.ok_or_else(unknown)?;
        return api.streams.answer(FlowSource(follower), api.stopping.clone(), place);
    }
    Ok(Json(api.node.flow(id).await?.ok_or_else(unknown)?).into_response())
}

/// A flow as a live read. It has no ids: who reads it again gets it from its beginning.
struct FlowSource(FlowFollower);

impl Source for FlowSource {
    async fn next(&mut self) -> Result<Option<Event>, Refusal> {
        Ok(self.0.next().await?.map(|news| match news {
            FlowNews::Event(event) => message("event", &event),
            FlowNews::Handling(handling) => message("handling", &handling),
            FlowNews::End(end) => message("end", &end),
        }))
    }
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
