//! What applying takes.

use crate::images::{MIB, Pack, files, image};
use crate::{alone, counted};
use delta::{Applier, DiffOptions, Limits, PatchHeader, ReadAt, Recipe, diff};

/// The most bytes of heap that applying took beside the image that comes out.
pub(crate) fn apply(patch: &[u8], mut old: &[u8], new: &[u8]) -> usize {
    let mut out = vec![0; new.len()];
    let (header, at) = PatchHeader::read(patch).unwrap().unwrap();
    let limits = Limits { heap: header.heap };
    let ((), took) = counted::most(|| {
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
    });
    assert!(out == new, "another image came out");
    took
}

fn check_apply(pack: Pack, old: &[u8], new: &[u8]) {
    for class in [4u64, 8, 16, 64] {
        let options = DiffOptions { max_heap: class << 20, ..DiffOptions::default() };
        let patch = diff(old, new, &options, &()).unwrap().bytes;
        let header = PatchHeader::read(&patch).unwrap().unwrap().0;
        let declared = header.heap;
        assert!(declared <= class << 20, "{declared} bytes for {class} MiB");
        let work: u64 = header.work.iter().sum();
        assert!(class < 16 || (work > 0) == (pack != Pack::Plain), "{work} bytes made again");
        let told = |recipe: &Recipe| matches!(recipe, Recipe::DeflateTold(_));
        assert!(class < 16 || pack != Pack::OddGzip || header.recipes.iter().any(told));
        let took = apply(&patch, old, new) as u64;
        println!(
            "{pack:?}, {class} MiB: {} bytes, {work} made again, {declared} declared, {took} \
             taken",
            patch.len()
        );
        assert!(took <= declared, "{took} bytes taken, {declared} declared");
        assert!(took * 2 > declared, "{took} bytes taken of {declared} declared");
    }
}

#[test]
fn applying_takes_the_heap_that_is_declared() {
    let _alone = alone();
    let old = image(MIB, 0, 9);
    let mut new = image(MIB, 0x1234, 9);
    new.splice(300_000..305_000, image(400_000, 77, 3));
    check_apply(Pack::Plain, &old, &new);
}

#[test]
fn making_streams_again_takes_the_heap_that_is_declared() {
    let _alone = alone();
    for pack in [Pack::Gzip, Pack::OddGzip, Pack::Xz, Pack::OddXz, Pack::Zstd, Pack::Lz4] {
        let (old, new) = (files(pack, MIB, 0, 29), files(pack, MIB, 0x1234, 29));
        check_apply(pack, &old, &new);
    }
}
