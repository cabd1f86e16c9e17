//! What the registry asks of whoever runs processors, and what the answers change: one question at a time for each processor.

use std::collections::BTreeSet;

use super::file::Claim;
use super::load::Loaded;
use super::wanted::{Candidate, FileFault, Removal, Reply, Wanted};
use super::worker::{Message, Worker};
use crate::model::deployment::Deployment;
use crate::model::name::ProcessorName;

impl Worker {
    pub(super) fn offer(&mut self, file: String, claim: Claim, loaded: Loaded) {
        self.world.asked.insert(claim.name.clone(), Some(claim.digest.clone()));
        let post = self.post.clone();
        let answer = Reply::new(move |result| drop(post.send(Message::Deployed(claim, Box::new(result)))));
        let Loaded { unit, load } = loaded;
        // Without a consumer the candidate is dropped, which answers it.
        drop(self.wanted.send(Wanted::Deploy(Candidate::new(unit, file, load, answer))));
    }

    pub(super) fn ask_removal(&mut self, name: ProcessorName) {
        self.world.asked.insert(name.clone(), None);
        let (post, removed) = (self.post.clone(), name.clone());
        let answer = Reply::new(move |result| drop(post.send(Message::Removed(removed, result))));
        drop(self.wanted.send(Wanted::Remove(Removal::new(name, answer))));
    }

    pub(super) fn deployed(&mut self, claim: &Claim, result: Result<Deployment, FileFault>) {
        self.world.asked.remove(&claim.name);
        match &result {
            Ok(_) => self.world.deployed(claim),
            Err(fault) => self.memory.refused(claim, fault),
        }
        self.drop_old_bytes();
        self.requests.deployed(claim, result);
    }

    pub(super) fn removed(&mut self, name: &ProcessorName, result: Result<(), FileFault>) {
        self.world.asked.remove(name);
        match &result {
            Ok(()) => drop(self.world.running.remove(name)),
            Err(fault) => {
                tracing::error!(processor = %name, code = fault.code, "{}; it runs on", fault.message);
                self.world.stuck.insert(name.clone());
            }
        }
        self.drop_old_bytes();
        self.requests.removed(name, &result);
    }

    /// Keeps the bytes of what runs, ran before, or is about to run.
    fn drop_old_bytes(&self) {
        if self.loader.keeps_old() {
            return;
        }
        let running = self.world.running.values();
        let mut wanted: BTreeSet<&str> = running.clone().map(|digests| digests.current.as_str()).collect();
        wanted.extend(running.filter_map(|digests| digests.previous.as_deref()));
        wanted.extend(self.world.asked.values().flatten().map(String::as_str));
        wanted.extend(self.shelf.values().map(|loaded| loaded.unit.digest()));
        if let Err(error) = self.loader.kept.retain(&wanted) {
            tracing::warn!(%error, "bytes of old versions are not removed; they only take room");
        }
    }
}
