//! Removes the oldest segments, and copies a journal that is being written. Both know nothing of what the frames are worth: that their
//! effects are in two checkpoints is all that is checked.

use super::catalog::Catalog;
use super::folder::Folder;
use super::segment::SegmentInfo;
use super::{Error, Position, checkpoint, segment};

/// How much is copied at once.
const CHUNK_BYTES: usize = 1 << 20;

/// Removes whole segments that end at or before `to`, oldest first, and never the newest.
///
/// A removal is durable before the next begins: after a crash no segment lacks one that came after it.
pub(super) fn trim(folder: &Folder, catalog: &Catalog, to: Position) -> Result<Vec<SegmentInfo>, Error> {
    if catalog.oldest_before(to).is_none() {
        return Ok(Vec::new());
    }
    let backed = checkpoint::whole(folder)?.get(checkpoint::KEPT - 1).map(|older| older.position);
    if backed.is_none_or(|backed| backed < to) {
        return Err(Error::Unbacked { to });
    }
    let mut removed = Vec::new();
    while let Some(info) = catalog.oldest_before(to) {
        catalog.forget(info.base);
        folder.remove(info.base)?;
        folder.sync()?;
        removed.push(info);
    }
    Ok(removed)
}

/// Copies the checkpoints and these segments, of each the bytes that are in use.
pub(super) fn copy(folder: &Folder, segments: &[SegmentInfo], to: &Folder) -> Result<(), Error> {
    for info in checkpoint::list(folder)? {
        let name = checkpoint::name(info.position, info.copy);
        let file = folder.open_file(&name)?;
        let bytes = folder.io(&format!("read {name}"), file.len())?;
        copy_file(folder, bytes, to, &name)?;
    }
    for info in segments {
        copy_file(folder, info.bytes, to, &segment::name(info.base))?;
    }
    to.sync()
}

fn copy_file(folder: &Folder, bytes: u64, to: &Folder, name: &str) -> Result<(), Error> {
    let (source, target) = (folder.open_file(name)?, to.create_file(name)?);
    let (mut chunk, mut done) = (vec![0; CHUNK_BYTES], 0);
    while done < bytes {
        let wanted = (bytes - done).min(CHUNK_BYTES as u64) as usize;
        let read = source.read_at(done, chunk.get_mut(..wanted).unwrap_or_default());
        let count = folder.io(&format!("read {name}"), read)?;
        let Some(filled) = chunk.get(..count).filter(|filled| !filled.is_empty()) else {
            return folder.io(&format!("read {name}"), Err(std::io::ErrorKind::UnexpectedEof.into()));
        };
        to.io(&format!("write {name}"), target.write_at(done, filled))?;
        done += count as u64;
    }
    to.io(&format!("sync {name}"), target.sync())
}
