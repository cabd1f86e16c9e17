//! The registry on a real folder: round by round with a time that the test sets, and once with its thread and its watcher.

mod files;
mod front;
mod requests;
mod start;

use std::path::PathBuf;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use tempfile::TempDir;

use super::problems::Problems;
use super::wanted::{Candidate, FileFault, Running, Wanted};
use super::worker::Worker;
use super::{Kind, RegistryConfig, Unit};
use crate::clock::ManualClock;
use crate::model::deployment::Deployment;
use crate::runtime::{Engine, EngineConfig, Program};

static ENGINE: LazyLock<Engine> = LazyLock::new(|| Engine::new(EngineConfig::in_process()).unwrap());

/// A processor that says this of itself.
fn component(name: &str, version: &str) -> Vec<u8> {
    let descriptor = format!(
        r#"{{"contract":"baton:processor@0.1.0","name":"{name}","version":"{version}","subscriptions":[{{"channel":"orders"}}]}}"#
    );
    let main = r#"(func (export "handle") (param i32 i32 i32 i32 i32 i32) (result i32) unreachable)"#;
    let text = include_str!("../../../../tests/guests/zoo/frame.wat")
        .replace("    ;; main\n", main)
        .replace("DESCRIPTOR", &descriptor.replace('"', "\\\""));
    wat::parse_str(text).unwrap()
}

fn digest(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

fn receipt(program: &Program, file: &str) -> Deployment {
    Deployment {
        processor: 0,
        generation: 1,
        digest: program.digest().to_owned(),
        previous_digest: None,
        descriptor: program.descriptor().clone(),
        file: file.to_owned(),
        time_ms: 0,
        load_us: 0,
        cached: false,
        changes: Vec::new(),
        config: Default::default(),
        pauses_us: Vec::new(),
    }
}

fn deployed(candidate: Candidate) -> Deployment {
    let receipt = receipt(program(&candidate.unit), &candidate.file);
    candidate.done(Ok(receipt.clone()));
    receipt
}

fn running(name: &str, bytes: &[u8], file: &str) -> Running {
    Running {
        name: name.parse().unwrap(),
        digest: digest(bytes),
        previous_digest: None,
        file: file.to_owned(),
    }
}

/// A registry without its thread.
struct Bench {
    dir: TempDir,
    worker: Worker,
    wanted: Receiver<Wanted>,
    problems: Arc<Problems>,
    now: Duration,
}

impl Bench {
    fn new() -> Self {
        Self::on(tempfile::tempdir().unwrap(), &[])
    }

    fn on(dir: TempDir, deployed: &[Running]) -> Self {
        let config = RegistryConfig::new(dir.path().join("processors"), dir.path().join("components"));
        let problems = Arc::new(Problems::new(Arc::new(ManualClock::at(1_700_000_000_000))));
        let (worker, _, wanted) =
            Worker::new(config, Kind::Components(ENGINE.clone()), problems.clone(), deployed).unwrap();
        Self { dir, worker, wanted, problems, now: Duration::from_secs(60) }
    }

    fn path(&self, file: &str) -> PathBuf {
        self.dir.path().join("processors").join(file)
    }

    fn write(&self, file: &str, bytes: &[u8]) {
        std::fs::write(self.path(file), bytes).unwrap();
    }

    /// One round, with everything that was answered before it.
    fn round(&mut self) {
        while let Ok(message) = self.worker.inbox.try_recv() {
            self.worker.take(message);
        }
        self.worker.round(self.now);
    }

    /// Rounds after each of which the folder had time to stand still, until nothing is left to look at.
    fn settle(&mut self) {
        self.round();
        while let Some(at) = self.worker.wake_at() {
            self.now = self.now.max(at);
            self.round();
        }
        self.round();
    }

    fn offered(&mut self) -> Option<Candidate> {
        match self.wanted.try_recv().ok()? {
            Wanted::Deploy(candidate) => Some(candidate),
            other => panic!("{other:?}"),
        }
    }

    /// Lets everything happen and answers everything as done. Says what it was.
    fn obey(&mut self) -> Vec<String> {
        let mut said = Vec::new();
        self.settle();
        while let Ok(wanted) = self.wanted.try_recv() {
            said.push(obey(wanted));
            self.settle();
        }
        said
    }

    fn codes(&self) -> Vec<(String, String)> {
        self.problems.list().into_iter().map(|problem| (problem.file, problem.code)).collect()
    }
}

fn obey(wanted: Wanted) -> String {
    match wanted {
        Wanted::Deploy(candidate) => {
            let Deployment { descriptor, .. } = deployed(candidate);
            format!("+{} {}", descriptor.name, descriptor.version)
        }
        Wanted::Remove(removal) => {
            let name = format!("-{}", removal.name);
            removal.done(Ok(()));
            name
        }
    }
}

fn fault(code: &str) -> FileFault {
    FileFault { code: code.to_owned(), message: "no".to_owned() }
}

fn problem(file: &str, code: &str) -> (String, String) {
    (file.to_owned(), code.to_owned())
}

/// The component that a unit is.
fn program(unit: &Unit) -> &Program {
    match unit {
        Unit::Component(program) => program,
        Unit::Definition { .. } => panic!("a definition among components"),
    }
}
