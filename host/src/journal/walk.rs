//! Goes through the records of one segment file from front to back, or looks for the next one behind a bad one. Only
//! reads; what a bad record means is for recovery, readers and verify to say.

use std::io;
use std::sync::Arc;

use super::Position;
use super::frame::{ALIGNMENT, Bad, FRAME_BYTES_MAX, HEADER_BYTES, Header, Kind};
use super::segment::{FOOTER_BYTES, SEGMENT_HEADER_BYTES, SegmentHeader, Summary};
use super::storage::StorageFile;

const WINDOW_BYTES: u64 = 1 << 20;

/// What stands at one place of a segment.
pub(super) enum Step {
    Frame {
        offset: u64,
        header: Header,
    },
    /// A footer, and what it says of the frames before it.
    Footer(Summary),
    Bad(Bad),
    End,
}

/// Walks one segment file.
pub(super) struct Walker {
    window: Window,
    salt: u32,
    check_bodies: bool,
    /// The frames that were good so far.
    pub summary: Summary,
}

impl Walker {
    /// Starts at the first frame, or says what is wrong with the segment's header.
    pub(super) fn start(
        file: Arc<dyn StorageFile>,
        base: Position,
        check_bodies: bool,
    ) -> io::Result<Result<Self, Bad>> {
        let mut window = Window::new(file)?;
        let start = window.upto(0, SEGMENT_HEADER_BYTES as u64)?;
        let header = match SegmentHeader::read(start) {
            Ok(header) if header.base == base => header,
            Ok(SegmentHeader { base: found, .. }) => {
                let expected = base;
                return Ok(Err(Bad::Position { expected, found }));
            }
            Err(bad) => return Ok(Err(bad)),
        };
        Ok(Ok(Self {
            window,
            salt: header.salt,
            check_bodies,
            summary: Summary::new(base),
        }))
    }

    pub(super) fn salt(&self) -> u32 {
        self.salt
    }

    /// Takes the next record. After a bad one it stays where it is.
    pub(super) fn step(&mut self) -> io::Result<Step> {
        let offset = self.summary.bytes;
        if offset >= self.window.len {
            return Ok(Step::End);
        }
        match self.record_at(offset)? {
            Err(bad) => Ok(Step::Bad(bad)),
            Ok((header, _)) if header.kind == Kind::Footer => self.footer_at(offset),
            Ok((header, crc)) => {
                self.summary.add(&header, crc);
                Ok(Step::Frame { offset, header })
            }
        }
    }

    /// The first good record header at `offset` or behind it, whatever lies between.
    pub(super) fn find_from(&mut self, offset: u64) -> io::Result<Option<(u64, Header)>> {
        let mut at = offset;
        while at + HEADER_BYTES as u64 <= self.window.len {
            let bytes = self.window.upto(at, HEADER_BYTES as u64)?;
            if let Ok((header, _)) = Header::read(bytes, self.salt) {
                return Ok(Some((at, header)));
            }
            at += ALIGNMENT;
        }
        Ok(None)
    }

    /// Goes on at a record that [`Walker::find_from`] found.
    pub(super) fn go_on_at(&mut self, offset: u64, position: Position) {
        self.summary.bytes = offset;
        self.summary.end = position;
    }

    /// Where the last byte that is not zero ends, `offset` at least: space that was only prepared is zeros.
    pub(super) fn used_behind(&mut self, offset: u64) -> io::Result<u64> {
        let (mut at, mut used) = (offset, offset);
        while at < self.window.len {
            let bytes = self.window.upto(at, WINDOW_BYTES)?;
            if let Some(last) = bytes.iter().rposition(|byte| *byte != 0) {
                used = at + last as u64 + 1;
            }
            at += (bytes.len() as u64).max(1);
        }
        Ok(used)
    }

    fn record_at(&mut self, offset: u64) -> io::Result<Result<(Header, u32), Bad>> {
        let expected = self.summary.end;
        let bytes = self.window.upto(offset, HEADER_BYTES as u64)?;
        let (header, crc) = match Header::read(bytes, self.salt) {
            Ok(read) => read,
            Err(bad) => return Ok(Err(bad)),
        };
        if header.position != expected {
            let found = header.position;
            return Ok(Err(Bad::Position { expected, found }));
        }
        let checked = self.check_body(offset, &header)?;
        Ok(checked.map(|()| (header, crc)))
    }

    fn check_body(&mut self, offset: u64, header: &Header) -> io::Result<Result<(), Bad>> {
        if header.body_bytes as usize > FRAME_BYTES_MAX {
            return Ok(Err(Bad::Header));
        }
        if offset + header.stored_bytes() > self.window.len {
            return Ok(Err(Bad::Short));
        }
        if !self.check_bodies {
            return Ok(Ok(()));
        }
        let body_at = offset + HEADER_BYTES as u64;
        let body = self.window.upto(body_at, u64::from(header.body_bytes))?;
        Ok(header.check(body))
    }

    fn footer_at(&mut self, offset: u64) -> io::Result<Step> {
        let record = self.window.upto(offset, FOOTER_BYTES as u64)?;
        match Summary::from_footer(record, self.salt) {
            Ok(summary) => Ok(Step::Footer(summary)),
            Err(bad) => Ok(Step::Bad(bad)),
        }
    }
}

/// A part of a file in memory that moves along.
struct Window {
    file: Arc<dyn StorageFile>,
    len: u64,
    start: u64,
    bytes: Vec<u8>,
}

impl Window {
    fn new(file: Arc<dyn StorageFile>) -> io::Result<Self> {
        let len = file.len()?;
        Ok(Self {
            file,
            len,
            start: 0,
            bytes: Vec::new(),
        })
    }

    /// The bytes from `offset` on, `count` of them or as many as the file has.
    fn upto(&mut self, offset: u64, count: u64) -> io::Result<&[u8]> {
        let count = count.min(self.len.saturating_sub(offset));
        let loaded = self.start..=self.start + self.bytes.len() as u64;
        if !loaded.contains(&offset) || !loaded.contains(&(offset + count)) {
            self.load(offset, count.max(WINDOW_BYTES))?;
        }
        let from = (offset - self.start) as usize;
        let have = self.bytes.len().saturating_sub(from);
        let to = from + have.min(count as usize);
        Ok(self.bytes.get(from..to).unwrap_or_default())
    }

    fn load(&mut self, offset: u64, count: u64) -> io::Result<()> {
        let count = count.min(self.len.saturating_sub(offset));
        self.bytes.resize(count as usize, 0);
        let filled = self.file.read_at(offset, &mut self.bytes)?;
        self.bytes.truncate(filled);
        self.start = offset;
        Ok(())
    }
}
