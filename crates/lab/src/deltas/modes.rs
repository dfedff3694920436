//! Every way in which a patch can be made, there and back.

use super::apply::{apply, header, resume};
use crate::clock::now;
use anyhow::{Context, Result, anyhow, ensure};
use delta::{DiffOptions, Effort, Limits, Reset};
use std::thread;
use std::time::Duration;

/// Name, effort, and the heap that applying may take.
pub(super) const MODES: [(&str, Effort, u64); 4] = [
    ("best, 64 MiB", Effort::Best, 64 << 20),
    ("fast, 64 MiB", Effort::Fast, 64 << 20),
    ("best, 8 MiB", Effort::Best, 8 << 20),
    ("best, 4 MiB", Effort::Best, 4 << 20),
];

/// So many points of resumption are tried however long it takes, and the others as far as
/// there is time.
const RESUMES: usize = 3;
const RESUMING: Duration = Duration::from_secs(1);

/// Patches of images of more bytes are made one at a time: each takes gigabytes of memory.
const LARGE: usize = 256 << 20;

/// The most bytes of a patch that a cut may cost.
const AGAIN_MAX: u64 = 256 << 10;

/// A patch that came back right.
pub(super) struct Trip {
    pub(super) patch: Vec<u8>,
    /// The most bytes of the patch that are decoded again after a cut.
    pub(super) again: u64,
}

/// Makes and applies a patch in every mode, two modes at a time: making alone uses all
/// cores, the rest one.
pub(super) fn round_trips(old: &[u8], new: &[u8]) -> Result<Vec<Trip>> {
    let one = |(name, effort, heap): (&str, Effort, u64)| {
        round_trip(old, new, effort, heap).with_context(|| format!("mode `{name}`"))
    };
    let at_once = if new.len() > LARGE { 1 } else { 2 };
    let mut trips = Vec::new();
    for modes in MODES.chunks(at_once) {
        let made: Vec<Result<Trip>> = thread::scope(|scope| {
            let started = modes.iter().map(|mode| scope.spawn(move || one(*mode)));
            let started: Vec<_> = started.collect();
            let panicked = |_| Err(anyhow!("a mode panicked"));
            started.into_iter().map(|trip| trip.join().unwrap_or_else(panicked)).collect()
        });
        trips.extend(made.into_iter().collect::<Result<Vec<Trip>>>()?);
    }
    Ok(trips)
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
    let (began, step) = (now(), resets.len().div_ceil(RESUMES).max(1));
    let certain = resets.iter().step_by(step);
    let others = (0..).zip(&resets).filter(|(number, _)| number % step != 0).map(|(_, at)| at);
    for (tried, at) in certain.chain(others).enumerate() {
        if tried >= RESUMES && now() - began > RESUMING {
            break;
        }
        let made = resume(&patch, old, new, *at, &limits);
        let made = made.with_context(|| format!("cannot resume at {}", at.out))?;
        ensure!(made == new, "another image came out of a resume at {}", at.out);
    }
    Ok(Trip { patch, again })
}
