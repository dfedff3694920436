//! Reading a bank by a descriptor alone, as a worker does: it can see neither sysfs nor
//! device nodes.

use super::abi;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, FileTypeExt};

/// A bank that is open for reading: a file, a device, or flash whose bad blocks are
/// skipped.
#[derive(Debug)]
pub(crate) struct Reader {
    file: File,
    flash: Option<Skipping>,
}

/// Where the good blocks are.
#[derive(Debug)]
struct Skipping {
    block: u32,
    good: Vec<u32>,
    /// Bad blocks when that was found out.
    bad: u32,
}

impl Reader {
    /// Of `file`, which is asked what it is.
    pub(crate) fn new(file: File) -> Self {
        let flash = match file.metadata() {
            // What is no MTD partition does not know the question.
            Ok(facts) if facts.file_type().is_char_device() => Skipping::of(&file).ok(),
            _ => None,
        };
        Self { file, flash }
    }

    /// Fills `into` with what is at `at`.
    ///
    /// # Errors
    /// It cannot be read, or ends before.
    pub(crate) fn read_exact_at(&mut self, into: &mut [u8], at: u64) -> io::Result<()> {
        let Some(flash) = &mut self.flash else { return self.file.read_exact_at(into, at) };
        // Whoever writes there may find a bad block meanwhile.
        if abi::bad_count(&self.file)? != flash.bad {
            *flash = Skipping::of(&self.file)?;
        }
        let block = u64::from(flash.block);
        let (mut at, mut rest) = (at, into);
        while !rest.is_empty() {
            let index = usize::try_from(at / block).map_err(io::Error::other)?;
            let number = flash.good.get(index).ok_or(io::ErrorKind::UnexpectedEof)?;
            let room = usize::try_from(block - at % block).map_err(io::Error::other)?;
            let (piece, more) = rest.split_at_mut(room.min(rest.len()));
            self.file.read_exact_at(piece, u64::from(*number) * block + at % block)?;
            at += piece.len() as u64;
            rest = more;
        }
        Ok(())
    }
}

impl Skipping {
    fn of(file: &File) -> io::Result<Self> {
        let block = abi::info(file)?.block.max(1);
        let bad = abi::bad_count(file)?;
        let size = rustix::fs::seek(file, rustix::fs::SeekFrom::End(0))?;
        let count = u32::try_from(size / u64::from(block)).map_err(io::Error::other)?;
        let mut good = Vec::new();
        for number in 0..count {
            if !abi::is_bad(file, u64::from(number) * u64::from(block))? {
                good.push(number);
            }
        }
        Ok(Self { block, good, bad })
    }
}
