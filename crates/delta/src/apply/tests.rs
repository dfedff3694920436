//! Patches of every kind of damage in; refusals or harmless bytes out.

use super::*;
use alloc::vec;

pub(crate) const LIMITS: Limits = Limits { heap: 64 << 20 };

/// Applies a patch in pieces of odd sizes; the image and the resets on the way.
pub(crate) fn apply(patch: &[u8], old: &[u8]) -> Result<(Vec<u8>, Vec<Reset>), ApplyError> {
    let (header, at) = PatchHeader::read(patch)?.ok_or(ApplyError::Damaged("no header"))?;
    let applier = Applier::new(header, &LIMITS)?;
    drive(applier, &patch[at..], old, &[], [10_007, 4096, usize::MAX])
}

pub(crate) fn apply_in_pieces(
    patch: &[u8],
    old: &[u8],
    input: usize,
    output: usize,
) -> Result<Vec<u8>, ApplyError> {
    let (header, at) = PatchHeader::read(patch)?.ok_or(ApplyError::Damaged("no header"))?;
    let applier = Applier::new(header, &LIMITS)?;
    drive(applier, &patch[at..], old, &[], [input, output, usize::MAX]).map(|(out, _)| out)
}

/// Goes on at `at` with what is `finished`; returns what comes out.
pub(crate) fn resume(
    patch: &[u8],
    old: &[u8],
    finished: &[u8],
    at: Reset,
) -> Result<Vec<u8>, ApplyError> {
    resume_until(patch, old, finished, at, usize::MAX)
}

/// The same, as soon as `until` bytes of the image are there.
fn resume_until(
    patch: &[u8],
    old: &[u8],
    finished: &[u8],
    at: Reset,
    until: usize,
) -> Result<Vec<u8>, ApplyError> {
    let (header, _) = PatchHeader::read(patch)?.ok_or(ApplyError::Damaged("no header"))?;
    let applier = Applier::resume(header, &LIMITS, at)?;
    let patch = &patch[at.input as usize..];
    let (out, _) = drive(applier, patch, old, finished, [5000, 70_000, until])?;
    Ok(out[finished.len()..].to_vec())
}

/// Goes on at each of `resets` as far as the last but one behind it, and at the second one to
/// the end: every point is tried, in a time that grows with the image only.
pub(crate) fn check_resumes(patch: &[u8], old: &[u8], new: &[u8], resets: &[Reset]) {
    for (number, at) in resets.iter().enumerate() {
        let (done, rest) = new.split_at(at.out as usize);
        let until = resets.get(number + 2).filter(|_| number != 1);
        let until = until.map_or(usize::MAX, |at| at.out as usize);
        let made = resume_until(patch, old, done, *at, until);
        let made = made.unwrap_or_else(|error| panic!("at {at:?}: {error}"));
        assert!(rest.starts_with(&made), "{at:?}");
        assert!(made.len() == rest.len() || done.len() + made.len() >= until, "{at:?}");
    }
}

/// The most bytes of a patch that are taken again after a cut.
pub(crate) fn cut_cost(patch: &[u8], mut old: &[u8]) -> u64 {
    let (header, at) = PatchHeader::read(patch).unwrap().unwrap();
    let mut applier = Applier::new(header, &LIMITS).unwrap();
    let (mut rest, mut out, mut most, mut piece) = (&patch[at..], vec![], 0, vec![0; 4096]);
    loop {
        let now = &rest[..rest.len().min(10_007)];
        let step = applier.step(now, &mut piece, &mut old, &mut &out[..]).unwrap();
        rest = &rest[step.consumed..];
        out.extend_from_slice(&piece[..step.filled]);
        most = most.max((patch.len() - rest.len()) as u64 - applier.reset().input);
        if step.end {
            return most;
        }
    }
}

fn drive(
    mut applier: Applier,
    mut patch: &[u8],
    mut old: &[u8],
    finished: &[u8],
    [input, output, until]: [usize; 3],
) -> Result<(Vec<u8>, Vec<Reset>), ApplyError> {
    let mut out = finished.to_vec();
    let mut resets = vec![applier.reset()];
    let mut piece = vec![0; output];
    loop {
        let now = &patch[..input.min(patch.len())];
        let step = applier.step(now, &mut piece, &mut old, &mut &out[..])?;
        patch = &patch[step.consumed..];
        out.extend_from_slice(&piece[..step.filled]);
        if applier.reset() != resets[resets.len() - 1] {
            resets.push(applier.reset());
        }
        if step.end || out.len() >= until {
            return Ok((out, resets));
        }
        if patch.is_empty() && step.consumed == 0 && step.filled == 0 {
            return Err(ApplyError::Damaged("the patch is cut off"));
        }
    }
}

/// A pair whose patch uses every kind of symbol.
fn pair() -> (Vec<u8>, Vec<u8>) {
    let mut seed = 7u32;
    let mut next = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        seed >> 8
    };
    let old: Vec<u8> = (0..6000).flat_map(|_| (next() % 5000).to_le_bytes()).collect();
    let mut new = old.clone();
    for at in (0..20_000).step_by(44) {
        new[at] = new[at].wrapping_add(3);
    }
    new.splice(5000..5000, b"what nobody knew before, ".repeat(4));
    new.extend_from_slice(&old[3000..9000]);
    new.splice(9001..9001, (0..999).map(|at| (at * at % 251) as u8));
    (old, new)
}

fn patch() -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let (old, new) = pair();
    let options = crate::DiffOptions::default();
    let patch = crate::diff(&old, &new, &options, &()).unwrap().bytes;
    (old, new, patch)
}

#[test]
fn every_prefix_is_refused() {
    let (old, new, patch) = patch();
    for len in 0..patch.len() {
        match apply(&patch[..len], &old) {
            Err(_) => {}
            // Zeros at the end that the coder does not need.
            Ok((out, _)) => assert!(out == new),
        }
    }
}

/// Damage behind the header is refused or makes an image of the stated size. `lab deltas`
/// tries ten thousand, of patches of every kind.
#[test]
fn mutations_are_refused_or_harmless() {
    let (old, new, patch) = patch();
    let mut seed = 1u64;
    let mut next = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    };
    let mut harmless = 0;
    for _ in 0..2500 {
        let mut bad = patch.clone();
        for _ in 0..=next(3) {
            let at = HEADER + next(patch.len() - HEADER);
            bad[at] = next(256) as u8;
        }
        if let Ok((out, _)) = apply(&bad, &old) {
            assert_eq!(out.len(), new.len());
            harmless += 1;
        }
    }
    assert!(harmless > 0);
}

/// Bytes of a header without recipes.
const HEADER: usize = 169;

#[test]
fn a_damaged_header_is_refused() {
    let (old, _, patch) = patch();
    for at in 0..HEADER {
        for bit in 0..8 {
            let mut bad = patch.clone();
            bad[at] ^= 1 << bit;
            assert!(apply(&bad, &old).is_err(), "bit {bit} of byte {at}");
        }
    }
}

#[test]
fn another_source_is_refused() {
    let (old, _, patch) = patch();
    let error = apply(&patch, &old[1..]).unwrap_err();
    assert!(matches!(error, ApplyError::Source { .. }), "{error}");
}

#[test]
fn more_heap_than_granted_is_refused() {
    let (_, _, patch) = patch();
    let (header, _) = PatchHeader::read(&patch).unwrap().unwrap();
    let limits = Limits { heap: header.heap - 1 };
    assert!(matches!(Applier::new(header, &limits), Err(ApplyError::Heap { .. })));
}

/// Nothing comes out after a failure, and nothing is consumed.
#[test]
fn a_broken_applier_stays_broken() {
    let (old, _, patch) = patch();
    let (header, at) = PatchHeader::read(&patch).unwrap().unwrap();
    let mut applier = Applier::new(header, &LIMITS).unwrap();
    let mut out = [0; 100];
    let mut short = &old[1..];
    assert!(applier.step(&patch[at..], &mut out, &mut short, &mut &[][..]).is_err());
    assert!(applier.step(&patch[at..], &mut out, &mut &old[..], &mut &[][..]).is_err());
}
