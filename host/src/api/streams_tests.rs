//! Live reads without a socket.
#![allow(clippy::unwrap_used)]

use std::collections::VecDeque;

use axum::body::BodyDataStream;
use futures_util::StreamExt;
use tokio::sync::watch;

use super::*;

/// Tells some messages, and then nothing, for ever or as its end.
struct Script {
    messages: VecDeque<Result<Event, Refusal>>,
    ends: bool,
}

impl Script {
    fn of(messages: impl IntoIterator<Item = Result<Event, Refusal>>, ends: bool) -> Self {
        Self { messages: messages.into_iter().collect(), ends }
    }
}

impl Source for Script {
    async fn next(&mut self) -> Result<Option<Event>, Refusal> {
        match self.messages.pop_front() {
            Some(message) => message.map(Some),
            None if self.ends => Ok(None),
            None => std::future::pending().await,
        }
    }
}

fn open(streams: &Streams, script: Script) -> (watch::Sender<bool>, Result<BodyDataStream, Refusal>) {
    let (stop, stopping) = watch::channel(false);
    let answer = streams.answer(script, Stopping(stopping), Place::default());
    (stop, answer.map(|answer| answer.into_body().into_data_stream()))
}

async fn text(body: &mut BodyDataStream) -> Option<String> {
    Some(String::from_utf8(body.next().await?.unwrap().to_vec()).unwrap())
}

#[tokio::test]
async fn a_quiet_stream_sends_comments_and_ends_with_the_host() {
    let streams = Streams { beat: Duration::from_millis(1), ..Streams::new(1) };
    let (stop, body) = open(&streams, Script::of([Ok(message("gap", &1).id("7"))], false));
    let mut body = body.unwrap();
    assert_eq!(text(&mut body).await.unwrap(), "event: gap\ndata: 1\nid: 7\n\n");
    assert_eq!(text(&mut body).await.unwrap(), ":\n\n");
    stop.send_replace(true);
    assert_eq!(text(&mut body).await, None);
}

#[tokio::test]
async fn what_breaks_is_told_as_the_last_message() {
    let refusal = Refusal::internal("journal-unreadable", "the disk is gone");
    let script = Script::of([Err(refusal), Ok(message("late", &1))], true);
    let (_stop, body) = open(&Streams::new(1), script);
    let mut body = body.unwrap();
    let told = text(&mut body).await.unwrap();
    assert!(told.starts_with("event: problem\n") && told.contains("journal-unreadable"), "{told}");
    assert_eq!(text(&mut body).await, None);
}

#[tokio::test]
async fn a_stream_over_the_bound_is_refused_until_another_ends() {
    let streams = Streams::new(1);
    let (_stop, first) = open(&streams, Script::of([], false));
    let first = first.unwrap();
    let refused = open(&streams, Script::of([], true)).1.err().unwrap().to_problem();
    assert_eq!((refused.status, refused.code.as_str()), (503, "too-many-streams"));
    drop(first);
    let (_stop, third) = open(&streams, Script::of([], true));
    assert_eq!(text(&mut third.unwrap()).await, None);
}

#[test]
fn a_live_read_is_asked_for_by_its_media_type() {
    let accept = |value: &str| HeaderMap::from_iter([(header::ACCEPT, value.parse().unwrap())]);
    for yes in ["text/event-stream", "application/json, Text/Event-Stream;q=0.5"] {
        assert!(is_wanted(&accept(yes)), "{yes}");
    }
    for no in ["*/*", "application/json", "text/event-stream2"] {
        assert!(!is_wanted(&accept(no)), "{no}");
    }
    assert!(!is_wanted(&HeaderMap::new()));
}

#[test]
fn the_last_id_is_a_number_or_nothing() {
    let headers =
        |value: &str| HeaderMap::from_iter([("last-event-id".parse().unwrap(), value.parse().unwrap())]);
    let read = |value: &str| last_event_id(&headers(value)).map_err(|refusal| refusal.to_problem().code);
    assert_eq!(read("17"), Ok(Some(17)));
    assert_eq!(read(""), Ok(None));
    assert_eq!(read("x"), Err("bad-header".to_owned()));
    assert_eq!(last_event_id(&HeaderMap::new()).unwrap(), None);
}
