//! How many bytes of a channel lie where: measured by reading segments, off the path of events, once per segment that is complete.

use std::collections::BTreeMap;

use hashbrown::HashMap;

use crate::journal::{Position, SegmentInfo};
use crate::model::change::{Change, Changes, ChannelId};

use super::Domain;
use super::reader::ReadError;

/// About how many bytes of the journal are read at once.
const READ_BYTES: usize = 1 << 20;
/// A place is noted for about so many bytes of a channel.
const STEP_BYTES: u64 = 64 << 10;
/// What an event takes in a frame besides its record: tag, channel, offset.
const CHANGE_BYTES: u64 = 13;

/// The events of one channel in one segment.
#[derive(Clone, Default)]
struct Ladder {
    bytes: u64,
    /// Offsets, and the bytes of the events before them in this segment; ascending.
    steps: Vec<(u64, u64)>,
}

impl Ladder {
    fn note(&mut self, offset: u64, bytes: u64) {
        if self.steps.last().is_none_or(|(_, before)| self.bytes >= before + STEP_BYTES) {
            self.steps.push((offset, self.bytes));
        }
        self.bytes += bytes;
    }
}

/// One segment as far as it was measured.
#[derive(Clone, Default)]
struct Measured {
    end: u64,
    channels: HashMap<ChannelId, Ladder>,
}

/// What was measured so far, by the first position of the segment.
#[derive(Default)]
pub struct Sizes {
    segments: BTreeMap<u64, Measured>,
}

/// How many bytes an event takes.
pub fn event_bytes(record: &[u8]) -> u64 {
    record.len() as u64 + CHANGE_BYTES
}

impl Sizes {
    /// The lowest offset of a channel from which on it has at most `bytes_max` bytes; 0 if all of it fits.
    pub fn start_of_last(
        &mut self,
        domain: &Domain,
        channel: ChannelId,
        bytes_max: u64,
    ) -> Result<u64, ReadError> {
        let mut kept = 0;
        for info in domain.journal().segments().iter().rev() {
            let Some(ladder) = self.measured(domain, info)?.channels.get(&channel) else { continue };
            if kept + ladder.bytes <= bytes_max {
                kept += ladder.bytes;
                continue;
            }
            let too_many = kept + ladder.bytes - bytes_max;
            let behind = ladder.steps.partition_point(|(_, before)| *before <= too_many);
            let step = behind.checked_sub(1).and_then(|step| ladder.steps.get(step)).copied();
            let (offset, before) = step.unwrap_or_default();
            return skip(domain, channel, offset, too_many - before);
        }
        Ok(0)
    }

    /// How many bytes the events of a channel from `from` to `to` take; exact but for what is less than a step.
    pub fn between(
        &mut self,
        domain: &Domain,
        channel: ChannelId,
        from: u64,
        to: u64,
    ) -> Result<u64, ReadError> {
        let mut bytes = 0;
        for info in &domain.journal().segments() {
            let Some(ladder) = self.measured(domain, info)?.channels.get(&channel) else { continue };
            if ladder.steps.first().is_none_or(|(first, _)| *first >= to) {
                continue;
            }
            bytes += place(domain, channel, ladder, to)? - place(domain, channel, ladder, from)?;
        }
        Ok(bytes)
    }

    /// Forgets segments that are gone.
    pub fn trim(&mut self, first: u64) {
        self.segments.retain(|base, _| *base >= first);
    }

    fn measured(&mut self, domain: &Domain, info: &SegmentInfo) -> Result<&Measured, ReadError> {
        let measured = self.segments.entry(info.base.0).or_default();
        measured.end = measured.end.max(info.base.0);
        while measured.end < info.end.0 {
            let frames =
                domain.journal().read(Position(measured.end), READ_BYTES).map_err(ReadError::journal)?;
            let Some(last) = frames.last() else { break };
            for frame in &frames {
                frame_events(&frame.body, |channel, offset, bytes| {
                    measured.channels.entry(channel).or_default().note(offset, bytes);
                });
            }
            measured.end = last.end().0;
        }
        Ok(measured)
    }
}

fn frame_events(body: &[u8], mut note: impl FnMut(ChannelId, u64, u64)) {
    for change in Changes::new(body).map_while(Result::ok) {
        if let Change::Event { channel, offset, record } = change {
            note(channel, offset, event_bytes(record));
        }
    }
}

/// The bytes of a segment's events of the channel before `offset`.
fn place(domain: &Domain, channel: ChannelId, ladder: &Ladder, offset: u64) -> Result<u64, ReadError> {
    let behind = ladder.steps.partition_point(|(first, _)| *first <= offset);
    let Some((first, before)) = behind.checked_sub(1).and_then(|step| ladder.steps.get(step)) else {
        return Ok(0);
    };
    let mut reader = super::Reader::new(domain.clone(), channel, *first);
    let mut bytes = *before;
    while bytes < ladder.bytes {
        match reader.take()? {
            Some(item) if item.offset < offset => bytes += event_bytes(&item.record),
            _ => break,
        }
    }
    Ok(bytes)
}

/// The offset behind the events from `offset` on that have at least so many bytes.
fn skip(domain: &Domain, channel: ChannelId, offset: u64, bytes: u64) -> Result<u64, ReadError> {
    let mut reader = super::Reader::new(domain.clone(), channel, offset);
    let (mut offset, mut skipped) = (offset, 0);
    while skipped < bytes {
        let Some(item) = reader.take()? else { break };
        skipped += event_bytes(&item.record);
        offset = item.offset + 1;
    }
    Ok(offset)
}
