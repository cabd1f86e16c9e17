//! Checkpoints: what all frames before a position add up to, kept beside the segments as bytes that the journal does not understand.
//! Once two of them are whole, the segments before them may go: see `trim`.
//!
//! A file is a header, and then the content. The header is written last, when the content is durable: a file without one was never
//! finished and counts for nothing; one whose content does not agree with its header is damaged.

use std::io::{Read, Write};

use bytes::{Buf, BufMut};

use super::folder::{self, Folder};
use super::storage::StorageFile;
use super::{Error, Position};

const HEADER_BYTES: usize = 64;
const MAGIC: u32 = u32::from_le_bytes(*b"bckp");
const VERSION: u16 = 1;
const SUFFIX: &str = ".ckpt";
/// How much is read or written at once.
const CHUNK_BYTES: usize = 1 << 20;
/// How many checkpoints are kept, the newest ones.
pub(super) const KEPT: usize = 2;

/// A checkpoint that was finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CheckpointInfo {
    /// It stands for all frames before this position.
    pub position: Position,
    /// Tells checkpoints of one position apart.
    pub copy: u32,
    /// How long its content is.
    pub bytes: u64,
}

struct Header {
    position: Position,
    bytes: u64,
    digest: [u8; 32],
}

impl Header {
    fn encode(&self) -> Vec<u8> {
        let mut fields = Vec::with_capacity(HEADER_BYTES);
        fields.put_u16_le(VERSION);
        fields.put_bytes(0, 6);
        fields.put_u64_le(self.position.0);
        fields.put_u64_le(self.bytes);
        fields.put_slice(&self.digest);
        let mut bytes = Vec::with_capacity(HEADER_BYTES);
        bytes.put_u32_le(MAGIC);
        bytes.put_u32_le(crc32fast::hash(&fields));
        bytes.append(&mut fields);
        bytes
    }

    /// The inner error says what is wrong with a header that is there.
    fn read(mut bytes: &[u8]) -> Option<Result<Self, &'static str>> {
        if bytes.len() < HEADER_BYTES || bytes.iter().all(|byte| *byte == 0) {
            return None;
        }
        if bytes.get_u32_le() != MAGIC {
            return Some(Err("it does not begin as a checkpoint does"));
        }
        let crc = bytes.get_u32_le();
        if crc32fast::hash(bytes.get(..HEADER_BYTES - 8).unwrap_or_default()) != crc {
            return Some(Err("its header does not match its checksum"));
        }
        if bytes.get_u16_le() != VERSION {
            return Some(Err("it was written by another version of Baton"));
        }
        bytes.advance(6);
        let (position, content_bytes) = (Position(bytes.get_u64_le()), bytes.get_u64_le());
        let mut digest = [0; 32];
        bytes.copy_to_slice(&mut digest);
        Some(Ok(Self { position, bytes: content_bytes, digest }))
    }
}

/// The file name of a checkpoint.
pub(super) fn name(position: Position, copy: u32) -> String {
    format!("{:020}.{copy}{SUFFIX}", position.0)
}

fn parts_of(file_name: &str) -> Option<(Position, u32)> {
    let (digits, copy) = file_name.strip_suffix(SUFFIX)?.split_once('.')?;
    let parts = (Position(digits.parse().ok()?), copy.parse().ok()?);
    (name(parts.0, parts.1) == file_name).then_some(parts)
}

/// Position and copy of all files that are there, oldest first, finished or not.
pub(super) fn files(folder: &Folder) -> Result<Vec<(Position, u32)>, Error> {
    let mut files: Vec<_> = folder.names()?.iter().filter_map(|name| parts_of(name)).collect();
    files.sort_unstable();
    Ok(files)
}

/// The checkpoints that were finished, newest first; their content is not looked at.
pub(super) fn list(folder: &Folder) -> Result<Vec<CheckpointInfo>, Error> {
    let mut found = Vec::new();
    for (position, copy) in files(folder)? {
        if let Some(Ok(header)) = header(folder, position, copy)? {
            found.push(CheckpointInfo { position, copy, bytes: header.bytes });
        }
    }
    found.reverse();
    Ok(found)
}

fn header(
    folder: &Folder,
    position: Position,
    copy: u32,
) -> Result<Option<Result<Header, &'static str>>, Error> {
    let name = name(position, copy);
    let file = folder.open_file(&name)?;
    let mut bytes = [0; HEADER_BYTES];
    let count = folder.io(&format!("read {name}"), file.read_at(0, &mut bytes))?;
    let read = Header::read(bytes.get(..count).unwrap_or_default());
    Ok(read.map(|header| match header {
        Ok(header) if header.position != position => Err("its header names another position"),
        header => header,
    }))
}

/// Writes a checkpoint; when this returns, it is durable. What is older than the two newest goes.
pub(super) fn write(
    folder: &Folder,
    position: Position,
    content: &mut dyn Read,
) -> Result<CheckpointInfo, Error> {
    let of_position = files(folder)?.into_iter().filter(|file| file.0 == position);
    let copy = of_position.map(|file| file.1 + 1).max().unwrap_or(0);
    let name = name(position, copy);
    let file = folder.create_file(&name)?;
    let written = folder.io(&format!("write {name}"), write_whole(&*file, position, content));
    // Half a checkpoint is worth nothing, and its room may be just what is missing.
    let bytes = written.inspect_err(|_| drop(folder.remove_file(&name)))?;
    folder.sync()?;
    keep_newest(folder)?;
    Ok(CheckpointInfo { position, copy, bytes })
}

fn write_whole(file: &dyn StorageFile, position: Position, content: &mut dyn Read) -> std::io::Result<u64> {
    let (bytes, digest) = write_content(file, content)?;
    folder::sync(file)?;
    file.write_at(0, &Header { position, bytes, digest }.encode())?;
    folder::sync(file)?;
    Ok(bytes)
}

fn write_content(file: &dyn StorageFile, content: &mut dyn Read) -> std::io::Result<(u64, [u8; 32])> {
    let mut hasher = blake3::Hasher::new();
    let (mut chunk, mut bytes) = (vec![0; CHUNK_BYTES], 0);
    loop {
        let count = content.read(&mut chunk)?;
        let Some(filled) = chunk.get(..count).filter(|filled| !filled.is_empty()) else { break };
        file.write_at(HEADER_BYTES as u64 + bytes, filled)?;
        hasher.update(filled);
        bytes += count as u64;
    }
    Ok((bytes, *hasher.finalize().as_bytes()))
}

/// Removes what was never finished, and all finished ones but the newest.
fn keep_newest(folder: &Folder) -> Result<(), Error> {
    let finished = list(folder)?;
    let kept: Vec<_> = finished.iter().take(KEPT).map(|kept| (kept.position, kept.copy)).collect();
    for (position, copy) in files(folder)? {
        if !kept.contains(&(position, copy)) {
            folder.remove_file(&name(position, copy))?;
            folder.sync()?;
        }
    }
    Ok(())
}

/// Reads the content of a checkpoint into `into`. After an error, what was read counts for nothing.
pub(super) fn read(folder: &Folder, info: CheckpointInfo, into: &mut dyn Write) -> Result<(), Error> {
    let name = name(info.position, info.copy);
    let damaged = |why: &str| Error::CheckpointDamaged { name: name.clone(), why: why.to_owned() };
    let header = header(folder, info.position, info.copy)?.ok_or_else(|| damaged("it was never finished"))?;
    let header = header.map_err(damaged)?;
    let file = folder.open_file(&name)?;
    let digest = folder.io(&format!("read {name}"), read_content(&*file, header.bytes, into))?;
    match digest == Some(header.digest) {
        true => Ok(()),
        false => Err(damaged("its content does not match its checksum")),
    }
}

/// The digest of the content; none if the file is too short.
fn read_content(
    file: &dyn StorageFile,
    bytes: u64,
    into: &mut dyn Write,
) -> std::io::Result<Option<[u8; 32]>> {
    let mut hasher = blake3::Hasher::new();
    let (mut chunk, mut done) = (vec![0; CHUNK_BYTES], 0);
    while done < bytes {
        let wanted = (bytes - done).min(CHUNK_BYTES as u64) as usize;
        let count = file.read_at(HEADER_BYTES as u64 + done, chunk.get_mut(..wanted).unwrap_or_default())?;
        let Some(filled) = chunk.get(..count).filter(|filled| !filled.is_empty()) else { return Ok(None) };
        hasher.update(filled);
        into.write_all(filled)?;
        done += count as u64;
    }
    Ok(Some(*hasher.finalize().as_bytes()))
}

/// What is wrong with a checkpoint, if anything is.
pub(super) fn check(folder: &Folder, position: Position, copy: u32) -> Result<Option<String>, Error> {
    match header(folder, position, copy)? {
        None => Ok(Some("it was never finished; the next one replaces it".to_owned())),
        Some(Err(why)) => Ok(Some(why.to_owned())),
        Some(Ok(header)) => {
            let info = CheckpointInfo { position, copy, bytes: header.bytes };
            match read(folder, info, &mut std::io::sink()) {
                Err(Error::CheckpointDamaged { why, .. }) => Ok(Some(why)),
                checked => checked.map(|()| None),
            }
        }
    }
}

/// The checkpoints whose content is as it was written, newest first.
pub(super) fn whole(folder: &Folder) -> Result<Vec<CheckpointInfo>, Error> {
    let mut whole = Vec::new();
    for info in list(folder)? {
        if check(folder, info.position, info.copy)?.is_none() {
            whole.push(info);
        }
    }
    Ok(whole)
}
