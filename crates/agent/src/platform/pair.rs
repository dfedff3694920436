//! A small record in two copies that are written in turn: whatever moment the
//! power goes, one of them is whole.
//!
//! Each copy has 4096 bytes of its own: magic (4), version (u16), length (u16),
//! generation (u64), the record, CRC-32 of all that (u32), zeros; integers are
//! little-endian. The whole copy with the higher generation counts.

use super::files;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, FileTypeExt};
use std::path::{Path, PathBuf};

/// Bytes of one copy: the largest unit that media tear in practice.
const COPY: usize = 4096;
/// The same, as an offset.
const COPY_AT: u64 = 4096;
/// Bytes before the record.
const HEAD: usize = 16;
/// The version that is written and read.
const VERSION: u16 = 1;
/// The longest record.
pub(crate) const RECORD: usize = 512;

/// What the two copies hold.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Held {
    /// Nothing was ever written.
    Nothing,
    /// The newest whole record.
    Record(Vec<u8>),
    /// There are bytes, and no copy is whole.
    Damaged,
}

/// The two copies in one file or on one small partition.
#[derive(Debug, Clone)]
pub(crate) struct Pair {
    path: PathBuf,
    magic: [u8; 4],
}

struct Copy {
    generation: u64,
    record: Vec<u8>,
}

impl Pair {
    /// The pair at `path`, whose copies start with `magic`.
    pub(crate) fn new(path: &Path, magic: [u8; 4]) -> Self {
        Self { path: path.into(), magic }
    }

    /// Reads the newest whole record.
    pub(crate) fn load(&self) -> io::Result<Held> {
        let Some(file) = existing(OpenOptions::new().read(true), &self.path)? else {
            return Ok(Held::Nothing);
        };
        let bytes = bytes(&file)?;
        match newest(self.copies(&bytes)) {
            Some((_, copy)) => Ok(Held::Record(copy.record)),
            None if bytes.iter().all(|b| *b == 0) || bytes.iter().all(|b| *b == 0xff) => {
                self.blank()
            }
            None => Ok(Held::Damaged),
        }
    }

    /// Writes `record` over the older copy; durable when it returns.
    pub(crate) fn save(&self, record: &[u8]) -> io::Result<()> {
        let mut options = OpenOptions::new();
        let Some(file) = existing(options.read(true).write(true), &self.path)? else {
            return self.create(record);
        };
        let bytes = bytes(&file)?;
        let (last, generation) = match newest(self.copies(&bytes)) {
            Some((index, copy)) => (index, copy.generation),
            None => (1, 0),
        };
        let copy = self.encode(generation.wrapping_add(1), record)?;
        file.write_all_at(&copy, if last == 0 { COPY_AT } else { 0 })?;
        file.sync_data()
    }

    /// A blank partition was never written; a file is created with a record in it.
    fn blank(&self) -> io::Result<Held> {
        let kind = std::fs::metadata(&self.path)?.file_type();
        Ok(if kind.is_block_device() { Held::Nothing } else { Held::Damaged })
    }

    fn copies(&self, bytes: &[u8]) -> [Option<Copy>; 2] {
        let first = bytes.get(..COPY.min(bytes.len())).unwrap_or_default();
        let second = bytes.get(COPY..).unwrap_or_default();
        [self.decode(first), self.decode(second)]
    }

    fn create(&self, record: &[u8]) -> io::Result<()> {
        let mut bytes = self.encode(1, record)?;
        bytes.resize(2 * COPY, 0);
        files::replace(&self.path, &bytes)
    }

    fn encode(&self, generation: u64, record: &[u8]) -> io::Result<Vec<u8>> {
        let len = u16::try_from(record.len()).ok().filter(|_| record.len() <= RECORD);
        let len = len.ok_or_else(|| io::Error::other("a record of more than 512 bytes"))?;
        let mut out = Vec::with_capacity(2 * COPY);
        out.extend(self.magic);
        out.extend(VERSION.to_le_bytes());
        out.extend(len.to_le_bytes());
        out.extend(generation.to_le_bytes());
        out.extend(record);
        out.extend(crc32fast::hash(&out).to_le_bytes());
        out.resize(COPY, 0);
        Ok(out)
    }

    fn decode(&self, copy: &[u8]) -> Option<Copy> {
        let (head, rest) = copy.split_at_checked(HEAD)?;
        let (magic, head) = head.split_first_chunk::<4>()?;
        let (version, head) = head.split_first_chunk::<2>()?;
        let (len, generation) = head.split_first_chunk::<2>()?;
        if *magic != self.magic || *version != VERSION.to_le_bytes() {
            return None;
        }
        let len = usize::from(u16::from_le_bytes(*len));
        let crc = rest.get(len..)?.first_chunk::<4>()?;
        if crc32fast::hash(copy.get(..HEAD + len)?).to_le_bytes() != *crc {
            return None;
        }
        let generation = u64::from_le_bytes(*generation.first_chunk()?);
        Some(Copy { generation, record: rest.get(..len)?.to_vec() })
    }
}

/// The file at `path`, if there is one.
fn existing(options: &OpenOptions, path: &Path) -> io::Result<Option<File>> {
    match options.open(path) {
        Ok(file) => Ok(Some(file)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// Both copies' bytes, short of what is missing at the end.
fn bytes(file: &File) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; 2 * COPY];
    let len = files::read_up_to(file, &mut bytes, 0)?;
    bytes.truncate(len);
    Ok(bytes)
}

fn newest(copies: [Option<Copy>; 2]) -> Option<(usize, Copy)> {
    let [first, second] = copies;
    match (first, second) {
        (Some(first), Some(second)) if first.generation > second.generation => Some((0, first)),
        (_, Some(second)) => Some((1, second)),
        (Some(first), None) => Some((0, first)),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAGIC: [u8; 4] = *b"test";

    fn with_records(records: &[&[u8]]) -> (tempfile::TempDir, Pair) {
        let dir = tempfile::tempdir().unwrap();
        let pair = Pair::new(&dir.path().join("pair"), MAGIC);
        records.iter().for_each(|record| pair.save(record).unwrap());
        (dir, pair)
    }

    fn damage(pair: &Pair, change: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = std::fs::read(&pair.path).unwrap();
        change(&mut bytes);
        std::fs::write(&pair.path, bytes).unwrap();
    }

    #[test]
    fn the_last_record_is_found_again() {
        assert_eq!(with_records(&[]).1.load().unwrap(), Held::Nothing);
        let longest = [7; RECORD];
        for n in 1..6 {
            let mut records = vec![b"old".as_slice(); n - 1];
            records.push(&longest);
            let (_dir, pair) = with_records(&records);
            assert_eq!(pair.load().unwrap(), Held::Record(longest.to_vec()), "{n} records");
            assert_eq!(std::fs::metadata(&pair.path).unwrap().len(), 8192);
        }
        let (_dir, pair) = with_records(&[b"old"]);
        assert!(pair.save(&[0; RECORD + 1]).is_err());
        assert_eq!(pair.load().unwrap(), Held::Record(b"old".to_vec()));
    }

    #[test]
    fn a_torn_write_leaves_the_old_record() {
        let (_dir, pair) = with_records(&[b"older", b"old"]);
        let before = std::fs::read(&pair.path).unwrap();
        pair.save(b"new").unwrap();
        let after = std::fs::read(&pair.path).unwrap();
        // Every byte of both records, and now and then in the zeros behind them.
        for cut in (0..64).chain((64..4096).step_by(97)).chain(4096..4160).chain([8191, 8192]) {
            let torn: Vec<u8> = after[..cut].iter().chain(&before[cut..]).copied().collect();
            damage(&pair, |bytes| *bytes = torn);
            let Held::Record(record) = pair.load().unwrap() else { panic!("cut at {cut}") };
            assert!(record == b"old" || record == b"new", "cut at {cut}");
        }
    }

    #[test]
    fn a_flipped_byte_never_changes_a_record() {
        let (_dir, pair) = with_records(&[b"old", b"new"]);
        let whole = std::fs::read(&pair.path).unwrap();
        for at in (0..40).chain(4096..4136) {
            damage(&pair, |bytes| {
                *bytes = whole.clone();
                bytes[at] ^= 0x20;
            });
            let Held::Record(record) = pair.load().unwrap() else { panic!("byte {at}") };
            assert!(record == b"old" || record == b"new", "byte {at}");
        }
    }

    #[test]
    fn damage_is_told_from_nothing() {
        for bytes in [vec![0; 8192], vec![0xff; 8192], vec![0x55; 8192], vec![], vec![1; 100]] {
            let (_dir, pair) = with_records(&[b"old"]);
            damage(&pair, |all| *all = bytes);
            assert_eq!(pair.load().unwrap(), Held::Damaged);
            pair.save(b"new").unwrap();
            assert_eq!(pair.load().unwrap(), Held::Record(b"new".to_vec()));
        }
    }
}
