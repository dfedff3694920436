//! Streams with corrections of which only few fit into one span.

use super::*;
use crate::Correction;
use crate::open::ContainerKind;
use alloc::vec::Vec;

/// What [`Maker`] makes of streams that the encoder makes right but for so many bytes
/// behind each, with their contents one after the other in the old image, much changed
/// if they are worn.
fn check(corrections: &[usize], len: usize, is_worn: bool) {
    let options = crate::DeflateOptions { level: 9, window_bits: 15, mem_level: 8, strategy: 0 };
    let recipe = crate::Recipe::Deflate { wrapper: crate::Wrapper::GzipTail, options };
    let (mut old, mut image, mut streams) = (Vec::new(), texture(5000, 1), Vec::new());
    for (seed, bytes) in (100..).zip(corrections) {
        let content = texture(len, seed);
        old.extend_from_slice(&content);
        let plain = if is_worn { worn(&content) } else { content };
        let made = encoded(recipe, &plain);
        let wanted = [&made[..], &texture(*bytes, seed + 1000)].concat();
        let correction = Correction::find(&made, &wanted);
        assert!(correction.to_bytes().len() >= *bytes);
        let (at, len) = (image.len() as u64, wanted.len() as u64);
        image.extend(wanted);
        let (holes, container) = (Default::default(), ContainerKind::Bare);
        let inner = Vec::new();
        streams.push(Stream { at, len, holes, recipe, correction, plain, inner, container });
    }
    let options = DiffOptions { max_heap: LARGE, ..DiffOptions::default() };
    let new = Opened { streams, ..Opened::default() };
    let mut maker = maker(old.clone(), &image, &options, &new);
    let written = maker.make(&new.streams, &mut HashSet::new(), &()).unwrap();
    assert!(written.explanation.spans as usize >= corrections.len() / 2);
    let (out, _) = apply(&written.bytes, &old).unwrap();
    assert!(out == image, "other bytes came out");
}

fn maker<'a>(old: Vec<u8>, new: &'a [u8], options: &'a DiffOptions, opened: &Opened) -> Maker<'a> {
    let budget =
        budget::Budget::new(options, &Opened::default(), opened, &mut Vec::new(), new.len());
    let (budget, mut recipes) = (budget.unwrap(), plain::Recipes::default());
    let header = header([image(&old), image(new)], &budget);
    let plain_old = plain::PlainOld::new(old.into(), Opened::default(), &budget, &mut recipes);
    let (way, trees) = (Find::Sorted, Vec::new());
    Maker { new, trees, plain_old, way, header, budget, recipes, options, threads: 1 }
}

/// One copy goes over all of them.
#[test]
fn long_corrections_end_spans_in_time() {
    check(&[100_000; 7], 30_000, false);
    check(&[120_000, 70_000, 100, 120_000, 300, 65_000, 65_000, 90_000], 30_000, false);
}

/// Spans end inside of streams that say so much that none begins there.
#[test]
fn long_corrections_are_said_once() {
    check(&[125_000, 20_000, 125_000], 1 << 20, true);
}
