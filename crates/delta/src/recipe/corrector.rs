//! Edits at work on bytes that pass by.

use crate::correction::Edit;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::mem;

/// A correction at work.
#[derive(Debug, Clone, Default)]
pub(crate) struct Corrector {
    edits: VecDeque<Edit>,
}

impl Corrector {
    pub(crate) fn new(edits: Vec<Edit>) -> Self {
        Self { edits: edits.into() }
    }

    /// Takes what the encoder made; appends what is wanted.
    pub(crate) fn push(&mut self, mut made: &[u8], out: &mut Vec<u8>) {
        while let Some(edit) = self.edits.front_mut() {
            out.extend_from_slice(take(&mut edit.copy, &mut made));
            if edit.copy > 0 {
                return;
            }
            out.append(&mut mem::take(&mut edit.insert));
            take(&mut edit.skip, &mut made);
            if edit.skip > 0 {
                return;
            }
            self.edits.pop_front();
        }
        out.extend_from_slice(made);
    }
}

/// Up to `count` bytes off the front of `bytes`.
fn take<'a>(count: &mut u64, bytes: &mut &'a [u8]) -> &'a [u8] {
    let len = usize::try_from(*count).unwrap_or(usize::MAX).min(bytes.len());
    let (now, later) = bytes.split_at(len);
    *bytes = later;
    *count -= len as u64;
    now
}
