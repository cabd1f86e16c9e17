//! Writes the rows of a batch into the guest's memory and reads the rows of its outcomes, a row at a time.
//!
//! The derived code goes field by field and looks the guest's memory up for each: measured, two thirds of a crossing.
//! This is the one place that leans on the engine's hidden side of `Lower` and `Lift`; a new engine that changes it
//! does not compile.

use std::mem::MaybeUninit;

use wasmtime::component::__internal::{InterfaceType, LiftContext, LowerContext};
use wasmtime::component::{ComponentType, Lift, Lower};

use super::bindings::{AttributeRow, EmitRow, EventRow, OutcomeRow, Span, Verdict, WriteRow};

const EVENT_BYTES: usize = 96;
const ATTRIBUTE_BYTES: usize = 16;
const _: () = assert!(<EventRow as ComponentType>::SIZE32 == EVENT_BYTES);
const _: () = assert!(<AttributeRow as ComponentType>::SIZE32 == ATTRIBUTE_BYTES);

/// Fills a row from the front, in the order and with the widths of the canonical ABI.
struct Row<const N: usize> {
    bytes: [u8; N],
    at: usize,
}

impl<const N: usize> Row<N> {
    fn new() -> Self {
        Self { bytes: [0; N], at: 0 }
    }

    #[inline(always)]
    fn put<const M: usize>(mut self, field: [u8; M]) -> Self {
        if let Some(place) = self.bytes.get_mut(self.at..self.at + M) {
            place.copy_from_slice(&field);
        }
        self.at += M;
        self
    }

    #[inline(always)]
    fn span(self, span: Span) -> Self {
        self.put(span.start.to_le_bytes()).put(span.len.to_le_bytes())
    }
}

fn event(row: &EventRow) -> [u8; EVENT_BYTES] {
    let spans = Row::new().span(row.channel).span(row.id).span(row.source).span(row.ty);
    let spans = spans.span(row.subject).span(row.partitionkey).span(row.datacontenttype);
    let numbers = spans.span(row.data).span(row.key).put(row.offset.to_le_bytes());
    let numbers = numbers.put(row.attempt.to_le_bytes()).put(row.attributes_start.to_le_bytes());
    numbers.put(row.attributes_count.to_le_bytes()).bytes
}

fn attribute(row: &AttributeRow) -> [u8; ATTRIBUTE_BYTES] {
    Row::new().span(row.name).span(row.value).bytes
}

macro_rules! lower_as_bytes {
    ($row:ident, $bytes:ident, $len:ident) => {
        // SAFETY: the size and alignment are those of the derived `ComponentType`, and the size is asserted above. The
        // engine reserves that many bytes before it calls `linear_lower_to_memory`, which writes exactly them.
        // Flat values are never written, so the engine reads none: rows are elements of lists only, which
        // lie in memory.
        #[allow(unsafe_code)]
        unsafe impl Lower for $row {
            fn linear_lower_to_flat<T>(
                &self,
                _: &mut LowerContext<'_, T>,
                _: InterfaceType,
                _: &mut MaybeUninit<Self::Lower>,
            ) -> wasmtime::Result<()> {
                wasmtime::bail!("a row crosses as the element of a list only")
            }

            fn linear_lower_to_memory<T>(
                &self,
                cx: &mut LowerContext<'_, T>,
                _: InterfaceType,
                offset: usize,
            ) -> wasmtime::Result<()> {
                *cx.get::<$len>(offset) = $bytes(self);
                Ok(())
            }
        }
    };
}

lower_as_bytes!(EventRow, event, EVENT_BYTES);
lower_as_bytes!(AttributeRow, attribute, ATTRIBUTE_BYTES);

/// Reads a row from the front, in the order and with the widths of the canonical ABI.
struct Cells<'a>(&'a [u8]);

impl Cells<'_> {
    #[inline(always)]
    fn take<const M: usize>(&mut self) -> wasmtime::Result<[u8; M]> {
        let (cell, rest) = self.0.split_first_chunk().ok_or_else(|| wasmtime::format_err!("a row is cut"))?;
        self.0 = rest;
        Ok(*cell)
    }

    #[inline(always)]
    fn u32(&mut self) -> wasmtime::Result<u32> {
        self.take().map(u32::from_le_bytes)
    }

    #[inline(always)]
    fn u64(&mut self) -> wasmtime::Result<u64> {
        self.take().map(u64::from_le_bytes)
    }

    #[inline(always)]
    fn span(&mut self) -> wasmtime::Result<Span> {
        Ok(Span { start: self.u32()?, len: self.u32()? })
    }

    /// An enum of one byte, padded to the next number.
    #[inline(always)]
    fn verdict(&mut self) -> wasmtime::Result<Verdict> {
        match self.take::<4>()? {
            [0, ..] => Ok(Verdict::Handled),
            [1, ..] => Ok(Verdict::Retry),
            [2, ..] => Ok(Verdict::Reject),
            [other, ..] => wasmtime::bail!("{other} is no verdict"),
        }
    }
}

fn read_attribute(cells: &mut Cells<'_>) -> wasmtime::Result<AttributeRow> {
    Ok(AttributeRow { name: cells.span()?, value: cells.span()? })
}

fn read_emit(cells: &mut Cells<'_>) -> wasmtime::Result<EmitRow> {
    Ok(EmitRow {
        channel: cells.span()?,
        ty: cells.span()?,
        subject: cells.span()?,
        partitionkey: cells.span()?,
        datacontenttype: cells.span()?,
        data: cells.span()?,
        attributes_start: cells.u32()?,
        attributes_count: cells.u32()?,
    })
}

fn read_write(cells: &mut Cells<'_>) -> wasmtime::Result<WriteRow> {
    Ok(WriteRow { name: cells.span()?, value: cells.span()?, expires_ms: cells.u64()? })
}

fn read_outcome(cells: &mut Cells<'_>) -> wasmtime::Result<OutcomeRow> {
    let verdict = cells.verdict()?;
    let (emits_count, writes_count) = (cells.u32()?, cells.u32()?);
    let (reply, note) = (cells.span()?, cells.span()?);
    cells.take::<4>()?;
    Ok(OutcomeRow { verdict, emits_count, writes_count, reply, note, retry_after_ms: cells.u64()? })
}

macro_rules! lift_from_bytes {
    ($row:ident, $read:ident, $len:literal) => {
        const _: () = assert!(<$row as ComponentType>::SIZE32 == $len);
        // SAFETY: every value that is made is valid whatever the bytes are, and the bytes are read by checked
        // steps. Flat values are refused: rows are elements of lists only, which lie in memory.
        #[allow(unsafe_code)]
        unsafe impl Lift for $row {
            fn linear_lift_from_flat(
                _: &mut LiftContext<'_>,
                _: InterfaceType,
                _: &Self::Lower,
            ) -> wasmtime::Result<Self> {
                wasmtime::bail!("a row crosses as the element of a list only")
            }

            #[inline]
            fn linear_lift_from_memory(
                _: &mut LiftContext<'_>,
                _: InterfaceType,
                bytes: &[u8],
            ) -> wasmtime::Result<Self> {
                $read(&mut Cells(bytes))
            }
        }
    };
}

lift_from_bytes!(AttributeRow, read_attribute, 16);
lift_from_bytes!(EmitRow, read_emit, 56);
lift_from_bytes!(WriteRow, read_write, 24);
lift_from_bytes!(OutcomeRow, read_outcome, 40);

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
            offset: 18,
            attempt: 20,
            attributes_start: 21,
            attributes_count: 22,
        };
        let words = event(&row);
        let words: Vec<_> = words.chunks_exact(4).filter_map(|word| word.first().copied()).collect();
        let spans: Vec<_> = (0..18).collect();
        assert_eq!(words, [spans, vec![18, 0, 20, 21, 22, 0]].concat());
    }

    #[test]
    fn a_verdict_that_does_not_exist_is_refused() {
        let mut bytes = [0_u8; 40];
        assert!(read_outcome(&mut Cells(&bytes)).is_ok_and(|row| row.verdict == Verdict::Handled));
        bytes.fill(3);
        assert!(read_outcome(&mut Cells(&bytes)).is_err());
        assert!(read_outcome(&mut Cells(&[0; 39])).is_err());
    }
}
