//! What was chosen in a frame that is being made, and its content, out of what is there of
//! it: an encoder gets words in the place of edits.

use super::{Edits, put_words};
use crate::codec::Fault;
use crate::recipe::again::{self, Read, Retold};
use crate::recipe::told::again::{self as told, ToldAgain};
use crate::recipe::weave::Woven;
use alloc::vec::Vec;

/// Reads the frame.
pub(crate) struct EditedAgain {
    edits: Edits,
    frame: ToldAgain,
    words: Vec<u8>,
}

/// Bytes of heap that it takes.
pub(crate) fn heap(edits: &Edits) -> Option<u64> {
    let own = crate::recipe::told::WORDS_HEAP;
    Some(told::heap(&edits.told())?.saturating_add(2 * own))
}

/// Of a frame of `plain` bytes of content and what puts it right.
pub(crate) fn again(edits: Edits, plain: u64) -> Result<again::Again<EditedAgain>, Fault> {
    let content = usize::try_from(plain).ok().and_then(|all| all.checked_sub(edits.bytes));
    let content = content.ok_or("a frame has less content than puts it right")?;
    let frame = told::reader(edits.told())?;
    Ok(again::Again::new(EditedAgain { edits, frame, words: Vec::new() }, content))
}

impl Retold for EditedAgain {
    fn woven(&self) -> Option<Woven<'_>> {
        Some(self.edits.woven())
    }

    fn words<E: From<Fault>>(
        &mut self,
        end: usize,
        there: u64,
        read: &mut Read<'_, E>,
        words: &mut Vec<u8>,
    ) -> Result<(), E> {
        self.words.clear();
        self.frame.words(end, there, read, &mut self.words)?;
        put_words(words, &self.words);
        Ok(())
    }

    fn content<E: From<Fault>>(
        &mut self,
        out: &mut [u8],
        read: &mut Read<'_, E>,
    ) -> Result<usize, E> {
        self.frame.content(out, read)
    }

    fn took(&self) -> u64 {
        self.frame.took()
    }
}
