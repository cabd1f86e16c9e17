//! Puts and removals that somebody waits for: each is a change of the folder, and is answered by what comes of it.

use tokio::sync::oneshot;

use super::decide::World;
use super::file::Claim;
use super::load::Loaded;
use super::memory::Memory;
use super::wanted::FileFault;
use super::worker::Worker;
use super::{Answer, PutError};
use crate::model::deployment::Deployment;
use crate::model::name::ProcessorName;

type PutReply = oneshot::Sender<Result<Answer, PutError>>;
type RemoveReply = oneshot::Sender<Result<(), PutError>>;

/// Who waits for what. Whoever stopped waiting is answered all the same, into the void.
#[derive(Default)]
pub(super) struct Requests {
    puts: Vec<(Claim, PutReply)>,
    removals: Vec<(ProcessorName, RemoveReply)>,
}

impl Requests {
    /// A version was deployed, or was not.
    pub fn deployed(&mut self, claim: &Claim, result: Result<Deployment, FileFault>) {
        let answer = result.map(Answer::Deployed).map_err(PutError::failed);
        for (_, reply) in self.puts.extract_if(.., |(wanted, _)| wanted == claim) {
            drop(reply.send(answer.clone()));
        }
    }

    /// A processor was removed, or was not.
    pub fn removed(&mut self, name: &ProcessorName, result: &Result<(), FileFault>) {
        for (_, reply) in self.removals.extract_if(.., |(wanted, _)| wanted == name) {
            drop(reply.send(result.clone().map_err(PutError::failed)));
        }
    }

    /// Answers those for whom there is nothing left to wait.
    pub fn settle(&mut self, memory: &Memory, world: &World) {
        let runs = |claim: &Claim| world.runs(claim) && !world.asked.contains_key(&claim.name);
        for (claim, reply) in self.puts.extract_if(.., |(claim, _)| runs(claim)) {
            drop(reply.send(Ok(Answer::Unchanged(claim.digest))));
        }
        let is_open = |claim: &Claim| world.is_asked(claim) || memory.provides(claim);
        for (_, reply) in self.puts.extract_if(.., |(claim, _)| !is_open(claim)) {
            drop(reply.send(Err(PutError::Superseded)));
        }
        let idle = |name: &ProcessorName| !world.asked.contains_key(name);
        let is_over = |name: &ProcessorName| idle(name) && !world.running.contains_key(name);
        for (_, reply) in self.removals.extract_if(.., |(name, _)| is_over(name)) {
            drop(reply.send(Ok(())));
        }
        let is_back = |name: &ProcessorName| idle(name) && !memory.providers(name).is_empty();
        for (_, reply) in self.removals.extract_if(.., |(name, _)| is_back(name)) {
            drop(reply.send(Err(PutError::Superseded)));
        }
    }
}

impl Worker {
    pub(super) fn put(&mut self, name: ProcessorName, bytes: &[u8], reply: PutReply) {
        match self.take_in(name, bytes) {
            Ok(claim) => self.requests.puts.push((claim, reply)),
            Err(error) => drop(reply.send(Err(error))),
        }
    }

    fn take_in(&mut self, name: ProcessorName, bytes: &[u8]) -> Result<Claim, PutError> {
        let (claim, loaded) = self.loader.load(bytes, &self.world).map_err(PutError::invalid)?;
        if claim.name != name {
            return Err(PutError::NameMismatch { asked: name.into(), found: claim.name.into() });
        }
        let file = self.file_for(&name)?;
        let failed = |error: std::io::Error| PutError::Folder { file: file.clone(), why: error.to_string() };
        let stamp = self.folder.write(&file, bytes).map_err(failed)?;
        self.memory.wrote(&file, stamp, claim.clone(), self.now());
        self.put_on_shelf(file, loaded);
        Ok(claim)
    }

    fn put_on_shelf(&mut self, file: String, loaded: Option<Loaded>) {
        match loaded {
            Some(loaded) => drop(self.shelf.insert(file, loaded)),
            None => drop(self.shelf.remove(&file)),
        }
    }

    /// The file that provides the processor already, else one by its name.
    fn file_for(&self, name: &ProcessorName) -> Result<String, PutError> {
        let own = format!("{name}.{}", self.loader.ending());
        if let Some(file) = self.memory.providers(name).into_iter().next() {
            return Ok(file);
        }
        let other = self.memory.files.get(&own).filter(|file| !file.is_gone());
        match other.and_then(|file| file.claim.as_ref()) {
            Some(claim) => Err(PutError::FileTaken { file: own, holder: claim.name.to_string() }),
            None => Ok(own),
        }
    }

    pub(super) fn remove(&mut self, name: ProcessorName, reply: RemoveReply) {
        for file in self.memory.providers(&name) {
            if let Err(error) = self.folder.remove(&file) {
                drop(reply.send(Err(PutError::Folder { file, why: error.to_string() })));
                return;
            }
        }
        self.memory.forget(&name);
        self.world.stuck.remove(&name);
        self.requests.removals.push((name, reply));
    }
}
