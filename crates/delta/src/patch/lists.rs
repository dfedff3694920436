//! What a span says before its symbols: what of old it reads, and what its
//! plain bytes become.

use super::holes::{self, Holes};
use crate::coder::{Coder, Number, Tree};
use crate::patch::PatchError;
use crate::verity::{SALT_MAX, Verity};
use alloc::vec::Vec;

/// The most old streams and the most parts of a span.
pub(crate) const ENTRIES_MAX: usize = 1 << 15;

/// How deep streams may lie in streams.
pub(crate) const DEPTH_MAX: usize = 6;

/// The most bytes of all corrections of a span.
pub(crate) const CORRECTIONS_MAX: usize = 192 << 10;

/// How far the holes of a new stream reach at most.
const HOLES_REACH: u64 = 1 << 48;

/// A stream of the old image that the span reads.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct OldStream {
    /// The number of the stream in the list that it lies in; else the image.
    pub(crate) parent: Option<usize>,
    /// Where it starts there.
    pub(crate) at: u64,
    /// Its encoded bytes with what lies between them.
    pub(crate) len: u64,
    /// What lies between them.
    pub(crate) holes: Holes,
    /// The place of its content in plain old.
    pub(crate) plain_at: u64,
    /// Bytes of its content.
    pub(crate) plain: u64,
    /// The number of its recipe in the header.
    pub(crate) recipe: usize,
}

/// What becomes of the next bytes of plain new.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    /// So many bytes go where the last stream is, or into the image.
    Raw(u64),
    /// A stream begins.
    Open(NewStream),
    /// A stream is exactly the next bytes.
    Whole(NewStream),
    /// The last stream ends.
    Close,
    /// A tree of hashes of what is finished, outside of streams; no bytes of plain new.
    Verity(Verity),
}

/// A stream of the new image.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct NewStream {
    /// The number of its recipe in the header.
    pub(crate) recipe: usize,
    /// Bytes of its content.
    pub(crate) plain: u64,
    /// Its correction, in its stored form; empty: none.
    pub(crate) correction: Vec<u8>,
    /// What lies between its pieces; these bytes come before its content.
    pub(crate) holes: Holes,
}

/// The stream in which a span begins, for an applier that begins there as well.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Inside {
    /// The stream.
    pub(crate) stream: NewStream,
    /// Bytes of the image before it.
    pub(crate) at: u64,
    /// Bytes of the image that count as finished while it is open.
    pub(crate) finished: u64,
    /// Bytes of its content before the span.
    pub(crate) done: u64,
    /// Bytes of the image out of which that content can be read.
    pub(crate) needs: u64,
}

/// The lists of a span.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Lists {
    /// Bytes of plain new that the span makes.
    pub(crate) plain: u64,
    /// The place in plain new where it starts.
    pub(crate) to: u64,
    /// The place in plain old where its first byte is expected.
    pub(crate) from: u64,
    /// Where it can be begun inside of a stream.
    pub(crate) inside: Option<Inside>,
    /// What it reads beside the image.
    pub(crate) old: Vec<OldStream>,
    /// What it makes, in order.
    pub(crate) parts: Vec<Part>,
}

/// The models of the lists.
struct Models {
    numbers: Number,
    kinds: Tree,
    bytes: Tree,
    recipes: Tree,
    holes: holes::Models,
}

/// The contexts of numbers.
#[derive(Clone, Copy)]
enum Field {
    Plain,
    To,
    From,
    Count,
    Parent,
    At,
    Len,
    PlainGap,
    OldPlain,
    Raw,
    NewPlain,
    Correction,
    Verity,
    Inside,
}

impl Models {
    fn number<C: Coder>(&mut self, coder: &mut C, field: Field, value: u64) -> u64 {
        self.numbers.code(coder, field as usize, value)
    }
}

impl Lists {
    /// Codes the lists; a decoder ignores what they hold and returns what it
    /// read. A hostile list ends with the bytes that it was read from: `ended`
    /// says that they are used up.
    pub(crate) fn code<C: Coder>(
        &self,
        coder: &mut C,
        ended: impl Fn(&C) -> bool,
    ) -> Result<Self, PatchError> {
        let mut models = Models {
            numbers: Number::new(Field::Inside as usize + 1),
            kinds: Tree::new(3, 6),
            bytes: Tree::new(8, 1),
            recipes: Tree::new(6, 2),
            holes: holes::Models::new(),
        };
        let plain = models.number(coder, Field::Plain, self.plain);
        let to = models.number(coder, Field::To, self.to);
        let from = models.number(coder, Field::From, self.from);
        let inside = code_inside(&mut models, coder, self.inside.as_ref())?;
        let count = count(&mut models, coder, self.old.len())?;
        let mut old: Vec<OldStream> = Vec::new();
        for number in 0..count {
            let wanted = self.old.get(number).cloned().unwrap_or_default();
            let stream = code_old(&mut models, coder, &old, &wanted, &ended)?;
            old.push(stream);
            if ended(coder) {
                return Err(PatchError::Impossible("list"));
            }
        }
        let parts = code_parts(&mut models, coder, &self.parts, ended)?;
        Ok(Self { plain, to, from, inside, old, parts })
    }
}

fn count<C: Coder>(models: &mut Models, coder: &mut C, len: usize) -> Result<usize, PatchError> {
    let count = models.number(coder, Field::Count, len as u64);
    let count = usize::try_from(count).ok().filter(|count| *count <= ENTRIES_MAX);
    count.ok_or(PatchError::Impossible("list"))
}

fn code_inside<C: Coder>(
    models: &mut Models,
    coder: &mut C,
    wanted: Option<&Inside>,
) -> Result<Option<Inside>, PatchError> {
    let none = Inside::default();
    let wanted = wanted.unwrap_or(&none);
    let mut number = |value| models.number(coder, Field::Inside, value);
    let ahead = number(wanted.needs - wanted.at);
    if ahead == 0 {
        return Ok(None);
    }
    let at = number(wanted.at);
    let before = number(wanted.at - wanted.finished);
    let done = number(wanted.done);
    // One of several pieces cannot be begun inside.
    let stream = code_new(models, coder, &wanted.stream, 0, &mut 0, |_| true)?;
    let finished = at.checked_sub(before).ok_or(PatchError::Impossible("stream"))?;
    let needs = at + ahead;
    Ok(Some(Inside { stream, at, finished, done, needs }))
}

fn code_old<C: Coder>(
    models: &mut Models,
    coder: &mut C,
    before: &[OldStream],
    wanted: &OldStream,
    ended: impl Fn(&C) -> bool,
) -> Result<OldStream, PatchError> {
    let (plain_start, last_plain) =
        before.last().map_or((0, 0), |last| (last.plain_at + last.plain, last.plain));
    let back = wanted.parent.map_or(0, |parent| (before.len() - parent) as u64);
    let back = models.number(coder, Field::Parent, back) as usize;
    let parent = match back {
        0 => None,
        back => Some(before.len().checked_sub(back).ok_or(PatchError::Impossible("parent"))?),
    };
    // Behind the last stream of the same parent, or at its start.
    let same = before.iter().rev().find(|stream| stream.parent == parent);
    let start = same.map_or(0, |stream| stream.at + stream.len);
    let at = start + models.number(coder, Field::At, wanted.at.wrapping_sub(start));
    let len = models.number(coder, Field::Len, wanted.len);
    let gap = models.number(coder, Field::PlainGap, wanted.plain_at.wrapping_sub(plain_start));
    let plain_at = plain_start + gap;
    // Most blocks are of one size: the difference is zero.
    let mask = (1 << 48) - 1;
    let delta = models.number(coder, Field::OldPlain, (wanted.plain ^ last_plain) & mask);
    let plain = last_plain ^ delta;
    let recipe = models.recipes.code(coder, 6, 0, wanted.recipe as u32) as usize;
    let ends = [at.checked_add(len), plain_at.checked_add(plain)];
    if ends.iter().any(|end| end.is_none_or(|end| end > mask)) {
        return Err(PatchError::Impossible("stream"));
    }
    let holes = models.holes.code(coder, 0, &wanted.holes, len, ended)?;
    Ok(OldStream { parent, at, len, holes, plain_at, plain, recipe })
}

const RAW: u32 = 0;
const WHOLE: u32 = 1;
const OPEN: u32 = 2;
const CLOSE: u32 = 3;
const VERITY: u32 = 4;

fn code_parts<C: Coder>(
    models: &mut Models,
    coder: &mut C,
    wanted: &[Part],
    ended: impl Fn(&C) -> bool,
) -> Result<Vec<Part>, PatchError> {
    let count = count(models, coder, wanted.len())?;
    let mut parts = Vec::new();
    let (mut before, mut plain, mut corrections) = (5, 0, 0);
    for number in 0..count {
        let part = wanted.get(number);
        let kind = match part {
            None | Some(Part::Raw(_)) => RAW,
            Some(Part::Whole(_)) => WHOLE,
            Some(Part::Open(_)) => OPEN,
            Some(Part::Close) => CLOSE,
            Some(Part::Verity(_)) => VERITY,
        };
        let kind = models.kinds.code(coder, 3, before, kind).min(VERITY);
        before = kind as usize;
        parts.push(match kind {
            RAW => {
                let bytes = if let Some(Part::Raw(bytes)) = part { *bytes } else { 0 };
                Part::Raw(models.number(coder, Field::Raw, bytes))
            }
            CLOSE => Part::Close,
            VERITY => {
                let verity =
                    if let Some(Part::Verity(verity)) = part { Some(verity) } else { None };
                Part::Verity(code_verity(models, coder, verity)?)
            }
            kind => {
                let stream = match part {
                    Some(Part::Whole(stream) | Part::Open(stream)) => stream,
                    _ => &NewStream::default(),
                };
                let stream = code_new(models, coder, stream, plain, &mut corrections, &ended)?;
                plain = stream.plain;
                if kind == WHOLE { Part::Whole(stream) } else { Part::Open(stream) }
            }
        });
        if ended(coder) {
            return Err(PatchError::Impossible("list"));
        }
    }
    Ok(parts)
}

fn code_verity<C: Coder>(
    models: &mut Models,
    coder: &mut C,
    wanted: Option<&Verity>,
) -> Result<Verity, PatchError> {
    let none = Verity::default();
    let wanted = wanted.unwrap_or(&none);
    let data_at = models.number(coder, Field::Verity, wanted.data_at);
    let blocks = models.number(coder, Field::Verity, wanted.blocks);
    let mut byte = |value: u8| models.bytes.code(coder, 8, 0, value.into()) as u8;
    let (data_log, hash_log) = (byte(wanted.data_log), byte(wanted.hash_log));
    let salt_last = byte(wanted.salt_last.into()) == 1;
    let len = models.number(coder, Field::Verity, wanted.salt.len() as u64);
    let len = usize::try_from(len).ok().filter(|len| *len <= SALT_MAX);
    let len = len.ok_or(PatchError::Impossible("salt"))?;
    let byte = |at: usize| wanted.salt.get(at).copied().unwrap_or(0);
    let salt = (0..len).map(|at| models.bytes.code(coder, 8, 0, byte(at).into()) as u8).collect();
    let verity = Verity { data_at, blocks, data_log, hash_log, salt_last, salt };
    if verity.is_sound() { Ok(verity) } else { Err(PatchError::Impossible("tree of hashes")) }
}

fn code_new<C: Coder>(
    models: &mut Models,
    coder: &mut C,
    wanted: &NewStream,
    last_plain: u64,
    corrections: &mut usize,
    ended: impl Fn(&C) -> bool,
) -> Result<NewStream, PatchError> {
    let recipe = models.recipes.code(coder, 6, 1, wanted.recipe as u32) as usize;
    let plain = last_plain ^ models.number(coder, Field::NewPlain, wanted.plain ^ last_plain);
    let len = models.number(coder, Field::Correction, wanted.correction.len() as u64);
    let len = usize::try_from(len).unwrap_or(usize::MAX);
    *corrections = corrections.saturating_add(len);
    if *corrections > CORRECTIONS_MAX {
        return Err(PatchError::Impossible("correction"));
    }
    let byte = |at: usize| wanted.correction.get(at).copied().unwrap_or(0);
    let mut code = |at| models.bytes.code(coder, 8, 0, byte(at).into()) as u8;
    let correction = (0..len).map(&mut code).collect();
    let holes = models.holes.code(coder, 1, &wanted.holes, HOLES_REACH, ended)?;
    Ok(NewStream { recipe, plain, correction, holes })
}
