//! The rows that cross the sandbox, exactly as the canonical ABI of `wit/processor.wit` lays them
//! out, and the buffers that hold them. Knows nothing of handlers, serde types or hosts.

/// A run of bytes in the arena that came with a row.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    start: u32,
    len: u32,
}

impl Span {
    /// No value at all, which is not the same as an empty one.
    pub const ABSENT: Self = Self { start: u32::MAX, len: 0 };

    /// The bytes of this span, unless it is absent or points outside the arena.
    pub fn bytes(self, arena: &[u8]) -> Option<&[u8]> {
        let start = self.start as usize;
        arena.get(start..start.checked_add(self.len as usize)?)
    }

    /// The text of this span, unless it is absent or not UTF-8.
    pub fn text(self, arena: &[u8]) -> Option<&str> {
        std::str::from_utf8(self.bytes(arena)?).ok()
    }
}

/// One event of a batch.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct EventRow {
    pub channel: Span,
    pub id: Span,
    pub source: Span,
    pub type_: Span,
    pub subject: Span,
    pub partition_key: Span,
    pub content_type: Span,
    pub data: Span,
    pub key: Span,
    pub offset: u64,
    pub attempt: u32,
    pub attributes_start: u32,
    pub attributes_count: u32,
}

/// An attribute or extension without a field of its own.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct AttributeRow {
    pub name: Span,
    pub value: Span,
}

/// One event to publish.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct EmitRow {
    pub channel: Span,
    pub type_: Span,
    pub subject: Span,
    pub partition_key: Span,
    pub content_type: Span,
    pub data: Span,
    pub attributes_start: u32,
    pub attributes_count: u32,
}

/// One change of the state.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct WriteRow {
    pub name: Span,
    pub value: Span,
    pub expires_ms: u64,
}

/// What became of one event.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Handled,
    Retry,
    Reject,
}

/// One event's share of the answer.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct OutcomeRow {
    pub verdict: Verdict,
    pub emits_count: u32,
    pub writes_count: u32,
    pub reply: Span,
    pub note: Span,
    pub retry_after_ms: u64,
}

/// The layouts that `wit/processor.wit` gives: a row that drifts does not compile.
const _: () = {
    assert!(size_of::<Span>() == 8 && align_of::<Span>() == 4);
    assert!(size_of::<EventRow>() == 96 && align_of::<EventRow>() == 8);
    assert!(size_of::<AttributeRow>() == 16 && size_of::<EmitRow>() == 56);
    assert!(size_of::<WriteRow>() == 24 && align_of::<WriteRow>() == 8);
    assert!(size_of::<OutcomeRow>() == 40 && align_of::<OutcomeRow>() == 8);
    assert!(std::mem::offset_of!(OutcomeRow, retry_after_ms) == 32);
    assert!(std::mem::offset_of!(EventRow, offset) == 72);
};

/// The events of one call.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    pub arena: &'a [u8],
    pub events: &'a [EventRow],
    pub attributes: &'a [AttributeRow],
}

/// The answer to one call while it is written. Kept and used again by the next call.
#[derive(Debug, Default)]
pub struct Output {
    pub arena: Vec<u8>,
    pub outcomes: Vec<OutcomeRow>,
    pub emits: Vec<EmitRow>,
    pub writes: Vec<WriteRow>,
    pub attributes: Vec<AttributeRow>,
}

/// How long the tables of an [`Output`] were at some moment.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    arena: usize,
    pub emits: usize,
    pub writes: usize,
    attributes: usize,
}

/// The arena that an idle instance may keep; a larger one is given back after the call.
pub const KEPT_BYTES_MAX: usize = 1 << 20;

impl Output {
    /// An output without any buffer yet.
    pub const fn new() -> Self {
        Self {
            arena: Vec::new(),
            outcomes: Vec::new(),
            emits: Vec::new(),
            writes: Vec::new(),
            attributes: Vec::new(),
        }
    }

    /// Appends bytes to the arena.
    pub fn put(&mut self, bytes: &[u8]) -> Span {
        let start = self.arena.len();
        self.arena.extend_from_slice(bytes);
        self.span_from(start)
    }

    /// Appends a value to the arena as JSON; leaves nothing behind when that fails.
    pub fn put_json<T: serde::Serialize + ?Sized>(&mut self, value: &T) -> Result<Span, serde_json::Error> {
        let start = self.arena.len();
        match serde_json::to_writer(&mut self.arena, value) {
            Ok(()) => Ok(self.span_from(start)),
            Err(error) => {
                self.arena.truncate(start);
                Err(error)
            }
        }
    }

    /// What the arena holds from `start` on. A wasm memory ends at 4 GiB, so `u32` always suffices.
    fn span_from(&self, start: usize) -> Span {
        Span { start: start as u32, len: (self.arena.len() - start) as u32 }
    }

    /// The present end of all tables.
    pub fn mark(&self) -> Mark {
        Mark {
            arena: self.arena.len(),
            emits: self.emits.len(),
            writes: self.writes.len(),
            attributes: self.attributes.len(),
        }
    }

    /// Forgets all that was written since the mark.
    pub fn roll_back(&mut self, mark: Mark) {
        self.arena.truncate(mark.arena);
        self.emits.truncate(mark.emits);
        self.writes.truncate(mark.writes);
        self.attributes.truncate(mark.attributes);
    }

    /// Empties the output and keeps its buffers.
    pub fn clear(&mut self) {
        self.outcomes.clear();
        self.roll_back(Mark { arena: 0, emits: 0, writes: 0, attributes: 0 });
    }

    /// Gives back what one large answer took.
    pub fn trim(&mut self) {
        if self.arena.capacity() > KEPT_BYTES_MAX {
            *self = Self::new();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_span_outside_the_arena_is_absent() {
        assert_eq!(Span::ABSENT.bytes(b"abc"), None);
        assert_eq!(Span { start: 2, len: 2 }.bytes(b"abc"), None);
        assert_eq!(Span { start: 3, len: 0 }.bytes(b"abc"), Some(&b""[..]));
        assert_eq!(Span { start: 0, len: 1 }.text(&[0xff]), None);
    }

    #[test]
    fn json_that_fails_leaves_nothing_behind() {
        let mut output = Output::new();
        output.put(b"x");
        let no_text_keys = std::collections::BTreeMap::from([(vec![1], 1)]);
        output.put_json(&no_text_keys).unwrap_err();
        assert_eq!(output.arena, b"x");
    }

    #[test]
    fn an_arena_above_the_bound_is_given_back() {
        let mut output = Output::new();
        output.put(&vec![0; KEPT_BYTES_MAX]);
        output.trim();
        assert_eq!(output.arena.capacity(), KEPT_BYTES_MAX);
        output.put(b"1");
        output.trim();
        assert_eq!(output.arena.capacity(), 0);
    }
}
