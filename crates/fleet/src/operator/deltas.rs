//! Which deltas are worth making: from what a fleet really runs to a release.
//!
//! Deliberately absent: how a delta is made, and where it is kept.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::fmt;
use types::{Digest, Name, Running, Timestamp};

/// The classes of memory, in MiB that a device can spend on applying a delta, least
/// first. A device belongs to the largest one that it reaches.
pub const CLASSES: [u32; 4] = [4, 8, 16, 64];

/// A delta that is not smaller than so many percent of the full payload is not worth
/// its work on the device.
pub const PAYS_PERCENT: u64 = 90;

/// The class of a device that can spend `mib`; none, where no delta fits.
pub fn class(mib: u32) -> Option<u32> {
    CLASSES.into_iter().rev().find(|class| *class <= mib)
}

/// Why a delta of `size` bytes does not pay where the full payload has `full`.
pub fn unprofitable(size: u64, full: u64) -> Option<String> {
    let least = u128::from(full) * u128::from(PAYS_PERCENT);
    let pays = u128::from(size) * 100 < least;
    let percent = (size.saturating_mul(100)).checked_div(full).unwrap_or(100);
    (!pays).then(|| format!("it does not pay: {percent} % of the full payload's {full} bytes"))
}

/// How many devices run which image, by component and class of memory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Census(BTreeMap<(Name, Digest), BTreeMap<u32, u32>>);

impl Census {
    /// Counts one device that can spend `mib` on a delta. One without memory for any
    /// is not counted: it takes full payloads.
    pub fn count(&mut self, running: &Running, mib: u32) {
        let Some(class) = class(mib) else { return };
        for (component, state) in running {
            let image = (component.clone(), state.image);
            *self.0.entry(image).or_default().entry(class).or_default() += 1;
        }
    }
}

/// A component of the release that deltas can lead to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Which.
    pub component: Name,
    /// Its image in the release.
    pub image: Digest,
}

/// What came of an attempt to make a delta.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tried {
    /// The image that it starts from.
    pub source: Digest,
    /// The image that it makes.
    pub target: Digest,
    /// The class that it was made for.
    pub class: u32,
    /// Bytes of it and of the memory it takes; nothing, where none was kept.
    pub made: Option<(u64, u64)>,
}

/// How much may be made for one release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Deltas.
    pub deltas: usize,
    /// Bytes of deltas; nothing more is begun once so many are there.
    pub bytes: u64,
}

/// A delta that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Of which component.
    pub component: Name,
    /// The image that it starts from.
    pub source: Digest,
    /// The image that it makes.
    pub target: Digest,
    /// The class that it must fit.
    pub class: u32,
    /// How many devices run the source.
    pub devices: u32,
}

/// Why an image that devices run gets no delta.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeftOut {
    /// No published release has the image.
    UnknownImage,
    /// The release has as many deltas as it may.
    Number,
    /// The release's deltas have as many bytes as they may.
    Bytes,
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownImage => "no published release has the image",
            Self::Number => "the release has as many deltas as it may",
            Self::Bytes => "the release's deltas have as many bytes as they may",
        })
    }
}

/// What is to be made for one release now, most used first, and what is not.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeltaPlan {
    /// To be made.
    pub wanted: Vec<Wanted>,
    /// Devices whose image gets none, by reason.
    pub left_out: Vec<(LeftOut, u32)>,
}

/// Plans the deltas to the images of `parts`.
///
/// For each image that devices run, the delta for the largest class is made first, as
/// the smallest one; where it turns out to take less memory than it may, it serves
/// lower classes too, and the next is made only for the largest class that nothing
/// fits yet. So each class gets what was made for it or better, in as few deltas as
/// that takes. What was tried and not kept would be no better with less memory.
pub fn plan_deltas(
    census: &Census,
    parts: &[Part],
    is_known: &dyn Fn(&Name, Digest) -> bool,
    tried: &[Tried],
    limits: Limits,
) -> DeltaPlan {
    let targets: BTreeSet<Digest> = parts.iter().map(|part| part.image).collect();
    let made = tried.iter().filter(|t| targets.contains(&t.target)).filter_map(|t| t.made);
    let (mut number, mut bytes) = (0, 0u64);
    for (size, _) in made {
        (number, bytes) = (number + 1, bytes.saturating_add(size));
    }
    let mut plan = DeltaPlan::default();
    for (wanted, known) in candidates(census, parts, is_known, tried) {
        let why = match known {
            false => Some(LeftOut::UnknownImage),
            true if number >= limits.deltas => Some(LeftOut::Number),
            true if bytes >= limits.bytes => Some(LeftOut::Bytes),
            true => None,
        };
        match why {
            Some(why) => plan.leave_out(why, wanted.devices),
            None => {
                number += 1;
                plan.wanted.push(wanted);
            }
        }
    }
    plan
}

/// Every image that lacks a delta for one of its classes, most used first, and whether
/// its bytes can be had.
fn candidates(
    census: &Census,
    parts: &[Part],
    is_known: &dyn Fn(&Name, Digest) -> bool,
    tried: &[Tried],
) -> Vec<(Wanted, bool)> {
    let mut all = Vec::new();
    for ((component, source), classes) in &census.0 {
        let part = parts.iter().find(|part| part.component == *component);
        let Some(part) = part.filter(|part| part.image != *source) else { continue };
        let Some(class) = next_class(classes, *source, part.image, tried) else { continue };
        let devices = classes.values().fold(0u32, |sum, count| sum.saturating_add(*count));
        let (component, source, target) = (component.clone(), *source, part.image);
        let known = is_known(&component, source);
        all.push((Wanted { component, source, target, class, devices }, known));
    }
    all.sort_by_key(|(wanted, _)| Reverse(wanted.devices));
    all
}

/// The class that the next delta of a pair is to be made for, if any.
fn next_class(
    present: &BTreeMap<u32, u32>,
    source: Digest,
    target: Digest,
    tried: &[Tried],
) -> Option<u32> {
    let of_pair = || tried.iter().filter(|t| t.source == source && t.target == target);
    let fits = |class: u32| {
        let heap = u64::from(class) << 20;
        of_pair().any(|t| t.made.is_some_and(|(_, needs)| needs <= heap))
    };
    let open = present.keys().rev().copied().find(|class| !fits(*class))?;
    let was_tried = of_pair().any(|t| t.class >= open && t.made.is_none());
    let again = of_pair().any(|t| t.class == open);
    (!was_tried && !again).then_some(open)
}

impl DeltaPlan {
    fn leave_out(&mut self, why: LeftOut, devices: u32) {
        match self.left_out.iter_mut().find(|(known, _)| *known == why) {
            Some((_, sum)) => *sum = sum.saturating_add(devices),
            None => self.left_out.push((why, devices)),
        }
    }
}

/// A delta that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// Its bytes.
    pub size: u64,
    /// When it was made or fetched last.
    pub used: Timestamp,
    /// Whether its release is still offered.
    pub wanted: bool,
}

/// Which of `kept` are to go, so that at most `budget` bytes stay: what nobody wants
/// any more, then what was used longest ago.
pub fn evict(kept: &[Kept], budget: u64) -> Vec<usize> {
    let mut order: Vec<(usize, &Kept)> = kept.iter().enumerate().collect();
    order.sort_by_key(|(_, kept)| (kept.wanted, kept.used));
    let mut held = kept.iter().fold(0u64, |sum, kept| sum.saturating_add(kept.size));
    let mut gone = Vec::new();
    for (index, kept) in order {
        if kept.wanted && held <= budget {
            break;
        }
        held = held.saturating_sub(kept.size);
        gone.push(index);
    }
    gone
}

#[cfg(test)]
mod tests;
