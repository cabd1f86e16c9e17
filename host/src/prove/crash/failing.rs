//! A disk whose calls fail. Where room is short the host waits and goes on; after everything else it ends. Either way nothing that was
//! acknowledged is lost: not for the next host that opens what is there, and not after a power cut.

use super::ROUNDS;
use super::rig::{Setting, scratch};
use super::story::Story;
use super::wrong::{Kind, Wrong, Wrongs};
use crate::journal::storage::simulated::{Chance, Cut, Failure};

/// A host that waits for room does nothing else, so many can wait side by side.
const AT_ONCE: usize = 8;
/// What came of it.
#[derive(Default)]
pub struct Failing {
    pub hosts: u64,
    pub calls: u64,
    pub wrongs: Wrongs,
}

/// Looks at so many hosts for each kind of failure.
pub fn run(count: usize, seed: u64) -> Failing {
    let all: Vec<(u64, Failure)> = (0..count as u64)
        .flat_map(|nth| Failure::ALL.map(|failure| (seed.wrapping_add(nth), failure)))
        .collect();
    let mut failing = Failing::default();
    for part in all.chunks(AT_ONCE) {
        std::thread::scope(|scope| {
            let hosts: Vec<_> =
                part.iter().map(|&(seed, failure)| scope.spawn(move || host(seed, failure))).collect();
            for (host, (seed, failure)) in hosts.into_iter().zip(part) {
                failing.note(&format!("disk with {}, seed {seed}", failure.name()), host.join());
            }
        });
    }
    failing
}

impl Failing {
    fn note(&mut self, what: &str, host: std::thread::Result<(u64, Result<(), Wrong>)>) {
        self.hosts += 1;
        let panicked = |_| (0, Err(Wrong::new(Kind::Panicked, "the host panicked")));
        let (calls, checked) = host.unwrap_or_else(panicked);
        self.calls += calls;
        self.wrongs.note(what, checked);
    }
}

/// One host: how many calls failed, and what was wrong.
fn host(seed: u64, failure: Failure) -> (u64, Result<(), Wrong>) {
    let chance = &mut Chance::new(seed);
    // A story makes about 300 calls that may fail, 220 that need room, 120 writes. The first that cannot ends it; room is waited for.
    let each = match failure {
        Failure::Io => 1 + chance.below(250),
        Failure::NoSpace => 20 + chance.below(100),
        Failure::Short => 15 + chance.below(60),
    };
    let again = (1 + chance.below(40) as u64, failure);
    let unopened = |error: &dyn std::fmt::Display| Wrong::new(Kind::Unopened, error);
    let views = if chance.one_in(2) { scratch().ok() } else { None };
    let views_folder = views.as_ref().map(|folder| folder.path().to_owned());
    let setting = Setting { views: views_folder, ..Setting::default() };
    match Story::fail(seed, ROUNDS, setting, (each as u64, failure)) {
        Err(error) => (0, Err(unopened(&error))),
        Ok(mut story) => {
            story.disk.mend();
            let cut = Cut::ALL.get(chance.below(Cut::ALL.len())).copied().unwrap_or(Cut::Nothing);
            (story.disk.failed(), story.after_failures(cut, chance, again))
        }
    }
}
