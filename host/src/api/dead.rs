//! Dead letters over HTTP: which there are, having them handled again, giving them up.

use std::num::NonZeroUsize;

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use serde::Deserialize;
use uuid::Uuid;

use super::params::{NoParams, Params, at_most, read_json};
use super::problem::Refusal;
use crate::model::dead::{DeadDone, DeadPage};
use crate::model::fault::FaultKind;
use crate::model::name::{ChannelName, ProcessorName};
use crate::model::operation::Operator;
use crate::model::rehearsal::Rehearsal;
use crate::node::{DEAD_PAGE_MAX, DeadError, DeadPart, DeadWish, Node, Upset};

/// How many letters a page has unless the reader says.
const PAGE_DEFAULT: usize = 100;
const BODY: &str = r#"{"processor": "payment", "group": "4f1c…"}, {"processor": …, "channel": …, "offset": 7}, {"flow": …} or {"all": true}"#;

/// Which ones are meant.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListParams {
    processor: Option<ProcessorName>,
    channel: Option<ChannelName>,
    offset: Option<u64>,
    flow: Option<Uuid>,
    kind: Option<FaultKind>,
    group: Option<String>,
    after: Option<String>,
    limit: Option<usize>,
}

/// `GET /v1/dead`
pub async fn list(
    State(node): State<Node>,
    Params(params): Params<ListParams>,
) -> Result<Json<DeadPage>, Refusal> {
    let limit = at_most("limit", params.limit.unwrap_or(PAGE_DEFAULT), DEAD_PAGE_MAX)?;
    let after = params.after.as_deref().map(place).transpose()?;
    let ListParams { processor, channel, offset, flow, kind, group, .. } = params;
    let wish = DeadWish { processor, channel, offset, flow, kind, group };
    Ok(Json(node.dead(&wish, after, limit).await?))
}

fn place(text: &str) -> Result<(u32, u64), Refusal> {
    let place = || {
        let (subscription, offset) = text.split_once('-')?;
        Some((subscription.parse().ok()?, offset.parse().ok()?))
    };
    let why =
        || Refusal::bad_request("bad-query", format!("after is '{text}'; give what `next` of a page said"));
    place().ok_or_else(why)
}

/// The body of what is to be done.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DeadBody {
    processor: Option<ProcessorName>,
    channel: Option<ChannelName>,
    offset: Option<u64>,
    flow: Option<Uuid>,
    kind: Option<FaultKind>,
    group: Option<String>,
    #[serde(default)]
    all: bool,
    limit: Option<NonZeroUsize>,
    after: Option<String>,
    #[serde(default)]
    by: Operator,
}

impl DeadBody {
    /// Nothing at all means nothing: who means everything says so.
    fn wish(self) -> Result<(DeadWish, DeadPart, Operator), Refusal> {
        let Self { processor, channel, offset, flow, kind, group, all, limit, after, by } = self;
        let wrong = |why| Refusal::bad_request("bad-body", format!("the body: after: {why}"));
        let rest = after.map(|after| after.parse()).transpose().map_err(wrong)?;
        let part = DeadPart { limit: limit.map_or(usize::MAX, NonZeroUsize::get), rest };
        let wish = DeadWish { processor, channel, offset, flow, kind, group };
        if all == (wish == DeadWish::default()) {
            return Ok((wish, part, by));
        }
        let detail = format!("the body: say which dead letters are meant, or all; expected {BODY}");
        Err(Refusal::bad_request("bad-body", detail))
    }
}

/// `POST /v1/dead/redrive`
pub async fn redrive(
    State(node): State<Node>,
    _: Params<NoParams>,
    request: Request,
) -> Result<Json<DeadDone>, Refusal> {
    let (wish, part, _) = read_json::<DeadBody>(request, BODY).await?.wish()?;
    Ok(Json(node.redrive(&wish, part).await?))
}

/// `POST /v1/dead/rehearse`: what the version that runs would do with them
pub async fn rehearse(
    State(node): State<Node>,
    _: Params<NoParams>,
    request: Request,
) -> Result<Json<Vec<Rehearsal>>, Refusal> {
    let (wish, part, _) = read_json::<DeadBody>(request, BODY).await?.wish()?;
    Ok(Json(node.rehearse(&wish, part).await?))
}

/// `POST /v1/dead/discard`
pub async fn discard(
    State(node): State<Node>,
    _: Params<NoParams>,
    request: Request,
) -> Result<Json<DeadDone>, Refusal> {
    let (wish, part, by) = read_json::<DeadBody>(request, BODY).await?.wish()?;
    Ok(Json(node.discard(&wish, part, by).await?))
}

/// `POST /v1/flows/{id}/resume`
pub async fn resume_flow(
    State(node): State<Node>,
    Path(flow): Path<Uuid>,
    _: Params<NoParams>,
) -> Result<Json<DeadDone>, Refusal> {
    match node.resume_flow(flow).await {
        Err(DeadError::None) => {
            let detail = format!(
                "nothing of the flow {flow} is stuck: it has no dead letter and nothing that is held or parked"
            );
            Err(Refusal::not_found("not-stuck", detail))
        }
        done => Ok(Json(done?)),
    }
}

impl From<DeadError> for Refusal {
    fn from(error: DeadError) -> Self {
        let (code, detail) = (error.code(), error.to_string());
        match error {
            DeadError::None => Self::new(StatusCode::NOT_FOUND, code, detail),
            DeadError::Upset(Upset::Gone { .. }) | DeadError::Rehearsal(_) => {
                Self::new(StatusCode::CONFLICT, code, detail)
            }
            DeadError::Upset(_) => Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail),
            DeadError::Deploy(error) => error.into(),
        }
    }
}
