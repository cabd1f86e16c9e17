//! What operators did, one line of JSON an act, in a file of its own: a channel of the journal would hold every segment back from
//! retention in which an act is. The file is bounded; when it is full it becomes the older one of two.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use parking_lot::Mutex;

use crate::model::access::Act;

/// When the file is full.
const FILE_BYTES_MAX: u64 = 16 << 20;
/// How many of the latest acts are at hand.
pub const RECENT_MAX: usize = 1_000;

/// The log of one host.
pub struct Audit {
    /// A host in memory has none.
    path: Option<PathBuf>,
    recent: Mutex<VecDeque<Act>>,
}

impl Audit {
    /// Reads the latest acts; a line that is none, as a crash may leave one, is passed over.
    pub fn open(path: Option<PathBuf>) -> io::Result<Self> {
        let mut recent = VecDeque::new();
        for path in path.iter().flat_map(|path| [path.with_extension("1.jsonl"), path.clone()]) {
            let file = match File::open(&path) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            for line in BufReader::new(file).lines() {
                let Ok(act) = serde_json::from_str(&line?) else { continue };
                push(&mut recent, act);
            }
        }
        Ok(Self { path, recent: Mutex::new(recent) })
    }

    /// Records an act; it is on the disk when this returns.
    pub fn record(&self, act: Act) -> io::Result<()> {
        let mut recent = self.recent.lock();
        let written = self.write(&act);
        push(&mut recent, act);
        written
    }

    /// The latest acts, oldest first.
    pub fn latest(&self, limit: usize) -> Vec<Act> {
        let recent = self.recent.lock();
        recent.iter().skip(recent.len().saturating_sub(limit)).cloned().collect()
    }

    fn write(&self, act: &Act) -> io::Result<()> {
        let Some(path) = &self.path else { return Ok(()) };
        if fs::metadata(path).is_ok_and(|found| found.len() >= FILE_BYTES_MAX) {
            fs::rename(path, path.with_extension("1.jsonl"))?;
        }
        let mut file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
        let mut line = serde_json::to_vec(act)?;
        line.push(b'\n');
        file.write_all(&line)?;
        file.sync_data()
    }
}

fn push(recent: &mut VecDeque<Act>, act: Act) {
    if recent.len() >= RECENT_MAX {
        recent.pop_front();
    }
    recent.push_back(act);
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn act(number: u16) -> Act {
        let (time, by) = ("2026-01-31T12:00:00Z".to_owned(), "local".to_owned());
        Act { time, by, method: "POST".to_owned(), path: "/v1/x".to_owned(), status: number }
    }

    #[test]
    fn acts_are_there_after_a_restart_and_a_torn_line_harms_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let audit = Audit::open(Some(path.clone())).unwrap();
        (0..3).for_each(|number| audit.record(act(number)).unwrap());
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"time\": \"20").unwrap();
        let again = Audit::open(Some(path)).unwrap();
        assert_eq!(again.latest(2), [act(1), act(2)]);
    }

    #[test]
    fn a_full_file_becomes_the_older_of_two_and_the_latest_acts_stay_at_hand() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let audit = Audit::open(Some(path.clone())).unwrap();
        audit.record(act(1)).unwrap();
        OpenOptions::new().write(true).open(&path).unwrap().set_len(FILE_BYTES_MAX).unwrap();
        audit.record(act(2)).unwrap();
        assert!(fs::metadata(&path).unwrap().len() < 1_000);
        assert_eq!(fs::metadata(path.with_extension("1.jsonl")).unwrap().len(), FILE_BYTES_MAX);
        (0..RECENT_MAX as u16).for_each(|number| audit.record(act(number)).unwrap());
        assert_eq!((audit.latest(usize::MAX).len(), &audit.latest(RECENT_MAX)[0]), (RECENT_MAX, &act(0)));
    }
}
