//! Runs of workflows: which there are, one with its history, live too, and what an operator says to one.

use axum::Json;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::response::sse::Event;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use uuid::Uuid;

use super::Api;
use super::params::{Named, NoParams, Params, at_most, read_json_up_to};
use super::problem::Refusal;
use super::streams::{Place, Source, message};
use crate::model::name::ProcessorName;
use crate::model::operation::Operator;
use crate::model::workflow::report::{RunDetail, RunDone, RunPage};
use crate::model::workflow::run::Status;
use crate::node::{Node, RUNS_PAGE_MAX, RunFollower, RunWord, RunsWish};

/// How many runs a page has unless the reader says.
const PAGE_DEFAULT: usize = 50;
/// The most bytes of what an operator says to a run: an input, an output, an event.
const WORD_BYTES_MAX: usize = 1 << 20;

/// The query of a list of runs.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListParams {
    workflow: Option<ProcessorName>,
    status: Option<Status>,
    over: Option<bool>,
    flow: Option<Uuid>,
    limit: Option<usize>,
    after: Option<String>,
}

/// `GET /v1/runs`
pub async fn list(
    State(node): State<Node>,
    Params(params): Params<ListParams>,
) -> Result<Json<RunPage>, Refusal> {
    let limit = at_most("limit", params.limit.unwrap_or(PAGE_DEFAULT), RUNS_PAGE_MAX)?.max(1);
    let ListParams { workflow, status, over, flow, after, .. } = params;
    Ok(Json(node.runs(RunsWish { workflow, status, over, flow, limit, after }).await?))
}

/// `GET /v1/runs/{id}`
pub async fn show(
    State(node): State<Node>,
    Named(id): Named<String>,
    _: Params<NoParams>,
) -> Result<Json<RunDetail>, Refusal> {
    Ok(Json(node.run(&id).await?))
}

/// `GET /v1/runs/{id}/events`: the run now and whenever it changes, to its end
pub async fn events(
    State(api): State<Api>,
    Named(id): Named<String>,
    _: Params<NoParams>,
    place: Place,
) -> Result<Response, Refusal> {
    let follower = api.node.follow_run(&id).await?;
    api.streams.answer(RunSource(follower), api.stopping, place)
}

/// A run as a live read. It has no ids: who reads it again gets it as it is then.
struct RunSource(RunFollower);

impl Source for RunSource {
    async fn next(&mut self) -> Result<Option<Event>, Refusal> {
        Ok(self.0.next().await?.map(|run| message(if run.run.over { "end" } else { "run" }, &run)))
    }
}

/// The body of a resume; without one it is all defaults.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ResumeBody {
    from: Option<String>,
    #[serde(default, deserialize_with = "there")]
    input: Option<Value>,
    #[serde(default)]
    by: Operator,
}

/// `POST /v1/runs/{id}/resume`: nothing, or `{"from": "charge", "input": {...}}`
pub async fn resume(
    State(node): State<Node>,
    Named(id): Named<String>,
    _: Params<NoParams>,
    request: Request,
) -> Result<Json<RunDone>, Refusal> {
    let expected = r#"nothing, or {"from": "the name or place of a task", "input": what it is given}"#;
    let ResumeBody { from, input, by } = body(request, expected).await?;
    tell(&node, &id, RunWord::Resume { from, input }, by).await
}

/// The body of a skip.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SkipBody {
    task: String,
    #[serde(default, deserialize_with = "there")]
    output: Option<Value>,
    #[serde(default)]
    by: Operator,
}

/// `POST /v1/runs/{id}/skip`: `{"task": "charge", "output": {...}}`
pub async fn skip(
    State(node): State<Node>,
    Named(id): Named<String>,
    _: Params<NoParams>,
    request: Request,
) -> Result<Json<RunDone>, Refusal> {
    let expected = r#"{"task": "the name or place of a task", "output": what counts as given by it}"#;
    let SkipBody { task, output, by } = body(request, expected).await?;
    let missing = || {
        let detail = format!("the body: output is missing, null if it gave nothing; expected {expected}");
        Refusal::bad_request("bad-body", detail)
    };
    let output = output.ok_or_else(missing)?;
    tell(&node, &id, RunWord::Skip { task, output }, by).await
}

/// The body of a cancel; without one it is all defaults.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CancelBody {
    #[serde(default)]
    by: Operator,
}

/// `POST /v1/runs/{id}/cancel`
pub async fn cancel(
    State(node): State<Node>,
    Named(id): Named<String>,
    _: Params<NoParams>,
    request: Request,
) -> Result<Json<RunDone>, Refusal> {
    let CancelBody { by } = body(request, r#"nothing, or {"by": "cli"}"#).await?;
    tell(&node, &id, RunWord::Cancel, by).await
}

/// The body of a signal.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignalBody {
    #[serde(rename = "type")]
    ty: String,
    #[serde(default)]
    data: Value,
    #[serde(default)]
    by: Operator,
}

/// `POST /v1/runs/{id}/signal`: `{"type": "order-approved", "data": {...}}`
pub async fn signal(
    State(node): State<Node>,
    Named(id): Named<String>,
    _: Params<NoParams>,
    request: Request,
) -> Result<Json<RunDone>, Refusal> {
    let expected = r#"{"type": "the type that is waited for", "data": what the event says}"#;
    let SignalBody { ty, data, by } = body(request, expected).await?;
    tell(&node, &id, RunWord::Signal { ty, data }, by).await
}

async fn body<T: DeserializeOwned>(request: Request, expected: &str) -> Result<T, Refusal> {
    read_json_up_to(request, WORD_BYTES_MAX, expected).await
}

async fn tell(node: &Node, id: &str, word: RunWord, by: Operator) -> Result<Json<RunDone>, Refusal> {
    Ok(Json(node.tell_run(id, word, by).await?))
}

/// A value that may be null, which is another thing than none.
fn there<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}
