//! What came back from a call, checked once: afterwards every span lies in the arena, every text is UTF-8 and every
//! count adds up. Guests give it as rows; native handlers build it.

use super::bindings::{EmitRow, OutcomeRow, OutcomeRows, Span, Verdict, WriteRow};
use super::check::check;
use super::error::CallError;

/// One outcome for each event of a batch, in its order.
#[derive(Debug)]
pub struct Outcomes {
    rows: OutcomeRows,
}

impl Outcomes {
    /// Takes rows that hold what the contract promises for `events` events.
    pub(super) fn check(rows: OutcomeRows, events: usize) -> Result<Self, CallError> {
        check(&rows, events)?;
        Ok(Self { rows })
    }

    /// How many there are: as many as the batch had events.
    pub fn len(&self) -> usize {
        self.rows.outcomes.len()
    }

    /// How many bytes their arena has.
    pub fn bytes(&self) -> usize {
        self.rows.arena.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.outcomes.is_empty()
    }

    /// The outcomes in the order of the events.
    pub fn iter(&self) -> impl Iterator<Item = Outcome<'_>> {
        let (mut emits, mut writes) = (self.rows.emits.as_slice(), self.rows.writes.as_slice());
        self.rows.outcomes.iter().map(move |row| Outcome {
            emits: split_front(&mut emits, row.emits_count),
            writes: split_front(&mut writes, row.writes_count),
            rows: &self.rows,
            row,
        })
    }
}

/// Takes the first `count` rows off the slice.
fn split_front<'a, T>(rest: &mut &'a [T], count: u32) -> &'a [T] {
    let (front, back) = rest.split_at_checked(count as usize).unwrap_or((rest, &[]));
    *rest = back;
    front
}

/// What became of one event.
#[derive(Clone, Copy, Debug)]
pub struct Outcome<'a> {
    rows: &'a OutcomeRows,
    row: &'a OutcomeRow,
    emits: &'a [EmitRow],
    writes: &'a [WriteRow],
}

impl<'a> Outcome<'a> {
    /// Whether its effects are to be committed.
    pub fn verdict(&self) -> Verdict {
        self.row.verdict
    }

    /// The events to publish; none unless it was handled.
    pub fn emits(&self) -> impl ExactSizeIterator<Item = Emit<'a>> + use<'a> {
        let rows = self.rows;
        self.if_handled(self.emits).iter().map(move |row| Emit { rows, row })
    }

    /// The changes of the key's state; none unless it was handled.
    pub fn writes(&self) -> impl ExactSizeIterator<Item = Write<'a>> + use<'a> {
        let rows = self.rows;
        self.if_handled(self.writes).iter().map(move |row| Write {
            name: text(rows, row.name).unwrap_or_default(),
            value: bytes(rows, row.value),
            expires_ms: row.expires_ms,
        })
    }

    /// JSON for the one who waits for an answer.
    pub fn reply(&self) -> Option<&'a [u8]> {
        bytes(self.rows, self.row.reply).filter(|_| self.verdict() == Verdict::Handled)
    }

    /// Why nothing was published, or what went wrong.
    pub fn note(&self) -> Option<&'a str> {
        text(self.rows, self.row.note)
    }

    /// How long a retry waits at least; 0 leaves it to the host.
    pub fn retry_after_ms(&self) -> u64 {
        self.row.retry_after_ms
    }

    fn if_handled<T>(&self, rows: &'a [T]) -> &'a [T] {
        if self.verdict() == Verdict::Handled { rows } else { &[] }
    }
}

/// An event that the processor publishes.
#[derive(Clone, Copy, Debug)]
pub struct Emit<'a> {
    rows: &'a OutcomeRows,
    row: &'a EmitRow,
}

impl<'a> Emit<'a> {
    /// Where to.
    pub fn channel(&self) -> &'a str {
        text(self.rows, self.row.channel).unwrap_or_default()
    }

    /// Its type; absent, it is the channel's name.
    pub fn ty(&self) -> Option<&'a str> {
        text(self.rows, self.row.ty)
    }

    /// Its subject; absent, it is the cause's.
    pub fn subject(&self) -> Option<&'a str> {
        text(self.rows, self.row.subject)
    }

    /// Its partition key; absent, it is the cause's.
    pub fn partitionkey(&self) -> Option<&'a str> {
        text(self.rows, self.row.partitionkey)
    }

    /// What its data is.
    pub fn datacontenttype(&self) -> Option<&'a str> {
        text(self.rows, self.row.datacontenttype)
    }

    /// Its data.
    pub fn data(&self) -> Option<&'a [u8]> {
        bytes(self.rows, self.row.data)
    }

    /// Its other attributes and extensions: name and text.
    pub fn attributes(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let rows = self.rows;
        let own = rows.attributes.iter().skip(self.row.attributes_start as usize);
        own.take(self.row.attributes_count as usize)
            .filter_map(move |row| Some((text(rows, row.name)?, text(rows, row.value)?)))
    }
}

/// A change of the state of the event's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Write<'a> {
    /// Which value.
    pub name: &'a str,
    /// The new value; absent, the name is deleted.
    pub value: Option<&'a [u8]>,
    /// When it expires, in milliseconds since the Unix epoch; 0 is never.
    pub expires_ms: u64,
}

fn bytes(rows: &OutcomeRows, span: Span) -> Option<&[u8]> {
    span.of(&rows.arena)
}

fn text(rows: &OutcomeRows, span: Span) -> Option<&str> {
    std::str::from_utf8(bytes(rows, span)?).ok()
}
