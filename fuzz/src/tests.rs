//! What once broke a target, and sound bytes that were damaged.

use super::{ARCHIVE, DOCUMENTS, FRAMES, IMAGE, PAIR, PATCH, TARGETS, Target};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use std::fs;
use std::path::Path;

/// One damage.
#[derive(Debug, Clone)]
enum Edit {
    Flip(Index, u8),
    Put(Index, Vec<u8>),
    Cut(Index, Index),
    Copy(Index, Index, Index),
}

fn edit() -> impl Strategy<Value = Edit> {
    let at = any::<Index>;
    prop_oneof![
        3 => (at(), 0u8..8).prop_map(|(at, bit)| Edit::Flip(at, 1 << bit)),
        2 => (at(), vec(any::<u8>(), 1..9)).prop_map(|(at, bytes)| Edit::Put(at, bytes)),
        1 => (at(), at()).prop_map(|(at, end)| Edit::Cut(at, end)),
        1 => (at(), at(), at()).prop_map(|(from, end, to)| Edit::Copy(from, end, to)),
    ]
}

impl Edit {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let place = |at: &Index, bytes: &[u8]| at.index(bytes.len() + 1);
        match self {
            Self::Flip(at, bit) if !bytes.is_empty() => {
                let at = at.index(bytes.len());
                bytes[at] ^= bit;
            }
            Self::Flip(..) => {}
            Self::Put(at, put) => {
                let at = place(at, bytes);
                let end = (at + put.len()).min(bytes.len());
                bytes.splice(at..end, put.iter().copied());
            }
            Self::Cut(at, end) => {
                let (at, end) = (place(at, bytes), place(end, bytes));
                bytes.drain(at.min(end)..at.max(end));
            }
            Self::Copy(from, end, to) => {
                let (from, end, to) = (place(from, bytes), place(end, bytes), place(to, bytes));
                let copy = bytes[from.min(end)..from.max(end)].to_vec();
                bytes.splice(to..to, copy.into_iter().take(1 << 12));
            }
        }
    }
}

/// Tries sound bytes, those of the corpus, and so many that were damaged.
fn replay(target: &Target, damaged: u32) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name);
    let kept = fs::read_dir(folder).into_iter().flatten();
    let kept = kept.map(|file| fs::read(file.unwrap().path()).unwrap());
    let mut all = (target.seeds)();
    assert!(all.len() > 2, "{} has no seeds", target.name);
    all.extend(kept);
    for bytes in &all {
        (target.run)(bytes);
    }
    let config = ProptestConfig { cases: damaged, failure_persistence: None, ..Default::default() };
    let edits = (any::<Index>(), vec(edit(), 1..6));
    proptest!(config, |((which, edits) in edits)| {
        let mut bytes = which.get(&all).clone();
        for edit in &edits {
            edit.apply(&mut bytes);
        }
        (target.run)(&bytes);
    });
}

#[test]
fn patches() {
    replay(&PATCH, 4000);
}

#[test]
fn images() {
    replay(&IMAGE, 800);
}

#[test]
fn pairs() {
    replay(&PAIR, 120);
}

#[test]
fn frames() {
    replay(&FRAMES, 5000);
}

#[test]
fn archives() {
    replay(&ARCHIVE, 5000);
}

#[test]
fn documents() {
    replay(&DOCUMENTS, 5000);
}

#[test]
fn every_target_has_a_name_of_its_own() {
    let mut names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
    names.dedup();
    assert_eq!(names.len(), TARGETS.len());
}
