//! Runs a batch through a handler, event by event, and writes the outcomes. A fault voids what its own
//! event did and nothing else.

use std::time::Duration;

use crate::context::Context;
use crate::descriptor::Definition;
use crate::event::Event;
use crate::fault::{Fault, FaultKind, Told};
use crate::host::Host;
use crate::wire::{Batch, EventRow, Mark, OutcomeRow, Output, Span, Verdict};

/// Handles all events of a batch; `output` then holds the answer to this call only.
pub fn run(definition: &Definition, batch: Batch<'_>, host: &dyn Host, output: &mut Output) {
    output.clear();
    for (index, row) in batch.events.iter().enumerate() {
        let outcome = run_one(definition, batch, index as u32, row, host, output);
        output.outcomes.push(outcome);
    }
}

fn run_one(
    definition: &Definition,
    batch: Batch<'_>,
    index: u32,
    row: &EventRow,
    host: &dyn Host,
    output: &mut Output,
) -> OutcomeRow {
    let mut cx = Context::new(definition.descriptor, index, host, output);
    let handled = (definition.handle)(Event::new(batch, row), &mut cx);
    let (start, reply, note) = (cx.start, cx.reply, cx.note);
    match handled {
        Ok(Told { .. }) => handled_outcome(output, start, reply, note),
        Err(fault) => fault_outcome(output, start, &fault),
    }
}

fn handled_outcome(output: &Output, start: Mark, reply: Span, note: Span) -> OutcomeRow {
    OutcomeRow {
        verdict: Verdict::Handled,
        emits_count: (output.emits.len() - start.emits) as u32,
        writes_count: (output.writes.len() - start.writes) as u32,
        reply,
        note,
        retry_after_ms: 0,
    }
}

#[cold]
fn fault_outcome(output: &mut Output, start: Mark, fault: &Fault) -> OutcomeRow {
    output.roll_back(start);
    let (verdict, after) = match fault.kind() {
        FaultKind::Retry { after } => (Verdict::Retry, after.unwrap_or(Duration::ZERO)),
        FaultKind::Reject => (Verdict::Reject, Duration::ZERO),
    };
    OutcomeRow {
        verdict,
        emits_count: 0,
        writes_count: 0,
        reply: Span::ABSENT,
        note: output.put(fault.message().as_bytes()),
        retry_after_ms: u64::try_from(after.as_millis()).unwrap_or(u64::MAX),
    }
}
