//! Damaged patches: each is refused, or gives bytes that the signed digests will not
//! let pass, within the memory that it declares.

use super::apply::{Refused, apply, header};
use crate::chance::Chance;
use crate::clock::now;
use anyhow::{Context, Result, bail, ensure};
use delta::Limits;
use std::fmt;
use std::fs;
use std::time::Duration;
use types::Digest;

/// Beside the declared heap: the images and the program itself do not grow.
const GROWTH_MAX: u64 = 24 << 20;
/// Bytes of a header's own check, which a hostile maker computes anew.
const CHECK: usize = 8;
/// How many of the shortest prefixes are all tried, and how many of the others.
const PREFIXES: usize = 300;

/// How many damaged patches are tried.
pub(super) const MUTATIONS: u32 = 10_000;
/// So many are tried however long it takes.
const LEAST: u32 = 20;

/// How many damaged patches of one pair are tried, and how long it may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Effort {
    mutations: u32,
    /// For those that are cut off, and once more for the others; all are tried where
    /// there is no bound.
    time: Option<Duration>,
}

impl Effort {
    /// As many as fit into a little time.
    pub(super) const BRIEF: Self =
        Self { mutations: MUTATIONS, time: Some(Duration::from_secs(10)) };

    /// The next pair's part of those that are `left` for so many pairs: applying to a large
    /// image takes seconds, so the last pair gets all that the others had no time for.
    pub(super) fn part(left: u32, pairs: usize) -> Self {
        let count = u32::try_from(pairs).unwrap_or(u32::MAX).max(1);
        let time = (count > 1).then_some(Duration::from_secs(12));
        Self { mutations: left.div_ceil(count), time }
    }
}

/// What became of them.
#[derive(Debug, Default)]
pub(super) struct Seen {
    refused: u32,
    /// They gave another image, which no digest fits.
    other: u32,
    /// They gave the right image: the damage was where nothing reads.
    same: u32,
    /// How many were damaged, not cut off.
    pub(super) damaged: u32,
}

/// Damages `patch` in many ways, and cuts it off in many places.
pub(super) fn damage(patch: &[u8], old: &[u8], new: &[u8], effort: Effort) -> Result<Seen> {
    let (head, start) = header(patch)?;
    let limits = Limits { heap: head.heap };
    let mut seen = Seen::default();
    let before = peak()?;
    let began = now();
    let over = |part: u32| effort.time.is_some_and(|time| now() - began > time * part);
    for len in prefixes(patch.len()) {
        if over(1) && seen.refused >= LEAST {
            break;
        }
        let cut = patch.get(..len).unwrap_or_default();
        let refused = apply(cut, old, new.len(), &limits, &mut |_, _| ()).is_err();
        ensure!(refused, "the first {len} bytes of the patch were taken for all of it");
        seen.refused += 1;
    }
    let mut chance = Chance::new(patch.len() as u64);
    for done in 0..effort.mutations {
        if over(2) && done >= LEAST {
            break;
        }
        let damaged = mutate(patch, start, &mut chance);
        seen.damaged += 1;
        match apply(&damaged, old, new.len(), &limits, &mut |_, _| ()) {
            Err(still @ Refused::Still) => bail!(still),
            Err(_) => seen.refused += 1,
            Ok(made) if made == new => seen.same += 1,
            Ok(_) => seen.other += 1,
        }
    }
    let grown = peak()?.saturating_sub(before);
    let allowed = limits.heap + GROWTH_MAX + 2 * new.len() as u64;
    ensure!(grown <= allowed, "damaged patches took {grown} bytes of memory");
    Ok(seen)
}

fn prefixes(len: usize) -> impl Iterator<Item = usize> {
    let step = (len / PREFIXES).max(1);
    (0..len.min(PREFIXES)).chain((PREFIXES..len).step_by(step)).filter(move |at| *at < len)
}

/// One change, or several; in one of four the header's check is made right again.
fn mutate(patch: &[u8], header: usize, chance: &mut Chance) -> Vec<u8> {
    let mut bytes = patch.to_vec();
    for _ in 0..=chance.below(3) {
        let at = chance.below(bytes.len());
        match chance.below(5) {
            0 => flip(&mut bytes, at, 1u8 << chance.below(8)),
            1 => flip(&mut bytes, at, u8::try_from(chance.below(255) + 1).unwrap_or(1)),
            2 => drop(bytes.splice(at..(at + 4).min(bytes.len()), [0xff; 4])),
            3 => drop(bytes.drain(at..(at + 1 + chance.below(64)).min(bytes.len()))),
            _ => flip(&mut bytes, chance.below(header), 1u8 << chance.below(8)),
        }
        if bytes.is_empty() {
            return bytes;
        }
    }
    if chance.once_in(4) {
        mend(&mut bytes, header);
    }
    bytes
}

fn flip(bytes: &mut [u8], at: usize, bits: u8) {
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= bits;
    }
}

/// Computes the header's check anew, as somebody would who means harm.
fn mend(bytes: &mut [u8], header: usize) {
    let Some((fields, rest)) = bytes.split_at_mut_checked(header.saturating_sub(CHECK)) else {
        return;
    };
    let sum = Digest::of(fields).0;
    rest.iter_mut().take(CHECK).zip(sum).for_each(|(byte, sum)| *byte = sum);
}

/// The most memory that this program had so far.
fn peak() -> Result<u64> {
    let text = fs::read_to_string("/proc/self/status")?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    Ok(kib.context("the system does not say how much memory there is")? << 10)
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { refused, other, same, .. } = self;
        let all = refused + other + same;
        write!(
            f,
            "{all} damaged patches ({refused} refused, {other} another image, {same} harmless)"
        )
    }
}
