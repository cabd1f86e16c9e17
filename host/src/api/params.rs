//! What stands in a request's path and query, and its body within bounds, each refused with a problem that says
//! what was expected.

use std::time::Duration;

use axum::body::Body;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::problem::Refusal;
use crate::model::time::parse_duration;

/// How long a body may take to arrive.
const BODY_TIME_MAX: Duration = Duration::from_secs(60);

/// The most bytes of what an operator says.
const JSON_BYTES_MAX: usize = 16 << 10;

/// The one name or id in the path.
pub struct Named<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Named<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(name)) => Ok(Self(name)),
            Err(rejection) => {
                let text = rejection.body_text();
                let why = text.strip_prefix("Invalid URL: ").unwrap_or(&text);
                Err(Refusal::bad_request("bad-name", format!("the path: {why}")))
            }
        }
    }
}

/// The parameters of the query; unknown ones are refused.
pub struct Params<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        match Query::from_request_parts(parts, state).await {
            Ok(Query(params)) => Ok(Self(params)),
            Err(rejection) => {
                let text = rejection.body_text();
                let why = text.strip_prefix("Failed to deserialize query string: ").unwrap_or(&text);
                Err(Refusal::bad_request("bad-query", format!("the query: {why}")))
            }
        }
    }
}

/// For a route that takes no parameters.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoParams {}

/// The most bytes of bodies that are read at one time, in all requests together.
const BODIES_KIB_MAX: usize = 256 << 10;

static BODIES: Semaphore = Semaphore::const_new(BODIES_KIB_MAX);

/// Room for one body; it is given back when this is dropped.
pub type Room = SemaphorePermit<'static>;

fn length(request: &Request) -> Option<usize> {
    request.headers().get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn room(request: &Request, bytes_max: usize) -> Result<Room, Refusal> {
    let bytes = length(request).map_or(bytes_max, |length| length.min(bytes_max));
    BODIES
        .try_acquire_many((bytes >> 10) as u32 + 1)
        .map_err(|_| Refusal::unavailable("busy", "too many large requests come at one time").retry_after(1))
}

/// Reads a small body before anybody answers: a connection whose request was answered unread is closed, and the next request on it fails.
pub async fn with_small_body_read(request: Request) -> Result<Request, Refusal> {
    if length(&request).is_none_or(|bytes| bytes == 0 || bytes > JSON_BYTES_MAX) {
        return Ok(request);
    }
    let (parts, body) = request.into_parts();
    let (bytes, _room) = read_body(Request::new(body), JSON_BYTES_MAX).await?;
    Ok(Request::from_parts(parts, Body::from(bytes)))
}

/// Reads the body within the bounds of its route. The room is to be kept as long as the body is.
pub async fn read_body(request: Request, bytes_max: usize) -> Result<(Bytes, Room), Refusal> {
    let room = room(&request, bytes_max)?;
    let body = tokio::time::timeout(BODY_TIME_MAX, Bytes::from_request(request, &())).await;
    match body {
        Ok(Ok(bytes)) => Ok((bytes, room)),
        Ok(Err(rejection)) => Err(body_refusal(&rejection, bytes_max)),
        Err(_) => {
            let detail = format!("the body did not arrive within {} s", BODY_TIME_MAX.as_secs());
            Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, "body-timeout", detail))
        }
    }
}

/// The body as JSON, of what an operator says; an empty one is an empty object.
pub async fn read_json<T: DeserializeOwned>(request: Request, expected: &str) -> Result<T, Refusal> {
    read_json_up_to(request, JSON_BYTES_MAX, expected).await
}

/// The same for what has data in it.
pub async fn read_json_up_to<T: DeserializeOwned>(
    request: Request,
    bytes_max: usize,
    expected: &str,
) -> Result<T, Refusal> {
    let (bytes, _room) = read_body(request, bytes_max).await?;
    let json: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
    serde_json::from_slice(json)
        .map_err(|error| Refusal::bad_request("bad-body", format!("the body: {error}; expected {expected}")))
}

fn body_refusal(rejection: &BytesRejection, bytes_max: usize) -> Refusal {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return Refusal::too_large(
            "body-too-large",
            format!("the body has more than {bytes_max} bytes, the most here"),
        );
    }
    Refusal::bad_request("bad-body", rejection.body_text())
}

/// Reads a parameter that is a duration.
pub fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_duration(&text).map(Some).map_err(serde::de::Error::custom)
}

/// Checks that a parameter is at most its bound.
pub fn at_most<T: PartialOrd + std::fmt::Debug>(name: &'static str, value: T, max: T) -> Result<T, Refusal> {
    if value > max {
        return Err(Refusal::bad_request("bad-query", format!("{name} is {value:?}; at most {max:?}")));
    }
    Ok(value)
}
