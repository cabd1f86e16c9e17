//! Channels and their events, as reports.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Deserializer};

use super::Stopping;
use super::params::{Named, NoParams, Params, at_most, duration};
use super::problem::Refusal;
use crate::model::name::ChannelName;
use crate::model::report::{ChannelList, ChannelReport, EventPage};
use crate::node::{Node, ReadError, ReadFrom};

/// How many events a page has unless the reader says.
const PAGE_EVENTS_DEFAULT: usize = 100;
/// How many events a page may have.
const PAGE_EVENTS_MAX: usize = 1000;
/// How long a reader may wait for the first event.
const PAGE_WAIT_MAX: Duration = Duration::from_secs(60);

/// `GET /v1/channels`
pub async fn list(State(node): State<Node>, _: Params<NoParams>) -> Result<Json<ChannelList>, Refusal> {
    let channels = node.channels();
    node.until_durable().await?;
    Ok(Json(ChannelList { channels }))
}

/// `GET /v1/channels/{name}`
pub async fn show(
    State(node): State<Node>,
    Named(name): Named<ChannelName>,
    _: Params<NoParams>,
) -> Result<Json<ChannelReport>, Refusal> {
    let unknown = || ReadError::UnknownChannel { name: name.to_string() };
    let channel = node.channel(&name).ok_or_else(unknown)?;
    node.until_durable().await?;
    Ok(Json(channel))
}

/// The query of a page.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PageParams {
    #[serde(default = "earliest", deserialize_with = "read_from")]
    from: ReadFrom,
    limit: Option<usize>,
    #[serde(default, deserialize_with = "duration")]
    wait: Option<Duration>,
}

fn earliest() -> ReadFrom {
    ReadFrom::Earliest
}

fn read_from<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ReadFrom, D::Error> {
    let text = String::deserialize(deserializer)?;
    match text.as_str() {
        "earliest" => Ok(ReadFrom::Earliest),
        "latest" => Ok(ReadFrom::Latest),
        offset => offset.parse().map(ReadFrom::Offset).map_err(|_| {
            serde::de::Error::custom(format!("from is '{offset}'; use earliest, latest or an offset"))
        }),
    }
}

/// `GET /v1/channels/{name}/events`
pub async fn events(
    State(node): State<Node>,
    State(mut stopping): State<Stopping>,
    Named(name): Named<ChannelName>,
    Params(params): Params<PageParams>,
) -> Result<Json<EventPage>, Refusal> {
    let limit = at_most("limit", params.limit.unwrap_or(PAGE_EVENTS_DEFAULT), PAGE_EVENTS_MAX)?;
    let wait = at_most("wait", params.wait.unwrap_or_default(), PAGE_WAIT_MAX)?;
    tokio::select! {
        page = node.events(&name, params.from, limit, wait) => Ok(Json(page?)),
        () = stopping.ended() => {
            Err(Refusal::unavailable("stopping", "the host stops; ask again when it is back").retry_after(1))
        }
    }
}
