//! Answers about flows: what belongs to one, and the way back from an event to its first cause.

use bytes::Bytes;
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::journal::{self, Frame, Position};
use crate::model::change::{Change, Changes};
use crate::model::record::Record;

use super::Domain;
use super::reader::ReadError;
use super::waiting::Signal;

/// The most frames of a flow that are counted.
pub const FLOW_FRAMES_MAX: usize = 100_000;
/// About the most bytes of a flow that are held for one answer.
pub const FLOW_BYTES_MAX: usize = 64 << 20;

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
