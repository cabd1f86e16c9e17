//! Replays: history through a processor.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use serde::Deserialize;

use super::params::{Named, NoParams, Params, read_json};
use super::problem::Refusal;
use crate::model::descriptor::Start;
use crate::model::name::{ChannelName, ProcessorName};
use crate::model::report::ReplayReport;
use crate::node::{Node, ReplayError, ReplayWish};

const BODY: &str =
    r#"{"from": "earliest", "to": "latest", "into": "NAME"}, or "dry_run": true in place of "into""#;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReplayBody {
    channel: Option<ChannelName>,
    from: String,
    #[serde(default = "latest")]
    to: String,
    into: Option<ProcessorName>,
    #[serde(default)]
    dry_run: bool,
    #[serde(default)]
    outside: bool,
}

fn latest() -> String {
    "latest".to_owned()
}

/// `POST /v1/processors/{name}/replay`
pub async fn replay(
    State(node): State<Node>,
    Named(name): Named<ProcessorName>,
    _: Params<NoParams>,
    request: Request,
) -> Result<Json<ReplayReport>, Refusal> {
    let ReplayBody { channel, from, to, into, dry_run, outside } = read_json(request, BODY).await?;
    let place = |text: &str| {
        text.parse::<Start>().map_err(|error| Refusal::bad_request("bad-position", error.to_string()))
    };
    if into.is_some() == dry_run {
        let detail = format!(
            "a replay keeps its state under a name, or is a dry run: one of the two; expected {BODY}"
        );
        return Err(Refusal::bad_request("bad-body", detail));
    }
    let wish = ReplayWish { channel, from: place(&from)?, to: place(&to)?, into, outside };
    Ok(Json(node.replay(&name, wish).await?))
}

impl From<ReplayError> for Refusal {
    fn from(error: ReplayError) -> Self {
        let (code, detail) = (error.code().to_owned(), error.to_string());
        match error {
            ReplayError::Channel { .. } | ReplayError::Backwards { .. } | ReplayError::TooLong { .. } => {
                Self::new(StatusCode::BAD_REQUEST, code, detail)
            }
            ReplayError::Expired { .. } => Self::new(StatusCode::GONE, code, detail),
            ReplayError::Taken { .. } | ReplayError::Run(_) => Self::new(StatusCode::CONFLICT, code, detail),
            ReplayError::Place(error) => error.into(),
            ReplayError::Read(error) => error.into(),
            ReplayError::Deploy(error) => error.into(),
        }
    }
}
