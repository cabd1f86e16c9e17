//! Frames on their way to the writer: bounded, in order, and never waiting for the disk. Decides where segments begin, so that
//! the owner knows it at once.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::durable::Ended;
use super::frame::{FRAME_BYTES_MAX, Frame, stored_bytes};
use super::segment::SEGMENT_HEADER_BYTES;
use super::{Appended, Error, Limits, Position};

/// A queued frame.
pub(super) struct Slot {
    pub frame: Frame,
    pub starts_segment: bool,
}

/// The queue between the owner and the writer.
pub(super) struct Queue {
    limits: Limits,
    state: Mutex<State>,
    filled: Condvar,
    next: AtomicU64,
    undurable_bytes: AtomicU64,
}

struct State {
    slots: Vec<Slot>,
    /// What the current segment will hold; 0 if none has begun.
    segment_bytes: u64,
    writer_sleeps: bool,
    ended: Option<Ended>,
}

impl Queue {
    pub(super) fn new(next: Position, limits: Limits) -> Self {
        Self {
            limits,
            state: Mutex::new(State {
                slots: Vec::new(),
                segment_bytes: 0,
                writer_sleeps: false,
                ended: None,
            }),
            filled: Condvar::new(),
            next: AtomicU64::new(next.0),
            undurable_bytes: AtomicU64::new(0),
        }
    }

    pub(super) fn next(&self) -> Position {
        Position(self.next.load(Ordering::Acquire))
    }

    pub(super) fn undurable_bytes(&self) -> u64 {
        self.undurable_bytes.load(Ordering::Acquire)
    }

    /// See [`super::Journal::queue`].
    pub(super) fn push(&self, frame: Frame) -> Result<Appended, Error> {
        let bytes = stored_bytes(frame.body.len());
        let mut state = self.state.lock();
        self.check(&state, &frame, bytes)?;
        let starts_segment = state.place(bytes, self.limits.segment_bytes_max);
        self.next.store(frame.end().0, Ordering::Release);
        self.undurable_bytes.fetch_add(bytes, Ordering::AcqRel);
        state.slots.push(Slot { frame, starts_segment });
        Ok(Appended { starts_segment })
    }

    /// See [`super::Journal::wake_writer`].
    pub(super) fn wake(&self) {
        let mut state = self.state.lock();
        let is_due = !state.slots.is_empty() && std::mem::take(&mut state.writer_sleeps);
        drop(state);
        if is_due {
            self.filled.notify_one();
        }
    }

    /// Exchanges the queued frames for the empty `slots`, and waits until there are some, or for so long; `false` when there will be
    /// none any more.
    pub(super) fn take(&self, slots: &mut Vec<Slot>, patience: Option<Duration>) -> bool {
        slots.clear();
        let mut state = self.state.lock();
        while state.slots.is_empty() && state.ended.is_none() {
            state.writer_sleeps = true;
            match patience {
                None => self.filled.wait(&mut state),
                Some(patience) if self.filled.wait_for(&mut state, patience).timed_out() => return true,
                Some(_) => {}
            }
        }
        std::mem::swap(&mut state.slots, slots);
        !slots.is_empty()
    }

    /// What was taken has become durable.
    pub(super) fn settle(&self, bytes: u64) {
        self.undurable_bytes.fetch_sub(bytes, Ordering::AcqRel);
    }

    /// Refuses all further frames; what is queued can still be taken.
    pub(super) fn end(&self, why: Ended) {
        let mut state = self.state.lock();
        state.ended.get_or_insert(why);
        state.writer_sleeps = false;
        drop(state);
        self.filled.notify_one();
    }

    fn check(&self, state: &State, frame: &Frame, bytes: u64) -> Result<(), Error> {
        if let Some(ended) = &state.ended {
            return Err(ended.error());
        }
        let expected = self.next();
        if frame.position != expected {
            let found = frame.position;
            return Err(Error::OutOfOrder { expected, found });
        }
        check_shape(frame)?;
        let undurable_bytes = self.undurable_bytes() + bytes;
        let undurable_bytes_max = self.limits.undurable_bytes_max;
        if undurable_bytes > undurable_bytes_max {
            return Err(Error::Full { undurable_bytes, undurable_bytes_max });
        }
        Ok(())
    }
}

fn check_shape(frame: &Frame) -> Result<(), Error> {
    let bytes = frame.body.len();
    if bytes > FRAME_BYTES_MAX {
        let bytes_max = FRAME_BYTES_MAX;
        return Err(Error::TooLarge { bytes, bytes_max });
    }
    if frame.width == 0 {
        let position = frame.position;
        return Err(Error::NoWidth { position });
    }
    Ok(())
}

impl State {
    /// Gives the frame its segment; `true` if it is the first one there.
    fn place(&mut self, bytes: u64, segment_bytes_max: u64) -> bool {
        let starts = self.segment_bytes == 0 || self.segment_bytes + bytes > segment_bytes_max;
        if starts {
            self.segment_bytes = SEGMENT_HEADER_BYTES as u64;
        }
        self.segment_bytes += bytes;
        starts
    }
}
