//! Frames of zstd whose sequences are told: they come with the content, before it.
//!
//! Nothing is searched, so that it is all the same which release of libzstd chose, at
//! which level, in how many threads. Only the coding of what is told is libzstd's.

pub(crate) mod again;

#[cfg(any(test, feature = "diff"))]
use super::weave::Mixed;
use super::weave::{Loom, Rule, Weave, Woven};
use super::zstd_frame::{self, Head, Reader};
use crate::codec::zstd::{Telling, ZstdDecoder};
use crate::codec::{Fault, Progress};
use crate::correction::{CorrectionError, number};
use crate::sequences::BLOCK;
use alloc::vec::Vec;

/// What a correction says of a frame that is told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Told {
    /// Bytes of the words that come with the content.
    pub(crate) words: usize,
    /// Where they come between the content; none: all before it.
    pub(crate) weave: Option<Weave>,
    /// After so many blocks the encoder begins afresh, as one of several threads does;
    /// 0: never.
    pub(crate) every: usize,
    /// Bytes of content of all blocks but the last one, where the encoder is not to divide
    /// content by itself.
    pub(crate) blocks: Vec<usize>,
    /// What stands before the first block, without the magic number.
    pub(crate) head: Vec<u8>,
    /// What stands behind the last one.
    pub(crate) tail: Vec<u8>,
}

/// The first bytes of each frame.
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

impl Told {
    /// Reads the stored form.
    pub(crate) fn read(mut bytes: &[u8]) -> Result<Self, CorrectionError> {
        let mut size = || Ok(usize::try_from(number(&mut bytes)?).unwrap_or(usize::MAX));
        let (words, every, held, head, count) = (size()?, size()?, size()?, size()?, size()?);
        let mut blocks = Vec::new();
        for _ in 0..count {
            blocks.push(size()?);
        }
        if blocks.iter().any(|block| !(1..=BLOCK).contains(block)) {
            return Err(CorrectionError::Size(BLOCK));
        }
        let weave = match held {
            0 => None,
            held => Some(Weave::read(held, &mut bytes)?),
        };
        let (head, tail) = bytes.split_at_checked(head).ok_or(CorrectionError::Short)?;
        if head.len() > Head::LONGEST || tail.len() > 4 {
            return Err(CorrectionError::Size(Head::LONGEST));
        }
        Ok(Self { words, weave, every, blocks, head: head.to_vec(), tail: tail.to_vec() })
    }

    /// The stored form.
    #[cfg(any(test, feature = "diff"))]
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let held = self.weave.as_ref().map_or(0, |weave| weave.held);
        let mut sizes = alloc::vec![self.words, self.every, held];
        sizes.extend([self.head.len(), self.blocks.len()]);
        sizes.extend(&self.blocks);
        sizes.iter().for_each(|size| crate::correction::put_number(&mut out, *size as u64));
        if let Some(weave) = self.weave.as_ref().filter(|_| held > 0) {
            weave.put(&mut out);
        }
        out.extend_from_slice(&self.head);
        out.extend_from_slice(&self.tail);
        out
    }

    /// How words come between the content, if they do.
    pub(crate) fn woven(&self) -> Option<Woven<'_>> {
        let weave = self.weave.as_ref()?;
        Some(Woven { weave, words: self.words, rule: Rule::Ends, runs: &self.blocks, usual: BLOCK })
    }

    /// Puts words between the content.
    #[cfg(any(test, feature = "diff"))]
    pub(crate) fn weave(
        &mut self,
        words: &[u8],
        content: &[u8],
        closed: &[core::ops::Range<usize>],
    ) -> Option<Mixed> {
        self.weave = Some(Weave::default());
        let (weave, mixed) = self.woven()?.mix(words, content, closed, 0)?;
        self.weave = Some(weave);
        Some(mixed)
    }

    /// Bytes of heap that it takes with the words that it tells.
    pub(crate) fn heap(&self) -> u64 {
        let words = self.weave.as_ref().map_or(self.words as u64, Weave::heap);
        let lists = self.blocks.len().saturating_mul(2 * size_of::<usize>());
        words.saturating_add(lists as u64)
    }
}

/// Makes a frame.
pub(crate) struct ToldEncoder {
    told: Told,
    strategy: i8,
    splits: bool,
    /// Words that are still to come before all content.
    wanted: usize,
    words: Vec<u8>,
    /// Words that come between the content, of which there are so many bytes.
    loom: Loom,
    content: usize,
    telling: Option<Telling>,
    /// The last byte of content: it comes with the end.
    held: Option<u8>,
    /// Bytes of content so far.
    done: usize,
    /// Of blocks that are told, how many ended, and the bytes of the one that did not.
    ended: usize,
    begun: usize,
}

impl ToldEncoder {
    /// As an encoder with this strategy, by libzstd's numbers, codes it.
    pub(crate) fn new(told: Told, strategy: i8, splits: bool, plain: u64) -> Result<Self, Fault> {
        let content = usize::try_from(plain).ok().and_then(|all| all.checked_sub(told.words));
        Ok(Self::of(told, strategy, splits, content.ok_or(IMPOSSIBLE)?))
    }

    /// Of so many bytes of content, with any bytes of words.
    pub(crate) fn of(told: Told, strategy: i8, splits: bool, content: usize) -> Self {
        let wanted = if told.weave.is_some() { 0 } else { told.words };
        let words = Vec::with_capacity(wanted);
        Self {
            told,
            strategy,
            splits,
            wanted,
            words,
            loom: Loom::default(),
            content,
            telling: None,
            held: None,
            done: 0,
            ended: 0,
            begun: 0,
        }
    }

    /// Takes words off the front of what comes, where they come between the content;
    /// returns how much content comes before the next ones.
    fn weave(&mut self, plain: &mut &[u8]) -> Result<usize, Fault> {
        let Some(woven) = self.told.woven() else { return Ok(usize::MAX) };
        let most = woven.weave.held;
        while let Some(due) = self.loom.due(woven, self.content) {
            if due > self.done || plain.is_empty() {
                return Ok(due.saturating_sub(self.done));
            }
            self.loom.take(woven, plain, &mut self.words).ok_or(IMPOSSIBLE)?;
            if let Some(telling) = &mut self.telling {
                telling.tell(&mut self.words, most)?;
            } else if self.words.len() > most {
                return Err(IMPOSSIBLE);
            }
        }
        Ok(usize::MAX)
    }

    pub(crate) fn push(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        let (words, mut plain) = plain.split_at(self.wanted.min(plain.len()));
        self.words.extend_from_slice(words);
        self.wanted -= words.len();
        let period = self.told.every.saturating_mul(BLOCK);
        loop {
            let until = self.weave(&mut plain)?;
            if plain.is_empty() {
                return Ok(());
            }
            let here = self.done.checked_rem(period).unwrap_or(0);
            let room = if period > 0 { period - here } else { usize::MAX };
            if let Some(held) = self.held.take() {
                self.code(&[held], out)?;
            }
            if self.told.blocks.get(self.ended) == Some(&self.begun) {
                self.telling(out)?.flush(out)?;
                (self.ended, self.begun) = (self.ended + 1, 0);
            }
            if here == 0 && period > 0 && self.done > 0 {
                self.again(out)?;
            }
            let block = self.told.blocks.get(self.ended).map_or(usize::MAX, |len| len - self.begun);
            let (now, later) = plain.split_at(room.min(block).min(until).min(plain.len()));
            let Some((last, start)) = now.split_last() else { return Err(IMPOSSIBLE) };
            self.done = self.done.saturating_add(now.len());
            if self.done < self.content {
                self.code(now, out)?;
            } else {
                self.code(start, out)?;
                self.held = Some(*last);
            }
            self.begun = self.begun.saturating_add(now.len());
            plain = later;
        }
    }

    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Fault> {
        let held = self.held.take();
        self.telling(out)?.finish(held.as_slice(), out)?;
        let left = self.telling(out)?.left();
        out.extend_from_slice(&self.told.tail);
        if left == 0 { Ok(()) } else { Err(IMPOSSIBLE) }
    }

    fn code(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        self.telling(out)?.code(plain, out)
    }

    /// What stands before the blocks is written when the first one is begun.
    fn telling(&mut self, out: &mut Vec<u8>) -> Result<&mut Telling, Fault> {
        if self.wanted > 0 {
            return Err(IMPOSSIBLE);
        }
        if self.telling.is_none() {
            out.extend(MAGIC);
            out.extend_from_slice(&self.told.head);
            let mut words = core::mem::take(&mut self.words);
            if let Some(weave) = &self.told.weave {
                words.reserve_exact(weave.held.saturating_sub(words.len()));
            }
            self.telling = Some(Telling::new(words, self.strategy, self.splits)?);
        }
        self.telling.as_mut().ok_or(IMPOSSIBLE)
    }

    /// The next block is coded as the first one of a frame.
    fn again(&mut self, out: &mut Vec<u8>) -> Result<(), Fault> {
        let telling = self.telling(out)?;
        telling.flush(out)?;
        telling.again()
    }
}

const IMPOSSIBLE: Fault = "what is told leads to no frame";

/// Bytes of heap that making a frame takes beside its words.
pub(crate) fn encoder_heap(strategy: i8, splits: bool) -> u64 {
    Telling::heap(strategy, splits)
}

/// Decodes a frame to its words and its content. The frame is held until it is
/// complete, because its words come first.
pub(crate) struct ToldDecoder {
    frame: Vec<u8>,
    /// Bytes of the frame that are needed to go on.
    needs: usize,
    doing: Doing,
    reader: Reader,
    /// Words of the last block that was read, and how many bytes of them went out.
    words: Vec<u8>,
    given: usize,
    content: ZstdDecoder,
}

#[derive(Clone, Copy)]
enum Doing {
    Head,
    /// A block's head is next; so many bytes stand behind the last block.
    Block {
        tail: usize,
    },
    /// The end is next.
    Tail,
    Words,
    /// Of the frame, so many bytes are decoded.
    Content {
        at: usize,
    },
}

/// Bytes of heap for the words of a block, which grow as a vector does: a block has at
/// most 43,691 sequences, and few have more than a word and its offset.
pub(crate) const WORDS_HEAP: u64 = 3 << 19;

/// The most bytes of a frame of so many bytes of words and content.
fn frame_max(plain: u64) -> u64 {
    plain.saturating_add(plain / 256).saturating_add(1 << 10)
}

/// Bytes of heap that a decoder takes beside that of the content.
pub(crate) fn decoder_heap(plain: u64) -> u64 {
    frame_max(plain).saturating_add(WORDS_HEAP)
}

impl ToldDecoder {
    /// Of a frame of `plain` bytes of words and content, which `content` decodes.
    pub(crate) fn new(content: ZstdDecoder, plain: u64) -> Result<Self, Fault> {
        let most = usize::try_from(frame_max(plain)).map_err(|_| TOO_LONG)?;
        let mut frame = Vec::new();
        frame.try_reserve_exact(most).map_err(|_| TOO_LONG)?;
        let (words, given, reader) = (Vec::new(), 0, Reader::new());
        Ok(Self { frame, needs: DESCRIBED, doing: Doing::Head, reader, words, given, content })
    }

    pub(crate) fn step(&mut self, input: &[u8], out: &mut [u8]) -> Result<Progress, Fault> {
        let consumed = self.gather(input)?;
        let mut filled = self.tell(out)?;
        let mut done = false;
        if let Doing::Content { at } = self.doing {
            let rest = self.frame.get(at..).unwrap_or_default();
            let step = self.content.code(rest, out.get_mut(filled..).unwrap_or_default())?;
            self.doing = Doing::Content { at: at + step.consumed };
            filled += step.filled;
            done = step.done;
        }
        Ok(Progress { consumed, filled, done })
    }

    /// Takes bytes of the frame until it is complete; returns how many.
    fn gather(&mut self, input: &[u8]) -> Result<usize, Fault> {
        let mut rest = input;
        while let Doing::Head | Doing::Block { .. } | Doing::Tail = self.doing {
            if self.needs > self.frame.capacity() {
                return Err(TOO_LONG);
            }
            let missing = self.needs.saturating_sub(self.frame.len());
            let (now, later) = rest.split_at(missing.min(rest.len()));
            self.frame.extend_from_slice(now);
            rest = later;
            if now.len() < missing {
                break;
            }
            self.doing = match self.doing {
                Doing::Head => {
                    let head = Head::read(&self.frame).ok_or(NO_FRAME)?;
                    self.needs = head.len + 3;
                    Doing::Block { tail: head.tail }
                }
                Doing::Block { tail } => {
                    let head = self.frame.last_chunk().ok_or(NO_FRAME)?;
                    let (size, last) = zstd_frame::block(*head);
                    self.needs += size + if last { tail } else { 3 };
                    if last { Doing::Tail } else { Doing::Block { tail } }
                }
                _ => Doing::Words,
            };
        }
        Ok(input.len() - rest.len())
    }

    /// Gives words; returns how many bytes.
    fn tell(&mut self, out: &mut [u8]) -> Result<usize, Fault> {
        let mut filled = 0;
        while let Doing::Words = self.doing {
            let rest = self.words.get(self.given..).unwrap_or_default();
            let room = out.get_mut(filled..).unwrap_or_default();
            let count = rest.len().min(room.len());
            room.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
            self.given += count;
            filled += count;
            if count < rest.len() {
                break;
            }
            if self.reader.ended {
                self.words = Vec::new();
                self.doing = Doing::Content { at: 0 };
                break;
            }
            self.reader.next(&self.frame).ok_or(NO_FRAME)?;
            self.given = 0;
            self.words.clear();
            self.reader.swap(&mut self.words);
        }
        Ok(filled)
    }
}

/// Bytes of a frame that say how long its head is.
const DESCRIBED: usize = 5;

const TOO_LONG: Fault = "a frame is longer than its content can be";
const NO_FRAME: Fault = "a frame has other blocks than those of 128 KiB";

#[cfg(test)]
mod tests;
