//! Rings: a processor that hears of itself again. Many are meant, as a warehouse that fills the stock until there is
//! enough; what each of them needs is an end that only the processors' code can have.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{Finding, Severity};
use crate::model::topology::Topology;

/// One ring for each processor that is on any, the shortest; no ring twice.
pub fn rings(topology: &Topology) -> Vec<Finding> {
    let mut told: BTreeSet<&str> = BTreeSet::new();
    let mut findings = Vec::new();
    for processor in &topology.processors {
        if told.contains(processor.name.as_str()) {
            continue;
        }
        if let Some(ring) = shortest(topology, &processor.name) {
            told.extend(ring.iter().map(|(_, processor)| *processor));
            findings.push(finding(&processor.name, &ring));
        }
    }
    findings
}

type Hop<'a> = (&'a str, &'a str);

/// The shortest way from a processor back to it: the channel and the processor of each hop.
fn shortest<'a>(topology: &'a Topology, start: &'a str) -> Option<Vec<Hop<'a>>> {
    let mut came_by: BTreeMap<&str, (&str, &str)> = BTreeMap::new();
    let mut ahead = VecDeque::from([start]);
    while let Some(from) = ahead.pop_front() {
        for (channel, to) in topology.next(from) {
            if came_by.contains_key(to) {
                continue;
            }
            came_by.insert(to, (channel, from));
            if to == start {
                return Some(way(&came_by, start));
            }
            ahead.push_back(to);
        }
    }
    None
}

fn way<'a>(came_by: &BTreeMap<&'a str, Hop<'a>>, start: &'a str) -> Vec<Hop<'a>> {
    let mut hops = Vec::new();
    let mut at = start;
    while let Some((channel, from)) = came_by.get(at) {
        hops.push((*channel, at));
        at = from;
        if at == start {
            break;
        }
    }
    hops.reverse();
    hops
}

fn finding(start: &str, ring: &[Hop<'_>]) -> Finding {
    let mut path = start.to_owned();
    for (channel, processor) in ring {
        path.push_str(&format!(" -({channel})-> {processor}"));
    }
    let (severity, code) = match ring {
        [_] => (Severity::Warning, "lint-own-channel"),
        _ => (Severity::Note, "lint-ring"),
    };
    let message =
        format!("a ring: {path}; it has to end by itself, or the host ends it after hops_max handlings");
    Finding::new((severity, code), message, ring.iter().map(|hop| hop.1), ring.iter().map(|hop| hop.0))
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)]
mod tests {
    use super::super::super::topology::fixture::topology;
    use super::*;

    #[test]
    fn a_ring_is_told_once_with_its_way() {
        let found = rings(&topology(
            &[
                ("fill", &["low"], &["filled"]),
                ("order", &["place"], &["ordered"]),
                ("stock", &["ordered", "filled"], &["low", "sold"]),
                ("mail", &["sold"], &[]),
            ],
            &[],
        ));
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].severity, found[0].code.as_str()), (Severity::Note, "lint-ring"));
        assert!(
            found[0].message.starts_with("a ring: fill -(filled)-> stock -(low)-> fill;"),
            "{}",
            found[0].message
        );
        assert_eq!(found[0].processors, ["stock", "fill"]);
    }

    #[test]
    fn who_reads_what_it_sends_is_warned_of() {
        let found = rings(&topology(&[("echo", &["a"], &["a"]), ("other", &["b"], &["c"])], &[]));
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].severity, found[0].code.as_str()), (Severity::Warning, "lint-own-channel"));
    }

    #[test]
    fn two_rings_are_both_told() {
        let found = rings(&topology(
            &[("a", &["x"], &["y"]), ("b", &["y"], &["x"]), ("c", &["v"], &["w"]), ("d", &["w"], &["v"])],
            &[],
        ));
        assert_eq!(found.len(), 2);
    }
}
