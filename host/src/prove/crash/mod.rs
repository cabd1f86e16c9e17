//! `baton prove crash`: power cuts, which no kill shows. The page cache survives a SIGKILL and not a power cut, so a simulated disk
//! remembers every call, and what may be left after any of them is opened and held against what was acknowledged: of a journal alone,
//! and of a host with processors, failures, redrives, deployments, checkpoints and trims.
//!
//! `failing` is a disk whose calls fail: EIO, ENOSPC, half a write. `rot` damages the files of a stopped host (`cold`).
//!
//! `lives` is a host that loses its power again and again.
//!
//! `frames` is the journal alone. `story` is what happens to a host (`rig`, `handlers`), `check` what has to be true afterwards; `wrong`
//! counts what is not. `planted` puts bugs in from outside, which have to be found; some of them take a lane that is made `by_hand`.

mod by_hand;
mod check;
mod cold;
mod failing;
mod frames;
mod handlers;
mod lives;
mod planted;
mod rig;
mod rot;
mod story;
mod wrong;

#[cfg(test)]
mod tests;

use super::{Card, Proof, ProveError, Row};
use crate::journal::Sync;
use crate::journal::storage::simulated::{Chance, Cut};
use frames::History;
use planted::Planted;
use rig::{Setting, scratch};
use story::Story;
use wrong::{Kind, Wrong, Wrongs};

/// How many power cuts one history is looked at with, before there is another.
const CUTS_PER_HISTORY: usize = 50;
/// How many rounds of publishes a story has.
const ROUNDS: usize = 12;
/// How many power cuts the control has.
const CONTROL_CUTS: usize = 50;
/// For so many images there is one host on a disk that fails in each way.
const IMAGES_PER_FAILING: usize = 25;
/// For so many images every file is damaged twice.
const IMAGES_PER_DAMAGE: usize = 100;
/// After how many power cuts a planted bug counts as not found.
const PLANTED_CUTS_MAX: usize = 300;

/// How much is done.
#[derive(Clone, Copy, Debug)]
pub struct CrashOptions {
    /// How many power cuts of a journal, and as many of a host.
    pub images: usize,
    /// How many hosts lose their power again and again.
    pub rounds: usize,
    /// Where chance comes from.
    pub seed: u64,
}

/// Proves that a power cut takes nothing that was acknowledged, and leaves nothing half.
pub fn crash(options: &CrashOptions) -> Result<Proof, ProveError> {
    let &CrashOptions { images, rounds, seed } = options;
    let mut wrongs = journals(images, seed, Sync::Fsync)?;
    wrongs.add(hosts(images, seed)?);
    let failing = failing::run(images.div_ceil(IMAGES_PER_FAILING), seed);
    wrongs.add(failing.wrongs);
    wrongs.add(lives::run(rounds, seed));
    let rot = rot::run(images.div_ceil(IMAGES_PER_DAMAGE), seed)?;
    wrongs.add(rot.wrongs);
    let control = journals(CONTROL_CUTS, seed, Sync::Os)?;
    let mut rows = vec![
        Row::new("power cuts of a journal", images as f64, "images").on(Card::Images),
        Row::new("power cuts of a host", images as f64, "images").on(Card::Images),
        Row::new("power cuts while it recovers from them", 2.0 * images as f64, "images").on(Card::Images),
        Row::new("hosts that lose their power again and again", rounds as f64, "hosts"),
        Row::new("how often each", (lives::LIVES + 2) as f64, "times"),
        Row::new("hosts on a disk that fails", failing.hosts as f64, "hosts"),
        Row::new("calls that failed (EIO, ENOSPC, half a write)", failing.calls as f64, "calls")
            .on(Card::Failures),
        Row::new("files of a stopped host, bits turned or cut off", rot.damaged as f64, "times")
            .on(Card::Failures),
        Row::new("of these refused; the others answered as before", rot.refused as f64, "times"),
    ];
    rows.extend(wrongs.rows());
    rows.push(Row::some("lost with durability = \"os\" (control)", control.of(Kind::Lost)).on(Card::Control));
    rows.extend(planted(seed)?);
    Ok(Proof::new("crash", seed, rows).telling(wrongs.told))
}

/// Parts of a number of images, each with a seed of its own.
fn parts(images: usize, seed: u64) -> impl Iterator<Item = (usize, u64)> {
    let histories = images.div_ceil(CUTS_PER_HISTORY);
    (0..histories).map(move |part| {
        let left = images - part * CUTS_PER_HISTORY;
        (left.min(CUTS_PER_HISTORY), Chance::new(seed.wrapping_add(part as u64)).number())
    })
}

fn journals(images: usize, seed: u64, sync: Sync) -> Result<Wrongs, ProveError> {
    let mut wrongs = Wrongs::default();
    for (count, seed) in parts(images, seed) {
        wrongs.add(History::write(seed, sync, None)?.cuts(count, seed));
    }
    Ok(wrongs)
}

fn hosts(images: usize, seed: u64) -> Result<Wrongs, ProveError> {
    let mut wrongs = Wrongs::default();
    for (part, (count, seed)) in parts(images, seed).enumerate() {
        // Half of them make checkpoints and trims, which need a folder for the views.
        let views = (part % 2 == 0).then(scratch).transpose()?;
        let setting =
            Setting { views: views.as_ref().map(|folder| folder.path().to_owned()), ..Setting::default() };
        wrongs.add(cuts(&Story::tell(seed, ROUNDS, setting, None)?, count, seed));
    }
    Ok(wrongs)
}

/// A row for each planted bug: after how many power cuts it was found.
fn planted(seed: u64) -> Result<Vec<Row>, ProveError> {
    let row = |planted: Planted| {
        let story = Story::tell(seed, ROUNDS, planted.setting(), Some(planted))?;
        let found = found_after(&story, seed).map_or(0, |found| found.0);
        let row =
            Row::some(&format!("planted: {}; found after", planted.name()), found as u64).on(Card::Planted);
        Ok(Row { unit: "images".to_owned(), ..row })
    };
    Planted::ALL.into_iter().map(row).collect()
}

/// After how many power cuts something is wrong, and what it is.
fn found_after(story: &Story, seed: u64) -> Option<(usize, Wrong)> {
    let versions = story.check_versions().err().map(|wrong| (1, wrong));
    versions.or_else(|| {
        (0..PLANTED_CUTS_MAX).find_map(|number| Some((number + 1, nth_cut(story, number, seed).err()?)))
    })
}

fn cuts(story: &Story, count: usize, seed: u64) -> Wrongs {
    let mut wrongs = Wrongs::default();
    wrongs.note(&format!("host, seed {seed}"), story.check_versions());
    for number in 0..count {
        wrongs.note(&format!("host, seed {seed}, cut {number}"), nth_cut(story, number, seed));
    }
    wrongs
}

fn nth_cut(story: &Story, number: usize, seed: u64) -> Result<(), Wrong> {
    let cut = Cut::ALL.get(number % Cut::ALL.len()).copied().unwrap_or(Cut::Nothing);
    let cut_short = |wrong: Wrong| Wrong::new(wrong.kind, format!("{}: {}", cut.name(), wrong.what));
    story.cut(cut, &mut Chance::new(seed.wrapping_add(number as u64))).map_err(cut_short)
}
