//! The file of one closed block: a checked head that stays in memory (32 bytes per channel), and sorted tables that are read
//! when they are asked. It opens its file for each look-up, so the number of blocks costs no file handles.
//!
//! Layout, little endian: magic, version, channels, length of the file, positions from and to, time of the latest frame, the
//! sections of flows and ids, then per channel its number, runs, first offset, offset behind the last and section; checksum; tables.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use crate::model::change::ChannelId;

use super::Error;
use super::block::{Block, Pair, Run, Runs, pair};
use super::table::{Section, Table, damaged, encode};

const MAGIC: [u8; 8] = *b"batonidx";
const VERSION: u32 = 1;
const FIXED_BYTES: usize = 8 + 4 + 4 + 8 * 4 + 12 * 2;
const CHANNEL_BYTES: usize = 32;
/// The last part of the name of a block's file.
pub const SUFFIX: &str = "index";

/// A block in a file.
#[derive(Debug)]
pub struct BlockFile {
    path: PathBuf,
    head: Head,
}

#[derive(Debug, PartialEq)]
struct Head {
    bytes: u64,
    positions: Range<u64>,
    time_max_ms: u64,
    flows: Section,
    ids: Section,
    channels: Vec<ChannelRuns>,
}

#[derive(Debug, PartialEq)]
struct ChannelRuns {
    channel: ChannelId,
    offsets: Range<u64>,
    runs: Section,
}

impl BlockFile {
    /// Writes a block that ends before `end`; when this returns, it is on the disk under its name.
    pub fn write(dir: &Path, block: &Block, end: u64) -> Result<Self, Error> {
        let (head, bytes) = contents(block, end);
        let path = dir.join(format!("{:020}.{SUFFIX}", block.first));
        let temporary = path.with_extension("tmp");
        let write = || {
            let mut file = File::create(&temporary)?;
            file.write_all(&bytes)?;
            file.sync_all()?;
            fs::rename(&temporary, &path)?;
            File::open(dir)?.sync_all()
        };
        write().map_err(|source| Error::Io { path: path.clone(), source })?;
        Ok(Self { path, head })
    }

    /// Reads and checks the head of a file; the tables are checked as they are read.
    pub fn open(path: PathBuf) -> Result<Self, Error> {
        match Head::read(&path) {
            Ok(head) => Ok(Self { path, head }),
            Err(source) => Err(Error::of(&path, source)),
        }
    }

    /// The positions that it answers for.
    pub fn positions(&self) -> Range<u64> {
        self.head.positions.clone()
    }

    /// The latest time of a frame.
    pub fn time_max_ms(&self) -> u64 {
        self.head.time_max_ms
    }

    /// Which offsets of which channels it holds.
    pub fn offsets(&self) -> Vec<(ChannelId, Range<u64>)> {
        self.head.channels.iter().map(|runs| (runs.channel, runs.offsets.clone())).collect()
    }

    /// Removes the file from the disk.
    pub fn remove(&self) -> Result<(), Error> {
        fs::remove_file(&self.path).map_err(|source| Error::Io { path: self.path.clone(), source })
    }

    /// The position of the frame that holds an offset.
    pub fn locate(&self, channel: ChannelId, offset: u64) -> Result<Option<u64>, Error> {
        let channels = &self.head.channels;
        let Ok(index) = channels.binary_search_by_key(&channel, |runs| runs.channel) else { return Ok(None) };
        let Some(runs) = channels.get(index).filter(|runs| runs.offsets.contains(&offset)) else {
            return Ok(None);
        };
        let distance = (offset - runs.offsets.start) as u32;
        let floor = |file: &File| Table::<2>::open(file, runs.runs)?.floor([distance, u32::MAX]);
        let run: Option<Run> = self.ask(floor)?;
        Ok(run.map(|[_, frame]| self.head.positions.start + u64::from(frame)))
    }

    /// The positions of the frames that hold something of the flow with this hash, ascending.
    pub fn flow(&self, hash: u64) -> Result<Vec<u64>, Error> {
        self.find(self.head.flows, hash)
    }

    /// The positions of the frames that hold an event with this hash, ascending.
    pub fn id(&self, hash: u64) -> Result<Vec<u64>, Error> {
        self.find(self.head.ids, hash)
    }

    fn find(&self, section: Section, hash: u64) -> Result<Vec<u64>, Error> {
        let (low, high) = (pair(hash, 0), pair(hash, u32::MAX));
        let found: Vec<Pair> = self.ask(|file| Table::<3>::open(file, section)?.range(low, high))?;
        Ok(found.into_iter().map(|[_, _, frame]| self.head.positions.start + u64::from(frame)).collect())
    }

    fn ask<T>(&self, read: impl FnOnce(&File) -> io::Result<T>) -> Result<T, Error> {
        File::open(&self.path).and_then(|file| read(&file)).map_err(|source| Error::of(&self.path, source))
    }
}

fn contents(block: &Block, end: u64) -> (Head, Vec<u8>) {
    let used = || (0..).zip(&block.channels).filter(|(_, runs)| !runs.entries.is_empty());
    let mut out = vec![0; FIXED_BYTES + used().count() * CHANNEL_BYTES + 4];
    let channels = used().map(|(channel, runs)| runs_to(&mut out, channel, runs)).collect();
    let flows = encode(&mut out, &block.flows.sorted());
    let ids = encode(&mut out, &block.ids.sorted());
    let bytes = out.len() as u64;
    let positions = block.first..end;
    let head = Head { bytes, positions, time_max_ms: block.time_max_ms, flows, ids, channels };
    let head_bytes = head.encode();
    if let Some(place) = out.get_mut(..head_bytes.len()) {
        place.copy_from_slice(&head_bytes);
    }
    (head, out)
}

fn runs_to(out: &mut Vec<u8>, channel: ChannelId, runs: &Runs) -> ChannelRuns {
    ChannelRuns { channel, offsets: runs.first..runs.end, runs: encode(out, &runs.entries) }
}

impl Head {
    fn encode(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        for number in [VERSION, self.channels.len() as u32] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        for number in [self.bytes, self.positions.start, self.positions.end, self.time_max_ms] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        for Section { at, count } in [self.flows, self.ids] {
            out.extend_from_slice(&at.to_le_bytes());
            out.extend_from_slice(&count.to_le_bytes());
        }
        for ChannelRuns { channel, offsets, runs } in &self.channels {
            out.extend_from_slice(&channel.to_le_bytes());
            out.extend_from_slice(&runs.count.to_le_bytes());
            for number in [offsets.start, offsets.end, runs.at] {
                out.extend_from_slice(&number.to_le_bytes());
            }
        }
        let checksum = crc32fast::hash(&out);
        out.extend_from_slice(&checksum.to_le_bytes());
        out
    }

    fn read(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let bytes = file.metadata()?.len();
        let mut fixed = [0; FIXED_BYTES];
        file.read_exact_at(&mut fixed, 0)?;
        let channels = fixed.get(12..).and_then(<[u8]>::first_chunk).copied().map_or(0, u32::from_le_bytes);
        let len = FIXED_BYTES + channels as usize * CHANNEL_BYTES + 4;
        if len as u64 > bytes {
            return Err(damaged());
        }
        let mut head = vec![0; len];
        file.read_exact_at(&mut head, 0)?;
        Self::decode(&head).filter(|head| head.bytes == bytes).ok_or_else(damaged)
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (body, checksum) = bytes.split_last_chunk::<4>()?;
        if crc32fast::hash(body) != u32::from_le_bytes(*checksum) {
            return None;
        }
        let mut fields = Fields(body.strip_prefix(&MAGIC)?);
        if fields.number()? != VERSION {
            return None;
        }
        let count = fields.number()?;
        Some(Self {
            bytes: fields.long()?,
            positions: fields.long()?..fields.long()?,
            time_max_ms: fields.long()?,
            flows: Section { at: fields.long()?, count: fields.number()? },
            ids: Section { at: fields.long()?, count: fields.number()? },
            channels: (0..count).map(|_| fields.channel()).collect::<Option<_>>()?,
        })
    }
}

struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*head)
    }

    fn number(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn long(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn channel(&mut self) -> Option<ChannelRuns> {
        let (channel, count) = (self.number()?, self.number()?);
        let offsets = self.long()?..self.long()?;
        Some(ChannelRuns { channel, offsets, runs: Section { at: self.long()?, count } })
    }
}
