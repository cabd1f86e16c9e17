//! The check of what came back from a call: the only place where a guest's spans, texts and counts are doubted.

use super::bindings::{AttributeRow, EmitRow, OutcomeRow, OutcomeRows, Span, WriteRow};
use super::error::CallError;
use super::limits::{OUTCOMES_BYTES_MAX, STATE_NAME_BYTES_MAX};

/// The most bytes that the texts of one call's outcomes may have together.
const TEXT_BYTES_MAX: u64 = 2 * OUTCOMES_BYTES_MAX as u64;

/// Refuses rows that do not hold what the contract promises for a batch of `events`.
pub(super) fn check(rows: &OutcomeRows, events: usize) -> Result<(), CallError> {
    Check { rows }.all(events)
}

struct Check<'a> {
    rows: &'a OutcomeRows,
}

impl Check<'_> {
    fn all(&self, events: usize) -> Result<(), CallError> {
        let OutcomeRows { outcomes, emits, writes, attributes, .. } = self.rows;
        if outcomes.len() != events {
            return Err(CallError::malformed(format!("{} outcomes for {events} events", outcomes.len())));
        }
        self.volume()?;
        self.count("emits", outcomes.iter().map(|row| row.emits_count), emits.len())?;
        self.count("writes", outcomes.iter().map(|row| row.writes_count), writes.len())?;
        outcomes.iter().try_for_each(|row| self.outcome(row))?;
        emits.iter().try_for_each(|row| self.emit(row))?;
        self.attribute_rows()?;
        writes.iter().try_for_each(|row| self.write(row))?;
        attributes.iter().try_for_each(|row| self.attribute(row))
    }

    /// Spans may share bytes: without this bound, looking at every text could take for ever, outside the guest's time.
    fn volume(&self) -> Result<(), CallError> {
        let sum = |spans: &[Span]| spans.iter().map(|span| u64::from(span.len)).sum::<u64>();
        let mut texts = 0;
        for row in &self.rows.outcomes {
            texts += u64::from(row.note.len);
        }
        for row in &self.rows.emits {
            texts += sum(&[row.channel, row.ty, row.subject, row.partitionkey, row.datacontenttype]);
        }
        for row in &self.rows.writes {
            texts += u64::from(row.name.len);
        }
        for row in &self.rows.attributes {
            texts += sum(&[row.name, row.value]);
        }
        if texts > TEXT_BYTES_MAX {
            let why = format!("its texts have {texts} bytes, {TEXT_BYTES_MAX} are allowed");
            return Err(CallError::malformed(why));
        }
        Ok(())
    }

    fn attribute_rows(&self) -> Result<(), CallError> {
        let named: u64 = self.rows.emits.iter().map(|row| u64::from(row.attributes_count)).sum();
        let there = self.rows.attributes.len();
        if named > there as u64 {
            return Err(CallError::malformed(format!(
                "the emits have {named} attributes, there are {there}"
            )));
        }
        Ok(())
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
        let bytes = span.of(&self.rows.arena).ok_or_else(|| {
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
    use crate::runtime::Verdict;

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
        check(&rows, 1).map_or_else(|error| error.to_string(), |()| "sound".to_owned())
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
        let shared: (Change<'_>, &str) = (
            &|rows| {
                rows.attributes
                    .push(AttributeRow { name: Span { start: 0, len: 7 }, value: Span { start: 0, len: 7 } });
                rows.emits.iter_mut().for_each(|row| row.attributes_count = 1);
                rows.emits.extend_from_within(..);
                rows.outcomes.iter_mut().for_each(|row| row.emits_count = 2);
            },
            "have 2 attributes, there are 1",
        );
        let large: (Change<'_>, &str) = (
            &|rows| {
                rows.arena = vec![b'x'; 1 << 20];
                rows.emits.iter_mut().for_each(|row| row.ty = Span { start: 0, len: 1 << 20 });
                (0..4).for_each(|_| rows.emits.extend_from_within(..));
                rows.emits.extend_from_within(..1);
            },
            "texts have 17825",
        );
        for (change, words) in cases.into_iter().chain([shared, large]) {
            let why = why(change);
            assert!(why.contains(words), "{why}");
        }
    }
}
