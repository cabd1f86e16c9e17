//! What the registry remembers of the folder, file by file, and which file is to be read next. Plain values: it reads no
//! folder and no clock.

use std::collections::BTreeMap;
use std::time::Duration;

use super::file::{Claim, File, Look, Patience, Phase, Stamp};
use super::wanted::{FileFault, Running};
use crate::model::name::ProcessorName;

/// The files of the folder, by name.
pub(super) type Listing = BTreeMap<String, Stamp>;

/// All files.
pub(super) struct Memory {
    pub files: BTreeMap<String, File>,
    patience: Patience,
    orders: u64,
}

impl Memory {
    /// Begins with the files that provided what runs now, as if they had just been read.
    pub fn new(patience: Patience, running: &[Running]) -> Self {
        let mut memory = Self { files: BTreeMap::new(), patience, orders: 0 };
        for Running { name, digest, file, .. } in running {
            let claim = Claim { name: name.clone(), digest: digest.clone() };
            let order = memory.next_order();
            let known = File { claim: Some(claim), order, ..File::new(None, Duration::ZERO) };
            memory.files.insert(file.clone(), known);
        }
        memory
    }

    /// Compares the folder with what is known.
    pub fn see(&mut self, listing: &Listing, now: Duration) {
        for (name, stamp) in listing {
            match self.files.get_mut(name) {
                Some(file) => file.see(*stamp, now),
                None => drop(self.files.insert(name.clone(), File::new(Some(*stamp), now))),
            }
        }
        let settle = self.patience.settle;
        self.files.retain(|name, file| listing.contains_key(name) || !file.is_missed(now, settle));
    }

    /// The file to read next: of those that stand still, the oldest.
    pub fn due(&self, now: Duration) -> Option<(String, Stamp)> {
        let is_due = |file: &File| file.due_at(self.patience).is_some_and(|at| at <= now);
        let due = self.files.iter().filter(|(_, file)| !file.is_gone() && is_due(file));
        let oldest = due.min_by_key(|(name, file)| (file.claim.is_none(), file.modified(), *name));
        oldest.and_then(|(name, file)| Some((name.clone(), file.stamp?)))
    }

    /// When something is to be done although nothing happens.
    pub fn wake_at(&self) -> Option<Duration> {
        self.files.values().filter_map(|file| file.due_at(self.patience)).min()
    }

    /// Takes note of what a file is.
    pub fn looked(&mut self, name: &str, look: Look, now: Duration) {
        let order = self.next_order();
        let doubt = self.patience.doubt;
        let Some(file) = self.files.get_mut(name) else { return };
        match look {
            Look::Moved(stamp) => file.see(stamp, now),
            Look::Good(claim) => file.provides(claim, order),
            Look::Bad(fault) => file.fails(fault, now, doubt),
            Look::Compiling(claim) => file.compiles(claim, order, now),
        }
    }

    /// Takes note of a file that the registry wrote itself.
    pub fn wrote(&mut self, name: &str, stamp: Stamp, claim: Claim, now: Duration) {
        let order = self.next_order();
        let file = self.files.entry(name.to_owned()).or_insert_with(|| File::new(None, now));
        file.stamp = Some(stamp);
        file.provides(claim, order);
    }

    /// The version that these files are does not run.
    pub fn refused(&mut self, claim: &Claim, fault: &FileFault) {
        for file in self.files.values_mut() {
            if file.phase == Phase::Looked && file.claim.as_ref() == Some(claim) {
                (file.fault, file.before) = (Some(fault.clone()), None);
            }
        }
    }

    /// Looks again, at once, at every file with such a fault.
    pub fn retry(&mut self, which: impl Fn(&FileFault) -> bool) {
        for file in self.files.values_mut() {
            if file.phase == Phase::Looked && file.fault.as_ref().is_some_and(&which) {
                file.try_again();
            }
        }
    }

    /// What is wrong with each file. What was wrong with one that is tried again still counts, until its version runs.
    pub fn faults(&mut self, runs: impl Fn(&Claim) -> bool) -> BTreeMap<String, FileFault> {
        let faults = self.files.iter_mut().filter_map(|(name, file)| {
            file.before.take_if(|_| file.claim.as_ref().is_some_and(&runs));
            let fault = file.fault.as_ref().or(file.before.as_ref())?;
            Some((name.clone(), fault.clone()))
        });
        faults.collect()
    }

    /// The compiler is free: whatever waited for it is looked at again.
    pub fn compiled(&mut self) {
        self.files.values_mut().for_each(File::compiled);
    }

    /// Reads a file again although it did not change.
    pub fn look_again(&mut self, name: &str) {
        if let Some(file) = self.files.get_mut(name) {
            file.look_again();
        }
    }

    /// The files that provide a processor are gone, and not on their way to another name.
    pub fn forget(&mut self, name: &ProcessorName) {
        self.files.retain(|_, file| file.claim.as_ref().is_none_or(|claim| claim.name != *name));
    }

    /// Whether a file is this very version, and nothing is wrong with it.
    pub fn provides(&self, claim: &Claim) -> bool {
        let is_it =
            |file: &File| file.claim.as_ref() == Some(claim) && file.fault.is_none() && !file.is_gone();
        self.files.values().any(is_it)
    }

    /// Whether a file that nobody has read yet may be one that was renamed, so that nothing may be called removed.
    pub fn is_unsure(&self) -> bool {
        self.files.values().any(File::may_be_anyones)
    }

    /// The files in the folder that provide a processor.
    pub fn providers(&self, name: &ProcessorName) -> Vec<String> {
        let provides = |file: &File| file.claim.as_ref().is_some_and(|claim| claim.name == *name);
        let files = self.files.iter().filter(|(_, file)| !file.is_gone() && provides(file));
        let mut found: Vec<_> = files.map(|(name, file)| (file.order, name.clone())).collect();
        found.sort_unstable();
        found.into_iter().map(|(_, name)| name).collect()
    }

    fn next_order(&mut self) -> u64 {
        self.orders += 1;
        self.orders
    }
}
