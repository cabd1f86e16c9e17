//! Live reads as server-sent events: how many there are, when they end, and that a quiet one shows that it lives. What
//! they tell comes from a source, which is asked for the next message only when the last one was taken: nothing piles up.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Stopping;
use super::problem::Refusal;

/// The media type of a live read.
pub const EVENT_STREAM: &str = "text/event-stream";
/// How long a live read is quiet before it sends a comment.
const BEAT: Duration = Duration::from_secs(15);

/// What a live read tells.
pub trait Source: Send + 'static {
    /// The next message, as soon as there is one; `None` when all is told. What is refused ends the stream with a
    /// message `problem`.
    fn next(&mut self) -> impl Future<Output = Result<Option<Event>, Refusal>> + Send;
}

/// Room for live reads.
#[derive(Clone)]
pub struct Streams {
    room: Arc<Semaphore>,
    streams_max: usize,
    beat: Duration,
}

impl Streams {
    /// At most so many at one time.
    pub fn new(streams_max: usize) -> Self {
        Self { room: Arc::new(Semaphore::new(streams_max)), streams_max, beat: BEAT }
    }

    /// Answers with what the source tells until it ends, the reader goes, or the host stops.
    pub fn answer(&self, source: impl Source, stopping: Stopping, place: Place) -> Result<Response, Refusal> {
        let room = Arc::clone(&self.room).try_acquire_owned().map_err(|_| {
            let most = self.streams_max;
            let detail = format!("there are {most} live reads already, the most here ([limits] streams_max)");
            Refusal::unavailable("too-many-streams", detail).retry_after(5)
        })?;
        let running = Running { source, stopping, ended: false, _room: room, _taken: place.take() };
        let messages = stream::unfold(running, |mut running| async move {
            let message = running.next().await?;
            Some((Ok::<_, Infallible>(message), running))
        });
        let answer = Sse::new(messages).keep_alive(KeepAlive::new().interval(self.beat));
        Ok(([(header::VARY, "accept")], answer).into_response())
    }
}

struct Running<S> {
    source: S,
    stopping: Stopping,
    ended: bool,
    _room: OwnedSemaphorePermit,
    _taken: Taken,
}

impl<S: Source> Running<S> {
    async fn next(&mut self) -> Option<Event> {
        if self.ended {
            return None;
        }
        let next = tokio::select! {
            biased;
            () = self.stopping.ended() => return None,
            next = self.source.next() => next,
        };
        next.unwrap_or_else(|refusal| {
            self.ended = true;
            Some(message("problem", &refusal.to_problem()))
        })
    }
}

/// Whether the request asks for a live read.
pub fn is_wanted(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let essence = |range: &str| range.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    values.flat_map(|value| value.split(',')).any(|range| essence(range) == EVENT_STREAM)
}

/// The id of the last message that the reader got before its connection ended, where ids are numbers.
pub fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>, Refusal> {
    let Some(value) = headers.get("last-event-id").filter(|value| !value.is_empty()) else { return Ok(None) };
    let id = value.to_str().ok().and_then(|id| id.parse().ok());
    let refusal =
        || Refusal::bad_request("bad-header", "header last-event-id: an id of this stream is a number");
    id.map(Some).ok_or_else(refusal)
}

/// A message of a kind with a report as JSON.
pub fn message(kind: &str, report: &impl Serialize) -> Event {
    // Reports have texts as keys: they are always JSON.
    Event::default().event(kind).data(serde_json::to_string(report).unwrap_or_default())
}

/// How many live reads a connection answers: there is nothing in them that a stop has to wait for.
#[derive(Clone, Default)]
pub struct Place(Arc<AtomicUsize>);

impl Place {
    /// Whether the connection answers a live read now.
    pub fn is_taken(&self) -> bool {
        self.0.load(Ordering::Acquire) > 0
    }

    fn take(self) -> Taken {
        self.0.fetch_add(1, Ordering::AcqRel);
        Taken(self)
    }
}

struct Taken(Place);

impl Drop for Taken {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Place {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_default())
    }
}

#[cfg(test)]
#[path = "streams_tests.rs"]
mod tests;
