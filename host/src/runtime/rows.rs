//! How rows lie in a guest's memory. The engine's derived code walks a row field by field and looks the memory up for
//! each; a row of the contract is made of words, so it is written and read as a whole. Names and types are still the
//! engine's to compare: only the copying is ours.

use std::mem::MaybeUninit;

use wasmtime::component::__internal::{InterfaceType, LiftContext, LowerContext};
use wasmtime::component::{ComponentType, Lift, Lower};

use super::bindings::{AttributeRow, EmitRow, EventRow, OutcomeRow, Span, Verdict, WriteRow};

/// Rows cross in lists only; the engine never asks for one in registers.
const IN_LISTS_ONLY: &str = "a row crosses the sandbox in a list only";

/// Makes a row of so many words one that the host hands to guests: `words` takes it apart.
macro_rules! lower {
    ($row:ty, $count:literal, $words:expr) => {
        const _: () = assert!(<$row as ComponentType>::SIZE32 == $count * 4);

        // SAFETY: as many bytes as the type has are written at the offset that the engine gives, in the layout that
        // the canonical ABI gives the type.
        #[allow(unsafe_code)]
        unsafe impl Lower for $row {
            fn linear_lower_to_flat<T>(
                &self,
                _: &mut LowerContext<'_, T>,
                _: InterfaceType,
                _: &mut MaybeUninit<Self::Lower>,
            ) -> wasmtime::Result<()> {
                wasmtime::bail!(IN_LISTS_ONLY)
            }

            fn linear_lower_to_memory<T>(
                &self,
                cx: &mut LowerContext<'_, T>,
                ty: InterfaceType,
                offset: usize,
            ) -> wasmtime::Result<()> {
                Self::linear_store_list_to_memory(cx, ty, offset, std::slice::from_ref(self))
            }

            fn linear_store_list_to_memory<T>(
                cx: &mut LowerContext<'_, T>,
                _: InterfaceType,
                offset: usize,
                rows: &[Self],
            ) -> wasmtime::Result<()> {
                let memory = cx.as_slice_mut().get_mut(offset..).unwrap_or_default();
                for (place, row) in memory.chunks_exact_mut(Self::SIZE32).zip(rows) {
                    let words: [u32; $count] = $words(row);
                    put(place, &words);
                }
                Ok(())
            }
        }
    };
}

/// Makes a row of so many words one that guests hand to the host: `row` puts it together.
macro_rules! lift {
    ($row:ty, $count:literal, $of:expr) => {
        const _: () = assert!(<$row as ComponentType>::SIZE32 == $count * 4);

        // SAFETY: nothing but the bytes that the engine gives is read, and every word is a sound one but for those
        // that are checked.
        #[allow(unsafe_code)]
        unsafe impl Lift for $row {
            fn linear_lift_from_flat(
                _: &mut LiftContext<'_>,
                _: InterfaceType,
                _: &Self::Lower,
            ) -> wasmtime::Result<Self> {
                wasmtime::bail!(IN_LISTS_ONLY)
            }

            fn linear_lift_from_memory(
                _: &mut LiftContext<'_>,
                _: InterfaceType,
                bytes: &[u8],
            ) -> wasmtime::Result<Self> {
                let words: [u32; $count] = take(bytes);
                $of(words)
            }
        }
    };
}

fn put(place: &mut [u8], words: &[u32]) {
    for (place, word) in place.as_chunks_mut().0.iter_mut().zip(words) {
        *place = word.to_le_bytes();
    }
}

fn take<const COUNT: usize>(bytes: &[u8]) -> [u32; COUNT] {
    let mut words = [0; COUNT];
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
        *word = u32::from_le_bytes(*bytes);
    }
    words
}

fn span(start: u32, len: u32) -> Span {
    Span { start, len }
}

fn long(low: u32, high: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

fn event_words(row: &EventRow) -> [u32; 24] {
    let EventRow { channel, id, source, ty, subject, partitionkey, datacontenttype, data, key, .. } = *row;
    let mut words = [0; 24];
    let spans = [channel, id, source, ty, subject, partitionkey, datacontenttype, data, key];
    for (place, span) in words.as_chunks_mut().0.iter_mut().zip(spans) {
        *place = [span.start, span.len];
    }
    let (low, high) = (row.offset as u32, (row.offset >> 32) as u32);
    [words[18], words[19], words[20], words[21], words[22]] =
        [low, high, row.attempt, row.attributes_start, row.attributes_count];
    words
}

lower!(EventRow, 24, event_words);

lower!(AttributeRow, 4, |row: &AttributeRow| {
    [row.name.start, row.name.len, row.value.start, row.value.len]
});

lift!(AttributeRow, 4, |[a, b, c, d]: [u32; 4]| Ok(AttributeRow { name: span(a, b), value: span(c, d) }));

lift!(EmitRow, 14, |[a, b, c, d, e, f, g, h, i, j, k, l, attributes_start, attributes_count]: [u32; 14]| {
    Ok(EmitRow {
        channel: span(a, b),
        ty: span(c, d),
        subject: span(e, f),
        partitionkey: span(g, h),
        datacontenttype: span(i, j),
        data: span(k, l),
        attributes_start,
        attributes_count,
    })
});

lift!(WriteRow, 6, |[a, b, c, d, low, high]: [u32; 6]| {
    Ok(WriteRow { name: span(a, b), value: span(c, d), expires_ms: long(low, high) })
});

fn outcome_of(words: [u32; 10]) -> wasmtime::Result<OutcomeRow> {
    let [verdict, emits_count, writes_count, a, b, c, d, _, low, high] = words;
    Ok(OutcomeRow {
        verdict: verdict_of(verdict as u8)?,
        emits_count,
        writes_count,
        reply: span(a, b),
        note: span(c, d),
        retry_after_ms: long(low, high),
    })
}

lift!(OutcomeRow, 10, outcome_of);

fn verdict_of(byte: u8) -> wasmtime::Result<Verdict> {
    match byte {
        0 => Ok(Verdict::Handled),
        1 => Ok(Verdict::Retry),
        2 => Ok(Verdict::Reject),
        other => wasmtime::bail!("{other} is no verdict"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_lies_as_the_contract_orders_its_fields() {
        let span = |start| Span { start, len: start + 1 };
        let row = EventRow {
            channel: span(0),
            id: span(2),
            source: span(4),
            ty: span(6),
            subject: span(8),
            partitionkey: span(10),
            datacontenttype: span(12),
            data: span(14),
            key: span(16),
            offset: 18 | 19 << 32,
            attempt: 20,
            attributes_start: 21,
            attributes_count: 22,
        };
        let mut bytes = [0xff; 96];
        put(&mut bytes, &event_words(&row));
        let ordered: Vec<u32> = (0..23).chain([0]).collect();
        assert_eq!(take::<24>(&bytes).as_slice(), ordered);
    }

    #[test]
    fn a_verdict_that_does_not_exist_is_refused() {
        let reject = outcome_of([0xff02, 0, 0, 0, 0, 0, 0, 0, 7, 1]);
        assert!(reject.is_ok_and(|row| row.verdict == Verdict::Reject && row.retry_after_ms == 7 | 1 << 32));
        assert!(outcome_of([3, 0, 0, 0, 0, 0, 0, 0, 0, 0]).is_err());
    }
}
