//! What an encoder chose, as words: see `speak`.

use super::codes::Bits;
use super::speak::put_block;
use super::{BUILT, GATHERED_MAX, LITERAL, Next, Token, Tokens};
use crate::correction::put_number;
use crate::recipe::words;
use crate::sequences::{BLOCK, Sequence};
use alloc::vec::Vec;
use core::mem;

/// A block of more words is not looked at for how its codes are built.
const HELD_MAX: usize = 128 << 10;

/// Bytes of heap that hearing takes, which holds the words of a block.
pub(crate) const WORDS_HEAP: u64 = (HELD_MAX + (32 << 10)) as u64;

/// A stream that is being read.
pub(crate) struct Hearing {
    tokens: Tokens,
    /// Bits of the next byte that were read.
    bit: usize,
    /// Bytes of content so far.
    pub(crate) content: u64,
    /// Where in the content the words end that belong together.
    ends: u64,
    /// Literals before what comes next, and before the block.
    literals: u32,
    before: u32,
    is_inside: bool,
    /// Words of the block, if it is not known yet how it begins, and room for them; so many
    /// bytes at most.
    held: Option<Vec<u8>>,
    spare: Vec<u8>,
    most: usize,
    /// The most tokens of a block whose codes are built of them.
    pub(crate) gathered: u64,
    /// The stream has no more.
    pub(crate) ended: bool,
}

impl Hearing {
    pub(crate) fn new() -> Self {
        Self::holding(HELD_MAX)
    }

    /// Of a stream of which no block has codes that are built of its symbols: nothing waits
    /// for the end of a block.
    pub(crate) fn of_told_codes() -> Self {
        Self::holding(0)
    }

    fn holding(most: usize) -> Self {
        Self {
            tokens: Tokens::new(),
            bit: 0,
            content: 0,
            ends: BLOCK as u64,
            literals: 0,
            before: 0,
            is_inside: false,
            held: Some(Vec::with_capacity(most + 16)),
            spare: Vec::new(),
            most,
            gathered: 0,
            ended: false,
        }
    }

    /// Reads from `bytes`, behind which there are none if `all`; appends words to `out`, up
    /// to `most` bytes, about. Returns how many bytes are read. None if that is no deflate.
    pub(crate) fn hear(
        &mut self,
        bytes: &[u8],
        all: bool,
        out: &mut Vec<u8>,
        most: usize,
    ) -> Option<usize> {
        let mut bits = Bits { bytes, at: self.bit };
        while out.len() < most && !self.ended {
            match self.tokens.step(&mut bits, all)? {
                Next::Token(token) => self.token(token, out),
                Next::Closed => self.close(out),
                Next::End => {
                    self.say(Token { length: 0, distance: 0 }, out);
                    self.ended = true;
                    // What is left of a byte is filled up.
                    bits.at = bits.at.next_multiple_of(8);
                }
                Next::Later => break,
            }
        }
        self.bit = bits.at % 8;
        Some(bits.at / 8)
    }

    fn token(&mut self, token: Token, out: &mut Vec<u8>) {
        if self.content >= self.ends {
            self.say(Token { length: 0, distance: 0 }, out);
            self.ends += BLOCK as u64;
        }
        self.begin(out);
        self.content += u64::from(token.length);
        match token {
            LITERAL => self.literals += 1,
            token => self.say(token, out),
        }
    }

    /// Appends the word of a match, or of none, to those of the block.
    fn say(&mut self, token: Token, out: &mut Vec<u8>) {
        let Token { length, distance } = token;
        let (length, offset) = (length.into(), distance.into());
        let literals = mem::take(&mut self.literals);
        let held = if self.is_inside { self.held.as_mut() } else { None };
        words::put(held.unwrap_or(out), Sequence { offset, literals, length, repeat: 0 });
        if self.is_inside && self.held.as_ref().is_some_and(|held| held.len() >= self.most) {
            self.release(out);
        }
    }

    /// A block begins, unless it did: literals before it are said with it.
    fn begin(&mut self, out: &mut Vec<u8>) {
        if !self.is_inside {
            self.is_inside = true;
            self.before = mem::take(&mut self.literals);
            if self.most == 0 {
                self.release(out);
            }
        }
    }

    /// A block ends.
    fn close(&mut self, out: &mut Vec<u8>) {
        self.begin(out);
        if self.held.is_some() {
            let count = self.tokens.in_block;
            if count <= GATHERED_MAX && self.tokens.is_built() {
                self.gathered = self.gathered.max(count);
                self.tokens.head = Vec::from([(BUILT << 1) as u8 | u8::from(self.tokens.last)]);
            }
            self.release(out);
        }
        self.is_inside = false;
        self.held = Some(mem::take(&mut self.spare));
    }

    /// Says how the block begins, and what was held of it.
    fn release(&mut self, out: &mut Vec<u8>) {
        let Some(mut held) = self.held.take() else { return };
        let mut head = mem::take(&mut self.tokens.head);
        let kind = if head.is_empty() { 0 } else { head.remove(0) };
        if kind >> 1 == 0 {
            put_number(&mut head, self.tokens.stored.into());
        }
        put_block(out, self.before, kind.into(), &head);
        out.append(&mut held);
        self.spare = held;
    }
}
