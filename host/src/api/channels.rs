//! Channels and their events, as reports.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::Event;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Deserializer};

use super::Api;
use super::params::{Named, NoParams, Params, at_most, duration};
use super::problem::Refusal;
use super::streams::{self, Place, Source, message};
use crate::model::name::ChannelName;
use crate::model::report::{ChannelList, ChannelReport, EventPage};
use crate::node::{Followed, Follower, Node, ReadError, ReadFrom};

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

/// The query of a page or of a live read.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PageParams {
    #[serde(default = "earliest", deserialize_with = "read_from")]
    from: ReadFrom,
    limit: Option<usize>,
    #[serde(default, deserialize_with = "duration")]
    wait: Option<Duration>,
    behind_max: Option<u64>,
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

/// `GET /v1/channels/{name}/events`: a page, or with `Accept: text/event-stream` what is there and what comes.
pub async fn events(
    State(api): State<Api>,
    Named(name): Named<ChannelName>,
    Params(params): Params<PageParams>,
    headers: HeaderMap,
    place: Place,
) -> Result<Response, Refusal> {
    match streams::is_wanted(&headers) {
        true => live(&api, &name, &params, &headers, place),
        false => Ok(page(api, &name, &params).await?.into_response()),
    }
}

async fn page(mut api: Api, name: &ChannelName, params: &PageParams) -> Result<Json<EventPage>, Refusal> {
    if params.behind_max.is_some() {
        return Err(Refusal::bad_request("bad-query", "behind_max is for Accept: text/event-stream"));
    }
    let limit = at_most("limit", params.limit.unwrap_or(PAGE_EVENTS_DEFAULT), PAGE_EVENTS_MAX)?;
    let wait = at_most("wait", params.wait.unwrap_or_default(), PAGE_WAIT_MAX)?;
    tokio::select! {
        page = api.node.events(name, params.from, limit, wait) => Ok(Json(page?)),
        () = api.stopping.ended() => {
            Err(Refusal::unavailable("stopping", "the host stops; ask again when it is back").retry_after(1))
        }
    }
}

/// Where a reader got to before counts for more than where it wanted to begin.
fn live(
    api: &Api,
    name: &ChannelName,
    params: &PageParams,
    headers: &HeaderMap,
    place: Place,
) -> Result<Response, Refusal> {
    if params.limit.is_some() || params.wait.is_some() {
        return Err(Refusal::bad_request("bad-query", "limit and wait are for pages; a live read goes on"));
    }
    let from = streams::last_event_id(headers)?.map(|last| ReadFrom::Offset(last.saturating_add(1)));
    let follower = api.node.follow(name, from.unwrap_or(params.from), params.behind_max)?;
    api.streams.answer(ChannelSource(follower), api.stopping.clone(), place)
}

/// A channel as a live read: an event is a message of the default kind, `id` is its offset.
struct ChannelSource(Follower);

impl Source for ChannelSource {
    async fn next(&mut self) -> Result<Option<Event>, Refusal> {
        Ok(Some(match self.0.next().await? {
            Followed::Event(recorded) => {
                Event::default().id(recorded.offset.to_string()).data(recorded.event.to_string())
            }
            Followed::Gap(gap) => message("gap", &gap).id(gap.to.to_string()),
        }))
    }
}
