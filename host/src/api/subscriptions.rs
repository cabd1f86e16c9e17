//! Subscriptions: where they are, and taking one to another place.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Deserializer};

use super::params::Params;
use super::problem::Refusal;
use crate::model::descriptor::Start;
use crate::model::name::{ChannelName, ProcessorName};
use crate::model::report::{ResetReport, SubscriptionList};
use crate::node::{Node, ResetError, ResetWish};

/// The query of the list.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListParams {
    processor: Option<ProcessorName>,
}

/// `GET /v1/subscriptions`
pub async fn list(
    State(node): State<Node>,
    Params(params): Params<ListParams>,
) -> Result<Json<SubscriptionList>, Refusal> {
    let subscriptions = node.subscriptions(params.processor.as_ref())?;
    Ok(Json(SubscriptionList { subscriptions }))
}

/// The query of a reset.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResetParams {
    #[serde(deserialize_with = "start")]
    to: Start,
    state: Option<StateWish>,
    #[serde(default)]
    dry_run: bool,
}

/// What is to become of the state.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum StateWish {
    Keep,
    Clear,
}

fn start<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Start, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

/// `POST /v1/processors/{name}/subscriptions/{channel}/reset`
pub async fn reset(
    State(node): State<Node>,
    Path((processor, channel)): Path<(ProcessorName, ChannelName)>,
    Params(params): Params<ResetParams>,
) -> Result<Json<ResetReport>, Refusal> {
    let clear_state = params.state.map(|state| state == StateWish::Clear);
    let wish = ResetWish { to: params.to, clear_state, dry_run: params.dry_run };
    Ok(Json(node.reset_subscription(&processor, &channel, wish).await?))
}

impl From<ResetError> for Refusal {
    fn from(error: ResetError) -> Self {
        let (code, detail) = (error.code().to_owned(), error.to_string());
        match error {
            ResetError::UnknownSubscription { .. } => Self::new(StatusCode::NOT_FOUND, code, detail),
            ResetError::BadPosition(_) => Self::bad_request("bad-position", detail),
            ResetError::StateUndecided { .. } => Self::new(StatusCode::CONFLICT, code, detail),
            ResetError::Read(error) => error.into(),
            ResetError::Deploy(error) => error.into(),
        }
    }
}
