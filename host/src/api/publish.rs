//! Publishing: events in, an answer when they are durable, and on wish the answer of the flow.

use std::time::Duration;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use uuid::Uuid;

use super::binding::{STRUCTURED, read_events};
use super::params::{Named, Params, at_most, duration, read_body};
use super::problem::Refusal;
use super::{PUBLISH_BYTES_MAX, Stopping};
use crate::model::name::ChannelName;
use crate::model::report::{Accepted, Publication};
use crate::node::{Answer, Awaited, Node};

/// How long a publisher waits for an answer unless it says.
const WAIT_DEFAULT: Duration = Duration::from_secs(30);
/// How long a publisher may wait for an answer.
const WAIT_MAX: Duration = Duration::from_secs(300);

/// The query of a publish.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishParams {
    wait: Option<String>,
    #[serde(default, deserialize_with = "duration")]
    timeout: Option<Duration>,
}

/// What the publisher waits for, and how long.
struct Wish {
    awaited: Awaited,
    timeout: Duration,
}

/// `POST /v1/channels/{name}/events`
pub async fn publish(
    State(node): State<Node>,
    State(mut stopping): State<Stopping>,
    Named(channel): Named<ChannelName>,
    Params(params): Params<PublishParams>,
    request: Request,
) -> Result<Response, Refusal> {
    let wish = wish(params)?;
    let headers = request.headers().clone();
    let events = {
        let (body, _room) = read_body(request, PUBLISH_BYTES_MAX).await?;
        read_events(&headers, body)?
    };
    if wish.is_some() && events.len() != 1 {
        let detail = format!("wait needs exactly one event; the request has {}", events.len());
        return Err(Refusal::bad_request("wait-needs-one-event", detail));
    }
    if events.is_empty() {
        return Ok(accepted(Vec::new()));
    }
    let events = node.publish_all(&channel, events).await?;
    match (wish, events.first()) {
        (Some(wish), Some(event)) => {
            let answer = tokio::select! {
                answer = answer(&node, event, &wish) => answer?,
                () = stopping.ended() => None,
            };
            Ok(answer.unwrap_or_else(|| accepted(events)))
        }
        _ => Ok(accepted(events)),
    }
}

fn wish(params: PublishParams) -> Result<Option<Wish>, Refusal> {
    let Some(wait) = params.wait else {
        return match params.timeout {
            None => Ok(None),
            Some(_) => Err(Refusal::bad_request("bad-query", "timeout is for wait; give wait=CHANNEL too")),
        };
    };
    let timeout = at_most("timeout", params.timeout.unwrap_or(WAIT_DEFAULT), WAIT_MAX)?;
    let awaited = match wait.as_str() {
        "reply" => Awaited::Reply,
        _ => Awaited::Channel(
            ChannelName::new(wait)
                .map_err(|error| Refusal::bad_request("bad-query", format!("wait: {error}")))?,
        ),
    };
    Ok(Some(Wish { awaited, timeout }))
}

async fn answer(node: &Node, event: &Accepted, wish: &Wish) -> Result<Option<Response>, Refusal> {
    let flow: Uuid = event
        .flow
        .parse()
        .map_err(|_| Refusal::internal("host-fault", format!("'{}' is no flow id", event.flow)))?;
    let answer = node.await_in_flow(flow, &wish.awaited, wish.timeout).await?;
    Ok(answer.map(|answer| match answer {
        Answer::Event(recorded) => {
            ([(header::CONTENT_TYPE, STRUCTURED)], Json(recorded.event)).into_response()
        }
        Answer::Reply(reply) => Json(reply).into_response(),
    }))
}

/// 202; one event alone says where its flow is.
fn accepted(events: Vec<Accepted>) -> Response {
    let location = match events.as_slice() {
        [event] => HeaderValue::try_from(format!("/v1/flows/{}", event.flow)).ok(),
        _ => None,
    };
    let mut response = (StatusCode::ACCEPTED, Json(Publication { events })).into_response();
    if let Some(location) = location {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}
