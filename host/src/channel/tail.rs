//! The latest frames of every channel, in memory: what lanes that keep up read, and the only place where a frame
//! that is not yet on disk can be read. Bounded by bytes; what is older is in the journal.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;

use crate::journal::Frame;
use crate::model::change::{Change, Changes, ChannelId};
use crate::model::runs::{Run as FrameRun, Runs};

/// Items that are less than this part of their bytes are sparse.
const SPARSE: usize = 4;

/// An event as a reader gets it.
#[derive(Clone, Debug)]
pub struct Item {
    /// Its place in its channel.
    pub offset: u64,
    /// Its place in the journal.
    pub position: u64,
    /// When it was recorded, milliseconds since the Unix epoch.
    pub time_ms: u64,
    /// The event: see [`crate::model::record`].
    pub record: Bytes,
}

/// The events of one channel in one frame.
#[derive(Clone, Debug)]
struct Run {
    first: u64,
    count: u64,
    frame: Arc<Frame>,
}

/// The latest frames of all channels.
pub struct Tail {
    inner: Mutex<Inner>,
    bytes_max: usize,
    visible: AtomicU64,
}

#[derive(Default)]
struct Inner {
    channels: Vec<VecDeque<Run>>,
    /// Frames in order with the channels that they have runs in.
    frames: VecDeque<(u64, usize, Vec<ChannelId>)>,
    bytes: usize,
}

impl Tail {
    /// Keeps about so many bytes.
    pub fn new(bytes_max: usize) -> Self {
        Self { inner: Mutex::default(), bytes_max, visible: AtomicU64::new(0) }
    }

    /// Everything below this position can be read, in every channel.
    pub fn visible(&self) -> u64 {
        self.visible.load(Ordering::Acquire)
    }

    /// Says that everything below `position` can be read.
    pub fn show(&self, position: u64) {
        self.visible.store(position, Ordering::Release);
    }

    /// Adds a frame. Frames at or above `durable` stay
    /// whatever they take: they can be read nowhere else.
    pub fn push(&self, frame: Arc<Frame>, runs: &Runs, durable: u64) {
        let mut inner = self.inner.lock();
        for &FrameRun { channel, first, count } in runs.iter() {
            let index = channel as usize;
            if inner.channels.len() <= index {
                inner.channels.resize_with(index + 1, VecDeque::new);
            }
            if let Some(channel) = inner.channels.get_mut(index) {
                channel.push_back(Run { first, count, frame: frame.clone() });
            }
        }
        inner.bytes += frame.body.len();
        inner.frames.push_back((
            frame.position.0,
            frame.body.len(),
            runs.iter().map(|run| run.channel).collect(),
        ));
        inner.evict(self.bytes_max, durable);
    }

    /// The frame that holds a position, if it is still here.
    pub fn frame_at(&self, position: u64) -> Option<Frame> {
        let inner = self.inner.lock();
        let behind = inner.frames.partition_point(|frame| frame.0 <= position);
        let (start, _, channels) = inner.frames.get(behind.checked_sub(1)?)?;
        let runs = inner.channels.get(*channels.first()? as usize)?;
        let index = runs.partition_point(|run| run.frame.position.0 < *start);
        let frame = &runs.get(index)?.frame;
        (position < start + u64::from(frame.width)).then(|| Frame::clone(frame))
    }

    /// The frames that hold a channel's events from `offset` on, oldest first, until they hold `events` of them;
    /// `None` when the tail does not reach back to `offset`.
    pub fn frames_from(&self, channel: ChannelId, offset: u64, events: u64) -> Option<Vec<Arc<Frame>>> {
        let inner = self.inner.lock();
        let runs = inner.channels.get(channel as usize)?;
        if runs.front()?.first > offset {
            return None;
        }
        let start = runs.partition_point(|run| run.first + run.count <= offset);
        let mut left = events;
        let mut frames = Vec::new();
        for run in runs.range(start..) {
            frames.push(run.frame.clone());
            left = left.saturating_sub(run.count);
            if left == 0 {
                break;
            }
        }
        Some(frames)
    }
}

impl Inner {
    fn evict(&mut self, bytes_max: usize, durable: u64) {
        while self.bytes > bytes_max && self.frames.len() > 1 {
            let Some((position, bytes, channels)) = self.frames.pop_front() else { return };
            if position >= durable {
                self.frames.push_front((position, bytes, channels));
                return;
            }
            for channel in channels {
                if let Some(runs) = self.channels.get_mut(channel as usize) {
                    runs.pop_front();
                }
            }
            self.bytes -= bytes;
        }
    }
}

/// Takes the events of one channel from `from` on out of a frame.
pub fn items_of(frame: &Frame, channel: ChannelId, from: u64, out: &mut VecDeque<Item>) {
    let first = out.len();
    let mut position = frame.position.0;
    for change in Changes::new(&frame.body).map_while(Result::ok) {
        let Change::Event { channel: of, offset, record } = change else { continue };
        if of == channel && offset >= from {
            let record = frame.body.slice_ref(record);
            out.push_back(Item { offset, position, time_ms: frame.time_ms, record });
        }
        position += 1;
    }
    own_if_sparse(out, first, frame.body.len());
}

impl Item {
    /// The same with bytes of its own: it keeps nothing that it was read with.
    pub fn owned(self) -> Self {
        Self { record: Bytes::copy_from_slice(&self.record), ..self }
    }
}

/// An item keeps all the bytes that it was read with. Where it and its like are a small part of them, from `first` on, they get
/// bytes of their own: a reader of few events among many holds no more than a reader of all.
pub fn own_if_sparse(items: &mut VecDeque<Item>, first: usize, bytes: usize) {
    let own: usize = items.range(first..).map(|item| item.record.len()).sum();
    if own * SPARSE < bytes {
        for item in items.range_mut(first..) {
            item.record = Bytes::copy_from_slice(&item.record);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::journal::Position;

    fn frame(position: u64, bytes: usize) -> Arc<Frame> {
        Arc::new(Frame { position: Position(position), width: 1, time_ms: 0, body: vec![0; bytes].into() })
    }

    fn runs(all: &[(ChannelId, u64, u64)]) -> Runs {
        let mut runs = Runs::default();
        for &(channel, first, count) in all {
            for _ in 0..count {
                runs.next(channel, || first);
            }
        }
        runs
    }

    fn positions(tail: &Tail, channel: ChannelId, offset: u64, events: u64) -> Option<Vec<u64>> {
        Some(tail.frames_from(channel, offset, events)?.iter().map(|frame| frame.position.0).collect())
    }

    #[test]
    fn readers_get_the_frames_that_hold_their_offsets() {
        let tail = Tail::new(1000);
        tail.push(frame(0, 10), &runs(&[(0, 0, 3), (1, 0, 1)]), 0);
        tail.push(frame(4, 10), &runs(&[(1, 1, 1)]), 0);
        tail.push(frame(5, 10), &runs(&[(0, 3, 2)]), 0);
        assert_eq!(positions(&tail, 0, 2, 64), Some(vec![0, 5]));
        assert_eq!(positions(&tail, 0, 2, 1), Some(vec![0]));
        assert_eq!(positions(&tail, 1, 1, 64), Some(vec![4]));
        assert_eq!(positions(&tail, 0, 5, 64), Some(vec![]));
        assert_eq!(positions(&tail, 7, 0, 64), None);
    }

    #[test]
    fn old_frames_leave_and_undurable_ones_stay() {
        let tail = Tail::new(25);
        for n in 0..4 {
            tail.push(frame(n, 10), &runs(&[(0, n, 1)]), 2);
        }
        assert_eq!(positions(&tail, 0, 1, 64), None);
        assert_eq!(positions(&tail, 0, 2, 64), Some(vec![2, 3]));
        tail.push(frame(4, 10), &runs(&[(0, 4, 1)]), 5);
        assert_eq!(positions(&tail, 0, 2, 64), None);
        assert_eq!(positions(&tail, 0, 3, 64), Some(vec![3, 4]));
    }
}
