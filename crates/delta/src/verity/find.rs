//! Trees in an image whose content is known: found, and proven by making them.

use super::{BLOCK_LOGS, HASH, SALT_MAX, Tree, Verity};
use alloc::vec::Vec;
use core::ops::Range;

/// A tree that can be made again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    /// Where it stands.
    pub(crate) range: Range<usize>,
    /// How it is made.
    pub(crate) verity: Verity,
}

/// What a superblock starts with (cryptsetup, `lib/verity/verity.c`).
const SIGNATURE: &[u8] = b"verity\0\0\x01\0\0\0";
/// Bytes of a superblock, and what it is aligned to.
const SUPERBLOCK: usize = 512;
/// So many places are proven in vain at most: hostile images are full of them.
const IN_VAIN: usize = 8;
/// No image has more trees: each is a partition's.
const TREES_MAX: usize = 16;
/// Blocks where no superblock says otherwise.
const USUAL_LOG: u8 = 12;

/// The trees of an image, in order and apart from each other.
pub(crate) fn trees(image: &[u8]) -> Vec<Found> {
    let mut found = Vec::new();
    let mut in_vain = 0;
    let mut end = 0;
    for candidate in stated(image).chain(unstated(image)) {
        if in_vain == IN_VAIN || found.len() == TREES_MAX {
            break;
        }
        match prove(image, candidate) {
            Some(tree) => found.push(tree),
            None => in_vain += 1,
        }
    }
    found.sort_by_key(|tree| tree.range.start);
    found.retain(|tree| {
        // Something stands between two, so that the second one's content is there.
        let apart = end == 0 || tree.range.start > end;
        end = if apart { tree.range.end } else { end };
        apart
    });
    found
}

/// Trees behind superblocks, whose content is the start of the image, or what
/// ends with the superblock.
fn stated(image: &[u8]) -> impl Iterator<Item = (usize, Verity)> {
    let places = (0..image.len()).step_by(SUPERBLOCK);
    let places = places.filter(|at| image.get(*at..).is_some_and(|at| at.starts_with(SIGNATURE)));
    places.flat_map(|at| {
        let bytes = image.get(at..at + SUPERBLOCK).unwrap_or_default();
        let verity = superblock(bytes);
        let starts = verity.as_ref().map_or([None, None], |verity| {
            let before =
                usize::try_from(verity.data_len()).ok().and_then(|len| at.checked_sub(len));
            [Some(0), before.filter(|before| *before > 0)]
        });
        starts.into_iter().flatten().filter_map(move |data_at| {
            let verity = Verity { data_at: data_at as u64, ..verity.clone()? };
            let tree = (at + SUPERBLOCK).next_multiple_of(1 << verity.hash_log);
            Some((tree, verity))
        })
    })
}

fn superblock(bytes: &[u8]) -> Option<Verity> {
    let number = |at: usize| Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
    let log = |at| number(at).filter(|size| size.is_power_of_two()).map(|size| size.ilog2() as u8);
    (bytes.get(32..64)?.split(|byte| *byte == 0).next()? == b"sha256").then_some(())?;
    let blocks = u64::from_le_bytes(*bytes.get(72..)?.first_chunk()?);
    let salt_len = usize::from(u16::from_le_bytes(*bytes.get(80..)?.first_chunk()?));
    (salt_len <= SALT_MAX).then_some(())?;
    Some(Verity {
        data_at: 0,
        blocks,
        data_log: log(64)?,
        hash_log: log(68)?,
        salt_last: number(12)? == 0,
        salt: bytes.get(88..88 + salt_len)?.to_vec(),
    })
}

/// Trees without a superblock and salt, right behind their content, which is the
/// start of the image: the hash of its first block tells where the last level is.
fn unstated(image: &[u8]) -> impl Iterator<Item = (usize, Verity)> {
    let size = 1usize << USUAL_LOG;
    let usual = |blocks: usize| Verity {
        blocks: blocks as u64,
        data_log: USUAL_LOG,
        hash_log: USUAL_LOG,
        ..Verity::default()
    };
    let hash = image.get(..size).map(|block| usual(1).hash(block));
    let places = (size..image.len()).step_by(size).filter(move |at| {
        hash.is_some_and(|hash| image.get(*at..).is_some_and(|at| at.starts_with(&hash)))
    });
    places.filter_map(move |last_level| {
        // The levels above take a little more than a hundredth of the last one.
        let most = last_level / size;
        (most.saturating_sub(most / 100 + 4)..=most).rev().find_map(|blocks| {
            let verity = usual(blocks);
            let levels = verity.levels();
            let above: u64 = levels.iter().skip(1).sum();
            (verity.is_sound() && blocks + above as usize == most)
                .then_some((blocks * size, verity))
        })
    })
}

/// The tree at a place, if it comes out.
fn prove(image: &[u8], (at, verity): (usize, Verity)) -> Option<Found> {
    (verity.is_sound() && BLOCK_LOGS.contains(&verity.data_log)).then_some(())?;
    let end = at.checked_add(usize::try_from(verity.tree_len()).ok()?)?;
    let wanted = image.get(at..end)?;
    let data_end = verity.data_at.checked_add(verity.data_len())?;
    (data_end <= at as u64).then_some(())?;
    // The first hash of the last level refutes most.
    let (start, len) = (usize::try_from(verity.data_at).ok()?, 1usize << verity.data_log);
    let last_level = (*verity.levels().first()? as usize) << verity.hash_log;
    let first = wanted.get(wanted.len().checked_sub(last_level)?..)?.get(..HASH)?;
    (verity.hash(image.get(start..start + len)?) == first).then_some(())?;
    let mut source = image;
    let mut tree = Tree::new(verity.clone(), &mut source).ok()?;
    let (mut made, mut rest, mut more) = (Vec::new(), wanted, true);
    while more {
        more = tree.next(&mut source, &mut made).ok()?;
        rest = rest.strip_prefix(made.as_slice())?;
        made.clear();
    }
    rest.is_empty().then_some(Found { range: at..end, verity })
}
