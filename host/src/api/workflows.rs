//! Workflows: which there are, with their definitions; deploying, removing, and what a new definition would have done.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;

use super::params::{Named, NoParams, Params, read_body};
use super::problem::Refusal;
use crate::model::name::ProcessorName;
use crate::model::report::DeployReport;
use crate::model::workflow::read::DEFINITION_BYTES_MAX;
use crate::model::workflow::report::{RunsAgainst, WorkflowDetail, WorkflowList};
use crate::node::Node;

/// `GET /v1/workflows`
pub async fn list(State(node): State<Node>, _: Params<NoParams>) -> Result<Json<WorkflowList>, Refusal> {
    let list = WorkflowList { workflows: node.workflows(), problems: node.workflow_problems() };
    node.until_durable().await?;
    Ok(Json(list))
}

/// `GET /v1/workflows/{name}`: with its text
pub async fn show(
    State(node): State<Node>,
    Named(name): Named<ProcessorName>,
    _: Params<NoParams>,
) -> Result<Json<WorkflowDetail>, Refusal> {
    let detail = node.workflow(&name)?;
    node.until_durable().await?;
    Ok(Json(detail))
}

/// `PUT /v1/workflows/{name}`: the body is the definition, YAML or JSON; answers when new runs are on it.
pub async fn deploy(
    State(node): State<Node>,
    Named(name): Named<ProcessorName>,
    _: Params<NoParams>,
    request: Request,
) -> Result<Json<DeployReport>, Refusal> {
    let text = definition_of(&name, &node, request).await?;
    Ok(Json(node.deploy_workflow(text).await?))
}

/// `DELETE /v1/workflows/{name}`: what is kept of its runs stays
pub async fn remove(
    State(node): State<Node>,
    Named(name): Named<ProcessorName>,
    _: Params<NoParams>,
) -> Result<StatusCode, Refusal> {
    node.workflow_is_there(&name)?;
    node.undeploy(&name, false).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /v1/workflows/{name}/check-runs`: the body is a definition; says which runs in progress would be the same on it
pub async fn check_runs(
    State(node): State<Node>,
    Named(name): Named<ProcessorName>,
    _: Params<NoParams>,
    request: Request,
) -> Result<Json<RunsAgainst>, Refusal> {
    let text = definition_of(&name, &node, request).await?;
    Ok(Json(node.runs_against(text).await?))
}

/// A definition that can run, of this workflow.
async fn definition_of(name: &ProcessorName, node: &Node, request: Request) -> Result<String, Refusal> {
    let text = read_text(request).await?;
    let found = node.check_workflow(text.clone()).await?.document.name;
    if found != name.as_str() {
        let detail = format!("the definition calls itself '{found}', not '{name}'; use its own name");
        return Err(Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "name-mismatch", detail));
    }
    Ok(text)
}

async fn read_text(request: Request) -> Result<String, Refusal> {
    let (bytes, _room) = read_body(request, DEFINITION_BYTES_MAX).await?;
    let not_text = |_| Refusal::bad_request("bad-body", "the body: a definition is text in UTF-8");
    String::from_utf8(bytes.to_vec()).map_err(not_text)
}
