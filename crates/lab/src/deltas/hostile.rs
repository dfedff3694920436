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

/// Beside the declared heap and the image: the program itself does not grow.
const GROWTH_MAX: u64 = 8 << 20;
/// Seconds of the processor that one damaged patch may take, and once more for each
/// byte of the image that comes out.
const SECONDS: f64 = 2.0;
const SECONDS_BYTE: f64 = 2e-6;
/// Bytes of a header's own check, which a hostile maker computes anew.
const CHECK: usize = 8;
/// How many of the shortest prefixes are all tried, and how many of the others.
const PREFIXES: usize = 300;

/// So many are tried however long it takes.
const LEAST: u32 = 8;

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
    pub(super) const BRIEF: Self = Self::within(3);
    /// As many as fit into some time.
    pub(super) const LONG: Self = Self::within(60);

    const fn within(seconds: u64) -> Self {
        Self { mutations: u32::MAX, time: Some(Duration::from_secs(seconds)) }
    }

    /// So many, however long it takes.
    pub(super) const fn all(mutations: u32) -> Self {
        Self { mutations, time: None }
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
    /// The most seconds of the processor, and bytes of memory, that one took.
    seconds: f64,
    grown: u64,
}

/// Damages `patch` in many ways, and cuts it off in many places.
pub(super) fn damage(patch: &[u8], old: &[u8], new: &[u8], effort: Effort) -> Result<Seen> {
    let (head, start) = header(patch)?;
    let limits = Limits { heap: head.heap };
    let mut seen = Seen::default();
    let before = memory("VmRSS:")?;
    let size = new.len() as u64;
    let most = before + limits.heap + GROWTH_MAX + 2 * size;
    let seconds = SECONDS + SECONDS_BYTE * size as f64;
    let mut try_one = |patch: &[u8]| {
        forget_peak()?;
        let began = cpu()?;
        let made = apply(patch, old, new.len(), &limits, &mut |_, _| ());
        let (took, peak) = (cpu()? - began, memory("VmHWM:")?);
        ensure!(took <= seconds, "a damaged patch took {took:.1} s, there are {seconds:.1}");
        ensure!(peak <= most, "a damaged patch took {peak} bytes of memory, there are {most}");
        seen.seconds = seen.seconds.max(took);
        seen.grown = seen.grown.max(peak.saturating_sub(before));
        match &made {
            Err(Refused::Still) => bail!("a damaged patch does not come to an end"),
            Err(_) => seen.refused += 1,
            Ok(made) if made == new => seen.same += 1,
            Ok(_) => seen.other += 1,
        }
        Ok(made.is_ok())
    };
    let began = now();
    let over = |part: u32| effort.time.is_some_and(|time| now() - began > time * part);
    for (done, len) in (0..).zip(prefixes(patch.len())) {
        if over(1) && done >= LEAST {
            break;
        }
        let made = try_one(patch.get(..len).unwrap_or_default())?;
        ensure!(!made, "the first {len} bytes of the patch were taken for all of it");
    }
    let (mut chance, mut damaged) = (Chance::new(patch.len() as u64), 0);
    for done in 0..effort.mutations {
        if over(2) && done >= LEAST {
            break;
        }
        damaged += 1;
        try_one(&mutate(patch, start, &mut chance))?;
    }
    Ok(Seen { damaged, ..seen })
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

/// From now on the most memory counts anew.
fn forget_peak() -> Result<()> {
    fs::write("/proc/self/clear_refs", "5").context("cannot count the memory anew")
}

/// Seconds of the processor that this thread took so far.
fn cpu() -> Result<f64> {
    let text = fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanoseconds = text.split(' ').next().and_then(|field| field.parse::<f64>().ok());
    Ok(nanoseconds.context("the system does not say how long it took")? / 1e9)
}

/// Bytes of memory that this program has or had at most, by the line's name.
fn memory(name: &str) -> Result<u64> {
    let text = fs::read_to_string("/proc/self/status")?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    Ok(kib.context("the system does not say how much memory there is")? << 10)
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { refused, other, same, damaged, seconds, grown } = self;
        let cut = refused + other + same - damaged;
        write!(
            f,
            "{damaged} damaged patches and {cut} that were cut off ({refused} refused, {other} \
             another image, {same} harmless; at most {seconds:.2} s and {} MiB)",
            grown >> 20
        )
    }
}
