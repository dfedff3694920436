//! Every way in which a patch can be made, there and back.

use super::apply::{apply, header, resume};
use anyhow::{Context, Result, ensure};
use delta::{DiffOptions, Effort, Limits, Reset};

/// Name, effort, and the heap that applying may take.
pub(super) const MODES: [(&str, Effort, u64); 4] = [
    ("best, 64 MiB", Effort::Best, 64 << 20),
    ("fast, 64 MiB", Effort::Fast, 64 << 20),
    ("best, 8 MiB", Effort::Best, 8 << 20),
    ("best, 4 MiB", Effort::Best, 4 << 20),
];

/// How many points of resumption are tried.
const RESUMES: usize = 6;

/// The most bytes of a patch that a cut may cost.
const AGAIN_MAX: u64 = 256 << 10;

/// A patch that came back right.
pub(super) struct Trip {
    pub(super) patch: Vec<u8>,
    /// The most bytes of the patch that are decoded again after a cut.
    pub(super) again: u64,
}

/// Makes and applies a patch in every mode.
pub(super) fn round_trips(old: &[u8], new: &[u8]) -> Result<Vec<Trip>> {
    let one = |(name, effort, heap): (&str, Effort, u64)| {
        round_trip(old, new, effort, heap).with_context(|| format!("mode `{name}`"))
    };
    MODES.into_iter().map(one).collect()
}

fn round_trip(old: &[u8], new: &[u8], effort: Effort, heap: u64) -> Result<Trip> {
    let options = DiffOptions { max_heap: heap, effort, ..DiffOptions::default() };
    let delta = delta::diff(old, new, &options, &())?;
    let (parts, patch) = (delta.explanation.bytes(), delta.bytes);
    let size = patch.len();
    ensure!(parts == size as u64, "the parts of {size} bytes have {parts} together");
    let (header, start) = header(&patch)?;
    ensure!(header.heap <= heap, "it declares {} bytes of heap", header.heap);
    let limits = Limits { heap: header.heap };
    let mut resets = vec![Reset { out: 0, input: start as u64 }];
    let mut again = 0;
    let made = apply(&patch, old, new.len(), &limits, &mut |at, taken| {
        again = again.max(taken - at.input);
        if resets.last() != Some(&at) {
            resets.push(at);
        }
    })?;
    ensure!(made == new, "another image came out");
    ensure!(again <= AGAIN_MAX, "a cut costs {again} bytes of the patch");
    for at in resets.iter().step_by(resets.len().div_ceil(RESUMES).max(1)) {
        let made = resume(&patch, old, new, *at, &limits);
        let made = made.with_context(|| format!("cannot resume at {}", at.out))?;
        ensure!(made == new, "another image came out of a resume at {}", at.out);
    }
    Ok(Trip { patch, again })
}
