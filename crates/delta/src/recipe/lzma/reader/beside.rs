//! Content that is read beside its words, and waits for its turn.

use super::super::{Frame, LzmaRecipe, NO_ROOM};
use super::{Doing, READY, ToldReader};
use crate::codec::Fault;
use crate::packets::branch::{Branch, Way};
use crate::packets::window::Window;
use alloc::vec::Vec;

/// So many bytes are read before what a converter did to them is undone.
pub(in super::super) const FRESH: usize = 16 << 10;

/// Content whose words were read.
pub(super) struct Beside {
    /// Bytes, of which some were given, and what was done to those before `settled` is
    /// undone.
    bytes: Vec<u8>,
    given: usize,
    settled: usize,
    filter: u8,
    branch: Option<Branch>,
}

impl Beside {
    /// Of a stream with this converter, or 0. There is room for `most` bytes that wait.
    pub(super) fn new(filter: u8, most: u64) -> Result<Self, Fault> {
        let mut bytes = Vec::new();
        let most = usize::try_from(heap(most)).map_err(|_| NO_ROOM)?;
        bytes.try_reserve_exact(most).map_err(|_| NO_ROOM)?;
        let branch = Branch::new(filter, Way::ToDistances);
        Ok(Self { bytes, given: 0, settled: 0, filter, branch })
    }

    /// Where bytes are appended.
    pub(super) fn bytes(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// There is enough to be settled.
    pub(super) fn is_full(&self) -> bool {
        self.bytes.len() - self.settled >= FRESH
    }

    /// Bytes that wait.
    pub(super) fn waits(&self) -> usize {
        self.bytes.len() - self.given
    }

    /// What a converter did is undone as far as that can be told.
    pub(super) fn settle(&mut self) {
        let fresh = self.bytes.get_mut(self.settled..).unwrap_or_default();
        self.settled += match &mut self.branch {
            Some(branch) => branch.code(fresh),
            None => fresh.len(),
        };
    }

    /// A block ends.
    pub(super) fn end(&mut self) {
        self.settle();
        self.settled = self.bytes.len();
        self.branch = Branch::new(self.filter, Way::ToDistances);
    }

    /// Moves what is settled to `out`; returns how many bytes.
    pub(super) fn give(&mut self, out: &mut [u8]) -> usize {
        let from = self.bytes.get(self.given..self.settled).unwrap_or_default();
        let count = from.len().min(out.len());
        out.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
        self.given += count;
        if self.given > self.bytes.len() / 2 {
            self.bytes.drain(..self.given);
            self.settled -= self.given;
            self.given = 0;
        }
        count
    }
}

/// Bytes of heap where so many wait: as many that were given are still there, and some were
/// read at once.
pub(in super::super) const fn heap(most: u64) -> u64 {
    most.saturating_add(2 * FRESH as u64).saturating_mul(2)
}

impl ToldReader {
    /// Words and content of a stream of so many bytes of that are read side by side; up to
    /// `ahead` bytes of content wait.
    pub(in super::super) fn beside(
        recipe: LzmaRecipe,
        content: u64,
        ahead: u64,
    ) -> Result<Self, Fault> {
        let filter = match recipe.frame {
            Frame::Xz { branch, .. } => branch,
            Frame::Alone | Frame::Lzip => 0,
        };
        let bare = Self::new(LzmaRecipe { told: false, ..recipe }, 0)?;
        let window = Window::new(recipe.reach(content))?;
        let beside = Some(Beside::new(filter, ahead)?);
        Ok(Self { recipe, window, beside, ..bare })
    }

    /// Reads from `input` words, which are appended to `words`, and content, which waits;
    /// returns how many bytes were taken.
    pub(in super::super) fn read_beside(
        &mut self,
        input: &[u8],
        words: &mut Vec<u8>,
    ) -> Result<usize, Fault> {
        let mut consumed = 0;
        loop {
            let before = self.doing;
            let taken = self.go(input.get(consumed..).unwrap_or_default())?;
            consumed += taken;
            if self.is_full() || taken == 0 && self.doing == before {
                break;
            }
        }
        words.append(&mut self.ready);
        if let Some(beside) = &mut self.beside {
            beside.settle();
        }
        Ok(consumed)
    }

    /// Content that waits goes to `out`; returns how many bytes.
    pub(in super::super) fn give_content(&mut self, out: &mut [u8]) -> usize {
        self.beside.as_mut().map_or(0, |beside| beside.give(out))
    }

    /// Bytes of content that wait.
    pub(in super::super) fn waits(&self) -> usize {
        self.beside.as_ref().map_or(0, Beside::waits)
    }

    /// Content that was read, but where chunks are made at once.
    #[cfg(any(test, feature = "diff"))]
    pub(in super::super) fn reached(&self) -> Option<usize> {
        let in_chunks = matches!(self.recipe.frame, Frame::Xz { .. });
        (!in_chunks).then_some(self.place.position as usize)
    }

    /// All of the stream was read.
    pub(in super::super) fn is_done(&self) -> bool {
        self.doing == Doing::Done
    }

    /// What was read goes out first.
    pub(super) fn is_full(&self) -> bool {
        self.ready.len() >= READY || self.beside.as_ref().is_some_and(Beside::is_full)
    }

    /// All content is held until the stream ends.
    pub(super) fn holds(&self) -> bool {
        self.recipe.holds() && self.beside.is_none()
    }
}
