//! What is different between what was expected and what was found. Pure: values in, differences out.

use serde_json::Value;

use crate::testkit::seen::{Emitted, HeldEvent};

use super::format::{Expect, ExpectedEmit, ExpectedFault, Order, Placed};
use super::report::Difference;

/// The most differences within one event that are listed.
const DETAILS_MAX: usize = 8;

/// Compares the events of a step.
pub fn emits(expect: &Expect, found: &[Emitted]) -> Vec<Difference> {
    let mut channels: Vec<&str> = expect.emits.iter().map(|emit| emit.what.channel.as_str()).collect();
    channels.extend(found.iter().map(|emit| emit.channel.as_str()));
    channels.sort_unstable();
    channels.dedup();
    channels.into_iter().flat_map(|channel| on_channel(expect, channel, found)).collect()
}

fn on_channel(expect: &Expect, channel: &str, found: &[Emitted]) -> Vec<Difference> {
    let asked = expect.emits.iter().filter(|emit| emit.what.channel == channel);
    let wanted: Vec<_> = asked.flat_map(|emit| std::iter::repeat_n(emit, emit.what.count)).collect();
    let found: Vec<_> = found.iter().filter(|emit| emit.channel == channel).collect();
    let fits = |one: usize, at: usize| match (wanted_at(&wanted, one), found.get(at)) {
        (Some(wanted), Some(found)) => emit_details(wanted, found).is_empty(),
        _ => false,
    };
    let partners = match expect.order {
        Order::Any => matched(wanted.len(), found.len(), fits),
        Order::Channel if expect.allow_other => in_turn(wanted.len(), found.len(), fits),
        Order::Channel => (0..wanted.len()).map(|at| fits(at, at).then_some(at)).collect(),
    };
    let mut free: Vec<_> = (0..found.len()).filter(|at| !partners.contains(&Some(*at))).collect();
    let mut differences = Vec::new();
    for (at, wanted) in wanted.iter().enumerate().filter(|(at, _)| partners.get(*at) == Some(&None)) {
        // The event that stands in its place says most about what went wrong.
        let near = free.iter().position(|free| *free == at).or((!free.is_empty()).then_some(0));
        let near = near.map(|near| free.remove(near)).and_then(|near| found.get(near));
        differences.push(not_there(wanted, near.copied(), found.len()));
    }
    if !expect.allow_other {
        differences.extend(free.into_iter().filter_map(|at| found.get(at)).map(|found| unexpected(found)));
    }
    differences
}

fn wanted_at<'a>(wanted: &[&'a Placed<ExpectedEmit>], at: usize) -> Option<&'a ExpectedEmit> {
    wanted.get(at).map(|wanted| &wanted.what)
}

fn not_there(wanted: &Placed<ExpectedEmit>, near: Option<&Emitted>, found: usize) -> Difference {
    let channel = &wanted.what.channel;
    match near {
        Some(near) => Difference {
            line: Some(wanted.line),
            what: format!("an event on '{channel}' is another, published by {}", near.by),
            details: emit_details(&wanted.what, near),
        },
        None => Difference {
            line: Some(wanted.line),
            what: format!("an event on '{channel}' is expected; {}", counted(found)),
            details: Vec::new(),
        },
    }
}

fn counted(found: usize) -> String {
    match found {
        0 => "there is none".to_owned(),
        1 => "there is 1, and it is expected too".to_owned(),
        many => format!("there are {many}, and they are expected too"),
    }
}

fn unexpected(found: &Emitted) -> Difference {
    Difference {
        line: None,
        what: format!("{} published on '{}', which is not expected", found.by, found.channel),
        details: vec![format!("data: {}", short(&found.data))],
    }
}

/// Each expected one in turn takes the first that fits behind the one before.
fn in_turn(wanted: usize, found: usize, fits: impl Fn(usize, usize) -> bool) -> Vec<Option<usize>> {
    let mut from = 0;
    let next = |wanted| {
        let at = (from..found).find(|at| fits(wanted, *at));
        from = at.map_or(from, |at| at + 1);
        at
    };
    (0..wanted).map(next).collect()
}

/// As many pairs as there can be: an expectation that says little gives way to one that says more.
fn matched(wanted: usize, found: usize, fits: impl Fn(usize, usize) -> bool) -> Vec<Option<usize>> {
    let mut holders: Vec<Option<usize>> = vec![None; found];
    for one in 0..wanted {
        take(one, &mut holders, &mut vec![false; found], &fits);
    }
    let partner = |one| holders.iter().position(|holder| *holder == Some(one));
    (0..wanted).map(partner).collect()
}

fn take(
    one: usize,
    holders: &mut [Option<usize>],
    tried: &mut [bool],
    fits: &impl Fn(usize, usize) -> bool,
) -> bool {
    for at in 0..holders.len() {
        if !fits(one, at) || tried.get(at).is_none_or(|tried| *tried) {
            continue;
        }
        tried.iter_mut().skip(at).take(1).for_each(|tried| *tried = true);
        let holder = holders.get(at).copied().flatten();
        if holder.is_none_or(|holder| take(holder, holders, tried, fits)) {
            holders.iter_mut().skip(at).take(1).for_each(|holder| *holder = Some(one));
            return true;
        }
    }
    false
}

fn emit_details(wanted: &ExpectedEmit, found: &Emitted) -> Vec<String> {
    let mut details = Vec::new();
    text(&mut details, "by", wanted.by.as_deref(), Some(&found.by));
    text(&mut details, "type", wanted.ty.as_deref(), Some(found.ty()));
    text(&mut details, "subject", wanted.subject.as_deref(), found.subject());
    for (name, value) in &wanted.extensions {
        text(&mut details, name, Some(value), found.attribute(name));
    }
    if let Some(data) = &wanted.data {
        values(&mut details, "data", data, Some(&found.data));
    }
    cut(details)
}

fn cut(mut details: Vec<String>) -> Vec<String> {
    let more = details.len().saturating_sub(DETAILS_MAX);
    details.truncate(DETAILS_MAX);
    details.extend((more > 0).then(|| format!("... and {more} more")));
    details
}

fn text(details: &mut Vec<String>, name: &str, wanted: Option<&str>, found: Option<&str>) {
    if let Some(wanted) = wanted.filter(|wanted| found != Some(wanted)) {
        let found = found.map_or_else(|| "nothing".to_owned(), |found| format!("'{found}'"));
        details.push(format!("{name}: expected '{wanted}', found {found}"));
    }
}

/// Says where `found` is not what `wanted` says: of an object the members that are named, of all else the whole.
pub fn value_details(name: &str, wanted: &Value, found: Option<&Value>) -> Vec<String> {
    let mut details = Vec::new();
    values(&mut details, name, wanted, found);
    cut(details)
}

fn values(details: &mut Vec<String>, path: &str, wanted: &Value, found: Option<&Value>) {
    match (wanted, found) {
        (Value::Object(wanted), Some(Value::Object(found))) => {
            wanted
                .iter()
                .for_each(|(name, value)| values(details, &format!("{path}/{name}"), value, found.get(name)));
        }
        (Value::Array(wanted), Some(Value::Array(found))) if wanted.len() == found.len() => {
            let pairs = wanted.iter().zip(found).enumerate();
            pairs.for_each(|(at, (wanted, found))| {
                values(details, &format!("{path}/{at}"), wanted, Some(found))
            });
        }
        (Value::Null, None) => {}
        (Value::Number(wanted), Some(Value::Number(found))) if wanted.as_f64() == found.as_f64() => {}
        (wanted, found) if Some(wanted) == found => {}
        (wanted, found) => {
            let found = found.map_or_else(|| "nothing".to_owned(), short);
            details.push(format!("{path}: expected {}, found {found}", short(wanted)));
        }
    }
}

/// A value on one line, cut where it is long.
fn short(value: &Value) -> String {
    const CHARS_MAX: usize = 160;
    let text = value.to_string();
    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

/// Compares the faults of a step.
pub fn faults(expect: &Expect, found: &[HeldEvent]) -> Vec<Difference> {
    let fits = |wanted: usize, at: usize| match (expect.faults.get(wanted), found.get(at)) {
        (Some(wanted), Some(found)) => fault_details(&wanted.what, found).is_empty(),
        _ => false,
    };
    let partners = matched(expect.faults.len(), found.len(), fits);
    let lost = expect.faults.iter().zip(&partners).filter(|(_, partner)| partner.is_none());
    let mut differences: Vec<_> = lost.map(|(wanted, _)| no_fault(wanted, found)).collect();
    if !expect.allow_other {
        let free = (0..found.len()).filter(|at| !partners.contains(&Some(*at)));
        differences.extend(free.filter_map(|at| found.get(at)).map(fault));
    }
    differences
}

fn no_fault(wanted: &Placed<ExpectedFault>, found: &[HeldEvent]) -> Difference {
    let name = &wanted.what.processor;
    let near = found.iter().find(|fault| fault.processor == *name);
    Difference {
        line: Some(wanted.line),
        what: match near {
            Some(_) => format!("a fault of {name} is another"),
            None => format!("a fault of {name} is expected; there is none"),
        },
        details: near.map_or_else(Vec::new, |near| fault_details(&wanted.what, near)),
    }
}

/// A fault that nobody expects.
pub fn fault(found: &HeldEvent) -> Difference {
    Difference {
        line: None,
        what: format!(
            "{} failed on '{}' at offset {} and holds the key '{}'",
            found.processor, found.channel, found.offset, found.key
        ),
        details: vec![format!("{}: {}", found.kind, found.message)],
    }
}

fn fault_details(wanted: &ExpectedFault, found: &HeldEvent) -> Vec<String> {
    let mut details = Vec::new();
    text(&mut details, "processor", Some(&wanted.processor), Some(&found.processor));
    text(&mut details, "channel", wanted.channel.as_deref(), Some(&found.channel));
    text(&mut details, "key", wanted.key.as_deref(), Some(&found.key));
    text(&mut details, "kind", wanted.kind.as_deref(), Some(&found.kind));
    if let Some(part) = wanted.message.as_ref().filter(|part| !found.message.contains(*part)) {
        details.push(format!("message: expected '{part}' in it, found '{}'", found.message));
    }
    details
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use serde_json::json;

    fn emitted(channel: &str, data: Value) -> Emitted {
        let event = json!({"type": channel, "subject": "s"});
        Emitted { channel: channel.to_owned(), by: "p".to_owned(), offset: 0, position: 0, data, event }
    }

    fn wanted(channel: &str, data: Value) -> Placed<ExpectedEmit> {
        let what = serde_json::from_value(json!({"channel": channel, "data": data})).unwrap();
        Placed { what, line: 7 }
    }

    fn expect(emits: Vec<Placed<ExpectedEmit>>, order: Order, allow_other: bool) -> Expect {
        Expect { emits, order, allow_other, ..Expect::default() }
    }

    fn count(expect: &Expect, found: &[Emitted]) -> usize {
        emits(expect, found).len()
    }

    #[test]
    fn of_an_object_only_what_is_named_counts() {
        let details = |wanted, found: Value| value_details("data", &wanted, Some(&found));
        assert!(details(json!({"a": {"b": 1}}), json!({"a": {"b": 1.0, "c": 2}, "d": 3})).is_empty());
        assert!(details(json!({"a": null}), json!({})).is_empty());
        assert_eq!(details(json!({"a": [1]}), json!({"a": [1, 2]})), ["data/a: expected [1], found [1,2]"]);
        assert_eq!(
            details(json!({"a": {"b": "x"}}), json!({"a": {}})),
            ["data/a/b: expected \"x\", found nothing"]
        );
        let many: Value =
            (0..20).map(|n| (n.to_string(), json!(1))).collect::<serde_json::Map<_, _>>().into();
        assert_eq!(details(many, json!({})).len(), DETAILS_MAX + 1);
    }

    #[test]
    fn the_count_is_exact_unless_others_are_allowed() {
        let found = [emitted("a", json!(1)), emitted("a", json!(2)), emitted("b", json!(3))];
        let all = || vec![wanted("a", json!(1)), wanted("a", json!(2)), wanted("b", json!(3))];
        assert_eq!(count(&expect(all(), Order::Channel, false), &found), 0);
        let some = || vec![wanted("a", json!(2))];
        assert_eq!(count(&expect(some(), Order::Channel, true), &found), 0);
        // The first of `a` is another, the second is not expected, nor is that of `b`.
        assert_eq!(count(&expect(some(), Order::Channel, false), &found), 3);
        let twice = vec![wanted("b", json!(3)), wanted("b", json!(3))];
        assert_eq!(count(&expect(twice, Order::Channel, true), &found), 1);
    }

    #[test]
    fn the_order_counts_within_a_channel_unless_any_is_asked_for() {
        let found = [emitted("a", json!({"n": 1})), emitted("a", json!({"n": 2}))];
        let turned = || vec![wanted("a", json!({"n": 2})), wanted("a", json!({"n": 1}))];
        assert_eq!(count(&expect(turned(), Order::Channel, false), &found), 2);
        assert_eq!(count(&expect(turned(), Order::Any, false), &found), 0);
        // The first fits both, and gives way to the second.
        let vague = vec![wanted("a", json!({})), wanted("a", json!({"n": 1}))];
        assert_eq!(count(&expect(vague, Order::Any, false), &found), 0);
    }

    #[test]
    fn a_difference_says_what_and_where() {
        let expect = expect(vec![wanted("a", json!({"reason": "declined"}))], Order::Channel, false);
        let differences = emits(&expect, &[emitted("a", json!({"reason": "expired"}))]);
        assert_eq!((differences.len(), differences[0].line), (1, Some(7)));
        assert_eq!(differences[0].details, ["data/reason: expected \"declined\", found \"expired\""]);
        assert_eq!(emits(&expect, &[])[0].what, "an event on 'a' is expected; there is none");
    }

    #[test]
    fn faults_are_compared_by_what_is_said() {
        let held = |key: &str| HeldEvent {
            processor: "p".to_owned(),
            channel: "a".to_owned(),
            offset: 3,
            key: key.to_owned(),
            kind: "trap".to_owned(),
            message: "index out of bounds".to_owned(),
        };
        let wanted = |text: Value| Placed { what: serde_json::from_value(text).unwrap(), line: 9 };
        let one = |text| Expect { faults: vec![wanted(text)], ..Expect::default() };
        assert!(faults(&one(json!({"processor": "p", "message": "bounds"})), &[held("k")]).is_empty());
        let other = faults(&one(json!({"processor": "p", "kind": "reject"})), &[held("k")]);
        assert_eq!(other[0].details, ["kind: expected 'reject', found 'trap'"]);
        assert_eq!(faults(&Expect::default(), &[held("k")]).len(), 1);
        assert!(faults(&one(json!({"processor": "q"})), &[])[0].what.contains("there is none"));
    }
}
