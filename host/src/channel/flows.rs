//! Answers about flows: what belongs to one, and the way back from an event to its first cause.

use std::collections::VecDeque;

use bytes::Bytes;
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::journal::{self, Frame, Position};
use crate::model::change::{Change, Changes, ChannelId};
use crate::model::record::{Record, flow_of};

use super::Domain;
use super::reader::ReadError;
use super::waiting::Signal;

/// The most frames of a flow that are counted.
pub const FLOW_FRAMES_MAX: usize = 100_000;
/// About the most bytes of a flow that are held for one answer.
pub const FLOW_BYTES_MAX: usize = 64 << 20;

/// About how many bytes of the journal are read at once where many frames are looked at.
const VISITED_BYTES: usize = 64 << 10;

impl Domain {
    /// The frames that hold events, decisions or replies of a flow, oldest first, at most `limit` and about
    /// `FLOW_BYTES_MAX`; and whether there are more.
    pub fn flow_frames(&self, flow: Uuid, limit: usize) -> Result<(Vec<Frame>, bool), ReadError> {
        let positions = self.0.index.flow(flow, limit + 1).map_err(ReadError::journal)?;
        let (mut frames, mut bytes) = (Vec::new(), 0);
        for position in positions {
            if frames.len() == limit || bytes > FLOW_BYTES_MAX {
                return Ok((frames, true));
            }
            if let Some(frame) = self.frame_at(position)? {
                bytes += frame.body.len();
                frames.push(frame);
            }
        }
        Ok((frames, false))
    }

    /// The positions of the frames that may hold something of any of these flows, ascending.
    pub fn frames_of(&self, flows: &[Uuid]) -> Result<Vec<u64>, ReadError> {
        self.0.index.flows(flows).map_err(ReadError::journal)
    }

    /// The positions of the frames that may hold an event of a channel with this source and id, newest first.
    pub fn frames_with_id(&self, channel: ChannelId, source: &str, id: &str) -> Result<Vec<u64>, ReadError> {
        self.0.index.event_id(channel, source, id, 0).map_err(ReadError::journal)
    }

    /// Shows the frames at these positions, ascending, as far as they lie before `end`, all of which is durable. Frames that lie close
    /// together are read together.
    pub fn visit(&self, positions: &[u64], end: u64, mut see: impl FnMut(&Frame)) -> Result<(), ReadError> {
        let mut near = VecDeque::new();
        for &position in positions.iter().take_while(|position| **position < end) {
            while near.front().is_some_and(|frame: &Frame| frame.end().0 <= position) {
                near.pop_front();
            }
            if near.front().is_none_or(|frame| frame.position.0 > position) {
                near = match self.0.journal.read(Position(position), VISITED_BYTES) {
                    // It was trimmed since the index was asked.
                    Err(journal::Error::Trimmed { .. }) => continue,
                    read => read.map_err(ReadError::journal)?.into(),
                };
            }
            near.front().into_iter().for_each(&mut see);
        }
        Ok(())
    }

    fn frame_at(&self, position: u64) -> Result<Option<Frame>, ReadError> {
        if let Some(frame) = self.0.tail.frame_at(position) {
            return Ok(Some(frame));
        }
        let frames = match self.0.journal.read(Position(position), 1) {
            // The index of a segment goes after the segment.
            Err(journal::Error::Trimmed { .. }) => return Ok(None),
            frames => frames.map_err(ReadError::journal)?,
        };
        // A body is a part of the chunk that was read: kept as it is, it would keep all of that.
        let own = |frame: Frame| Frame { body: Bytes::copy_from_slice(&frame.body), ..frame };
        Ok(frames.into_iter().next().map(own))
    }

    /// Whether `more` events would pass the flow's budget.
    pub fn flow_is_spent(&self, flow: Uuid, more: u64) -> Result<bool, ReadError> {
        self.0.budget.is_spent(flow, more, |enough| {
            let mut count = 0;
            for position in self.0.index.flow(flow, FLOW_FRAMES_MAX).map_err(ReadError::journal)? {
                count += self.frame_at(position)?.map_or(0, |frame| events_of(&frame, flow));
                if count >= enough {
                    break;
                }
            }
            Ok(count)
        })
    }

    /// The channels on the way from an event back to its first cause, nearest first, at most `hops_max`.
    pub fn causes(&self, position: u64, hops_max: usize) -> Result<Vec<String>, ReadError> {
        let mut channels = Vec::new();
        let mut next = Some(position);
        while let Some(position) = next.take().filter(|_| channels.len() < hops_max) {
            let Some(frame) = self.frame_at(position)? else { break };
            let Some((channel, cause)) = event_in(&frame, position) else { break };
            channels.push(self.look(|world| {
                world
                    .channels()
                    .get(channel as usize)
                    .map_or_else(String::new, |channel| channel.name.to_string())
            }));
            next = cause;
        }
        Ok(channels)
    }

    /// Begins to wait for something in a flow; the wait ends when it is dropped.
    pub fn wait_in_flow(&self, flow: Uuid, signal: Signal) -> FlowWait {
        let (number, arrival) = self.0.waiting.register(flow, signal);
        FlowWait { domain: self.clone(), flow, number, arrival }
    }
}

/// Somebody who waits for something in a flow.
pub struct FlowWait {
    domain: Domain,
    flow: Uuid,
    number: u64,
    arrival: oneshot::Receiver<u64>,
}

impl FlowWait {
    /// The position of the frame that brought it.
    pub async fn arrival(&mut self) -> Option<u64> {
        (&mut self.arrival).await.ok()
    }
}

impl Drop for FlowWait {
    fn drop(&mut self) {
        self.domain.0.waiting.forget(self.flow, self.number);
    }
}

/// The flow that a change belongs to.
pub fn flow_in(change: &Change<'_>) -> Option<Uuid> {
    match change {
        Change::Event { record, .. } => flow_of(record),
        Change::Decided { flow, .. } | Change::Reply { flow, .. } => Some(*flow),
        Change::Control(control) => control.flow(),
        _ => None,
    }
}

fn events_of(frame: &Frame, flow: Uuid) -> u64 {
    let of_flow = |change: &Change<'_>| match change {
        Change::Event { record, .. } => Record::parse(record).is_ok_and(|record| record.stamp.flow == flow),
        _ => false,
    };
    Changes::new(&frame.body).map_while(Result::ok).filter(of_flow).count() as u64
}

fn event_in(frame: &Frame, position: u64) -> Option<(u32, Option<u64>)> {
    let mut at = frame.position.0;
    for change in Changes::new(&frame.body).map_while(Result::ok) {
        let Change::Event { channel, record, .. } = change else { continue };
        if at == position {
            return Some((channel, Record::parse(record).ok()?.stamp.cause));
        }
        at += 1;
    }
    None
}
