//! Finds an event by what people have of it: its channel and offset, or its id. Ids are looked for in the latest part of the journal, and
//! in all of it by the index for the sources that were met there.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::channel::{Domain, ReadError};
use crate::journal::{Frame, Position};
use crate::model::change::{Change, Changes, ChannelId};
use crate::model::name::ChannelName;
use crate::model::record::Record;
use crate::model::time::rfc3339;
use crate::model::why::{EventPlace, WhyEvent};

/// How many of the latest positions of the journal are searched for an id.
const SEARCHED_MAX: u64 = 200_000;
/// The most sources that are looked up in the index.
const SOURCES_MAX: usize = 64;
/// The most events of one id that are named.
const CANDIDATES_MAX: usize = 10;
/// About how many bytes of the journal are read at once.
const READ_BYTES: usize = 1 << 20;

/// Which event is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventAsk {
    /// The one at a place, unless there is no such channel: then the one with the whole text as its id.
    Place(ChannelName, u64, String),
    /// The one with an id.
    Id(String),
}

impl EventAsk {
    /// Reads `order-created/17`, `order-created@17` or an id.
    pub fn parse(text: &str) -> Self {
        let place = text
            .rsplit_once(['/', '@'])
            .and_then(|(channel, offset)| Some((ChannelName::new(channel).ok()?, offset.parse().ok()?)));
        match place {
            Some((channel, offset)) => Self::Place(channel, offset, text.to_owned()),
            None => Self::Id(text.to_owned()),
        }
    }
}

/// An event that was found.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its channel.
    pub channel: ChannelId,
    /// Its flow.
    pub flow: Uuid,
    /// What is told of it.
    pub event: WhyEvent,
}

/// Why there is no one event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FindError {
    /// There is none.
    #[error("{0}")]
    Unknown(String),
    /// There are several.
    #[error("{} events have this id: {}; ask for one of them", .0.len(), listed(.0))]
    Ambiguous(Vec<EventPlace>),
    /// The journal could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

fn listed(places: &[EventPlace]) -> String {
    let places: Vec<_> = places.iter().map(|place| format!("{}@{}", place.channel, place.offset)).collect();
    places.join(", ")
}

/// Finds the one event that is meant; it is durable.
pub fn find(domain: &Domain, ask: &EventAsk) -> Result<Found, FindError> {
    match ask {
        EventAsk::Place(channel, offset, text) => {
            match domain.look(|world| world.channel_id(channel.as_str())) {
                Some(id) => at(domain, id, channel, *offset),
                None => by_id(domain, text),
            }
        }
        EventAsk::Id(id) => by_id(domain, id),
    }
}

fn at(domain: &Domain, id: ChannelId, channel: &ChannelName, offset: u64) -> Result<Found, FindError> {
    let items = domain.durable_events(id, offset, 1, usize::MAX)?;
    let Some(item) = items.first().filter(|item| item.offset == offset) else {
        let (first, end) = (domain.channel_first(id), domain.channel_end(id));
        let why = match offset < first {
            true => format!("it has expired, and the oldest that is kept is {channel}@{first}"),
            false => format!("the next gets {end}"),
        };
        return Err(FindError::Unknown(format!(
            "channel '{channel}' has no event at offset {offset}; {why}"
        )));
    };
    let record =
        Record::parse(&item.record).map_err(|error| ReadError::Journal { why: error.to_string() })?;
    Ok(found(domain, id, offset, item.position, item.time_ms, &record))
}

fn found(
    domain: &Domain,
    channel: ChannelId,
    offset: u64,
    position: u64,
    time_ms: u64,
    record: &Record<'_>,
) -> Found {
    let name =
        domain.look(|world| world.channels().get(channel as usize).map(|channel| channel.name.to_string()));
    let event = WhyEvent {
        channel: name.unwrap_or_default(),
        offset,
        position,
        id: record.parts.id.to_owned(),
        source: record.parts.source.to_owned(),
        subject: record.parts.subject.map(str::to_owned),
        flow: record.stamp.flow.to_string(),
        recorded: rfc3339(time_ms),
    };
    Found { channel, flow: record.stamp.flow, event }
}

fn by_id(domain: &Domain, id: &str) -> Result<Found, FindError> {
    let mut search = Search { domain, id, found: BTreeMap::new(), sources: Vec::new() };
    match emitted_in(id) {
        Some(flow) => search.look_at(&domain.frames_of(&[flow])?)?,
        None => search.anywhere()?,
    }
    let mut all: Vec<Found> = search.found.into_values().collect();
    match all.len() {
        0 => Err(FindError::Unknown(format!(
            "no event with the id '{id}' was found; name it by its place, such as order-created@17"
        ))),
        1 => all.pop().ok_or_else(|| FindError::Ambiguous(Vec::new())),
        _ => Err(FindError::Ambiguous(all.into_iter().take(CANDIDATES_MAX).map(place).collect())),
    }
}

fn place(found: Found) -> EventPlace {
    EventPlace { channel: found.event.channel, offset: found.event.offset, id: found.event.id }
}

/// The ids of emitted events begin with their flow.
fn emitted_in(id: &str) -> Option<Uuid> {
    let (flow, rest) = id.split_at_checked(32)?;
    rest.starts_with('-').then(|| Uuid::try_parse(flow).ok()).flatten()
}

struct Search<'a> {
    domain: &'a Domain,
    id: &'a str,
    /// By position.
    found: BTreeMap<u64, Found>,
    sources: Vec<String>,
}

impl Search<'_> {
    fn anywhere(&mut self) -> Result<(), ReadError> {
        let end = self.domain.durable().current().0;
        let start = end.saturating_sub(SEARCHED_MAX).max(self.domain.journal().first().0);
        let mut at = start;
        while at < end {
            let frames = self.domain.journal().read(Position(at), READ_BYTES);
            let frames = frames.map_err(|error| ReadError::Journal { why: error.to_string() })?;
            let Some(last) = frames.last() else { break };
            at = last.end().0;
            frames.iter().for_each(|frame| self.frame(frame));
        }
        let channels = self.domain.look(|world| world.channels().len() as ChannelId);
        let mut frames = Vec::new();
        for source in &self.sources {
            for channel in 0..channels {
                frames.extend(self.domain.frames_with_id(channel, source, self.id)?);
            }
        }
        frames.sort_unstable();
        frames.dedup();
        self.look_at(&frames)
    }

    fn look_at(&mut self, frames: &[u64]) -> Result<(), ReadError> {
        let end = self.domain.durable().current().0;
        self.domain.clone().visit(frames, end, |frame| self.frame(frame))
    }

    fn frame(&mut self, frame: &Frame) {
        let mut position = frame.position.0;
        for change in Changes::new(&frame.body).map_while(Result::ok) {
            let Change::Event { channel, offset, record } = change else { continue };
            if let Ok(record) = Record::parse(record) {
                self.record(channel, offset, position, frame.time_ms, &record);
            }
            position += 1;
        }
    }

    fn record(&mut self, channel: ChannelId, offset: u64, position: u64, time_ms: u64, record: &Record<'_>) {
        let source = record.parts.source;
        if self.sources.len() < SOURCES_MAX && !self.sources.iter().any(|known| known == source) {
            self.sources.push(source.to_owned());
        }
        if record.parts.id == self.id {
            self.found.insert(position, found(self.domain, channel, offset, position, time_ms, record));
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_told_from_an_id() {
        let place = |text: &str| match EventAsk::parse(text) {
            EventAsk::Place(channel, offset, _) => Some((channel.to_string(), offset)),
            EventAsk::Id(_) => None,
        };
        assert_eq!(place("order-created/17"), Some(("order-created".to_owned(), 17)));
        assert_eq!(place("order-created@17"), Some(("order-created".to_owned(), 17)));
        for id in ["o-1", "urn:x/17", "order-created/", "Order/1", ""] {
            assert_eq!(place(id), None, "{id}");
        }
    }

    #[test]
    fn the_flow_is_read_from_the_id_of_an_emitted_event() {
        let flow = Uuid::from_u128(7);
        assert_eq!(emitted_in(&format!("{}-2a-0", flow.simple())), Some(flow));
        assert_eq!(emitted_in(&flow.to_string()), None);
        assert_eq!(emitted_in("o-1"), None);
    }
}
