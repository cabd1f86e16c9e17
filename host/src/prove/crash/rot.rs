//! Bit rot: bits that turn and files that end early, in every file of a cold copy. A host on such a folder refuses with an error, or
//! answers what it answered before; never anything else, and it never panics.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use super::super::ProveError;
use super::cold::Cold;
use super::wrong::{Kind, Wrong, Wrongs};
use crate::journal::storage::simulated::Chance;
use crate::prove::zoo;

/// What came of it.
#[derive(Default)]
pub struct Rot {
    pub files: u64,
    /// Files that are checkpoints.
    pub checkpoints: u64,
    pub damaged: u64,
    /// Hosts that refused, by an error at the start or at a question.
    pub refused: u64,
    pub wrongs: Wrongs,
}

/// What is done to a file.
#[derive(Clone, Copy, Debug)]
enum Damage {
    /// This bit of this byte is turned.
    Bit(usize, u8),
    /// It ends here.
    End(usize),
}

/// Damages every file so many times by a bit and so many times by its end.
pub fn run(times: usize, seed: u64) -> Result<Rot, ProveError> {
    let component = zoo::copy("copy").map_err(|error| ProveError::Host(error.to_string()))?;
    let cold = Cold::make(component)?;
    let (chance, mut rot) = (&mut Chance::new(seed), Rot::default());
    for file in cold.files()? {
        rot.files += 1;
        rot.checkpoints += u64::from(is_checkpoint(&file));
        for nth in 0..2 * times {
            rot.look(&cold, &file, nth % 2 == 0, chance)?;
        }
    }
    Ok(rot)
}

impl Rot {
    fn look(&mut self, cold: &Cold, file: &Path, turns: bool, chance: &mut Chance) -> Result<(), ProveError> {
        let copy = cold.copy()?;
        let damage = damage(&copy.path().join(file), turns, chance)?;
        // A checkpoint is looked at when the views are gone, and not before.
        if is_checkpoint(file) {
            std::fs::remove_dir_all(copy.path().join(".baton/views"))?;
        }
        self.damaged += 1;
        let answers = catch_unwind(AssertUnwindSafe(|| cold.ask(copy.path())));
        let checked = match answers {
            Err(_) => Err(Wrong::new(Kind::Panicked, "the host panicked")),
            Ok(Err(_)) => {
                self.refused += 1;
                Ok(())
            }
            Ok(Ok(answers)) if answers == cold.answers => Ok(()),
            Ok(Ok(_)) => Err(Wrong::new(Kind::Silent, "it answers something else, and says nothing of it")),
        };
        self.wrongs.note(&format!("{} with {damage:?}", file.display()), checked);
        Ok(())
    }
}

fn is_checkpoint(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "ckpt")
}

fn damage(file: &Path, turns: bool, chance: &mut Chance) -> Result<Damage, ProveError> {
    let mut bytes = std::fs::read(file)?;
    let damage = match turns {
        true => Damage::Bit(chance.below(bytes.len()), chance.below(8) as u8),
        false => Damage::End(chance.below(bytes.len())),
    };
    match damage {
        Damage::Bit(at, bit) => bytes.get_mut(at).into_iter().for_each(|byte| *byte ^= 1 << bit),
        Damage::End(at) => bytes.truncate(at),
    }
    std::fs::write(file, bytes)?;
    Ok(damage)
}
