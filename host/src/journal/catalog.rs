//! Which segments there are and who reads them. The writer adds to it; readers look up. Keeps few segments open, however
//! many there are.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use super::folder::Folder;
use super::frame::Frame;
use super::reader::SegmentReader;
use super::segment::SegmentInfo;
use super::{Error, Position};

/// How many sealed segments stay open with their index, which takes up to 32 KiB each.
const OPEN_SEGMENTS_MAX: usize = 64;

/// The segments of one journal, oldest first.
pub(super) struct Catalog {
    folder: Folder,
    segments: RwLock<Vec<SegmentInfo>>,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    active: Option<(Position, Arc<SegmentReader>)>,
    /// The one used last is in front.
    sealed: VecDeque<(Position, Arc<SegmentReader>)>,
}

impl Catalog {
    pub(super) fn new(folder: Folder, segments: Vec<SegmentInfo>) -> Self {
        Self { folder, segments: RwLock::new(segments), open: Mutex::default() }
    }

    pub(super) fn segments(&self) -> Vec<SegmentInfo> {
        self.segments.read().clone()
    }

    /// The oldest position kept, if there is a frame.
    pub(super) fn first(&self) -> Option<Position> {
        self.segments.read().first().map(|info| info.base)
    }

    /// See [`super::Journal::read`].
    pub(super) fn read(&self, from: Position, bytes_max: usize) -> Result<Vec<Frame>, Error> {
        let Some(info) = self.holding(from)? else { return Ok(Vec::new()) };
        let frames = self.reader(&info).and_then(|reader| reader.read(from, bytes_max));
        frames.map_err(|error| match self.first() {
            // It went between the two questions.
            Some(first) if first > info.base => Error::Trimmed { from, first },
            _ => error,
        })
    }

    /// The oldest segment, if it is complete, ends at or before `to` and is not the newest.
    pub(super) fn oldest_before(&self, to: Position) -> Option<SegmentInfo> {
        let segments = self.segments.read();
        let oldest = segments.first().filter(|info| info.sealed && info.end <= to)?;
        (segments.len() > 1).then_some(*oldest)
    }

    /// The segment is about to be removed: from now on, whoever asks is told so.
    pub(super) fn forget(&self, base: Position) {
        self.segments.write().retain(|info| info.base != base);
        self.open.lock().sealed.retain(|(open, _)| *open != base);
    }

    /// The writer begins a segment.
    pub(super) fn begin(&self, base: Position, reader: Arc<SegmentReader>) {
        self.open.lock().active = Some((base, reader));
    }

    /// The writer has written frames to the segment that it began last.
    pub(super) fn update(&self, info: SegmentInfo) {
        let mut segments = self.segments.write();
        match segments.last_mut() {
            Some(last) if last.base == info.base => *last = info,
            _ => segments.push(info),
        }
    }

    /// The writer has sealed the segment that it began last.
    pub(super) fn seal(&self, info: SegmentInfo) {
        self.update(info);
        let mut open = self.open.lock();
        if let Some((base, reader)) = open.active.take() {
            open.keep(base, reader);
        }
    }

    fn holding(&self, from: Position) -> Result<Option<SegmentInfo>, Error> {
        let segments = self.segments.read();
        let behind = segments.partition_point(|info| info.end <= from);
        match segments.get(behind) {
            Some(info) if info.base > from => Err(Error::Trimmed { from, first: info.base }),
            info => Ok(info.copied()),
        }
    }

    /// Opens outside the lock: building an index takes milliseconds, and others read on meanwhile.
    fn reader(&self, info: &SegmentInfo) -> Result<Arc<SegmentReader>, Error> {
        if let Some(reader) = self.open.lock().find(info.base) {
            return Ok(reader);
        }
        let reader = Arc::new(SegmentReader::open(&self.folder, info)?);
        self.open.lock().keep(info.base, reader.clone());
        Ok(reader)
    }
}

impl Open {
    fn find(&mut self, base: Position) -> Option<Arc<SegmentReader>> {
        if let Some((_, reader)) = self.active.as_ref().filter(|(active, _)| *active == base) {
            return Some(reader.clone());
        }
        let index = self.sealed.iter().position(|(open, _)| *open == base)?;
        let (_, reader) = self.sealed.remove(index)?;
        self.keep(base, reader.clone());
        Some(reader)
    }

    fn keep(&mut self, base: Position, reader: Arc<SegmentReader>) {
        self.sealed.retain(|(open, _)| *open != base);
        self.sealed.push_front((base, reader));
        self.sealed.truncate(OPEN_SEGMENTS_MAX);
    }
}
