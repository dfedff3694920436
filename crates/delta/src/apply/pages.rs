//! Small reads at any place, through a few pages.

use crate::read::{ReadAt, ReadFault};
use alloc::vec;
use alloc::vec::Vec;

/// Bytes of a page.
pub(crate) const PAGE: u64 = 8 << 10;
/// Pages that are kept.
pub(crate) const PAGES: u64 = 16;

/// The pages of one source.
pub(crate) struct Pages {
    bytes: Vec<u8>,
    /// The number of the page in each place and how many bytes of it are there.
    held: [(u64, usize); PAGES as usize],
}

impl Pages {
    /// No pages yet.
    pub(crate) fn new() -> Self {
        Self { bytes: vec![0; (PAGE * PAGES) as usize], held: [(0, 0); PAGES as usize] }
    }

    /// Forgets the pages: the source has changed.
    pub(crate) fn forget(&mut self) {
        self.held = [(0, 0); PAGES as usize];
    }

    /// The bytes from `at` to the end of its page or of the source, whose size
    /// is `size`; `at` must be below that.
    #[inline]
    pub(crate) fn get(
        &mut self,
        source: &mut dyn ReadAt,
        size: u64,
        at: u64,
    ) -> Result<&[u8], ReadFault> {
        let (number, offset) = (at / PAGE, (at % PAGE) as usize);
        let place = (number % PAGES) as usize;
        let start = place * PAGE as usize;
        let held = self.held.get_mut(place).ok_or(ReadFault)?;
        if held.0 != number || held.1 <= offset {
            *held = (0, 0);
            let len = size.saturating_sub(number * PAGE).min(PAGE) as usize;
            let page = self.bytes.get_mut(start..start + len).ok_or(ReadFault)?;
            source.read_at(number * PAGE, page)?;
            *held = (number, len);
        }
        self.bytes.get(start + offset..start + held.1).ok_or(ReadFault)
    }
}
