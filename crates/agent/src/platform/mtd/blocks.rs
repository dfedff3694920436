//! Images on what is erased in blocks and written in pages.
//!
//! An image lies in the good blocks, one after the other; bad ones are skipped, as
//! bootloaders and `nandwrite` do. A block that cannot be erased or written any more is
//! marked as bad, and what belongs into it goes into the next one.
//!
//! A page is written once after each erasure. So what is appended is only written, and
//! for everything else the whole block is replaced. Where a chip cannot do that in one
//! step, a power cut right then loses what was in that one block before; the read-back
//! finds that, and the engine fetches from there again.

use crate::edges::Geometry;
use std::borrow::Cow;
use std::fmt;
#[cfg(feature = "components")]
use std::fs::File;
use std::io;
#[cfg(feature = "components")]
use std::io::Read;

/// What an erased byte is.
pub(super) const BLANK: u8 = 0xff;
/// Bytes that are copied at once.
#[cfg(feature = "components")]
const PIECE: usize = 64 << 10;

/// How a chip is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Bytes that are erased at once: a multiple of the page.
    pub(crate) block: u32,
    /// Bytes that are written at once, a power of two.
    pub(crate) page: u32,
    /// Blocks, bad ones included.
    pub(crate) count: u32,
}

/// Flash, block by block. Places in blocks are multiples of the page where something is
/// written, as are lengths.
pub(crate) trait Chip: fmt::Debug {
    fn shape(&self) -> Shape;

    fn is_bad(&self, block: u32) -> io::Result<bool>;

    fn read(&self, block: u32, at: u32, into: &mut [u8]) -> io::Result<()>;

    /// All of it is blank then.
    fn erase(&mut self, block: u32) -> io::Result<()>;

    /// Writes what is blank.
    fn program(&mut self, block: u32, at: u32, bytes: &[u8]) -> io::Result<()>;

    /// The block holds `bytes` from now on and is blank behind them.
    fn replace(&mut self, block: u32, bytes: &[u8]) -> io::Result<()> {
        self.erase(block)?;
        self.program(block, 0, bytes)
    }

    /// Clears the byte at `at`, whatever it was: for flash in which bits can be cleared
    /// one by one.
    fn clear(&mut self, block: u32, at: u32) -> io::Result<()> {
        self.program(block, at, &[0])
    }

    /// The block is bad from now on.
    fn condemn(&mut self, block: u32) -> io::Result<()>;

    /// Nothing that it holds is needed any more.
    fn empty(&mut self) -> io::Result<()>;

    fn flush(&mut self) -> io::Result<()>;
}

/// The good blocks of a chip, as one medium.
#[derive(Debug)]
pub(crate) struct Blocks {
    chip: Box<dyn Chip>,
    shape: Shape,
    good: Vec<u32>,
    /// From this address on nothing is worth keeping.
    void: Option<u64>,
    /// Index and place from which a block is blank.
    blank: Option<(usize, u32)>,
}

/// How a piece gets into its block.
enum Way {
    /// Behind what was written last.
    Append,
    /// Into a block that nothing is kept of.
    Fresh,
    /// With everything else that is in the block.
    Replace(Vec<u8>),
}

impl Blocks {
    pub(crate) fn new(chip: Box<dyn Chip>) -> io::Result<Self> {
        let shape = chip.shape();
        if shape.block == 0 || shape.page == 0 || !shape.block.is_multiple_of(shape.page) {
            return Err(io::Error::other("flash of a shape that is not known here"));
        }
        let mut good = Vec::new();
        for block in 0..shape.count {
            if !chip.is_bad(block)? {
                good.push(block);
            }
        }
        Ok(Self { chip, shape, good, void: None, blank: None })
    }

    /// Keeps the blocks only that `room` bytes from `offset` touch; where in them that
    /// is.
    pub(crate) fn keep(&mut self, offset: u64, room: u64) -> u64 {
        let block = u64::from(self.shape.block);
        let (first, end) = (offset / block, (offset + room).div_ceil(block));
        self.good.retain(|number| (first..end).contains(&u64::from(*number)));
        offset % block
    }

    /// Whether a block begins at `offset`.
    pub(crate) fn begins(&self, offset: u64) -> bool {
        offset.is_multiple_of(self.shape.block.into())
    }

    /// What is left of it without bad blocks.
    pub(crate) fn geometry(&self) -> Geometry {
        let size = self.good.len() as u64 * u64::from(self.shape.block);
        Geometry { size, block: self.shape.page }
    }

    /// What it holds is void from now on.
    pub(crate) fn prepare(&mut self) -> io::Result<()> {
        self.chip.empty()?;
        (self.void, self.blank) = (Some(0), None);
        Ok(())
    }

    /// Writes `bytes` at `at`, and nothing else.
    pub(crate) fn write(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let (mut at, mut rest) = (at, bytes);
        while !rest.is_empty() {
            let (index, inside) = self.place(at)?;
            let room = usize::try_from(self.shape.block - inside).map_err(io::Error::other)?;
            let (piece, more) = rest.split_at(room.min(rest.len()));
            self.write_piece(index, inside, piece)?;
            at += piece.len() as u64;
            self.void = self.void.map(|void| void.max(at));
            rest = more;
        }
        Ok(())
    }

    /// Reads what is there.
    pub(crate) fn read(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        let (mut at, mut rest) = (at, into);
        while !rest.is_empty() {
            let (index, inside) = self.place(at)?;
            let block = self.good.get(index).ok_or(io::ErrorKind::UnexpectedEof)?;
            let room = usize::try_from(self.shape.block - inside).map_err(io::Error::other)?;
            let len = room.min(rest.len());
            let (piece, more) = rest.split_at_mut(len);
            self.chip.read(*block, inside, piece)?;
            at += len as u64;
            rest = more;
        }
        Ok(())
    }

    /// All blocks behind the one that holds the byte before `at` are blank from now on.
    #[cfg(feature = "upkeep")]
    pub(crate) fn blank_from(&mut self, at: u64) -> io::Result<()> {
        let first = usize::try_from(at.div_ceil(self.shape.block.into())).unwrap_or(usize::MAX);
        let mut rest = self.good.get(first..).unwrap_or_default().iter();
        rest.try_for_each(|block| self.chip.erase(*block))
    }

    /// Makes everything durable.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.chip.flush()
    }

    /// Writes all of `from`, from the beginning.
    #[cfg(feature = "components")]
    pub(crate) fn take(&mut self, from: &mut File) -> io::Result<()> {
        self.prepare()?;
        let (mut at, mut buffer) = (0, vec![0; PIECE]);
        loop {
            let len = from.read(&mut buffer)?;
            match buffer.get(..len) {
                Some([]) | None => return self.flush(),
                Some(bytes) => self.write(at, bytes)?,
            }
            at += len as u64;
        }
    }

    /// Clears the byte at `at` without an erasure.
    pub(crate) fn clear_byte(&mut self, at: u64) -> io::Result<()> {
        let (index, inside) = self.place(at)?;
        let block = self.good.get(index).ok_or(io::ErrorKind::UnexpectedEof)?;
        self.chip.clear(*block, inside)
    }

    fn place(&self, at: u64) -> io::Result<(usize, u32)> {
        let block = u64::from(self.shape.block);
        let index = usize::try_from(at / block).map_err(io::Error::other)?;
        Ok((index, u32::try_from(at % block).map_err(io::Error::other)?))
    }

    fn write_piece(&mut self, index: usize, inside: u32, piece: &[u8]) -> io::Result<()> {
        let way = self.way(index, inside, piece)?;
        self.blank = None;
        let block = self.block(index)?;
        let piece = self.padded(piece);
        let (done, end) = match &way {
            Way::Append => (self.chip.program(block, inside, &piece), inside + length(&piece)?),
            Way::Fresh => (self.fresh(block, &piece), length(&piece)?),
            Way::Replace(whole) => (self.chip.replace(block, whole), length(whole)?),
        };
        match done {
            Err(e) if is_worn(&e) => self.move_on(index, way, inside, &piece, e)?,
            done => done?,
        }
        self.blank = Some((index, end));
        Ok(())
    }

    fn fresh(&mut self, block: u32, piece: &[u8]) -> io::Result<()> {
        self.chip.erase(block)?;
        self.chip.program(block, 0, piece)
    }

    fn way(&self, index: usize, inside: u32, piece: &[u8]) -> io::Result<Way> {
        if self.blank.is_some_and(|(at, from)| at == index && from <= inside) {
            return Ok(Way::Append);
        }
        let start = index as u64 * u64::from(self.shape.block);
        if inside == 0 && self.void.is_some_and(|void| void <= start) {
            return Ok(Way::Fresh);
        }
        self.merged(index, inside, piece).map(Way::Replace)
    }

    fn block(&self, index: usize) -> io::Result<u32> {
        let full = || io::Error::new(io::ErrorKind::StorageFull, "no good block is left");
        self.good.get(index).copied().ok_or_else(full)
    }

    /// What is in the block, with `piece` in it, as far as it is not blank.
    fn merged(&self, index: usize, inside: u32, piece: &[u8]) -> io::Result<Vec<u8>> {
        let mut whole = vec![BLANK; usize::try_from(self.shape.block).map_err(io::Error::other)?];
        self.chip.read(self.block(index)?, 0, &mut whole)?;
        let from = usize::try_from(inside).map_err(io::Error::other)?;
        let place = whole.get_mut(from..from + piece.len()).ok_or(io::ErrorKind::InvalidInput)?;
        place.copy_from_slice(piece);
        let used = whole.iter().rposition(|byte| *byte != BLANK).map_or(0, |last| last + 1);
        whole.truncate(self.up(used));
        Ok(whole)
    }

    /// The block at `index` is worn out: what belongs into it goes into the next good
    /// one, and everything behind it one further.
    fn move_on(
        &mut self,
        index: usize,
        way: Way,
        inside: u32,
        piece: &[u8],
        worn: io::Error,
    ) -> io::Result<()> {
        let whole = match way {
            Way::Replace(whole) => whole,
            Way::Fresh => piece.to_vec(),
            Way::Append => {
                let mut whole = vec![0; usize::try_from(inside).map_err(io::Error::other)?];
                self.chip.read(self.block(index)?, 0, &mut whole)?;
                whole.extend(piece);
                whole
            }
        };
        let mut worn = worn;
        while let Some(block) = self.good.get(index).copied() {
            if self.chip.condemn(block).is_err() {
                return Err(worn);
            }
            self.good.remove(index);
            match self.chip.replace(self.block(index)?, &whole) {
                Err(e) if is_worn(&e) => worn = e,
                done => return done,
            }
        }
        Err(worn)
    }

    /// With whole pages.
    fn padded<'a>(&self, piece: &'a [u8]) -> Cow<'a, [u8]> {
        let len = self.up(piece.len());
        if len == piece.len() {
            return Cow::Borrowed(piece);
        }
        let mut padded = piece.to_vec();
        padded.resize(len, BLANK);
        Cow::Owned(padded)
    }

    fn up(&self, len: usize) -> usize {
        len.next_multiple_of(usize::try_from(self.shape.page).unwrap_or(1))
    }
}

fn length(bytes: &[u8]) -> io::Result<u32> {
    u32::try_from(bytes.len()).map_err(io::Error::other)
}

/// What a chip says of a block that does not take it any more.
fn is_worn(e: &io::Error) -> bool {
    e.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error())
}
