//! How frames stand in a segment: 8-byte aligned records in little endian, each with two checksums. Does no input or
//! output, and knows nothing of what a body means.
//!
//! The header's checksum starts from the segment's salt, a number that no event can know: so nothing that somebody
//! sends in can pass for a frame when recovery looks for frames behind a torn one. Because the header has a checksum of
//! its own, and covers the body's, that search reads no bodies.

use bytes::{Buf, BufMut, Bytes};
use crc32fast::Hasher;

use super::Position;

/// The most bytes that the body of one frame may have.
pub const FRAME_BYTES_MAX: usize = 16 << 20;

/// The bytes in front of each body.
pub(super) const HEADER_BYTES: usize = 48;

/// Every record starts at a multiple of this.
pub(super) const ALIGNMENT: u64 = 8;

/// The format that this build writes and reads.
pub(super) const FORMAT_VERSION: u16 = 1;

const MAGIC: u32 = u32::from_le_bytes(*b"bfrm");
const FIELDS_BYTES: usize = HEADER_BYTES - 8;

/// One atomic journal entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The position of its first event.
    pub position: Position,
    /// How many positions it takes, at least 1.
    pub width: u32,
    /// When it was made, in milliseconds since 1970.
    pub time_ms: u64,
    /// What it says; the journal does not look inside.
    pub body: Bytes,
}

impl Frame {
    /// The position behind this frame.
    pub fn end(&self) -> Position {
        self.position.plus(u64::from(self.width))
    }
}

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Frame = 1,
    Footer = 2,
}

/// What stands in front of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub kind: Kind,
    pub body_bytes: u32,
    pub body_crc: u32,
    pub width: u32,
    pub position: Position,
    pub time_ms: u64,
    /// Everything before this was durable when the record was written.
    pub durable: Position,
}

/// Why bytes are not the record that should be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bad {
    Short,
    Magic,
    Header,
    Version(u16),
    Body,
    Position { expected: Position, found: Position },
}

impl Bad {
    pub(super) fn why(self) -> String {
        match self {
            Bad::Short => "the file ends inside a frame".into(),
            Bad::Magic => "a frame was expected, and none starts here".into(),
            Bad::Header => "the checksum of a frame's header does not match".into(),
            Bad::Version(found) => {
                format!("the format version is {found}, and {FORMAT_VERSION} was expected")
            }
            Bad::Body => "the checksum of a frame's body does not match".into(),
            Bad::Position { expected, found } => {
                format!("a frame says position {found}, and {expected} was expected")
            }
        }
    }
}

/// Appends a record to `buf`, padded. Returns the header's checksum, which stands for the whole record.
pub(super) fn put(buf: &mut Vec<u8>, header: &Header, body: &[u8], salt: u32) -> u32 {
    let crc = put_header(buf, header, salt);
    buf.put_slice(body);
    put_padding(buf, body.len());
    crc
}

/// Appends what stands before the body. Returns the header's checksum.
pub(super) fn put_header(buf: &mut Vec<u8>, header: &Header, salt: u32) -> u32 {
    let fields = header.fields();
    let crc = checksum(&fields, salt);
    buf.put_u32_le(MAGIC);
    buf.put_u32_le(crc);
    buf.put_slice(&fields);
    crc
}

/// Appends what stands behind a body of so many bytes.
pub(super) fn put_padding(buf: &mut Vec<u8>, body_bytes: usize) {
    buf.put_bytes(0, stored_bytes(body_bytes) as usize - HEADER_BYTES - body_bytes);
}

/// How many bytes a record with such a body takes.
pub(super) fn stored_bytes(body_bytes: usize) -> u64 {
    ((HEADER_BYTES + body_bytes) as u64).next_multiple_of(ALIGNMENT)
}

/// A checksum that starts from the segment's salt.
pub(super) fn checksum(bytes: &[u8], salt: u32) -> u32 {
    let mut hasher = Hasher::new_with_initial(salt);
    hasher.update(bytes);
    hasher.finalize()
}

impl Header {
    /// The header for a frame.
    pub(super) fn of(frame: &Frame, durable: Position) -> Self {
        Self {
            kind: Kind::Frame,
            body_bytes: frame.body.len() as u32,
            body_crc: crc32fast::hash(&frame.body),
            width: frame.width,
            position: frame.position,
            time_ms: frame.time_ms,
            durable,
        }
    }

    /// Reads a header, and returns it with its checksum.
    pub(super) fn read(mut bytes: &[u8], salt: u32) -> Result<(Self, u32), Bad> {
        if bytes.len() < HEADER_BYTES {
            return Err(Bad::Short);
        }
        if bytes.get_u32_le() != MAGIC {
            return Err(Bad::Magic);
        }
        let crc = bytes.get_u32_le();
        let fields = bytes.get(..FIELDS_BYTES).unwrap_or_default();
        if checksum(fields, salt) != crc {
            return Err(Bad::Header);
        }
        Ok((Self::from_fields(fields)?, crc))
    }

    /// Whether this is the body that belongs to the header.
    pub(super) fn check(&self, body: &[u8]) -> Result<(), Bad> {
        if crc32fast::hash(body) == self.body_crc { Ok(()) } else { Err(Bad::Body) }
    }

    pub(super) fn stored_bytes(&self) -> u64 {
        stored_bytes(self.body_bytes as usize)
    }

    /// The position behind the frame.
    pub(super) fn end(&self) -> Position {
        self.position.plus(u64::from(self.width))
    }

    fn fields(&self) -> [u8; FIELDS_BYTES] {
        let mut bytes = [0; FIELDS_BYTES];
        let mut fields = bytes.as_mut_slice();
        fields.put_u16_le(FORMAT_VERSION);
        fields.put_u16_le(self.kind as u16);
        fields.put_u32_le(self.body_bytes);
        fields.put_u32_le(self.body_crc);
        fields.put_u32_le(self.width);
        fields.put_u64_le(self.position.0);
        fields.put_u64_le(self.time_ms);
        fields.put_u64_le(self.durable.0);
        bytes
    }

    fn from_fields(mut fields: &[u8]) -> Result<Self, Bad> {
        let version = fields.get_u16_le();
        if version != FORMAT_VERSION {
            return Err(Bad::Version(version));
        }
        let kind = match fields.get_u16_le() {
            1 => Kind::Frame,
            2 => Kind::Footer,
            _ => return Err(Bad::Header),
        };
        Ok(Self {
            kind,
            body_bytes: fields.get_u32_le(),
            body_crc: fields.get_u32_le(),
            width: fields.get_u32_le(),
            position: Position(fields.get_u64_le()),
            time_ms: fields.get_u64_le(),
            durable: Position(fields.get_u64_le()),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    const SALT: u32 = 77;

    fn record() -> (Vec<u8>, Header) {
        let frame = Frame {
            position: Position(12),
            width: 3,
            time_ms: 1_700_000_000_000,
            body: Bytes::from_static(b"one atomic entry"),
        };
        let header = Header::of(&frame, Position(9));
        let mut buf = Vec::new();
        put(&mut buf, &header, &frame.body, SALT);
        (buf, header)
    }

    #[test]
    fn a_record_reads_as_it_was_written() {
        let (buf, header) = record();
        assert_eq!(buf.len() as u64, header.stored_bytes());
        assert_eq!(Header::read(&buf, SALT).unwrap().0, header);
        header.check(&buf[HEADER_BYTES..][..16]).unwrap();
        assert_eq!(header.end(), Position(15));
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let (buf, header) = record();
        for bit in 0..(HEADER_BYTES + 16) * 8 {
            let mut bad = buf.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let header_is_bad = Header::read(&bad, SALT).is_err();
            let body_is_bad = header.check(&bad[HEADER_BYTES..][..16]).is_err();
            assert!(header_is_bad || body_is_bad, "bit {bit}");
        }
    }

    #[test]
    fn a_record_of_another_segment_is_none() {
        let (buf, _) = record();
        assert_eq!(Header::read(&buf, SALT + 1), Err(Bad::Header));
    }

    #[test]
    fn a_later_format_is_told_apart_from_damage() {
        let (mut buf, _) = record();
        buf[8] = 2;
        let crc = checksum(&buf[8..HEADER_BYTES], SALT);
        buf[4..8].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(Header::read(&buf, SALT), Err(Bad::Version(2)));
    }
}
