//! Flows: one, with waiting for its end; those that are not done; why a processor did or did not get an event.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::Event;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Deserializer};
use uuid::Uuid;

use super::Api;
use super::params::{Named, Params, at_most, duration};
use super::problem::Refusal;
use super::streams::{self, Place, Source, message};
use crate::model::flow::FlowPage;
use crate::model::name::{ChannelName, ProcessorName};
use crate::model::report::{FlowNews, FlowStatus};
use crate::model::why::WhyReport;
use crate::node::{After, EventAsk, FlowFollower, FlowsWanted, Node, is_settled};

/// How many flows a page has unless the reader says.
const PAGE_FLOWS_DEFAULT: usize = 50;
/// How many flows a page may have.
const PAGE_FLOWS_MAX: usize = 1000;
/// How long somebody waits for a flow unless he says.
const WAIT_DEFAULT: Duration = Duration::from_secs(30);
/// How long somebody may wait for a flow.
const WAIT_MAX: Duration = Duration::from_secs(300);

/// The query of a list of flows.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListParams {
    state: Option<FlowStatus>,
    #[serde(default, rename = "older-than", deserialize_with = "duration")]
    older_than: Option<Duration>,
    channel: Option<ChannelName>,
    limit: Option<usize>,
    #[serde(default, deserialize_with = "after")]
    after: Option<After>,
}

fn after<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<After>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let unknown =
        || serde::de::Error::custom(format!("after is '{text}'; give what the page before had as next"));
    After::parse(&text).map(Some).ok_or_else(unknown)
}

/// `GET /v1/flows`
pub async fn list(
    State(node): State<Node>,
    Params(params): Params<ListParams>,
) -> Result<Json<FlowPage>, Refusal> {
    let limit = at_most("limit", params.limit.unwrap_or(PAGE_FLOWS_DEFAULT), PAGE_FLOWS_MAX)?;
    let wanted = FlowsWanted {
        status: params.state,
        older_than_ms: params.older_than.unwrap_or_default().as_millis() as u64,
        channel: params.channel.map(String::from),
        limit: limit.max(1),
        after: params.after,
    };
    Ok(Json(node.flows(wanted).await?))
}

/// The query of a why.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WhyParams {
    event: String,
    processor: ProcessorName,
}

/// `GET /v1/why`
pub async fn why(
    State(node): State<Node>,
    Params(params): Params<WhyParams>,
) -> Result<Json<WhyReport>, Refusal> {
    let report = node.why(EventAsk::parse(&params.event), params.processor).await?;
    node.until_durable().await?;
    Ok(Json(report))
}

/// The query of one flow.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlowParams {
    wait: Option<Until>,
    #[serde(default, deserialize_with = "duration")]
    timeout: Option<Duration>,
}

/// What somebody waits for.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Until {
    /// The flow is done, or stuck.
    Done,
}

/// `GET /v1/flows/{id}`; with `wait=done` 200 once it is done or stuck, 202 if it is not in time; with
/// `Accept: text/event-stream` as it goes on, to its end.
pub async fn show(
    State(mut api): State<Api>,
    Named(id): Named<Uuid>,
    Params(params): Params<FlowParams>,
    headers: HeaderMap,
    place: Place,
) -> Result<Response, Refusal> {
    let unknown = || Refusal::not_found("unknown-flow", format!("there is no flow '{id}'"));
    if params.wait.is_none() && params.timeout.is_some() {
        return Err(Refusal::bad_request("bad-query", "timeout is for wait; give wait=done too"));
    }
    if streams::is_wanted(&headers) {
        let follower = api.node.follow_flow(id).await?.ok_or_else(unknown)?;
        return api.streams.answer(FlowSource(follower), api.stopping, place);
    }
    if params.wait.is_none() {
        return Ok(Json(api.node.flow(id).await?.ok_or_else(unknown)?).into_response());
    }
    let timeout = at_most("timeout", params.timeout.unwrap_or(WAIT_DEFAULT), WAIT_MAX)?;
    let report = tokio::select! {
        report = api.node.settled_flow(id, timeout) => report?,
        () = api.stopping.ended() => api.node.flow(id).await?,
    };
    let report = report.ok_or_else(unknown)?;
    let status = if is_settled(&report) { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok((status, Json(report)).into_response())
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
