//! A patch applied in memory, as a terminal does it: piece by piece, within limits.

use delta::{Applier, ApplyError, HEADER_MAX, Limits, PatchError, PatchHeader, Reset};

/// Bytes of patch and image that are handed over at once.
const PIECE: usize = 64 << 10;

/// Steps in turn that may neither take nor give anything.
const IDLE_MAX: u32 = 16;

/// Why nothing came out. All but the last are as they should be for a damaged
/// patch.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    #[error("the header is refused")]
    Header(#[from] PatchError),
    #[error("the patch is refused")]
    Patch(#[from] ApplyError),
    #[error("the patch is for other images")]
    Other,
    #[error("the patch is cut short")]
    Short,
    #[error("the applier does not come on")]
    Still,
}

/// The header of a patch, and its length.
pub(super) fn header(patch: &[u8]) -> Result<(PatchHeader, usize), Refused> {
    let start = patch.get(..HEADER_MAX.min(patch.len())).unwrap_or_default();
    PatchHeader::read(start)?.ok_or(Refused::Short)
}

/// Applies `patch`, which must be for an image of `size` bytes; hears after each step
/// from where it could start again, and how much of the patch was taken.
pub(super) fn apply(
    patch: &[u8],
    old: &[u8],
    size: usize,
    limits: &Limits,
    resets: &mut dyn FnMut(Reset, u64),
) -> Result<Vec<u8>, Refused> {
    let (header, used) = header(patch)?;
    // A terminal knows from the signed manifest what must come out.
    if header.target.size != size as u64 {
        return Err(Refused::Other);
    }
    let applier = Applier::new(header, limits)?;
    go_on(applier, patch, used, old, Vec::with_capacity(size), resets)
}

/// Continues at `at` with the finished part `new`.
pub(super) fn resume(
    patch: &[u8],
    old: &[u8],
    new: &[u8],
    at: Reset,
    limits: &Limits,
) -> Result<Vec<u8>, Refused> {
    let (header, _) = header(patch)?;
    let applier = Applier::resume(header, limits, at)?;
    let done = usize::try_from(at.out).ok().and_then(|out| new.get(..out)).ok_or(Refused::Short)?;
    let from = usize::try_from(at.input).map_err(|_| Refused::Short)?;
    go_on(applier, patch, from, old, done.to_vec(), &mut |_, _| ())
}

fn go_on(
    mut applier: Applier,
    patch: &[u8],
    mut at: usize,
    mut old: &[u8],
    mut new: Vec<u8>,
    resets: &mut dyn FnMut(Reset, u64),
) -> Result<Vec<u8>, Refused> {
    let (mut out, mut idle) = (vec![0; PIECE], 0);
    loop {
        let rest = patch.get(at..).unwrap_or_default();
        let input = rest.get(..PIECE.min(rest.len())).unwrap_or_default();
        let step = applier.step(input, &mut out, &mut old, &mut new.as_slice())?;
        at += step.consumed;
        new.extend_from_slice(out.get(..step.filled).unwrap_or_default());
        resets(applier.reset(), at as u64);
        if step.end {
            return Ok(new);
        }
        let nothing = step.consumed == 0 && step.filled == 0;
        idle = if nothing { idle + 1 } else { 0 };
        if nothing && input.is_empty() {
            return Err(Refused::Short);
        }
        if idle > IDLE_MAX {
            return Err(Refused::Still);
        }
    }
}
