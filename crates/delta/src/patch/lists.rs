//! What a span says before its symbols.

use crate::coder::{Coder, Number};
use crate::patch::PatchError;

/// The lists of a span.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Lists {
    /// Bytes of plain new that the span makes.
    pub(crate) plain: u64,
    /// The place in plain old where its first byte is expected.
    pub(crate) from: u64,
}

impl Lists {
    /// Codes the lists; a decoder ignores what they hold and returns what it read.
    pub(crate) fn code<C: Coder>(&self, coder: &mut C) -> Result<Self, PatchError> {
        let mut numbers = Number::new(2);
        let plain = numbers.code(coder, 0, self.plain);
        let from = numbers.code(coder, 1, self.from);
        Ok(Self { plain, from })
    }
}
