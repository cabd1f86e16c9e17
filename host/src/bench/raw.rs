//! What the disk gives without a journal: bytes appended to a file, and made durable.

use std::fs::File;
use std::io::Write;
use std::time::{Duration, Instant};

use super::Error;
use super::report::Durability;
use super::rig::Scratch;

/// A file that is appended to.
pub struct RawFile {
    file: File,
    sync: bool,
    _scratch: Scratch,
}

impl RawFile {
    /// A new file on the disk of the working folder.
    pub fn create(durability: Durability) -> Result<Self, Error> {
        let scratch = Scratch::new()?;
        let file = File::create(scratch.path().join("raw"))?;
        Ok(Self { file, sync: durability == Durability::Fsync, _scratch: scratch })
    }

    /// Appends, and makes durable if that is wanted. Returns how long it took.
    pub fn append(&mut self, bytes: &[u8]) -> Result<Duration, Error> {
        let began = Instant::now();
        self.file.write_all(bytes)?;
        if self.sync {
            self.file.sync_data()?;
        }
        Ok(began.elapsed())
    }

    /// How many appends of these bytes there are in a second.
    pub fn appends_per_second(&mut self, bytes: &[u8], time: Duration) -> Result<f64, Error> {
        let began = Instant::now();
        let mut appends = 0;
        while began.elapsed() < time {
            self.append(bytes)?;
            appends += 1;
        }
        Ok(f64::from(appends) / began.elapsed().as_secs_f64())
    }
}
