//! What one segment file is: its name, the header that opens it, the footer that seals it, and the sum of what it holds.
//! Does no input or output.
//!
//! A file is a header, frames, and (once sealed) a footer as its last bytes. The header is durable before the first
//! frame is written, and all frames are durable before the footer is: so a footer that can be read vouches for all of them.

use std::hash::{BuildHasher, Hasher, RandomState};

use bytes::{Buf, BufMut};

use super::Position;
use super::frame::{self, Bad, FORMAT_VERSION, HEADER_BYTES, Header, Kind};

/// The bytes in front of the first frame.
pub(super) const SEGMENT_HEADER_BYTES: usize = 24;
/// The bytes of a whole footer.
pub(super) const FOOTER_BYTES: usize = HEADER_BYTES + FOOTER_BODY_BYTES;

const FOOTER_BODY_BYTES: usize = 48;
const MAGIC: u32 = u32::from_le_bytes(*b"bseg");
const SUFFIX: &str = ".seg";

/// What a reader may want to know of one segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentInfo {
    /// The position of its first frame.
    pub base: Position,
    /// The position behind its last frame.
    pub end: Position,
    /// Whether it is complete: it never changes again.
    pub sealed: bool,
    /// How many bytes of the file are in use.
    pub bytes: u64,
    /// The time of the first frame.
    pub first_time_ms: u64,
    /// The time of the last frame.
    pub last_time_ms: u64,
}

/// The file name of the segment that starts at `base`.
pub(super) fn name(base: Position) -> String {
    format!("{:020}{SUFFIX}", base.0)
}

/// The base of a segment from its file name, if it is one.
pub(super) fn base_of(file_name: &str) -> Option<Position> {
    let digits = file_name.strip_suffix(SUFFIX)?;
    let base = Position(digits.parse().ok()?);
    (name(base) == file_name).then_some(base)
}

/// What opens a segment file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub base: Position,
    pub salt: u32,
}

impl SegmentHeader {
    /// A header with a salt that nobody outside can guess.
    pub(super) fn new(base: Position) -> Self {
        let salt = RandomState::new().build_hasher().finish() as u32;
        Self { base, salt }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut fields = Vec::with_capacity(SEGMENT_HEADER_BYTES);
        fields.put_u16_le(FORMAT_VERSION);
        fields.put_u16_le(0);
        fields.put_u32_le(self.salt);
        fields.put_u64_le(self.base.0);
        let mut bytes = Vec::with_capacity(SEGMENT_HEADER_BYTES);
        bytes.put_u32_le(MAGIC);
        bytes.put_u32_le(crc32fast::hash(&fields));
        bytes.append(&mut fields);
        bytes
    }

    pub(super) fn read(mut bytes: &[u8]) -> Result<Self, Bad> {
        if bytes.len() < SEGMENT_HEADER_BYTES {
            return Err(Bad::Short);
        }
        if bytes.get_u32_le() != MAGIC {
            return Err(Bad::Magic);
        }
        let crc = bytes.get_u32_le();
        if crc32fast::hash(bytes.get(..SEGMENT_HEADER_BYTES - 8).unwrap_or_default()) != crc {
            return Err(Bad::Header);
        }
        match bytes.get_u16_le() {
            FORMAT_VERSION => bytes.advance(2),
            other => return Err(Bad::Version(other)),
        }
        let salt = bytes.get_u32_le();
        let base = Position(bytes.get_u64_le());
        Ok(Self { base, salt })
    }
}

/// The sum of the frames of one segment, kept while they are written or read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Summary {
    pub base: Position,
    pub end: Position,
    pub frames: u64,
    /// A checksum over the checksums of all frames in order: it notices a frame that is missing, doubled or exchanged.
    pub checksum: u32,
    pub first_time_ms: u64,
    pub last_time_ms: u64,
    /// Where the frames end in the file.
    pub bytes: u64,
}

impl Summary {
    pub(super) fn new(base: Position) -> Self {
        Self {
            base,
            end: base,
            frames: 0,
            checksum: 0,
            first_time_ms: 0,
            last_time_ms: 0,
            bytes: SEGMENT_HEADER_BYTES as u64,
        }
    }

    /// Counts the next frame, whose header has the checksum `crc`.
    pub(super) fn add(&mut self, header: &Header, crc: u32) {
        if self.frames == 0 {
            self.first_time_ms = header.time_ms;
        }
        self.frames += 1;
        self.end = header.end();
        self.checksum = frame::checksum(&crc.to_le_bytes(), self.checksum);
        self.last_time_ms = header.time_ms;
        self.bytes += header.stored_bytes();
    }

    pub(super) fn info(&self, sealed: bool) -> SegmentInfo {
        let footer = if sealed { FOOTER_BYTES as u64 } else { 0 };
        SegmentInfo {
            base: self.base,
            end: self.end,
            sealed,
            bytes: self.bytes + footer,
            first_time_ms: self.first_time_ms,
            last_time_ms: self.last_time_ms,
        }
    }

    /// The footer that seals a segment with these frames.
    pub(super) fn footer(&self, salt: u32) -> Vec<u8> {
        let mut body = Vec::with_capacity(FOOTER_BODY_BYTES);
        body.put_u64_le(self.base.0);
        body.put_u64_le(self.frames);
        body.put_u64_le(self.first_time_ms);
        body.put_u64_le(self.last_time_ms);
        body.put_u64_le(self.bytes);
        body.put_u64_le(u64::from(self.checksum));
        let header = Header {
            kind: Kind::Footer,
            body_bytes: FOOTER_BODY_BYTES as u32,
            body_crc: crc32fast::hash(&body),
            width: 0,
            position: self.end,
            time_ms: self.last_time_ms,
            durable: self.end,
        };
        let mut record = Vec::with_capacity(FOOTER_BYTES);
        frame::put(&mut record, &header, &body, salt);
        record
    }

    /// Reads a footer back, if these bytes are one.
    pub(super) fn from_footer(record: &[u8], salt: u32) -> Result<Self, Bad> {
        let (header, _) = Header::read(record, salt)?;
        let mut body = record.get(HEADER_BYTES..).unwrap_or_default();
        if header.kind != Kind::Footer || body.len() != FOOTER_BODY_BYTES {
            return Err(Bad::Magic);
        }
        header.check(body)?;
        Ok(Self {
            base: Position(body.get_u64_le()),
            end: header.position,
            frames: body.get_u64_le(),
            first_time_ms: body.get_u64_le(),
            last_time_ms: body.get_u64_le(),
            bytes: body.get_u64_le(),
            checksum: body.get_u64_le() as u32,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_file_name_gives_its_base_and_nothing_else_does() {
        assert_eq!(name(Position(42)), "00000000000000000042.seg");
        assert_eq!(base_of("00000000000000000042.seg"), Some(Position(42)));
        for other in [
            "42.seg",
            "00000000000000000042.tmp",
            "+0000000000000000042.seg",
        ] {
            assert_eq!(base_of(other), None, "{other}");
        }
    }

    #[test]
    fn header_and_footer_read_as_they_were_written() {
        let header = SegmentHeader::new(Position(7));
        assert_eq!(SegmentHeader::read(&header.encode()), Ok(header));
        let summary = Summary {
            frames: 3,
            end: Position(19),
            checksum: 0xdead_beef,
            ..Summary::new(Position(7))
        };
        let footer = summary.footer(header.salt);
        assert_eq!(footer.len(), FOOTER_BYTES);
        assert_eq!(Summary::from_footer(&footer, header.salt), Ok(summary));
    }

    #[test]
    fn a_flipped_bit_in_the_header_is_noticed() {
        let good = SegmentHeader::new(Position(7)).encode();
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            *bad.get_mut(bit / 8).unwrap() ^= 1 << (bit % 8);
            assert!(SegmentHeader::read(&bad).is_err(), "bit {bit}");
        }
    }
}
