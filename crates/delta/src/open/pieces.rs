//! Files that lie in several pieces: put together to be looked through, and what is
//! found in them brought back to where its pieces stand.

use super::bytes::be32_at;
use super::census::ContainerKind;
use super::{ext, fat, sparse, ubi};
use crate::patch::{Hole, Holes};
use alloc::vec::Vec;
use core::ops::Range;

/// The most holes of a stream.
const HOLES_MAX: usize = 1 << 10;

/// A stream may have as many bytes between its pieces as in them, and this many: they
/// are held in memory while it is made.
const BETWEEN_FLOOR: usize = 64 << 10;
/// ... but never more than this.
const BETWEEN_MAX: usize = 4 << 20;

/// Bytes of a file that lie together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    /// Where they start in the file.
    start: usize,
    /// Where they start in what holds the file; zeros that are stored nowhere have no place.
    at: Option<usize>,
    len: usize,
}

/// Where the bytes of a file are, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Pieces {
    runs: Vec<Run>,
    len: usize,
}

impl Pieces {
    /// The file goes on with these bytes.
    pub(super) fn push(&mut self, at: usize, len: usize) {
        let start = self.len;
        self.len = self.len.saturating_add(len);
        if let Some(Run { at: Some(last), len: before, .. }) = self.runs.last_mut()
            && last.checked_add(*before) == Some(at)
        {
            *before += len;
        } else if len > 0 {
            self.runs.push(Run { start, at: Some(at), len });
        }
    }

    /// The file goes on with zeros that are stored nowhere.
    pub(super) fn push_zeros(&mut self, len: usize) {
        self.runs.push(Run { start: self.len, at: None, len });
        self.len = self.len.saturating_add(len);
    }

    /// Bytes of the file.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The file ends after so many bytes.
    pub(super) fn truncate(&mut self, len: usize) {
        while self.len > len
            && let Some(last) = self.runs.last_mut()
        {
            let cut = (self.len - len).min(last.len);
            last.len -= cut;
            self.len -= cut;
            if last.len == 0 {
                self.runs.pop();
            }
        }
    }

    /// It lies in one piece: what holds it can be looked through as it is.
    pub(super) fn is_whole(&self) -> bool {
        matches!(self.runs.as_slice(), [] | [Run { at: Some(_), .. }])
    }

    /// The file's bytes.
    pub(super) fn gather(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(self.len);
        for run in &self.runs {
            match run.at {
                Some(at) => out.extend_from_slice(bytes.get(at..at.checked_add(run.len)?)?),
                None => out.resize(out.len() + run.len, 0),
            }
        }
        Some(out)
    }

    /// Where the runs stand, moved by `base`.
    pub(super) fn ranges(&self, base: usize) -> impl Iterator<Item = Range<usize>> {
        self.runs.iter().filter_map(move |run| run.at.map(|at| base + at..base + at + run.len))
    }

    /// Where a stream of the file stands that has these holes there already: the range
    /// that it covers and its holes. None if its pieces do not follow each other, or too
    /// much lies between them.
    pub(super) fn place(
        &self,
        range: &Range<usize>,
        holes: &[Hole],
    ) -> Option<(Range<usize>, Holes)> {
        let mut placed: Vec<Range<usize>> = Vec::new();
        for part in parts(range, holes) {
            let first = self.runs.partition_point(|run| run.start + run.len <= part.start);
            let runs = self.runs.iter().skip(first).take_while(|run| run.start < part.end);
            for run in runs {
                let here = part.start.max(run.start)..part.end.min(run.start + run.len);
                let at = run.at? + (here.start - run.start);
                match placed.last_mut() {
                    Some(last) if last.end > at => return None,
                    Some(last) if last.end == at => last.end += here.len(),
                    _ => placed.push(at..at + here.len()),
                }
            }
        }
        let (first, last) = (placed.first()?.start, placed.last()?.end);
        let holes: Holes = placed
            .windows(2)
            .filter_map(|pair| pair.first().zip(pair.last()))
            .map(|(one, next)| Hole { after: one.len() as u64, len: (next.start - one.end) as u64 })
            .collect();
        let encoded: usize = placed.iter().map(Range::len).sum();
        let between = last - first - encoded;
        let few = holes.len() <= HOLES_MAX && between <= (encoded + BETWEEN_FLOOR).min(BETWEEN_MAX);
        few.then_some((first..last, holes))
    }
}

/// The parts of a range between its holes.
pub(super) fn parts(range: &Range<usize>, holes: &[Hole]) -> Vec<Range<usize>> {
    let mut out = Vec::with_capacity(holes.len() + 1);
    let mut at = range.start;
    for hole in holes {
        let end = at.saturating_add(hole.after as usize).min(range.end);
        out.push(at..end);
        at = end.saturating_add(hole.len as usize).min(range.end);
    }
    out.push(at..range.end);
    out
}

/// The files in several pieces of a container that starts with `bytes`; none of more than
/// `most` bytes.
pub(super) fn files(kind: ContainerKind, bytes: &[u8], most: usize) -> Vec<Pieces> {
    let mut files = match kind {
        ContainerKind::Ext4 => ext::files(bytes),
        ContainerKind::Fat => fat::files(bytes),
        ContainerKind::Ubi => ubi::volumes(bytes),
        ContainerKind::AndroidSparse => sparse::image(bytes, most).into_iter().collect(),
        _ => None.into_iter().collect(),
    };
    files.retain(|file| !file.is_whole() && file.len() <= most);
    files
}

/// A number of four bytes, the highest first, as an index.
pub(super) fn index(bytes: &[u8], at: usize) -> Option<usize> {
    be32_at(bytes, at)?.try_into().ok()
}

#[cfg(test)]
mod tests;
