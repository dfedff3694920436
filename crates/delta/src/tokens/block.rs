//! Blocks that are being written.

use super::codes::{Bits, Codes, END, Writer, symbols};
use super::trees::Counts;
use super::{LITERAL, Token};
use crate::correction::{CorrectionError, number};
use alloc::boxed::Box;
use alloc::vec::Vec;

/// How a block is coded.
pub(super) enum Coding {
    Stored,
    Coded(Codes),
    /// By codes that are built when all of it is known: its tokens so far, each with
    /// its literal.
    Built(Box<Counts>, Vec<(Token, u8)>),
}

impl Coding {
    /// Takes a token, and the literal if it is one.
    pub(super) fn take(&mut self, token: Token, literal: u8, writer: &mut Writer) -> Option<()> {
        match self {
            Self::Coded(codes) => codes.write(token, literal, writer),
            Self::Stored => (token == LITERAL).then(|| writer.put(literal.into(), 8)),
            Self::Built(counts, tokens) => symbols(token, literal).map(|(symbol, distance)| {
                counts.add(symbol, distance);
                tokens.push((token, literal));
            }),
        }
    }

    /// The block ends.
    pub(super) fn end(self, writer: &mut Writer) -> Option<()> {
        let codes = match self {
            Self::Stored => return Some(()),
            Self::Coded(codes) => codes,
            Self::Built(mut counts, tokens) => {
                counts.add(END, None);
                let codes = counts.write(writer);
                for (token, literal) in tokens {
                    codes.write(token, literal, writer)?;
                }
                codes
            }
        };
        codes.literals.write(END, writer)
    }
}

/// Reads the codes of a block, and writes them as they stand.
pub(super) fn stated(blocks: &mut &[u8], writer: &mut Writer) -> Result<Codes, CorrectionError> {
    let count = usize::try_from(number(blocks)?).unwrap_or(usize::MAX);
    let (head, rest) = blocks.split_at_checked(count.div_ceil(8)).ok_or(CorrectionError::Short)?;
    *blocks = rest;
    let mut bits = Bits { bytes: head, at: 0 };
    let codes = Codes::read(&mut bits).ok_or(CorrectionError::Sequence)?;
    (bits.at == count).then_some(()).ok_or(CorrectionError::Sequence)?;
    let mut bits = Bits { bytes: head, at: 0 };
    for _ in 0..count {
        writer.put(bits.take(1).ok_or(CorrectionError::Short)?, 1);
    }
    Ok(codes)
}
