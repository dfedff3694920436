//! The boot record: what the lab's bootloader reads from a slot to start it.
//!
//! The last 4096 bytes of a slot, as text and then zeros:
//! ```text
//! refit boot record 1
//! version 1.2.0
//! start agent
//! loads 4194304 <SHA-256 of the slot's first so many bytes>
//! sum <SHA-256 of the lines above>
//! ```
//! A slot whose record is missing or damaged, or whose first bytes are not what the
//! record says, does not boot.

use anyhow::{Context, Result, bail, ensure};
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;
use types::{Digest, Hasher};

/// Bytes of the record.
pub const SIZE: usize = 4096;
/// The same, as an offset.
const SIZE_AT: u64 = 4096;
/// How many bytes at the start of a slot are loaded, and so must be right to boot.
pub const LOADS: u64 = 4 << 20;
/// First line.
const TITLE: &str = "refit boot record 1";

/// What a slot does when it is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// Starts the agent; its health checks pass.
    Agent,
    /// Starts the agent; its health checks fail.
    Unhealthy,
    /// Starts nothing, ever.
    Hang,
}

/// What a slot says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Version of the release, for people.
    pub version: String,
    /// What it does.
    pub start: Start,
}

impl Start {
    const ALL: [(Self, &'static str); 3] =
        [(Self::Agent, "agent"), (Self::Unhealthy, "agent-unhealthy"), (Self::Hang, "hang")];

    fn word(self) -> &'static str {
        Self::ALL.iter().find(|(start, _)| *start == self).map_or("", |(_, word)| word)
    }

    fn read(word: &str) -> Result<Self> {
        let found = Self::ALL.iter().find(|(_, name)| *name == word);
        found.map(|(start, _)| *start).with_context(|| format!("it starts `{word}`, unheard of"))
    }
}

impl Entry {
    /// The record for a slot that begins with `loaded`.
    fn record(&self, loaded: Digest, loads: u64) -> Vec<u8> {
        let Self { version, start } = self;
        let start = start.word();
        let mut text =
            format!("{TITLE}\nversion {version}\nstart {start}\nloads {loads} {loaded}\n");
        let sum = Digest::of(text.as_bytes());
        text.push_str(&format!("sum {sum}\n"));
        let mut record = text.into_bytes();
        record.resize(SIZE, 0);
        record
    }

    /// Writes the record into the last bytes of the image in `path`.
    ///
    /// # Errors
    /// The file cannot be read or written, or is too small for a record.
    pub fn write(&self, path: &Path) -> Result<()> {
        let file = File::options().read(true).write(true).open(path);
        let file = file.with_context(|| format!("cannot open {}", path.display()))?;
        let (at, loads) = places(&file)?;
        let record = self.record(loaded(&file, loads)?, loads);
        file.write_all_at(&record, at)?;
        Ok(())
    }

    /// Reads the slot in `path` as a bootloader does.
    ///
    /// # Errors
    /// The slot does not boot; the text says why.
    pub fn read(path: &Path) -> Result<Self> {
        let file = File::open(path)?;
        let (at, _) = places(&file)?;
        let mut record = vec![0; SIZE];
        file.read_exact_at(&mut record, at)?;
        let (entry, digest, loads) = parse(&record)?;
        ensure!(loads <= at && loaded(&file, loads)? == digest, "what it loads is damaged");
        Ok(entry)
    }
}

/// Where the record is, and how many bytes are loaded.
fn places(file: &File) -> Result<(u64, u64)> {
    let at = file.metadata()?.len().checked_sub(SIZE_AT).context("it has no room for a record")?;
    Ok((at, at.min(LOADS)))
}

fn loaded(file: &File, loads: u64) -> Result<Digest> {
    digest_of(&mut reader_at_start(file)?.take(loads))
}

fn reader_at_start(file: &File) -> Result<File> {
    use std::io::Seek;
    let mut file = file.try_clone()?;
    file.rewind()?;
    Ok(file)
}

/// SHA-256 of all that `reader` gives.
///
/// # Errors
/// It fails.
pub fn digest_of(reader: &mut impl Read) -> Result<Digest> {
    let mut hasher = Hasher::default();
    let mut buffer = vec![0; 256 << 10];
    loop {
        let n = reader.read(&mut buffer)?;
        let Some(read) = buffer.get(..n).filter(|read| !read.is_empty()) else {
            return Ok(hasher.finish());
        };
        hasher.update(read);
    }
}

fn parse(record: &[u8]) -> Result<(Entry, Digest, u64)> {
    let end = record.iter().position(|byte| *byte == 0).unwrap_or(record.len());
    let text = record.get(..end).unwrap_or_default();
    let text = std::str::from_utf8(text).context("its boot record is no text")?;
    ensure!(text.starts_with(TITLE), "it has no boot record");
    let (signed, sum) = text.rsplit_once("sum ").context("its boot record is cut short")?;
    ensure!(Digest::of(signed.as_bytes()).to_string() == sum.trim(), "its boot record is damaged");
    let lines: Vec<&str> = signed.lines().skip(1).collect();
    let [version, start, loads] = lines.as_slice() else { bail!("its boot record is strange") };
    let field = |line: &str, name: &str| {
        let value = line.strip_prefix(name).map(|value| value.trim().to_owned());
        value.with_context(|| format!("its boot record has no {name}"))
    };
    let loads = field(loads, "loads")?;
    let (count, digest) = loads.split_once(' ').context("its boot record loads nothing")?;
    let entry =
        Entry { version: field(version, "version")?, start: Start::read(&field(start, "start")?)? };
    Ok((entry, digest.parse()?, count.parse()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Changes one byte of a slot of `len` bytes; says whether it still boots.
    fn boots_after(len: usize, damage: Option<usize>) -> bool {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("slot");
        std::fs::write(&path, vec![7; len]).unwrap();
        let entry = Entry { version: "1.2".into(), start: Start::Unhealthy };
        entry.write(&path).unwrap();
        if let Some(at) = damage {
            let mut bytes = std::fs::read(&path).unwrap();
            bytes[at] ^= 1;
            std::fs::write(&path, bytes).unwrap();
        }
        match Entry::read(&path) {
            Ok(read) => {
                assert_eq!(read, entry);
                true
            }
            Err(_) => false,
        }
    }

    #[test]
    fn a_whole_slot_boots() {
        for len in [SIZE, SIZE + 1, 100_000, (LOADS as usize) + SIZE, 5 << 20] {
            assert!(boots_after(len, None), "{len}");
        }
    }

    #[test]
    fn damage_of_what_is_loaded_shows() {
        for at in [0, 50_000, 100_000 - SIZE - 1, 100_000 - SIZE, 100_000 - SIZE + 60] {
            assert!(!boots_after(100_000, Some(at)), "{at}");
        }
    }

    #[test]
    fn an_empty_slot_does_not_boot() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("slot");
        for len in [0, 100, SIZE, 100_000] {
            std::fs::write(&path, vec![0; len]).unwrap();
            assert!(Entry::read(&path).is_err(), "{len}");
        }
    }
}
