//! Words between the content: those of a run of it come shortly before it, so that a
//! stream can be gone on with in its middle.
//!
//! What a stream's encoder chose is told in words; where in the content those of the next
//! run come follows from the words so far, and is described once for all kinds of streams.

use super::words::Gather;
use crate::correction::{CorrectionError, number};
use crate::sequences::Sequence;
use alloc::vec::Vec;

/// Where words come between the content.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Weave {
    /// The most bytes of them that wait for their content.
    pub(crate) held: usize,
    /// Runs, in order, whose words come so many bytes of content before theirs, not
    /// right before it.
    pub(crate) early: Vec<(usize, usize)>,
}

impl Weave {
    /// Reads the stored form, which is behind that of `held`.
    pub(crate) fn read(held: usize, bytes: &mut &[u8]) -> Result<Self, CorrectionError> {
        let mut size = || Ok(usize::try_from(number(bytes)?).unwrap_or(usize::MAX));
        let (mut early, mut run) = (Vec::new(), 0usize);
        for _ in 0..size()? {
            run = run.saturating_add(size()?);
            early.push((run, size()?));
        }
        Ok(Self { held, early })
    }

    /// The stored form behind that.
    #[cfg(any(test, feature = "diff"))]
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        let mut put = |size: usize| crate::correction::put_number(out, size as u64);
        put(self.early.len());
        let mut last = 0;
        for (run, early) in &self.early {
            put(run - last);
            put(*early);
            last = *run;
        }
    }

    /// Bytes of heap with the words that wait.
    pub(crate) fn heap(&self) -> u64 {
        let early = self.early.len().saturating_mul(4 * size_of::<usize>());
        self.held.saturating_add(early) as u64
    }
}

/// When all words of a run came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    /// With a sequence without a match.
    Ends,
    /// When they describe more content than up to its end, where the first sequence of each
    /// block describes none, and one without a match ends it; or when no more words come.
    Blocks,
    /// With as many bytes as half of the number says with which they begin.
    Stated,
    /// When they describe more content than up to its end, where lengths of matches are
    /// told so much longer; or when no more words come.
    Describes { longer: u32 },
}

/// How a stream's words are divided.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Woven<'a> {
    pub(crate) weave: &'a Weave,
    /// Bytes of all words.
    pub(crate) words: usize,
    pub(crate) rule: Rule,
    /// Bytes of content of all runs but the last one ...
    pub(crate) runs: &'a [usize],
    /// ... or of each, where none are told.
    pub(crate) usual: usize,
}

impl Woven<'_> {
    /// Bytes of content of a run.
    fn run(&self, number: usize) -> usize {
        match self.runs.get(number) {
            Some(run) => *run,
            None if self.runs.is_empty() => self.usual,
            None => usize::MAX,
        }
    }
}

/// Goes through the runs of a stream: where in the content the words of the next one come.
#[derive(Debug, Clone, Default)]
pub(crate) struct Loom {
    gather: Gather,
    /// Runs whose words came.
    runs: usize,
    /// Bytes of content of those.
    begin: usize,
    /// How many exceptions are behind.
    exceptions: usize,
    /// Sequences without a match so far, content that is described, and bytes of words.
    ended: usize,
    described: usize,
    taken: usize,
    /// A block's first sequence came, and not its last.
    is_in_block: bool,
    /// Of what states its bytes: how it begins, and how many of them are to come.
    stated: Vec<u8>,
    missing: Option<usize>,
}

impl Loom {
    /// How much of `content` bytes of content comes before the next words; nothing where
    /// no more come.
    pub(crate) fn due(&self, woven: Woven<'_>, content: usize) -> Option<usize> {
        let exception = woven.weave.early.get(self.exceptions);
        let exception = exception.filter(|(run, _)| *run == self.runs);
        let early = exception.map_or(0, |(_, early)| *early);
        (self.begin < content).then(|| self.begin.saturating_sub(early))
    }

    /// Bytes of content up to the end of the next run.
    pub(crate) fn end(&self, woven: Woven<'_>) -> usize {
        self.begin.saturating_add(woven.run(self.runs))
    }

    /// Moves words of the next run from the front of `pieces` to `out`; says whether all of
    /// them came. None if they make no sense.
    pub(crate) fn take(
        &mut self,
        woven: Woven<'_>,
        pieces: &mut &[u8],
        out: &mut Vec<u8>,
    ) -> Option<bool> {
        let left = woven.words.saturating_sub(self.taken);
        let (mut now, _) = pieces.split_at(left.min(pieces.len()));
        let offered = now.len();
        if woven.rule == Rule::Stated {
            let are_told = self.take_stated(&mut now, out)?;
            let used = offered - now.len();
            self.taken += used;
            *pieces = pieces.get(used..).unwrap_or_default();
            (are_told || self.taken < woven.words).then_some(())?;
            if are_told {
                self.pass(woven);
            }
            return Some(are_told);
        }
        let end = self.end(woven);
        let mut are_told = self.are_told(woven, end);
        if !are_told {
            let mut gather = core::mem::take(&mut self.gather);
            gather.take(&mut now, out, |sequence| {
                self.count(woven, sequence);
                are_told = self.are_told(woven, end);
                are_told
            })?;
            self.gather = gather;
        }
        let used = offered - now.len();
        self.taken += used;
        *pieces = pieces.get(used..).unwrap_or_default();
        if !are_told && self.taken == woven.words {
            are_told = self.gather.is_empty() && woven.rule != Rule::Ends;
            are_told.then_some(())?;
        }
        if are_told {
            self.pass(woven);
        }
        Some(are_told)
    }

    /// Moves what states its bytes; says whether all of it came.
    fn take_stated(&mut self, pieces: &mut &[u8], out: &mut Vec<u8>) -> Option<bool> {
        while self.missing.is_none() {
            let Some((first, rest)) = pieces.split_first() else { return Some(false) };
            *pieces = rest;
            self.stated.push(*first);
            if first & 0x80 == 0 {
                let stated = number(&mut self.stated.as_slice()).ok()?;
                self.missing = Some(usize::try_from(stated >> 1).unwrap_or(usize::MAX));
                out.append(&mut self.stated);
            } else if self.stated.len() > 9 {
                return None;
            }
        }
        let missing = self.missing.unwrap_or(0);
        let (now, later) = pieces.split_at(missing.min(pieces.len()));
        out.extend_from_slice(now);
        *pieces = later;
        self.missing = Some(missing - now.len()).filter(|missing| *missing > 0);
        Some(self.missing.is_none())
    }

    fn count(&mut self, woven: Woven<'_>, sequence: &Sequence) {
        let is_head = woven.rule == Rule::Blocks && !self.is_in_block;
        self.is_in_block = is_head || sequence.length > 0;
        self.ended += usize::from(sequence.length == 0);
        if woven.rule == Rule::Blocks && !is_head {
            let more = (sequence.length as usize).saturating_add(sequence.literals as usize);
            self.described = self.described.saturating_add(more);
        }
        if let Rule::Describes { longer } = woven.rule {
            let length = sequence.length.saturating_sub(longer) as usize;
            let more = length.saturating_add(sequence.literals as usize);
            self.described = self.described.saturating_add(more);
        }
    }

    fn are_told(&self, woven: Woven<'_>, end: usize) -> bool {
        match woven.rule {
            Rule::Ends => self.ended > self.runs,
            Rule::Stated => false,
            Rule::Blocks | Rule::Describes { .. } => self.described > end,
        }
    }

    /// The words of a run came.
    pub(crate) fn pass(&mut self, woven: Woven<'_>) {
        let early = woven.weave.early.get(self.exceptions..).unwrap_or_default();
        let behind = early.iter().take_while(|(at, _)| *at <= self.runs);
        self.exceptions += behind.count();
        self.begin = self.end(woven);
        self.runs += 1;
    }
}

/// Words and content, and where in the content how many bytes of words come.
#[cfg(any(test, feature = "diff"))]
pub(crate) type Mixed = (Vec<u8>, Vec<(usize, usize)>);

#[cfg(any(test, feature = "diff"))]
impl Woven<'_> {
    /// Where in words and content the words are.
    pub(crate) fn places(self, plain: &[u8]) -> Option<Vec<core::ops::Range<usize>>> {
        let content = plain.len().checked_sub(self.words)?;
        let (mut loom, mut places, mut rest, mut done) = (Loom::default(), Vec::new(), plain, 0);
        let mut words = Vec::new();
        while let Some(due) = loom.due(self, content) {
            let (_, later) = rest.split_at_checked(due.saturating_sub(done))?;
            (rest, done) = (later, done.max(due));
            let start = plain.len() - rest.len();
            words.clear();
            loom.take(self, &mut rest, &mut words).filter(|all| *all)?;
            places.push(start..plain.len() - rest.len());
        }
        Some(places)
    }

    /// Puts words between the content, except where `closed`, of which there are sorted
    /// ranges of the content, has no room for them. Those of a run are used when `slack`
    /// bytes of content more came than they describe.
    pub(crate) fn mix(
        self,
        words: &[u8],
        content: &[u8],
        closed: &[core::ops::Range<usize>],
        slack: usize,
    ) -> Option<(Weave, Mixed)> {
        let (mut early, mut loom, mut places) = (Vec::new(), Loom::default(), Vec::new());
        let (mut out, mut rest) = (Vec::with_capacity(words.len() + content.len()), words);
        let (mut done, mut held, mut most, mut waiting) = (0, 0, 0, Vec::new());
        while let Some(begin) = loom.due(self, content.len()) {
            let around = closed.iter().find(|range| range.start < begin && begin < range.end);
            let due = around.map_or(begin, |range| range.start).max(done);
            if due < begin {
                early.push((loom.runs, begin - due));
            }
            out.extend_from_slice(content.get(done..due)?);
            let before = out.len();
            loom.take(self, &mut rest, &mut out).filter(|all| *all)?;
            let count = out.len() - before;
            places.push((due, count));
            // A run is coded when what follows it begins.
            waiting.retain(|(end, bytes)| {
                let coded = *end < due;
                held -= if coded { *bytes } else { 0 };
                !coded
            });
            waiting.push((loom.begin.max(loom.described).saturating_add(slack), count));
            held += count;
            (done, most) = (due, most.max(held));
        }
        out.extend_from_slice(content.get(done..)?);
        rest.is_empty().then_some((Weave { held: most, early }, (out, places)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::words::{self, Words};
    use alloc::vec;
    use proptest::prelude::*;

    /// Words of matches that are told two longer, and how much content they describe.
    fn any_words() -> impl Strategy<Value = (Vec<u8>, usize)> {
        let literals = prop_oneof![6 => 0..30u32, 1 => 0..3000u32];
        let one = (literals, 0..60u32).prop_map(|(literals, length)| {
            let (length, offset) = if length > 3 { (length, 9) } else { (0, 0) };
            Sequence { offset, literals, length, repeat: 0 }
        });
        proptest::collection::vec(one, 1..200).prop_map(|sequences| {
            let (mut told, mut content) = (vec![], 0);
            for sequence in &sequences {
                words::put(&mut told, *sequence);
                content += (sequence.literals + sequence.length.saturating_sub(2)) as usize;
            }
            (told, content)
        })
    }

    /// Content that all told words describe; what ends with it included.
    fn described(words: &[u8]) -> usize {
        let length = |s: Sequence| (s.literals + s.length.saturating_sub(2)) as usize;
        Words::new(words).map(length).sum()
    }

    proptest! {
        /// Words in any places are found again, in pieces of any size, and are there when
        /// their content comes.
        #[test]
        fn woven_words_come_before_their_content(
            (words, len) in any_words(),
            runs in proptest::collection::vec(1..900usize, 0..12),
            usual in 50..2000usize,
            closed in (any::<prop::sample::Index>(), 0..700usize),
            piece in 1..400usize,
        ) {
            prop_assume!(len > 0);
            let content: Vec<u8> = (0..len).map(|at| at as u8).collect();
            let from = closed.0.index(len);
            let closed = from..len.min(from + closed.1);
            let rule = Rule::Describes { longer: 2 };
            let bare = Weave::default();
            let woven = Woven { weave: &bare, words: words.len(), rule, runs: &runs, usual };
            let closed = core::slice::from_ref(&closed);
            let (weave, (all, places)) = woven.mix(&words, &content, closed, 0).unwrap();
            let inside = |at: usize| closed.iter().any(|range| range.start < at && at < range.end);
            prop_assert!(places.iter().all(|(at, count)| *count == 0 || !inside(*at)));
            prop_assert!(weave.held <= words.len());
            let woven = Woven { weave: &weave, ..woven };
            let found: Vec<usize> = woven.places(&all).unwrap().iter().map(|p| p.len()).collect();
            prop_assert_eq!(found, places.iter().map(|(_, count)| *count).collect::<Vec<_>>());
            let (mut loom, mut told, mut plain) = (Loom::default(), vec![], vec![]);
            for mut pieces in all.chunks(piece) {
                while !pieces.is_empty() {
                    let end = loom.due(woven, len).unwrap_or(len);
                    if end <= plain.len() {
                        loom.take(woven, &mut pieces, &mut told).unwrap();
                        continue;
                    }
                    let (now, later) = pieces.split_at(pieces.len().min(end - plain.len()));
                    plain.extend_from_slice(now);
                    pieces = later;
                    let enough = told.len() == words.len() || described(&told) > plain.len();
                    prop_assert!(enough, "{} of {}", plain.len(), described(&told));
                }
            }
            // Runs that nothing is told of any more.
            while loom.due(woven, len).is_some() {
                prop_assert_eq!(loom.take(woven, &mut &[][..], &mut told), Some(true));
            }
            prop_assert!(told == words && plain == content);
        }

        /// Any bytes where words and content are expected come to an end.
        #[test]
        fn any_bytes_are_taken_to_an_end(
            bytes in proptest::collection::vec(any::<u8>(), 0..500),
            words in 0..600usize,
            ends in any::<bool>(),
            runs in proptest::collection::vec(any::<usize>(), 0..4),
            early in proptest::collection::vec((0..5usize, any::<usize>()), 0..4),
        ) {
            let rule = if ends { Rule::Ends } else { Rule::Describes { longer: 2 } };
            let weave = Weave { held: 9, early };
            let woven = Woven { weave: &weave, words, rule, runs: &runs, usual: 70 };
            let (mut loom, mut out, mut rest) = (Loom::default(), vec![], &bytes[..]);
            while loom.due(woven, 400).is_some() && !rest.is_empty() {
                if loom.take(woven, &mut rest, &mut out).is_none() {
                    break;
                }
            }
            prop_assert!(out.len() <= bytes.len());
            let inside = |places: Vec<core::ops::Range<usize>>| {
                places.iter().all(|place| place.end <= bytes.len())
            };
            prop_assert!(woven.places(&bytes).is_none_or(inside));
        }
    }
}
