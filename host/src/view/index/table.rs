//! A sorted table in a file: pages of entries with a checksum each, behind a list of the pages' first entries. A look-up reads
//! the list and the pages that it needs, and everything that it reads is checked.
//!
//! Layout, little endian: checksum of the list; the list (first entry, checksum of the page); the pages.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// A page is as long as a page of memory, or a little shorter.
const PAGE_BYTES: usize = 4096;

/// Where a table is in its file, and how many entries it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Section {
    /// Its first byte.
    pub at: u64,
    /// Its entries.
    pub count: u32,
}

const fn page_entries<const N: usize>() -> usize {
    PAGE_BYTES / (4 * N)
}

/// Writes a table of ascending entries behind what `out`, the file from its first byte, holds.
pub fn encode<const N: usize>(out: &mut Vec<u8>, entries: &[[u32; N]]) -> Section {
    let section = Section { at: out.len() as u64, count: entries.len() as u32 };
    let (mut list, mut pages) = (Vec::new(), Vec::with_capacity(entries.len() * 4 * N));
    for page in entries.chunks(page_entries::<N>()) {
        let start = pages.len();
        page.iter().for_each(|entry| put(&mut pages, entry));
        page.iter().take(1).for_each(|first| put(&mut list, first));
        let checksum = crc32fast::hash(pages.get(start..).unwrap_or_default());
        list.extend_from_slice(&checksum.to_le_bytes());
    }
    out.extend_from_slice(&crc32fast::hash(&list).to_le_bytes());
    out.extend_from_slice(&list);
    out.extend_from_slice(&pages);
    section
}

fn put<const N: usize>(out: &mut Vec<u8>, entry: &[u32; N]) {
    entry.iter().for_each(|word| out.extend_from_slice(&word.to_le_bytes()));
}

/// A table that is open for look-ups.
pub struct Table<'a, const N: usize> {
    file: &'a File,
    section: Section,
    pages: Vec<Page<N>>,
}

struct Page<const N: usize> {
    first: [u32; N],
    checksum: u32,
}

impl<'a, const N: usize> Table<'a, N> {
    /// Reads the list of pages.
    pub fn open(file: &'a File, section: Section) -> io::Result<Self> {
        let count = (section.count as usize).div_ceil(page_entries::<N>());
        let mut bytes = vec![0; 4 + count * 4 * (N + 1)];
        file.read_exact_at(&mut bytes, section.at)?;
        let Some((checksum, list)) = bytes.split_first_chunk::<4>() else { return Err(damaged()) };
        check(list, u32::from_le_bytes(*checksum))?;
        let pages = list.chunks_exact(4 * (N + 1)).map(Page::read).collect();
        Ok(Self { file, section, pages })
    }

    /// The greatest entry that is not above `high`.
    pub fn floor(&self, high: [u32; N]) -> io::Result<Option<[u32; N]>> {
        let Some(page) = self.page_of(high) else { return Ok(None) };
        Ok(self.read(page)?.into_iter().rfind(|entry| *entry <= high))
    }

    /// All entries from `low` to `high`, ascending.
    pub fn range(&self, low: [u32; N], high: [u32; N]) -> io::Result<Vec<[u32; N]>> {
        let mut found = Vec::new();
        let from = self.page_of(low).unwrap_or(0);
        for (index, page) in self.pages.iter().enumerate().skip(from) {
            if page.first > high {
                break;
            }
            found.extend(self.read(index)?.into_iter().filter(|entry| (low..=high).contains(entry)));
        }
        Ok(found)
    }

    /// The last page that starts at or below an entry.
    fn page_of(&self, entry: [u32; N]) -> Option<usize> {
        self.pages.partition_point(|page| page.first <= entry).checked_sub(1)
    }

    fn read(&self, index: usize) -> io::Result<Vec<[u32; N]>> {
        let skipped = index * page_entries::<N>();
        let count = (self.section.count as usize).saturating_sub(skipped).min(page_entries::<N>());
        let pages_at = self.section.at + 4 + (self.pages.len() * 4 * (N + 1)) as u64;
        let mut bytes = vec![0; count * 4 * N];
        self.file.read_exact_at(&mut bytes, pages_at + (skipped * 4 * N) as u64)?;
        check(&bytes, self.pages.get(index).map_or(0, |page| page.checksum))?;
        Ok(bytes.chunks_exact(4 * N).map(words).collect())
    }
}

impl<const N: usize> Page<N> {
    fn read(bytes: &[u8]) -> Self {
        let (first, checksum) = bytes.split_at(4 * N);
        let [checksum] = words(checksum);
        Self { first: words(first), checksum }
    }
}

fn words<const N: usize>(bytes: &[u8]) -> [u32; N] {
    let (words, _) = bytes.as_chunks::<4>();
    std::array::from_fn(|n| words.get(n).map_or(0, |word| u32::from_le_bytes(*word)))
}

fn check(bytes: &[u8], checksum: u32) -> io::Result<()> {
    if crc32fast::hash(bytes) == checksum { Ok(()) } else { Err(damaged()) }
}

/// What is read is not what was written.
pub fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a checksum does not match")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn table(entries: &[[u32; 2]]) -> (File, Section, Vec<u8>) {
        let mut bytes = b"in front".to_vec();
        let section = encode(&mut bytes, entries);
        (file(&bytes), section, bytes)
    }

    fn file(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    #[test]
    fn look_ups_agree_with_the_plain_list_over_pages() {
        for count in [0, 1, 511, 512, 513, 2000] {
            let entries: Vec<[u32; 2]> = (0..count).map(|n| [n / 700, n * 2]).collect();
            let (file, section, _) = table(&entries);
            let table = Table::<2>::open(&file, section).unwrap();
            for probe in [[0, 0], [0, 1023], [0, 1024], [1, 0], [1, 2001], [9, 9]] {
                let floor = entries.iter().rfind(|entry| **entry <= probe).copied();
                assert_eq!(table.floor(probe).unwrap(), floor, "{count} {probe:?}");
                let high = [probe[0], u32::MAX];
                let range: Vec<_> = entries.iter().filter(|e| (probe..=high).contains(e)).copied().collect();
                assert_eq!(table.range(probe, high).unwrap(), range, "{count} {probe:?}");
            }
        }
    }

    #[test]
    fn every_damaged_byte_is_found() {
        let entries: Vec<[u32; 2]> = (0..600).map(|n| [n, n]).collect();
        let (_, section, bytes) = table(&entries);
        for at in (8..bytes.len()).step_by(7) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            let file = file(&damaged);
            let found = Table::<2>::open(&file, section).and_then(|table| table.range([0, 0], [600, 0]));
            assert!(found.is_err(), "{at}");
        }
        let cut = file(&bytes[..bytes.len() - 1]);
        assert!(Table::<2>::open(&cut, section).unwrap().floor([599, 599]).is_err());
    }
}
