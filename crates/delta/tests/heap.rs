//! What applying takes of the heap is what the patch declares, in each class of
//! terminals. C libraries take theirs elsewhere: `bench delta` measures all of it.

use delta::{Applier, DiffOptions, Limits, PatchHeader, ReadAt, diff};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts what is taken from the system.
struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

#[expect(unsafe_code, reason = "an allocator is unsafe to be")]
// SAFETY: everything is done by the system's allocator; only sizes are counted.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        MOST.fetch_max(now, Ordering::Relaxed);
        // SAFETY: the caller keeps the promises that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: `at` came from the system's allocator with this layout.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Words of code, text and noise, of which each `stride`th differs between seeds.
fn image(len: usize, seed: u32, stride: usize) -> Vec<u8> {
    let mut state = 1u32;
    let mut out = Vec::with_capacity(len + 4);
    while out.len() < len {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let place = out.len() / 4;
        let moved = if place.is_multiple_of(stride) { seed } else { 0 };
        let word =
            if state >> 31 == 0 { state >> 12 } else { 0x9400_0000 | (place as u32 & 0xfff) };
        out.extend(word.wrapping_add(moved).to_le_bytes());
    }
    out.truncate(len);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The most bytes of heap that applying took beside the image that comes out.
    fn apply(patch: &[u8], mut old: &[u8], new: &[u8]) -> usize {
        let mut out = vec![0; new.len()];
        let before = NOW.load(Ordering::Relaxed);
        MOST.store(before, Ordering::Relaxed);
        let (header, at) = PatchHeader::read(patch).unwrap().unwrap();
        let limits = Limits { heap: header.heap };
        let mut applier = Applier::new(header, &limits).unwrap();
        let (mut input, mut filled, mut end) = (&patch[at..], 0, false);
        while !end {
            let (done, rest) = out.split_at_mut(filled);
            let finished: &mut dyn ReadAt = &mut &*done;
            let room = rest.len().min(64 << 10);
            let piece = input.len().min(64 << 10);
            let step =
                applier.step(&input[..piece], &mut rest[..room], &mut old, finished).unwrap();
            input = &input[step.consumed..];
            filled += step.filled;
            end = step.end;
        }
        drop(applier);
        assert!(out == new, "another image came out");
        MOST.load(Ordering::Relaxed) - before
    }

    #[test]
    fn applying_takes_the_heap_that_is_declared() {
        let old = image(1 << 20, 0, 9);
        let mut new = image(1 << 20, 0x1234, 9);
        new.splice(300_000..305_000, image(400_000, 77, 3));
        for class in [4u64, 8, 16, 64] {
            let options = DiffOptions { max_heap: class << 20, ..DiffOptions::default() };
            let patch = diff(&old, &new, &options, &()).unwrap().bytes;
            let declared = PatchHeader::read(&patch).unwrap().unwrap().0.heap;
            assert!(declared <= class << 20, "{declared} bytes for {class} MiB");
            let took = apply(&patch, &old, &new) as u64;
            println!("{class} MiB: {} bytes, {declared} declared, {took} taken", patch.len());
            assert!(took <= declared, "{took} bytes taken, {declared} declared");
            assert!(took * 2 > declared, "{took} bytes taken of {declared} declared");
        }
    }
}
