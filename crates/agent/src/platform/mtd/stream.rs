//! Flash as a stream of bytes from its first to its last: what backups are made of.

use super::blocks::{BLANK, Blocks};
use std::io::{self, Read, Write};

/// Bytes that are looked at at once.
const PIECE: usize = 64 << 10;

/// Flash, and the place of the next byte.
#[derive(Debug)]
pub(crate) struct Stream {
    blocks: Blocks,
    at: u64,
    end: u64,
}

impl Stream {
    /// What is in the flash, without the blank bytes at its end: a block that went bad may
    /// have left it smaller when that is written back.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) fn reading(blocks: Blocks) -> io::Result<Self> {
        let mut end = blocks.geometry().size;
        let mut piece = vec![0; PIECE];
        while end > 0 {
            let start = end.saturating_sub(1) / PIECE as u64 * PIECE as u64;
            let len = usize::try_from(end - start).map_err(io::Error::other)?;
            let bytes = piece.get_mut(..len).ok_or(io::ErrorKind::InvalidInput)?;
            blocks.read(start, bytes)?;
            if let Some(last) = bytes.iter().rposition(|byte| *byte != BLANK) {
                end = start + last as u64 + 1;
                break;
            }
            end = start;
        }
        Ok(Self { blocks, at: 0, end })
    }

    /// Takes `size` bytes, from the first place on.
    ///
    /// # Errors
    /// There is no room for them, or what it holds cannot be given up.
    pub(crate) fn writing(mut blocks: Blocks, size: u64) -> io::Result<Self> {
        let room = blocks.geometry().size;
        if size > room {
            let why = format!("its good blocks have {room} bytes only");
            return Err(io::Error::new(io::ErrorKind::StorageFull, why));
        }
        blocks.prepare()?;
        Ok(Self { blocks, at: 0, end: size })
    }

    /// All was written: what is behind it becomes blank, and what it holds is read again.
    ///
    /// # Errors
    /// It cannot be made durable, or cannot be read.
    pub(crate) fn written(mut self) -> io::Result<Self> {
        self.blocks.blank_from(self.at)?;
        self.blocks.flush()?;
        Self::reading(self.blocks)
    }
}

impl Read for Stream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let len = left.min(into.len());
        self.blocks.read(self.at, into.get_mut(..len).unwrap_or_default())?;
        self.at += len as u64;
        Ok(len)
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() as u64 > self.end - self.at {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.blocks.write(self.at, bytes)?;
        self.at += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.blocks.flush()
    }
}
