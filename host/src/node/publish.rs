//! Publishing from outside, and waiting for what comes of it. Everything here waits for durable.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use crate::channel::{Admitted, Domain, Item, Signal};
use crate::journal::Position;
use crate::model::change::{Change, Changes, ChannelId};
use crate::model::event::{Event, EventError};
use crate::model::name::ChannelName;
use crate::model::record::Record;
use crate::model::report::{Accepted, Recorded};
use crate::view::recorded::recorded;

use super::{Node, PublishError, ReadError};

/// The most frames of a flow that are searched for what somebody waits for.
const FRAMES_SEARCHED_MAX: usize = 10_000;

/// What a publisher waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Awaited {
    /// The first event of the flow on this channel.
    Channel(ChannelName),
    /// The first reply to an event of the flow.
    Reply,
}

/// What a publisher waited for.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// The event.
    Event(Recorded),
    /// The reply, JSON.
    Reply(Value),
}

impl Node {
    /// Publishes an event on a channel, and answers when it is durable.
    pub async fn publish(&self, channel: &str, event: Event) -> Result<Accepted, PublishError> {
        let name = ChannelName::new(channel).map_err(|error| bad_event("channel", error.to_string()))?;
        let accepted = self.publish_all(&name, vec![event]).await?.pop();
        accepted.ok_or_else(|| PublishError::Closed { reason: "an event is missing".to_owned() })
    }

    /// Publishes JSON on a channel as an event with a new id, the channel's name as its type and `subject` as what it is about; answers
    /// when it is durable.
    pub async fn publish_json(
        &self,
        channel: &str,
        subject: &str,
        data: &impl Serialize,
    ) -> Result<Accepted, PublishError> {
        let data = serde_json::to_vec(data).map_err(|error| bad_event("data", error.to_string()))?;
        let event = Event {
            id: Uuid::now_v7().to_string(),
            source: "/application".to_owned(),
            ty: channel.to_owned(),
            subject: Some(subject.to_owned()),
            datacontenttype: Some("application/json".to_owned()),
            data: Some(data.into()),
            ..Event::default()
        };
        self.publish(channel, event).await
    }

    /// Publishes events on a channel as one frame, and answers when they are durable.
    pub async fn publish_all(
        &self,
        channel: &ChannelName,
        events: Vec<Event>,
    ) -> Result<Vec<Accepted>, PublishError> {
        let domain = &self.0.domain;
        let (admitted, end) = domain.publish(channel, &events)?;
        let closed = |reason: String| PublishError::Closed { reason };
        domain.durable().wait(Position(end)).await.map_err(|error| closed(error.to_string()))?;
        let id = domain.look(|world| world.channel_id(channel.as_str())).unwrap_or_default();
        let mut places = domain.places(id);
        let accepted = events.into_iter().zip(admitted).map(|(event, admitted)| {
            let item = places.at(admitted.offset).map_err(|error| closed(error.to_string()))?;
            accepted(channel, event, admitted, item.as_ref())
                .ok_or_else(|| closed("an event is missing".to_owned()))
        });
        accepted.collect()
    }

    /// Waits for something in a flow; finds what is there already. `None` when the time is over.
    pub async fn await_in_flow(
        &self,
        flow: Uuid,
        awaited: &Awaited,
        timeout: Duration,
    ) -> Result<Option<Answer>, ReadError> {
        let domain = &self.0.domain;
        let deadline = Instant::now() + timeout;
        let signal = match awaited {
            Awaited::Reply => Signal::Reply,
            Awaited::Channel(name) => match self.channel_to_await(name, deadline).await {
                Some(id) => Signal::Event(id),
                None => return Ok(None),
            },
        };
        let mut wait = domain.wait_in_flow(flow, signal);
        // What was sequenced before the wait began is found by searching, once it is durable; what comes later arrives.
        // Through the owner's lock: a frame that is just being folded is one or the other.
        let end = domain.look(|_| domain.visible());
        let found = self.search(flow, signal, end).await?;
        if found.is_none()
            && let Ok(Some(position)) = timeout_at(deadline, wait.arrival()).await
        {
            return self.search(flow, signal, position + 1).await;
        }
        Ok(found)
    }

    /// A channel can be awaited before it exists: it begins with its first event. `None` when the time is over.
    async fn channel_to_await(&self, name: &ChannelName, deadline: Instant) -> Option<ChannelId> {
        let domain = &self.0.domain;
        loop {
            let durable = domain.durable().current();
            if let Some(id) = domain.look(|world| world.channel_id(name.as_str())) {
                return Some(id);
            }
            let moved = domain.durable().wait(durable.plus(1));
            if !matches!(timeout_at(deadline, moved).await, Ok(Ok(()))) {
                return None;
            }
        }
    }

    /// Searches a flow, once everything below `end` is durable.
    async fn search(&self, flow: Uuid, signal: Signal, end: u64) -> Result<Option<Answer>, ReadError> {
        let domain = self.0.domain.clone();
        let durable = domain.durable().wait(Position(end)).await;
        durable.map_err(|error| ReadError::Journal { why: error.to_string() })?;
        let found = tokio::task::spawn_blocking(move || search(&domain, flow, signal)).await;
        found.map_err(|error| ReadError::Journal { why: error.to_string() })?
    }
}

fn bad_event(attribute: &str, why: String) -> PublishError {
    PublishError::BadEvent { index: 0, error: EventError { attribute: attribute.to_owned(), why } }
}

fn accepted(
    channel: &ChannelName,
    event: Event,
    admitted: Admitted,
    item: Option<&Item>,
) -> Option<Accepted> {
    let item = item?;
    Some(Accepted {
        id: event.id,
        source: event.source,
        channel: channel.to_string(),
        offset: admitted.offset,
        position: item.position,
        flow: Record::parse(&item.record).ok()?.stamp.flow.to_string(),
        duplicate: admitted.duplicate,
    })
}

fn search(domain: &Domain, flow: Uuid, signal: Signal) -> Result<Option<Answer>, ReadError> {
    let durable = domain.durable().current();
    for frame in domain.flow_frames(flow, FRAMES_SEARCHED_MAX)?.0 {
        if frame.end() > durable {
            break;
        }
        let mut position = frame.position.0;
        for change in Changes::new(&frame.body).map_while(Result::ok) {
            if let Some(answer) = answer(&change, position, frame.time_ms, flow, signal) {
                return Ok(Some(answer));
            }
            position += u64::from(matches!(change, Change::Event { .. }));
        }
    }
    Ok(None)
}

fn answer(change: &Change<'_>, position: u64, time_ms: u64, flow: Uuid, signal: Signal) -> Option<Answer> {
    match (change, signal) {
        (Change::Event { channel, offset, record }, Signal::Event(wanted)) if *channel == wanted => {
            let record = Record::parse(record).ok().filter(|record| record.stamp.flow == flow)?;
            // The initiating event itself is no answer.
            record.stamp.cause?;
            Some(Answer::Event(recorded(*offset, position, time_ms, &record)))
        }
        (Change::Reply { flow: of, data, .. }, Signal::Reply) if *of == flow => {
            Some(Answer::Reply(serde_json::from_slice(data).unwrap_or(Value::Null)))
        }
        _ => None,
    }
}
