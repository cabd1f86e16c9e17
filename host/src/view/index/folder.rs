//! The folder of the index files: which of them count when the host starts. It never changes what is in one.

use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::Error;
use super::file::{BlockFile, SUFFIX};

/// Opens the files that follow each other without a gap inside the journal, oldest first. All others are removed, because
/// the caller notes their frames again.
pub fn open(dir: &Path, journal: &Range<u64>) -> Result<Vec<BlockFile>, Error> {
    let fail = |source| Error::Io { path: dir.to_owned(), source };
    fs::create_dir_all(dir).map_err(fail)?;
    let (mut blocks, mut next) = (Vec::new(), journal.start);
    for path in files(dir).map_err(fail)? {
        match fitting(&path, next, journal) {
            Ok(block) => {
                next = block.positions().end;
                blocks.push(block);
            }
            Err(_) if ends_before(&path, journal.start) => fs::remove_file(&path).map_err(fail)?,
            Err(why) => {
                tracing::warn!(file = %path.display(), %why, "an index file is built again from the journal");
                fs::remove_file(&path).map_err(fail)?;
            }
        }
    }
    Ok(blocks)
}

/// Whether a trim took the frames of this file and a crash left the file.
fn ends_before(path: &Path, first: u64) -> bool {
    BlockFile::open(path.to_owned()).is_ok_and(|block| block.positions().end <= first)
}

/// The block files in the order of their positions; what a crash left half written is removed.
fn files(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        match path.extension().and_then(|extension| extension.to_str()) {
            Some(SUFFIX) => paths.push(path),
            Some("tmp") => fs::remove_file(&path)?,
            _ => {}
        }
    }
    paths.sort();
    Ok(paths)
}

fn fitting(path: &Path, next: u64, journal: &Range<u64>) -> Result<BlockFile, String> {
    let block = BlockFile::open(path.to_owned()).map_err(|error| error.to_string())?;
    let Range { start, end } = block.positions();
    if end > journal.end {
        return Err(format!("it ends at position {end}, behind the end of the journal at {}", journal.end));
    }
    let holds_start = next == journal.start && start < next && end > next;
    if start != next && !holds_start {
        return Err(format!("it holds positions {start} to {end}, and the next one needed is {next}"));
    }
    Ok(block)
}
