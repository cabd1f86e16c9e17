//! Reads every byte of a journal that nobody has open, and reports what is there and what is damaged. Changes nothing, and goes on behind
//! a damage, so that one run names all of them.

use std::sync::Arc;

use super::folder::{Folder, damaged};
use super::frame::{ALIGNMENT, Bad, Header};
use super::segment::{self, Summary};
use super::storage::Storage;
use super::walk::{Step, Walker};
use super::{Error, Position, checkpoint, recovery};

/// What a journal holds, segment by segment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Oldest first.
    pub segments: Vec<SegmentReport>,
    /// Oldest first, those that were never finished too.
    pub checkpoints: Vec<CheckpointReport>,
}

/// A checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointReport {
    /// The file name.
    pub name: String,
    /// It stands for all frames before this position.
    pub position: Position,
    /// Why it cannot be used, if it cannot.
    pub problem: Option<String>,
}

/// What one segment holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentReport {
    /// The file name.
    pub name: String,
    /// The position that the name gives.
    pub base: Position,
    /// The position behind the last good frame.
    pub end: Position,
    /// How many good frames there are.
    pub frames: u64,
    /// How long the file is.
    pub bytes: u64,
    /// Whether it ends with a footer.
    pub sealed: bool,
    /// What a crash left behind the last frame: it was never durable, and the next start cuts it off.
    pub torn_bytes: u64,
    /// What is not as it was written.
    pub damages: Vec<Damage>,
}

/// One place that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Where in the file.
    pub offset: u64,
    /// What was found and what was expected.
    pub why: String,
}

impl Report {
    /// Whether a host can start on this journal and read all of it.
    pub fn is_whole(&self) -> bool {
        self.segments.iter().all(|segment| segment.damages.is_empty()) && self.is_backed()
    }

    /// Whether what was trimmed is in a checkpoint that can be used: a journal that begins at its start needs none.
    pub fn is_backed(&self) -> bool {
        let Some((first, last)) = self.segments.first().zip(self.segments.last()) else { return true };
        let stands =
            |one: &CheckpointReport| one.problem.is_none() && (first.base..=last.end).contains(&one.position);
        first.base == Position::START || self.checkpoints.iter().any(stands)
    }
}

/// Reads the whole journal; `progress` is told how many bytes of how many are done.
///
/// Refuses while a host has the journal open.
pub fn verify(storage: Arc<dyn Storage>, mut progress: impl FnMut(u64, u64)) -> Result<Report, Error> {
    let folder = Folder::new(storage);
    let _lock = folder.lock()?;
    let bases = folder.bases()?;
    let bytes_total = total_bytes(&folder, &bases)?;
    let mut report = Report::default();
    let mut bytes_before = 0;
    for base in &bases {
        let is_last = bases.last() == Some(base);
        let check = Check::new(&folder, *base, is_last)?;
        let segment = check.run(&mut |done| progress(bytes_before + done, bytes_total))?;
        bytes_before += segment.bytes;
        progress(bytes_before, bytes_total);
        report.segments.push(segment);
    }
    note_gaps(&mut report);
    for (position, copy) in checkpoint::files(&folder)? {
        let (name, problem) = (checkpoint::name(position, copy), checkpoint::check(&folder, position, copy)?);
        report.checkpoints.push(CheckpointReport { name, position, problem });
    }
    Ok(report)
}

fn total_bytes(folder: &Folder, bases: &[Position]) -> Result<u64, Error> {
    bases.iter().map(|base| file_bytes(folder, *base)).sum()
}

fn file_bytes(folder: &Folder, base: Position) -> Result<u64, Error> {
    let what = format!("read {}", segment::name(base));
    folder.io(&what, folder.open(base)?.len())
}

/// A segment whose end is damaged says nothing about where the next must begin.
fn note_gaps(report: &mut Report) {
    let mut before: Option<Position> = None;
    for segment in &mut report.segments {
        if let Some(end) = before.filter(|end| *end != segment.base) {
            let why = recovery::gap(end);
            segment.damages.insert(0, Damage { offset: 0, why });
        }
        before = segment.damages.is_empty().then_some(segment.end);
    }
}

struct Check<'a> {
    folder: &'a Folder,
    read: String,
    is_last: bool,
    report: SegmentReport,
}

impl<'a> Check<'a> {
    fn new(folder: &'a Folder, base: Position, is_last: bool) -> Result<Self, Error> {
        let name = segment::name(base);
        let report = SegmentReport {
            base,
            end: base,
            frames: 0,
            bytes: file_bytes(folder, base)?,
            sealed: false,
            torn_bytes: 0,
            damages: Vec::new(),
            name,
        };
        Ok(Self { folder, read: format!("read {}", report.name), is_last, report })
    }

    fn run(mut self, progress: &mut dyn FnMut(u64)) -> Result<SegmentReport, Error> {
        let file = self.folder.open(self.report.base)?;
        let walker = Walker::start(file, self.report.base, true);
        match self.folder.io(&self.read, walker)? {
            Ok(walker) => self.walk(walker, progress)?,
            Err(bad) => self.note_bad_header(bad)?,
        }
        Ok(self.report)
    }

    /// A crash can tear the header of the last segment, but only before anything follows it.
    fn note_bad_header(&mut self, bad: Bad) -> Result<(), Error> {
        if self.is_last && self.report.bytes <= segment::SEGMENT_HEADER_BYTES as u64 {
            self.report.torn_bytes = self.report.bytes;
            return Ok(());
        }
        self.note(0, bad)
    }

    fn walk(&mut self, mut walker: Walker, progress: &mut dyn FnMut(u64)) -> Result<(), Error> {
        loop {
            let offset = walker.summary.bytes;
            match self.folder.io(&self.read, walker.step())? {
                Step::Frame { .. } => self.count(&walker),
                Step::Footer(footer) => return self.check_footer(&walker.summary, &footer),
                Step::End => return self.check_end(offset),
                Step::Bad(bad) if self.is_torn_tail(&mut walker)? => {
                    return self.note_torn(&mut walker, bad);
                }
                Step::Bad(bad) => {
                    self.note(offset, bad)?;
                    match self.next_good(&mut walker, offset)? {
                        Some((at, header)) => walker.go_on_at(at, header.position),
                        None => return Ok(()),
                    }
                }
            }
            progress(walker.summary.bytes);
        }
    }

    fn count(&mut self, walker: &Walker) {
        self.report.frames += 1;
        self.report.end = walker.summary.end;
    }

    fn is_torn_tail(&self, walker: &mut Walker) -> Result<bool, Error> {
        if !self.is_last {
            return Ok(false);
        }
        let claim = recovery::durable_claim(walker);
        Ok(self.folder.io(&self.read, claim)?.is_none())
    }

    fn note_torn(&mut self, walker: &mut Walker, bad: Bad) -> Result<(), Error> {
        let offset = walker.summary.bytes;
        if matches!(bad, Bad::Version(_)) {
            return self.note(offset, bad);
        }
        let used = self.folder.io(&self.read, walker.used_behind(offset))?;
        self.report.torn_bytes = used - offset;
        Ok(())
    }

    fn next_good(&self, walker: &mut Walker, bad: u64) -> Result<Option<(u64, Header)>, Error> {
        let found = walker.find_from(bad + ALIGNMENT);
        self.folder.io(&self.read, found)
    }

    /// After a damage the sums cannot agree, which says nothing new.
    fn check_footer(&mut self, found: &Summary, footer: &Summary) -> Result<(), Error> {
        self.report.sealed = true;
        if self.report.damages.is_empty() && found != footer {
            let why = format!(
                "the footer counts {} frames up to position {}, and {} up to {} are there",
                footer.frames, footer.end, found.frames, found.end
            );
            let offset = found.bytes;
            self.report.damages.push(Damage { offset, why });
        }
        Ok(())
    }

    fn check_end(&mut self, offset: u64) -> Result<(), Error> {
        if !self.is_last {
            let why = recovery::UNSEALED.to_owned();
            self.report.damages.push(Damage { offset, why });
        }
        Ok(())
    }

    /// A version that this build does not know ends the check: what it means cannot be said.
    fn note(&mut self, offset: u64, bad: Bad) -> Result<(), Error> {
        if matches!(bad, Bad::Version(_)) {
            return Err(damaged(self.report.base, offset, bad));
        }
        let why = bad.why();
        self.report.damages.push(Damage { offset, why });
        Ok(())
    }
}
