//! Brings a folder into the state in which a journal may go on: every segment sealed, without a gap, the tail cut where a
//! crash tore it. Refuses, and changes nothing, where something is missing that was once durable.
//!
//! A crash may lose or tear whatever had not been synced, so a bad record in the unsealed tail ends the journal. Not so if a later
//! record of that segment says that the place was durable when it was written: then the disk has lost what it promised to keep.

use super::folder::{self, Folder, damaged};
use super::frame::{ALIGNMENT, Bad};
use super::segment::{self, FOOTER_BYTES, SEGMENT_HEADER_BYTES, SegmentHeader, SegmentInfo, Summary};
use super::storage::StorageFile;
use super::walk::{Step, Walker};
use super::{Error, Position};

/// How much of the tail is written again at once.
const AGAIN_BYTES: usize = 1 << 20;

/// Opens all segments of a folder, oldest first, and seals the last.
pub(super) fn recover(folder: &Folder) -> Result<Vec<SegmentInfo>, Error> {
    let bases = folder.bases()?;
    let mut segments = Vec::with_capacity(bases.len());
    for (index, base) in bases.iter().enumerate() {
        let sealed = sealed_segment(folder, *base)?;
        let is_last = index + 1 == bases.len();
        match sealed {
            Ok(info) => {
                if is_last {
                    confirm(folder, &info)?;
                }
                segments.push(info);
            }
            Err(_) if is_last => segments.extend(recover_tail(folder, *base)?),
            Err((offset, bad)) => return Err(unsealed(*base, offset, bad)),
        }
    }
    check_gaps(&segments)?;
    Ok(segments)
}

/// Reads the footer of a segment; the inner error says why it counts as unsealed.
fn sealed_segment(folder: &Folder, base: Position) -> Result<Result<SegmentInfo, (u64, Bad)>, Error> {
    let file = folder.open(base)?;
    let what = format!("read {}", segment::name(base));
    folder.io(&what, read_footer(&*file, base))
}

/// Makes the newest footer durable once more: the sync after it may have failed, and a later segment behind a lost footer is damage. All
/// before the footer was durable when it was written.
fn confirm(folder: &Folder, info: &SegmentInfo) -> Result<(), Error> {
    let file = folder.open(info.base)?;
    let (mut footer, at) = ([0; FOOTER_BYTES], info.bytes - FOOTER_BYTES as u64);
    let written = file.read_at(at, &mut footer).and_then(|_| file.write_at(at, &footer));
    let confirmed = written.and_then(|()| folder::sync(&*file));
    folder.io(&format!("confirm {}", segment::name(info.base)), confirmed)
}

fn read_footer(file: &dyn StorageFile, base: Position) -> std::io::Result<Result<SegmentInfo, (u64, Bad)>> {
    let mut header = [0; SEGMENT_HEADER_BYTES];
    let count = file.read_at(0, &mut header)?;
    let header = match SegmentHeader::read(header.get(..count).unwrap_or_default()) {
        Ok(header) => header,
        Err(bad) => return Ok(Err((0, bad))),
    };
    let offset = file.len()?.saturating_sub(FOOTER_BYTES as u64);
    let mut footer = [0; FOOTER_BYTES];
    file.read_at(offset, &mut footer)?;
    Ok(match Summary::from_footer(&footer, header.salt) {
        Ok(summary) if summary.base == base && summary.bytes == offset => Ok(summary.info(true)),
        Ok(_) => Err((offset, Bad::Magic)),
        Err(bad) => Err((offset, bad)),
    })
}

/// What is wrong with a segment that ends without a footer and is not the last.
pub(super) const UNSEALED: &str = "the segment has no footer although a later segment follows";

/// What is wrong with a segment when the one before it ends at `end` and it begins elsewhere.
pub(super) fn gap(end: Position) -> String {
    format!("the segment before it ends at position {end}, so something between is missing")
}

fn unsealed(base: Position, offset: u64, bad: Bad) -> Error {
    if matches!(bad, Bad::Version(_)) {
        return damaged(base, offset, bad);
    }
    Error::Damaged { segment: segment::name(base), offset, why: format!("{UNSEALED} ({})", bad.why()) }
}

fn check_gaps(segments: &[SegmentInfo]) -> Result<(), Error> {
    for (before, after) in segments.iter().zip(segments.iter().skip(1)) {
        if before.end != after.base {
            return Err(Error::Damaged {
                segment: segment::name(after.base),
                offset: 0,
                why: gap(before.end),
            });
        }
    }
    Ok(())
}

/// Cuts the tail at its valid end and seals it; a tail without a frame is removed.
fn recover_tail(folder: &Folder, base: Position) -> Result<Option<SegmentInfo>, Error> {
    let Some(tail) = find_end(folder, base)? else {
        folder.remove(base)?;
        folder.sync()?;
        return Ok(None);
    };
    let file = folder.open(base)?;
    let what = format!("seal {}", segment::name(base));
    let sealed =
        write_again(&*file, tail.summary.bytes).and_then(|()| seal(&*file, &tail.summary, tail.salt));
    folder.io(&what, sealed)?;
    Ok(Some(tail.summary.info(true)))
}

/// Writes what the file shows once more, in its place: after a sync that failed the system may show what the disk never got, and would
/// not write it at a later sync. The bytes are the same, so a crash meanwhile changes nothing that was there.
fn write_again(file: &dyn StorageFile, bytes: u64) -> std::io::Result<()> {
    let mut part = vec![0; AGAIN_BYTES];
    let mut at = 0;
    while at < bytes {
        let count = usize::try_from(bytes - at).unwrap_or(AGAIN_BYTES).min(AGAIN_BYTES);
        let part = part.get_mut(..count).unwrap_or_default();
        if file.read_at(at, part)? != count {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        file.write_at(at, part)?;
        at += count as u64;
    }
    Ok(())
}

/// Ends a segment for good.
fn seal(file: &dyn StorageFile, summary: &Summary, salt: u32) -> std::io::Result<()> {
    end_frames(file, summary)?;
    file.write_at(summary.bytes, &summary.footer(salt))?;
    folder::sync(file)
}

/// Cuts what is prepared behind the frames of a segment, and makes all of them durable before the footer is written, because the
/// footer vouches for them.
pub(super) fn end_frames(file: &dyn StorageFile, summary: &Summary) -> std::io::Result<()> {
    file.set_len(summary.bytes)?;
    folder::sync(file)
}

struct Tail {
    summary: Summary,
    salt: u32,
}

/// Where the frames of an unsealed segment end; `None` if it has none.
fn find_end(folder: &Folder, base: Position) -> Result<Option<Tail>, Error> {
    let name = segment::name(base);
    let read = format!("read {name}");
    let file = folder.open(base)?;
    let file_bytes = folder.io(&read, file.len())?;
    let mut walker = match folder.io(&read, Walker::start(file, base, true))? {
        Ok(walker) => walker,
        // The header is durable before anything else is written.
        Err(bad) if file_bytes > SEGMENT_HEADER_BYTES as u64 => return Err(damaged(base, 0, bad)),
        Err(_) => return Ok(None),
    };
    let bad = loop {
        match folder.io(&read, walker.step())? {
            Step::Frame { .. } => {}
            Step::Footer(_) | Step::End => break None,
            Step::Bad(bad) => break Some(bad),
        }
    };
    if let Some(bad) = bad {
        check_tail(folder, &mut walker, bad)?;
    }
    let (summary, salt) = (walker.summary, walker.salt());
    Ok((summary.frames > 0).then_some(Tail { summary, salt }))
}

/// Refuses if the bad record was once durable; else says how much is cut.
fn check_tail(folder: &Folder, walker: &mut Walker, bad: Bad) -> Result<(), Error> {
    let Summary { base, end, bytes, .. } = walker.summary;
    if matches!(bad, Bad::Version(_)) {
        return Err(damaged(base, bytes, bad));
    }
    let read = format!("read {}", segment::name(base));
    if let Some(at) = folder.io(&read, durable_claim(walker))? {
        return Err(Error::Damaged {
            segment: segment::name(base),
            offset: bytes,
            why: format!("{}, and the frame at byte {at} says that position {end} was durable", bad.why()),
        });
    }
    let cut_bytes = folder.io(&read, walker.used_behind(bytes))? - bytes;
    if cut_bytes > 0 {
        tracing::warn!(
            segment = segment::name(base), offset = bytes, cut_bytes, next = %end, why = bad.why(),
            "the journal ends here: what follows was being written when the host stopped, and was never durable"
        );
    }
    Ok(())
}

/// Where a later record calls the place durable at which the walk ended.
pub(super) fn durable_claim(walker: &mut Walker) -> std::io::Result<Option<u64>> {
    let Summary { end, bytes, .. } = walker.summary;
    let mut from = bytes;
    while let Some((at, header)) = walker.find_from(from)? {
        if header.durable > end {
            return Ok(Some(at));
        }
        from = at + ALIGNMENT;
    }
    Ok(None)
}
