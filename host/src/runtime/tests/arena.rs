//! Outcomes that no guest should give: spans, counts and bytes by chance. They are refused, or everything in them can be looked at.

use crate::journal::storage::simulated::Chance;
use crate::runtime::bindings::{AttributeRow, EmitRow, OutcomeRow, OutcomeRows, Span, WriteRow};
use crate::runtime::{Outcomes, Verdict};

const ROWS: u64 = 20_000;
const EVENTS: usize = 2;

fn span(arena: usize, chance: &mut Chance) -> Span {
    match chance.below(60) {
        0 => Span { start: chance.number() as u32, len: chance.number() as u32 },
        1 => Span { start: u32::MAX, len: 1 + chance.below(3) as u32 },
        2..8 => Span::ABSENT,
        _ => {
            let start = chance.below(arena);
            Span { start: start as u32, len: chance.below(arena - start + 1) as u32 }
        }
    }
}

/// So many rows, told of in parts that mostly add up.
fn parts(rows: usize, chance: &mut Chance) -> [u32; EVENTS] {
    let first = chance.below(rows + 1);
    match chance.below(20) {
        0 => [chance.number() as u32, first as u32],
        _ => [first as u32, (rows - first) as u32],
    }
}

fn rows(chance: &mut Chance) -> OutcomeRows {
    let letter = |chance: &mut Chance| match chance.one_in(200) {
        true => chance.number() as u8,
        false => b'a' + chance.below(26) as u8,
    };
    let arena: Vec<u8> = (0..20 + chance.below(60)).map(|_| letter(chance)).collect();
    let len = arena.len();
    let (emits, writes, attributes) = (chance.below(3), chance.below(3), chance.below(2));
    let (emit_parts, write_parts) = (parts(emits, chance), parts(writes, chance));
    let outcome = |index: usize, chance: &mut Chance| OutcomeRow {
        verdict: [Verdict::Handled, Verdict::Retry, Verdict::Reject][chance.below(3)],
        emits_count: emit_parts[index],
        writes_count: write_parts[index],
        reply: Span::ABSENT,
        note: span(len, chance),
        retry_after_ms: chance.number(),
    };
    let emit = |index: usize, chance: &mut Chance| EmitRow {
        channel: span(len, chance),
        ty: span(len, chance),
        subject: span(len, chance),
        partitionkey: span(len, chance),
        datacontenttype: span(len, chance),
        data: span(len, chance),
        attributes_start: if index == 0 { 0 } else { chance.below(3) as u32 },
        attributes_count: if index == 0 { attributes as u32 } else { chance.below(20) as u32 / 19 },
    };
    let write = |_, chance: &mut Chance| WriteRow {
        name: span(len, chance),
        value: span(len, chance),
        expires_ms: chance.number(),
    };
    let attribute =
        |_, chance: &mut Chance| AttributeRow { name: span(len, chance), value: span(len, chance) };
    OutcomeRows {
        outcomes: (0..EVENTS).map(|index| outcome(index, chance)).collect(),
        emits: (0..emits).map(|index| emit(index, chance)).collect(),
        writes: (0..writes).map(|index| write(index, chance)).collect(),
        attributes: (0..attributes).map(|index| attribute(index, chance)).collect(),
        arena,
    }
}

/// Looks at everything; how many bytes there were.
fn look(outcomes: &Outcomes) -> usize {
    let mut seen = 0;
    for outcome in outcomes.iter() {
        seen += outcome.note().map_or(0, str::len) + outcome.reply().map_or(0, <[u8]>::len);
        for emit in outcome.emits() {
            let texts = [emit.ty(), emit.subject(), emit.partitionkey(), emit.datacontenttype()];
            seen += emit.channel().len() + texts.into_iter().flatten().map(str::len).sum::<usize>();
            seen += emit.data().map_or(0, <[u8]>::len);
            seen += emit.attributes().map(|(name, value)| name.len() + value.len()).sum::<usize>();
        }
        seen += outcome
            .writes()
            .map(|write| write.name.len() + write.value.map_or(0, <[u8]>::len))
            .sum::<usize>();
    }
    seen
}

#[test]
fn rows_by_chance_are_refused_or_hold_what_they_say() {
    let (mut taken, mut seen) = (0, 0);
    for seed in 0..ROWS {
        if let Ok(outcomes) = Outcomes::check(rows(&mut Chance::new(seed)), EVENTS) {
            assert_eq!(outcomes.iter().count(), EVENTS);
            taken += 1;
            seen += look(&outcomes);
        }
    }
    assert!(
        (ROWS / 200..ROWS / 2).contains(&taken) && seen > 1_000,
        "they show nothing: {taken}, {seen} bytes"
    );
}
