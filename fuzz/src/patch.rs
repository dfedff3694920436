//! A patch from anybody is refused, or gives no more bytes than it says.

use crate::images;
use delta::{
    Applier, ApplyError, DiffOptions, Effort, HEADER_MAX, Limits, PatchHeader, SPAN_MAX, diff,
};
use std::sync::OnceLock;
use types::Digest;

/// Bytes of heap that a patch may take, and of the image that it may make.
const HEAP: u64 = 8 << 20;
const IMAGE: u64 = 256 << 10;
/// Bytes of a header's own check, which anybody can compute.
const CHECK: usize = 8;
/// Bytes that are handed over at once.
const PIECE: usize = 4 << 10;
/// Steps in turn that may neither take nor give anything.
const IDLE: u32 = 16;

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let pairs = images::each(1).into_iter().map(|new| patch(old(), &new));
    let all = [(Effort::Best, HEAP), (Effort::Best, 2 << 20), (Effort::Fast, HEAP)];
    let all = all.map(|(effort, max_heap)| {
        let options = DiffOptions { max_heap, effort, threads: 1, ..DiffOptions::default() };
        diff(old(), &images::all(1), &options, &()).map(|delta| delta.bytes).unwrap_or_default()
    });
    pairs.chain(all).filter(|patch| !patch.is_empty()).collect()
}

fn patch(old: &[u8], new: &[u8]) -> Vec<u8> {
    let span = SPAN_MAX / 64;
    let options = DiffOptions { max_heap: HEAP, threads: 1, span, ..DiffOptions::default() };
    diff(old, new, &options, &()).map(|delta| delta.bytes).unwrap_or_default()
}

/// The image to which patches apply.
fn old() -> &'static [u8] {
    static OLD: OnceLock<Vec<u8>> = OnceLock::new();
    OLD.get_or_init(|| images::all(0))
}

pub(crate) fn run(data: &[u8]) {
    let data = mended(data);
    let start = data.get(..HEADER_MAX.min(data.len())).unwrap_or_default();
    let Ok(Some((header, used))) = PatchHeader::read(start) else { return };
    let size = header.target.size;
    if size > IMAGE {
        return;
    }
    if let Ok(made) = apply(header, data.get(used..).unwrap_or_default(), old()) {
        assert!(made.len() as u64 <= size, "{} bytes for {size}", made.len());
    }
}

/// The same with a header whose check holds.
fn mended(data: &[u8]) -> Vec<u8> {
    let mut data = data.to_vec();
    let (Some(low), Some(high)) = (data.get(5), data.get(6)) else { return data };
    let len = usize::from(u16::from_le_bytes([*low, *high]));
    let check = len.checked_sub(CHECK).and_then(|end| data.get(..end)).map(Digest::of);
    if let (Some(Digest(check)), Some(place)) =
        (check, data.get_mut(len.saturating_sub(CHECK)..len))
    {
        place.copy_from_slice(check.get(..CHECK).unwrap_or_default());
    }
    data
}

/// What comes out, all of it or what there is.
///
/// # Errors
/// It is refused.
pub(crate) fn apply(
    header: PatchHeader,
    mut patch: &[u8],
    mut old: &[u8],
) -> Result<Vec<u8>, ApplyError> {
    let mut applier = Applier::new(header, &Limits { heap: HEAP })?;
    let (mut new, mut out, mut idle) = (Vec::new(), vec![0; PIECE], 0);
    loop {
        let input = patch.get(..PIECE.min(patch.len())).unwrap_or_default();
        let step = applier.step(input, &mut out, &mut old, &mut new.as_slice())?;
        patch = patch.get(step.consumed..).unwrap_or_default();
        new.extend_from_slice(out.get(..step.filled).unwrap_or_default());
        if step.end {
            return Ok(new);
        }
        let still = step.consumed == 0 && step.filled == 0;
        idle = if still { idle + 1 } else { 0 };
        if still && input.is_empty() {
            return Ok(new);
        }
        assert!(idle <= IDLE, "it does not come on");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_sound() {
        for patch in seeds() {
            let start = &patch[..HEADER_MAX.min(patch.len())];
            let (header, used) = PatchHeader::read(start).unwrap().unwrap();
            let target = header.target;
            let made = apply(header, &patch[used..], old()).unwrap();
            assert_eq!(Digest::of(&made), Digest(target.digest));
        }
    }
}
