//! The segment that is being written: encodes frames, writes them, makes them durable, seals. Used by the writer alone.
//!
//! Space is prepared ahead by zeros when writes are small: a sync then need not change the file's length, which costs more than
//! the zeros do. When writes are large the zeros would double them for nothing, so there are none.

use std::sync::Arc;

use super::folder::{self, Folder};
use super::frame::{self, Frame, Header};
use super::reader::SegmentReader;
use super::room::{Spare, is_no_room};
use super::segment::{self, SEGMENT_HEADER_BYTES, SegmentHeader, SegmentInfo, Summary};
use super::storage::StorageFile;
use super::{Error, Position, recovery};

/// What is gathered in memory before it is written, unless a sync comes first.
const WRITE_BYTES_MAX: usize = 4 << 20;

/// A body from this size on is written from where it is: to copy it costs more than a call of the system.
const DIRECT_BYTES_MIN: usize = 16 << 10;

/// Groups below this prepare space ahead.
const SMALL_WRITE_BYTES_MAX: u64 = 32 << 10;

/// How much space is prepared.
const PREPARED_BYTES: usize = 256 << 10;

/// A segment under construction.
pub(super) struct ActiveSegment {
    folder: Folder,
    spare: Spare,
    file: Arc<dyn StorageFile>,
    reader: Arc<SegmentReader>,
    salt: u32,
    summary: Summary,
    /// Encoded and not yet written.
    buf: Vec<u8>,
    /// Where in the file that belongs.
    written: u64,
    /// How far readers see.
    shown: u64,
    noted: Vec<(Position, u64)>,
    /// How far the file reaches.
    prepared: u64,
}

impl ActiveSegment {
    /// Creates the file with a durable header, so that recovery can trust the header of whatever has more than that.
    pub(super) fn create(folder: &Folder, spare: &Spare, base: Position) -> Result<Self, Error> {
        let header = SegmentHeader::new(base);
        let what = format!("begin {}", segment::name(base));
        let file = spare.until(&what, || folder.try_create(base))?;
        spare.until(&what, || file.write_at(0, &header.encode()))?;
        folder.io(&what, folder::sync(&*file))?;
        folder.sync()?;
        let salt = header.salt;
        Ok(Self {
            folder: folder.clone(),
            spare: spare.clone(),
            reader: Arc::new(SegmentReader::new(folder.clone(), base, salt, file.clone())),
            file,
            salt,
            summary: Summary::new(base),
            buf: Vec::new(),
            written: SEGMENT_HEADER_BYTES as u64,
            shown: SEGMENT_HEADER_BYTES as u64,
            noted: Vec::new(),
            prepared: SEGMENT_HEADER_BYTES as u64,
        })
    }

    pub(super) fn reader(&self) -> &Arc<SegmentReader> {
        &self.reader
    }

    pub(super) fn info(&self, sealed: bool) -> SegmentInfo {
        self.summary.info(sealed)
    }

    /// Adds a frame behind the others; it may stay in memory until the next [`ActiveSegment::write`].
    pub(super) fn put(&mut self, frame: &Frame, durable: Position) -> Result<(), Error> {
        let header = Header::of(frame, durable);
        self.noted.push((frame.position, self.summary.bytes));
        let crc = frame::put_header(&mut self.buf, &header, self.salt);
        if frame.body.len() < DIRECT_BYTES_MIN {
            self.buf.extend_from_slice(&frame.body);
        } else {
            self.flush(0)?;
            self.write_at(self.written, &frame.body)?;
            self.written += frame.body.len() as u64;
        }
        frame::put_padding(&mut self.buf, frame.body.len());
        self.summary.add(&header, crc);
        if self.buf.len() > WRITE_BYTES_MAX { self.flush(0) } else { Ok(()) }
    }

    /// Writes what is in memory and lets readers see it.
    pub(super) fn write(&mut self) -> Result<(), Error> {
        self.flush(self.zeros_ahead())?;
        self.shown = self.summary.bytes;
        let noted = &mut self.noted;
        self.reader.publish(self.shown, |index| {
            for (position, offset) in noted.drain(..) {
                index.note(position, offset);
            }
        });
        Ok(())
    }

    /// Writes what is in memory, and so many zeros behind it.
    fn flush(&mut self, zeros: usize) -> Result<(), Error> {
        if self.buf.is_empty() {
            return Ok(());
        }
        let mut buf = std::mem::take(&mut self.buf);
        let bytes = buf.len();
        buf.resize(bytes + zeros, 0);
        if zeros == 0 || !self.try_write(&buf)? {
            buf.truncate(bytes);
            self.write_at(self.written, &buf)?;
        }
        self.written += bytes as u64;
        buf.clear();
        self.buf = buf;
        Ok(())
    }

    /// Writes what needs more room than it must have; `false` if there is not so much.
    fn try_write(&mut self, bytes: &[u8]) -> Result<bool, Error> {
        match self.file.write_at(self.written, bytes) {
            Err(error) if is_no_room(&error) => Ok(false),
            written => {
                self.folder.io(&self.writing(), written)?;
                self.prepared = self.prepared.max(self.written + bytes.len() as u64);
                Ok(true)
            }
        }
    }

    fn write_at(&mut self, at: u64, bytes: &[u8]) -> Result<(), Error> {
        self.spare.until(&self.writing(), || self.file.write_at(at, bytes))?;
        self.prepared = self.prepared.max(at + bytes.len() as u64);
        Ok(())
    }

    fn writing(&self) -> String {
        format!("write to {}", segment::name(self.summary.base))
    }

    /// Makes everything written durable.
    pub(super) fn sync(&self) -> Result<(), Error> {
        let what = format!("sync {}", segment::name(self.summary.base));
        self.folder.io(&what, folder::sync(&*self.file))
    }

    /// Writes and makes durable what is left, and ends the segment for good.
    pub(super) fn seal(mut self) -> Result<SegmentInfo, Error> {
        self.write()?;
        let what = format!("seal {}", segment::name(self.summary.base));
        self.folder.io(&what, recovery::end_frames(&*self.file, &self.summary))?;
        let footer = self.summary.footer(self.salt);
        self.spare.until(&what, || self.file.write_at(self.summary.bytes, &footer))?;
        self.folder.io(&what, folder::sync(&*self.file))?;
        Ok(self.info(true))
    }

    fn zeros_ahead(&self) -> usize {
        let is_small = self.summary.bytes - self.shown <= SMALL_WRITE_BYTES_MAX;
        if is_small && self.summary.bytes > self.prepared { PREPARED_BYTES } else { 0 }
    }
}
