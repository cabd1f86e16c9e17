//! A host that loses its power again and again and goes on each time from what is left, held against a plain model in memory: which events
//! were published, which were given up, and that all others take effect once.

use super::check::running_version;
use super::rig::{Rig, Setting, scratch};
use super::story::Story;
use super::wrong::{Kind, Wrong, Wrongs};
use crate::journal::storage::simulated::{Chance, Cut};

/// How often the power goes before the end.
pub const LIVES: usize = 4;
/// How many rounds of publishes a life has.
const ROUNDS_MAX: usize = 6;

fn unopened(error: impl std::fmt::Display) -> Wrong {
    Wrong::new(Kind::Unopened, error)
}

/// Looks at so many hosts.
pub fn run(hosts: usize, seed: u64) -> Wrongs {
    let mut wrongs = Wrongs::default();
    for seed in (seed..).take(hosts) {
        wrongs.note(&format!("lives, seed {seed}"), lives(seed));
    }
    wrongs
}

fn lives(seed: u64) -> Result<(), Wrong> {
    let chance = &mut Chance::new(seed);
    let views = chance.one_in(2).then(scratch).transpose().map_err(unopened)?;
    let setting =
        Setting { views: views.as_ref().map(|folder| folder.path().to_owned()), ..Setting::default() };
    let rounds = 1 + chance.below(ROUNDS_MAX);
    let mut story = Story::tell(chance.number(), rounds, setting, None).map_err(unopened)?;
    for _ in 0..LIVES {
        let rig = story.survive(any_cut(chance), chance)?;
        for _ in 0..=chance.below(ROUNDS_MAX) {
            let told = story.round(&rig, chance);
            story.disk.go_on();
            told.map_err(unopened)?;
        }
        rig.close();
    }
    story.check_versions()?;
    story.cut(any_cut(chance), chance)
}

fn any_cut(chance: &mut Chance) -> Cut {
    Cut::ALL.get(chance.below(Cut::ALL.len())).copied().unwrap_or(Cut::Nothing)
}

impl Story {
    /// Goes on after a power cut, as the host does that is started then: what is left is checked, and what nobody acknowledged is
    /// published again.
    fn survive(&mut self, cut: Cut, chance: &mut Chance) -> Result<Rig, Wrong> {
        let calls = chance.below(self.disk.len() + 1);
        let moment = self.moment(calls);
        let (disk, rig) = self.open(self.disk.cut(calls, cut, chance), moment)?;
        self.check(&rig, moment)?;
        self.is_known(&rig, moment)?;
        let next = rig.domain.journal().next();
        self.frames.retain(|frame| frame.position < next);
        self.discarded.retain(|(end, _)| *end <= next.0);
        self.version = rig.domain.look(running_version).unwrap_or(1);
        self.moments.clear();
        (self.disk, self.begins) = (disk, moment);
        self.begin(&rig, moment.acknowledged).map_err(unopened)?;
        Ok(rig)
    }
}
