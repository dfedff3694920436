//! Words between the content: those of a block come shortly before its content, so that
//! a frame can be gone on with in its middle.

use super::Told;
#[cfg(any(test, feature = "diff"))]
use super::Weave;
#[cfg(any(test, feature = "diff"))]
use crate::recipe::words::Gather;
use crate::sequences::BLOCK;
#[cfg(any(test, feature = "diff"))]
use alloc::vec::Vec;

/// Goes through the blocks of a frame: where in the content the words of the next one
/// come.
#[derive(Debug, Clone, Default)]
pub(crate) struct Loom {
    /// Blocks whose words came.
    blocks: usize,
    /// Bytes of content of those.
    begin: usize,
    /// How many exceptions are behind.
    exceptions: usize,
}

impl Loom {
    /// How much of `content` bytes of content comes before the next words; nothing where
    /// no more come.
    pub(crate) fn due(&self, told: &Told, content: usize) -> Option<usize> {
        let weave = told.weave.as_ref()?;
        let exception = weave.early.get(self.exceptions);
        let exception = exception.filter(|(block, _)| *block == self.blocks);
        let early = exception.map_or(0, |(_, early)| *early);
        (self.begin < content).then(|| self.begin.saturating_sub(early))
    }

    /// The words of a block came.
    pub(crate) fn pass(&mut self, told: &Told) {
        let block = match told.blocks.get(self.blocks) {
            Some(block) => *block,
            None if told.blocks.is_empty() => BLOCK,
            None => usize::MAX,
        };
        let early = told.weave.as_ref().and_then(|weave| weave.early.get(self.exceptions..));
        let behind = early.unwrap_or_default().iter().take_while(|(at, _)| *at <= self.blocks);
        self.exceptions += behind.count();
        self.begin = self.begin.saturating_add(block);
        self.blocks += 1;
    }
}

/// Words and content, and where in the content how many bytes of words come.
#[cfg(any(test, feature = "diff"))]
pub(crate) type Woven = (Vec<u8>, Vec<(usize, usize)>);

impl Told {
    /// Where in words and content the words are.
    #[cfg(any(test, feature = "diff"))]
    pub(crate) fn places(&self, plain: &[u8]) -> Option<Vec<core::ops::Range<usize>>> {
        if self.weave.is_none() {
            return Some(alloc::vec![0..self.words]);
        }
        let content = plain.len().checked_sub(self.words)?;
        let (mut loom, mut places, mut rest, mut done) = (Loom::default(), Vec::new(), plain, 0);
        let mut words = Vec::new();
        while let Some(due) = loom.due(self, content) {
            let (_, later) = rest.split_at_checked(due.saturating_sub(done))?;
            (rest, done) = (later, done.max(due));
            let start = plain.len() - rest.len();
            words.clear();
            Gather::default().take(&mut rest, &mut words).filter(|ends| *ends)?;
            places.push(start..plain.len() - rest.len());
            loom.pass(self);
        }
        Some(places)
    }

    /// The words alone, out of those and the content.
    #[cfg(any(test, feature = "diff"))]
    pub(crate) fn words_of(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let places = self.places(plain)?.into_iter();
        let words = places.map(|place| plain.get(place)).collect::<Option<Vec<_>>>()?;
        Some(words.concat())
    }

    /// Puts words between the content, except where `closed`, of which there are sorted
    /// ranges of the content, has no room for them.
    #[cfg(any(test, feature = "diff"))]
    pub(crate) fn weave(
        &mut self,
        words: &[u8],
        content: &[u8],
        closed: &[core::ops::Range<usize>],
    ) -> Option<Woven> {
        let weave = Weave { held: words.len(), early: Vec::new() };
        self.weave = Some(weave.clone());
        let (mut early, mut loom, mut places) = (Vec::new(), Loom::default(), Vec::new());
        let (mut out, mut rest) = (Vec::with_capacity(words.len() + content.len()), words);
        let (mut done, mut held, mut most, mut waiting) = (0, 0, 0, Vec::new());
        while let Some(begin) = loom.due(self, content.len()) {
            let around = closed.iter().find(|range| range.start < begin && begin < range.end);
            let due = around.map_or(begin, |range| range.start).max(done);
            if due < begin {
                early.push((loom.blocks, begin - due));
            }
            out.extend_from_slice(content.get(done..due)?);
            let before = out.len();
            Gather::default().take(&mut rest, &mut out).filter(|ends| *ends)?;
            let count = out.len() - before;
            places.push((due, count));
            loom.pass(self);
            // A block is coded when what follows it begins.
            waiting.retain(|(end, bytes)| {
                let coded = *end < due;
                held -= if coded { *bytes } else { 0 };
                !coded
            });
            waiting.push((loom.begin, count));
            held += count;
            (done, most) = (due, most.max(held));
        }
        out.extend_from_slice(content.get(done..)?);
        self.weave = Some(Weave { held: most, early });
        rest.is_empty().then_some((out, places))
    }
}
