//! Compares what the folder wants with what runs. Pure: it does nothing about it.

use std::collections::{BTreeMap, BTreeSet};

use super::file::{Claim, File, Phase};
use super::memory::Memory;
use super::wanted::FileFault;
use crate::model::name::ProcessorName;

/// What runs, and what the consumer has been asked for and did not answer yet.
#[derive(Debug, Default)]
pub(super) struct World {
    /// Current and previous digest.
    pub running: BTreeMap<ProcessorName, Digests>,
    /// One request at a time for each processor; a removal has no digest.
    pub asked: BTreeMap<ProcessorName, Option<String>>,
    /// Removals that failed, until the next rescan.
    pub stuck: BTreeSet<ProcessorName>,
}

/// The versions of a processor whose bytes are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Digests {
    pub current: String,
    pub previous: Option<String>,
}

/// What to do.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub removals: Vec<ProcessorName>,
    /// Files and the versions that they are.
    pub offers: Vec<(String, Claim)>,
    /// Files that provide a name which an older file holds, and why they do not run.
    pub clashes: BTreeMap<String, FileFault>,
}

impl World {
    /// Whether these bytes run under this name.
    pub fn runs(&self, claim: &Claim) -> bool {
        self.running.get(&claim.name).is_some_and(|digests| digests.current == claim.digest)
    }

    /// Whether the consumer was asked to run these bytes and did not answer yet.
    pub fn is_asked(&self, claim: &Claim) -> bool {
        self.asked.get(&claim.name).is_some_and(|digest| digest.as_ref() == Some(&claim.digest))
    }

    /// These bytes run now.
    pub fn deployed(&mut self, claim: &Claim) {
        let new = Digests { current: claim.digest.clone(), previous: None };
        let old = self.running.insert(claim.name.clone(), new.clone());
        let previous =
            old.and_then(|old| if old.current == new.current { old.previous } else { Some(old.current) });
        self.running.insert(claim.name.clone(), Digests { previous, ..new });
    }

    /// The processor that runs these bytes.
    pub fn runner_of(&self, digest: &str) -> Option<&ProcessorName> {
        self.running.iter().find(|(_, digests)| digests.current == digest).map(|(name, _)| name)
    }
}

/// What the folder wants that is not so.
pub(super) fn decide(memory: &Memory, world: &World) -> Plan {
    let mut plan = Plan::default();
    let claimants = claimants(memory);
    for (name, files) in &claimants {
        let Some(((holder, file, claim), others)) = files.split_first() else { continue };
        if wants(file) && !world.asked.contains_key(*name) && !world.runs(claim) {
            plan.offers.push(((*holder).to_owned(), (*claim).clone()));
        }
        let others = others.iter().filter(|(_, file, _)| !file.is_gone());
        plan.clashes.extend(others.map(|(file, _, _)| ((*file).to_owned(), clash(name, holder))));
    }
    let gone = world.running.keys().filter(|name| !claimants.contains_key(name));
    let idle = gone.filter(|name| !world.asked.contains_key(*name) && !world.stuck.contains(*name));
    plan.removals = if memory.is_unsure() { Vec::new() } else { idle.cloned().collect() };
    plan
}

type Claimant<'a> = (&'a str, &'a File, &'a Claim);

/// The files by the processor that they provide: who is there before who left, who came first before who came later.
fn claimants(memory: &Memory) -> BTreeMap<&ProcessorName, Vec<Claimant<'_>>> {
    let mut claimants: BTreeMap<_, Vec<Claimant<'_>>> = BTreeMap::new();
    for (name, file) in &memory.files {
        if let Some(claim) = &file.claim {
            claimants.entry(&claim.name).or_default().push((name, file, claim));
        }
    }
    for files in claimants.values_mut() {
        files.sort_by_key(|(_, file, _)| (file.is_gone(), file.order));
    }
    claimants
}

fn wants(file: &File) -> bool {
    file.phase == Phase::Looked && file.fault.is_none()
}

fn clash(name: &ProcessorName, holder: &str) -> FileFault {
    FileFault::new(
        "name-clash",
        format!(
            "'{holder}' provides the processor '{name}' already; remove one of the two files, or give this one another name in its descriptor"
        ),
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::registry::file::{Look, Patience, Stamp};
    use crate::registry::memory::Listing;
    use std::time::Duration;

    const PATIENCE: Patience =
        Patience { settle: Duration::from_millis(10), doubt: Duration::from_millis(50) };

    fn name(text: &str) -> ProcessorName {
        text.parse().unwrap()
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn listing(files: &[(&str, u64)]) -> Listing {
        let stamp = |bytes| Stamp { bytes, regular: true, ..Stamp::default() };
        files.iter().map(|(file, bytes)| ((*file).to_owned(), stamp(*bytes))).collect()
    }

    fn claim(processor: &str, digest: &str) -> Claim {
        Claim { name: name(processor), digest: digest.to_owned() }
    }

    fn runs(processor: &str, digest: &str) -> World {
        let mut world = World::default();
        world.deployed(&claim(processor, digest));
        world
    }

    #[test]
    fn nothing_is_removed_while_an_unread_file_may_be_the_renamed_one() {
        let mut memory = Memory::new(PATIENCE, &[]);
        memory.see(&listing(&[("new.wasm", 1)]), ms(0));
        let world = runs("mail", "one");
        assert_eq!(decide(&memory, &world), Plan::default());
        memory.looked("new.wasm", Look::Good(claim("stock", "two")), ms(10));
        assert_eq!(decide(&memory, &world).removals, [name("mail")]);
    }

    #[test]
    fn a_file_that_grows_holds_no_removal_back() {
        let mut memory = Memory::new(PATIENCE, &[]);
        memory.see(&listing(&[("new.wasm", 1)]), ms(0));
        memory.see(&listing(&[("new.wasm", 2)]), ms(1));
        assert_eq!(decide(&memory, &runs("mail", "one")).removals, [name("mail")]);
    }

    #[test]
    fn a_file_that_is_being_compiled_holds_up_nobody_and_is_no_version_yet() {
        let mut memory = Memory::new(PATIENCE, &[]);
        memory.see(&listing(&[("new.wasm", 1)]), ms(0));
        memory.looked("new.wasm", Look::Compiling(claim("stock", "two")), ms(10));
        assert_eq!((memory.due(ms(1000)), memory.providers(&name("stock")).len()), (None, 1));
        let plan = decide(&memory, &runs("mail", "one"));
        assert_eq!((plan.removals, plan.offers), (vec![name("mail")], vec![]));
        memory.compiled();
        assert!(memory.due(ms(1000)).is_some());
        memory.looked(
            "new.wasm",
            Look::Bad(FileFault::new("component-compile-limit", String::new())),
            ms(1000),
        );
        assert!(memory.providers(&name("stock")).is_empty(), "it never was what it says");
    }

    #[test]
    fn a_processor_is_asked_for_once_at_a_time() {
        let mut memory = Memory::new(PATIENCE, &[]);
        memory.see(&listing(&[("mail.wasm", 1)]), ms(0));
        memory.looked("mail.wasm", Look::Good(claim("mail", "one")), ms(10));
        let mut world = World::default();
        assert_eq!(decide(&memory, &world).offers, [("mail.wasm".to_owned(), claim("mail", "one"))]);
        world.asked.insert(name("mail"), Some("one".to_owned()));
        assert_eq!(decide(&memory, &world), Plan::default());
    }

    #[test]
    fn the_version_before_is_remembered_once() {
        let mut world = runs("mail", "one");
        world.deployed(&claim("mail", "two"));
        world.deployed(&claim("mail", "two"));
        let expected = Digests { current: "two".to_owned(), previous: Some("one".to_owned()) };
        assert_eq!(world.running.get(&name("mail")), Some(&expected));
    }
}
