//! Reads frames of one segment by position: a sparse index, and one read per call. Many threads may read at once while the
//! writer appends; what is not yet written does not exist here.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Bytes, BytesMut};
use parking_lot::RwLock;

use super::folder::{Folder, damaged};
use super::frame::{Bad, FRAME_BYTES_MAX, Frame, HEADER_BYTES, Header};
use super::segment::{self, SEGMENT_HEADER_BYTES, SegmentInfo};
use super::storage::StorageFile;
use super::walk::{Step, Walker};
use super::{Error, Position};

/// One index entry for about this many bytes of frames.
const INDEX_STEP_BYTES: u64 = 32 << 10;

/// The least that is read at once: from an index entry on, this reaches the next.
const READ_BYTES_MIN: usize = 64 << 10;

/// The reading side of one segment.
pub(super) struct SegmentReader {
    base: Position,
    salt: u32,
    folder: Folder,
    file: Arc<dyn StorageFile>,
    frames_end: AtomicU64,
    index: RwLock<Index>,
}

/// Where some of the frames are.
#[derive(Default)]
pub(super) struct Index {
    places: Vec<(Position, u64)>,
}

impl Index {
    /// Takes note of a frame, if the last one noted is far enough.
    pub(super) fn note(&mut self, position: Position, offset: u64) {
        let last = self.places.last();
        if last.is_none_or(|(_, last)| offset >= last + INDEX_STEP_BYTES) {
            self.places.push((position, offset));
        }
    }

    /// A frame at or before `position`.
    fn before(&self, position: Position) -> Option<(Position, u64)> {
        let behind = self.places.partition_point(|(noted, _)| *noted <= position);
        self.places.get(behind.checked_sub(1)?).copied()
    }
}

/// A place between two frames.
struct Cursor {
    offset: u64,
    position: Position,
}

impl SegmentReader {
    /// For a segment that is being written, and is empty.
    pub(super) fn new(
        folder: Folder,
        base: Position,
        salt: u32,
        file: Arc<dyn StorageFile>,
    ) -> Self {
        Self {
            base,
            salt,
            folder,
            file,
            frames_end: AtomicU64::new(SEGMENT_HEADER_BYTES as u64),
            index: RwLock::default(),
        }
    }

    /// For a sealed segment: reads all headers to build the index.
    pub(super) fn open(folder: &Folder, info: &SegmentInfo) -> Result<Self, Error> {
        let base = info.base;
        let read = format!("read {}", segment::name(base));
        let file = folder.open(base)?;
        let mut walker = folder
            .io(&read, Walker::start(file.clone(), base, false))?
            .map_err(|bad| damaged(base, 0, bad))?;
        let mut index = Index::default();
        while walker.summary.end < info.end {
            let offset = walker.summary.bytes;
            match folder.io(&read, walker.step())? {
                Step::Frame { offset, header } => index.note(header.position, offset),
                Step::Bad(bad) => return Err(damaged(base, offset, bad)),
                Step::Footer(_) | Step::End => return Err(damaged(base, offset, Bad::Short)),
            }
        }
        let reader = Self::new(folder.clone(), base, walker.salt(), file);
        reader.publish(walker.summary.bytes, |known| *known = index);
        Ok(reader)
    }

    /// Makes frames visible that have been written.
    pub(super) fn publish(&self, frames_end: u64, note: impl FnOnce(&mut Index)) {
        note(&mut self.index.write());
        self.frames_end.store(frames_end, Ordering::Release);
    }

    /// The frames from the one that holds `from` on: one at least if there is one, about `bytes_max` bytes.
    pub(super) fn read(&self, from: Position, bytes_max: usize) -> Result<Vec<Frame>, Error> {
        let frames_end = self.frames_end.load(Ordering::Acquire);
        let mut cursor = self.cursor(from);
        let mut count = bytes_max.clamp(READ_BYTES_MIN, FRAME_BYTES_MAX);
        let mut frames = Vec::new();
        while frames.is_empty() && cursor.offset < frames_end {
            let chunk = self.chunk(cursor.offset, count, frames_end)?;
            count = count.max(self.take(&mut cursor, &chunk, from, bytes_max, &mut frames)?);
        }
        Ok(frames)
    }

    fn cursor(&self, from: Position) -> Cursor {
        let start = (self.base, SEGMENT_HEADER_BYTES as u64);
        let (position, offset) = self.index.read().before(from).unwrap_or(start);
        Cursor { offset, position }
    }

    fn chunk(&self, offset: u64, count: usize, frames_end: u64) -> Result<Bytes, Error> {
        let left = usize::try_from(frames_end - offset).unwrap_or(usize::MAX);
        let mut chunk = BytesMut::zeroed(count.min(left));
        let read = format!("read {}", segment::name(self.base));
        let filled = self
            .folder
            .io(&read, self.file.read_at(offset, &mut chunk))?;
        if filled < chunk.len() {
            return Err(damaged(self.base, offset + filled as u64, Bad::Short));
        }
        Ok(chunk.freeze())
    }

    /// Takes the wanted frames that are whole in the chunk. Returns how many bytes a chunk needs to hold the next.
    fn take(
        &self,
        cursor: &mut Cursor,
        chunk: &Bytes,
        from: Position,
        bytes_max: usize,
        frames: &mut Vec<Frame>,
    ) -> Result<usize, Error> {
        let (start, mut taken_bytes) = (cursor.offset, 0);
        loop {
            let at = (cursor.offset - start) as usize;
            let rest = chunk.slice(at..);
            if rest.len() < HEADER_BYTES || (taken_bytes >= bytes_max && !frames.is_empty()) {
                return Ok(READ_BYTES_MIN);
            }
            let header = self.header(cursor, &rest)?;
            let stored = header.stored_bytes() as usize;
            if stored > rest.len() {
                return Ok(stored);
            }
            if header.end() > from {
                frames.push(self.frame(cursor.offset, &header, &rest)?);
                taken_bytes += stored;
            }
            cursor.offset += stored as u64;
            cursor.position = header.end();
        }
    }

    fn header(&self, cursor: &Cursor, bytes: &[u8]) -> Result<Header, Error> {
        let bad = |bad| damaged(self.base, cursor.offset, bad);
        let (header, _) = Header::read(bytes, self.salt).map_err(bad)?;
        if header.position != cursor.position {
            let (expected, found) = (cursor.position, header.position);
            return Err(bad(Bad::Position { expected, found }));
        }
        Ok(header)
    }

    fn frame(&self, offset: u64, header: &Header, record: &Bytes) -> Result<Frame, Error> {
        let body = record.slice(HEADER_BYTES..HEADER_BYTES + header.body_bytes as usize);
        let checked = header.check(&body);
        checked.map_err(|bad| damaged(self.base, offset, bad))?;
        Ok(Frame {
            position: header.position,
            width: header.width,
            time_ms: header.time_ms,
            body,
        })
    }
}
