//! What came back from a call, checked once: afterwards every span lies in the arena, every text is UTF-8 and every
//! count adds up. Guests give it as rows; native handlers build it.

use super::bindings::{AttributeRow, EmitRow, OutcomeRow, OutcomeRows, Span, Verdict, WriteRow};
use super::error::CallError;
use super::limits::STATE_NAME_BYTES_MAX;

/// One outcome for each event of a batch, in its order.
#[derive(Debug)]
pub struct Outcomes {
    rows: OutcomeRows,
}

impl Outcomes {
    /// Takes rows that hold what the contract promises for `events` events.
    pub(super) fn check(rows: OutcomeRows, events: usize) -> Result<Self, CallError> {
        Check { rows: &rows }.all(events)?;
        Ok(Self { rows })
    }

    /// How many there are: as many as the batch had events.
    pub fn len(&self) -> usize {
        self.rows.outcomes.len()
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

/// Everything that a guest can get wrong.
struct Check<'a> {
    rows: &'a OutcomeRows,
}

impl Check<'_> {
    fn all(&self, events: usize) -> Result<(), CallError> {
        let OutcomeRows { outcomes, emits, writes, attributes, .. } = self.rows;
        if outcomes.len() != events {
            return Err(CallError::malformed(format!("{} outcomes for {events} events", outcomes.len())));
        }
        self.count("emits", outcomes.iter().map(|row| row.emits_count), emits.len())?;
        self.count("writes", outcomes.iter().map(|row| row.writes_count), writes.len())?;
        outcomes.iter().try_for_each(|row| self.outcome(row))?;
        emits.iter().try_for_each(|row| self.emit(row))?;
        writes.iter().try_for_each(|row| self.write(row))?;
        attributes.iter().try_for_each(|row| self.attribute(row))
    }

    fn count(&self, what: &str, counts: impl Iterator<Item = u32>, rows: usize) -> Result<(), CallError> {
        let sum: u64 = counts.map(u64::from).sum();
        if sum == rows as u64 {
            return Ok(());
        }
        Err(CallError::malformed(format!("the outcomes count {sum} {what}, there are {rows}")))
    }

    fn outcome(&self, row: &OutcomeRow) -> Result<(), CallError> {
        self.bytes("reply", row.reply)?;
        self.text("note", row.note)
    }

    fn emit(&self, row: &EmitRow) -> Result<(), CallError> {
        self.name("an emit's channel", row.channel)?;
        self.text("an emit's type", row.ty)?;
        self.text("an emit's subject", row.subject)?;
        self.text("an emit's partitionkey", row.partitionkey)?;
        self.text("an emit's datacontenttype", row.datacontenttype)?;
        self.bytes("an emit's data", row.data)?;
        let end = u64::from(row.attributes_start) + u64::from(row.attributes_count);
        if end > self.rows.attributes.len() as u64 {
            let rows = self.rows.attributes.len();
            return Err(CallError::malformed(format!("an emit has attributes up to row {end} of {rows}")));
        }
        Ok(())
    }

    fn write(&self, row: &WriteRow) -> Result<(), CallError> {
        self.name("a write's name", row.name)?;
        if row.name.len as usize > STATE_NAME_BYTES_MAX {
            let len = row.name.len;
            return Err(CallError::malformed(format!(
                "a write's name has {len} bytes, {STATE_NAME_BYTES_MAX} are allowed"
            )));
        }
        self.bytes("a write's value", row.value)
    }

    fn attribute(&self, row: &AttributeRow) -> Result<(), CallError> {
        self.name("an attribute's name", row.name)?;
        self.text("an attribute's value", row.value)
    }

    fn bytes(&self, what: &str, span: Span) -> Result<(), CallError> {
        self.present(what, span).map(drop)
    }

    fn present(&self, what: &str, span: Span) -> Result<Option<&[u8]>, CallError> {
        if span.is_absent() {
            return Ok(None);
        }
        let bytes = bytes(self.rows, span).ok_or_else(|| {
            let (Span { start, len }, arena) = (span, self.rows.arena.len());
            CallError::malformed(format!("{what} is {len} bytes from {start} in an arena of {arena}"))
        })?;
        Ok(Some(bytes))
    }

    fn text(&self, what: &str, span: Span) -> Result<(), CallError> {
        match self.present(what, span)? {
            Some(bytes) if std::str::from_utf8(bytes).is_err() => {
                Err(CallError::malformed(format!("{what} is not UTF-8")))
            }
            _ => Ok(()),
        }
    }

    fn name(&self, what: &str, span: Span) -> Result<(), CallError> {
        if span.is_absent() || span.len == 0 {
            return Err(CallError::malformed(format!("{what} is absent or empty")));
        }
        self.text(what, span)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(change: impl FnOnce(&mut OutcomeRows)) -> String {
        let absent = Span::ABSENT;
        let mut rows = OutcomeRows { arena: b"channel\xff".to_vec(), ..OutcomeRows::default() };
        rows.outcomes.push(OutcomeRow {
            verdict: Verdict::Handled,
            emits_count: 1,
            writes_count: 0,
            reply: absent,
            note: absent,
            retry_after_ms: 0,
        });
        rows.emits.push(EmitRow {
            channel: Span { start: 0, len: 7 },
            ty: absent,
            subject: absent,
            partitionkey: absent,
            datacontenttype: absent,
            data: absent,
            attributes_start: 0,
            attributes_count: 0,
        });
        change(&mut rows);
        Outcomes::check(rows, 1).map_or_else(|error| error.to_string(), |_| "sound".to_owned())
    }

    #[test]
    fn rows_that_add_up_are_sound() {
        assert_eq!(why(|_| ()), "sound");
    }

    #[test]
    fn everything_else_is_malformed_and_says_where() {
        type Change<'a> = &'a dyn Fn(&mut OutcomeRows);
        let cases: [(Change<'_>, &str); 7] = [
            (&|rows| rows.emits.extend_from_within(..), "count 1 emits, there are 2"),
            (
                &|rows| rows.emits.iter_mut().for_each(|row| row.channel.len = 9),
                "9 bytes from 0 in an arena of 8",
            ),
            (&|rows| rows.emits.iter_mut().for_each(|row| row.data.len = 1), "1 bytes from 4294967295"),
            (&|rows| rows.emits.iter_mut().for_each(|row| row.channel = Span::ABSENT), "channel is absent"),
            (&|rows| rows.emits.iter_mut().for_each(|row| row.channel.len = 8), "channel is not UTF-8"),
            (&|rows| rows.emits.iter_mut().for_each(|row| row.attributes_start = 1), "up to row 1 of 0"),
            (&|rows| rows.emits.iter_mut().for_each(|row| row.attributes_count = u32::MAX), "of 0"),
        ];
        for (change, words) in cases {
            let why = why(change);
            assert!(why.contains(words), "{why}");
        }
    }
}
