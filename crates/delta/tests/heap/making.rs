//! What making takes.

use crate::applying::apply;
use crate::images::{MIB, Pack, calls, files, image};
use crate::{alone, counted};
use delta::{Delta, DiffError, DiffOptions, Effort, diff};

/// A patch, and the most memory that making it took, both images included.
fn make(
    old: &[u8],
    new: &[u8],
    effort: Effort,
    memory: usize,
) -> (Result<Delta, DiffError>, usize) {
    let options = DiffOptions {
        max_heap: 64 << 20,
        effort,
        memory: memory as u64,
        threads: 4,
        ..DiffOptions::default()
    };
    let (made, took) = counted::most(|| diff(old, new, &options, &()));
    (made, took + old.len() + new.len())
}

/// With just enough memory, with more, and with so much that old is sorted.
fn check_make(what: &str, old: &[u8], new: &[u8]) {
    let (refused, took) = make(old, new, Effort::Best, 8 * MIB);
    let Err(DiffError::Memory { least, limit }) = refused else { panic!("{what} is made") };
    assert!(limit == 8 << 20 && least > limit && took < 3 * old.len() + new.len());
    let least = least as usize;
    assert!(make(old, new, Effort::Best, least - 1).0.is_err(), "{what}");
    let mut lens = Vec::new();
    let caps = [least, least * 3 / 2, least * 4];
    for (cap, effort) in caps.into_iter().zip([Effort::Best, Effort::Fast, Effort::Best]) {
        let (made, took) = make(old, new, effort, cap);
        let made = made.unwrap();
        println!(
            "{what}, {} MiB: {} taken, {} bytes, {} streams opened",
            cap / MIB,
            took / MIB,
            made.bytes.len(),
            made.census.rows.values().map(|row| row.opened.streams).sum::<u64>(),
        );
        assert!(took <= cap, "{what}: {took} bytes taken, there may be {cap}");
        apply(&made.bytes, old, new);
        lens.push(made.bytes.len());
    }
    assert!(lens[2] <= lens[0], "{what}: more memory makes a longer patch: {lens:?}");
}

#[test]
fn making_takes_the_memory_that_there_may_be() {
    let _alone = alone();
    let len = 6 * MIB;
    check_make("code", &image(len, 0, 9), &image(len, 0x1234, 9));
    check_make("x86", &calls(len, 0), &calls(len, 0x40));
}

#[test]
fn new_bytes_take_the_memory_that_there_may_be() {
    let _alone = alone();
    let noise = Pack::Xz.file(&image(10 * MIB, 5, 1));
    check_make("noise", &image(MIB, 0, 9), &noise[100..]);
}

fn check_opening(packs: [Pack; 2]) {
    let _alone = alone();
    for pack in packs {
        let (old, new) = (files(pack, 3 * MIB, 0, 29), files(pack, 3 * MIB, 0x1234, 29));
        check_make(&format!("{pack:?}"), &old, &new);
    }
}

#[test]
fn opening_takes_the_memory_that_there_may_be() {
    check_opening([Pack::Gzip, Pack::Zstd]);
}

#[test]
fn opening_what_takes_more_keeps_to_the_memory_that_there_may_be() {
    check_opening([Pack::Roomy, Pack::OddXz]);
}
