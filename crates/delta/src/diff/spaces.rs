//! Which addresses the places of plain old and plain new have.
//!
//! Where most of both is one stream, such as a kernel that extracts itself, addresses count
//! from its start, and streams in it take the bytes that they take there; what says between
//! its content what its encoder chose has none. Where it is an ELF file, its segments say
//! which.

use super::cover::Cover;
use super::plain::{PlainNew, PlainOld, Turn};
use crate::coder::{REGIONS_MAX, Space};
use alloc::vec;
use alloc::vec::Vec;

/// What has this address or a higher one has none.
pub(crate) const FARTHEST: u64 = 1 << 40;

/// Where in memory a segment is may differ by less from where it is in the file.
const DRIFT: u64 = 1 << 28;

/// The addresses in plain old and in plain new.
pub(crate) fn spaces(old: &PlainOld, new: &PlainNew) -> [Space; 2] {
    let from = old.streams.iter().max_by_key(|stream| stream.plain);
    let from = from.filter(|stream| stream.plain as usize > old.bytes.len() / 2);
    let to = new.streams.iter().max_by_key(|stream| stream.end - stream.start);
    let to = to.filter(|stream| stream.end - stream.start > new.bytes.len() / 2);
    let (runs_old, runs_new) = match from.zip(to) {
        None => (vec![(0, 0, old.bytes.len())], vec![(0, 0, new.bytes.len())]),
        Some((from, to)) => {
            let raw = new.turns.iter().filter_map(|(place, turn)| match turn {
                Turn::Raw { at, depth: 1, len } => Some((*place, *at, *len)),
                _ => None,
            });
            let inside = raw.filter(|(place, ..)| (to.start..to.end).contains(place));
            (vec![(from.plain_at as usize, 0, from.plain as usize)], content(inside, new))
        }
    };
    let spaces = [space(&old.bytes, &runs_old), space(&new.bytes, &runs_new)];
    match spaces {
        [Some(old), Some(new)] => [old, new],
        _ => [Space::default(), Space::default()],
    }
}

/// A run that is no content of what has addresses.
const NOWHERE: usize = FARTHEST as usize;

/// Runs of content that `new` has words between, which take no addresses; where they all
/// come first they do, as they do in old.
fn content(
    runs: impl Iterator<Item = (usize, usize, usize)>,
    new: &PlainNew,
) -> Vec<(usize, usize, usize)> {
    let (mut out, mut words) = (Vec::new(), 0);
    for (place, at, len) in runs {
        let (mut done, end) = (place, place + len);
        for range in new.chosen_in(place..end) {
            let from = at + (done - place) - words;
            out.extend((range.start > done).then_some((done, from, range.start - done)));
            out.push((range.start, NOWHERE, range.len()));
            (words, done) = (words + range.len(), range.end);
        }
        out.extend((end > done).then_some((done, at + (done - place) - words, end - done)));
    }
    out
}

/// The addresses of runs, each with its place, where in what has addresses it stands, and
/// its bytes; nothing when there are too many.
fn space(bytes: &[u8], runs: &[(usize, usize, usize)]) -> Option<Space> {
    let start = runs.first().map_or(0, |(place, ..)| *place);
    let segments = segments(bytes.get(start..).unwrap_or_default());
    let mut regions = Vec::new();
    for (place, at, len) in runs {
        let before = segments.iter().rev().find(|(offset, _)| offset <= at && *at < NOWHERE);
        let address = before.map_or(*at, |(offset, address)| address + (at - offset));
        regions.push((*place as u64, address as u64));
        let inside = segments.iter().filter(|(offset, _)| offset > at && *offset < at + len);
        regions.extend(
            inside.map(|(offset, address)| ((place + offset - at) as u64, *address as u64)),
        );
    }
    let is_usual = regions.iter().all(|(place, address)| place == address);
    (regions.len() <= REGIONS_MAX)
        .then(|| if is_usual { Space::default() } else { Space::new(regions) })
}

/// Where the segments of an ELF file of 64 bits that are loaded start in it and, counted
/// as in the first one, in memory.
fn segments(file: &[u8]) -> Vec<(usize, usize)> {
    if !file.starts_with(b"\x7fELF\x02\x01") {
        return Vec::new();
    }
    let number = |at: usize| {
        let bytes = file.get(at..).and_then(|bytes| bytes.first_chunk());
        bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes))
    };
    let (table, count) = (number(0x20) as usize, number(0x38) as u16);
    let headers = (0..usize::from(count)).filter_map(|at| table.checked_add(at * 0x38));
    let loaded = headers.filter(|at| *at < file.len() && number(*at) as u32 == 1);
    let mut segments = Vec::new();
    let mut first = None;
    for header in loaded {
        let (offset, address) = (number(header + 8), number(header + 16));
        let drift = address.wrapping_sub(offset);
        let drift = drift.wrapping_sub(*first.get_or_insert(drift)).cast_signed();
        let near = drift.unsigned_abs() < DRIFT;
        let address = offset.checked_add_signed(drift).filter(|_| near).unwrap_or(FARTHEST);
        if offset < file.len() as u64 {
            segments.push((offset as usize, address as usize));
        }
    }
    segments.sort_unstable();
    segments
}

/// A piece of a cover that has addresses in one region each.
#[derive(Clone, Copy)]
pub(crate) struct Placed {
    pub(crate) cover: Cover,
    /// The addresses where it starts in old and new.
    pub(crate) from: u64,
    pub(crate) to: u64,
}

/// Covers, cut where regions start; what has no addresses is left out.
pub(crate) fn placed(covers: &[Cover], spaces: &[Space; 2]) -> Vec<Placed> {
    let [old, new] = spaces;
    let mut pieces = Vec::with_capacity(covers.len());
    for cover in covers {
        let starts = old.starts().map(|start| (start as usize).wrapping_sub(cover.from));
        let starts =
            starts.chain(new.starts().map(|start| (start as usize).wrapping_sub(cover.to)));
        let mut cuts: Vec<usize> = starts.filter(|at| *at > 0 && *at < cover.len).collect();
        cuts.sort_unstable();
        let mut done = 0;
        for end in cuts.into_iter().chain([cover.len]) {
            let part = Cover { to: cover.to + done, from: cover.from + done, len: end - done };
            let (from, to) = (old.address(part.from as u64), new.address(part.to as u64));
            if part.len > 0 && from < FARTHEST && to < FARTHEST {
                pieces.push(Placed { cover: part, from, to });
            }
            done = end;
        }
    }
    pieces
}
