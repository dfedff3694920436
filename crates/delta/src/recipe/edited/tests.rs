//! Frames whose encoder chose otherwise here and there, put right and gone on with.

use super::*;
use crate::recipe::words;
use crate::sequences::Sequence;
use proptest::prelude::*;
use std::sync::LazyLock;
use std::{vec, vec::Vec};

const OPTIONS: ZstdOptions =
    ZstdOptions { level: 6, window_log: 17, switches: ZstdOptions::EDITS, splitter: 1, long: 0 };

/// A frame, its content, and its words and what puts its blocks right, one after the other.
struct Made {
    frame: Vec<u8>,
    content: Vec<u8>,
    words: Vec<u8>,
    records: Vec<u8>,
    edits: Edits,
}

/// Words of few letters, which repeat themselves.
fn content(len: usize) -> Vec<u8> {
    let mut seed = 7u32;
    let mut next = move || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        seed >> 16
    };
    let mut out: Vec<u8> = vec![];
    while out.len() < len {
        let from = (next() as usize * 3) % out.len().max(1);
        match next() % 3 {
            0 if out.len() > 100 => out.extend_from_within(from..out.len().min(from + 20)),
            _ => out.extend((0..1 + next() % 9).map(|_| b'a' + (next() % 20) as u8)),
        }
    }
    out.truncate(len);
    out
}

/// Some matches are shorter by one than libzstd chose them.
fn otherwise(chosen: &[u8], number: usize) -> Vec<u8> {
    let mut all: Vec<Sequence> = Words::new(chosen).collect();
    for at in (1..all.len()).filter(|at| at % (3 + number) == 0) {
        if all[at - 1].length > 3 && all[at].literals > 0 {
            all[at - 1].length -= 1;
            all[at].literals += 1;
        }
    }
    let mut out = vec![];
    all.iter().for_each(|sequence| words::put(&mut out, *sequence));
    out
}

static MADE: LazyLock<Made> = LazyLock::new(|| {
    let content = content(3 * BLOCK + 50_000);
    let mut chooser = Chooser::new(OPTIONS, content.len() as u64).unwrap();
    let (mut words, mut records, mut chosen) = (vec![], vec![], vec![]);
    for (number, block) in content.chunks(BLOCK).enumerate() {
        chooser.next(block, &mut chosen).unwrap();
        let wanted = otherwise(&chosen, number * 40);
        put_right(&mut records, &chosen, &wanted);
        words.extend(wanted);
    }
    let mut told = Told { words: words.len(), head: vec![0, 0x38], ..Told::default() };
    let (all, _) = told.weave(&words, &content, &[]).unwrap();
    let held = told.weave.as_ref().unwrap().held;
    let strategy = OPTIONS.strategy(content.len() as u64);
    let mut encoder = ToldEncoder::new(told.clone(), strategy, true, all.len() as u64).unwrap();
    let mut frame = vec![];
    encoder.push(&all, &mut frame).unwrap();
    encoder.finish(&mut frame).unwrap();
    let edits = Edits { bytes: records.len(), held, head: told.head, ..Edits::default() };
    Made { frame, content, words, records, edits }
});

/// What is made of content and what puts it right, in pieces.
fn make(edits: &Edits, all: &[u8], piece: usize) -> Result<Vec<u8>, Fault> {
    let mut encoder = EditedEncoder::new(OPTIONS, edits.clone(), all.len() as u64)?;
    let mut out = vec![];
    for piece in all.chunks(piece) {
        encoder.push(piece, &mut out)?;
    }
    encoder.finish(&mut out)?;
    Ok(out)
}

#[test]
fn what_is_put_right_comes_back() {
    let Made { frame, content, records, edits, .. } = &*MADE;
    assert!(records.len() > 1000 && records.len() < content.len() / 10, "{}", records.len());
    for closed in [vec![], vec![100_000..200_000, BLOCK + 90_000..2 * BLOCK + 1]] {
        let mut edits = edits.clone();
        let (all, places) = edits.weave(records, content, &closed).unwrap();
        assert_eq!(places.len(), 4);
        for piece in [1 << 30, 4099] {
            assert!(&make(&edits, &all, piece).unwrap() == frame, "by {piece}");
        }
        // Less is granted than waits.
        let few = Edits { held: 100, ..edits.clone() };
        assert!(make(&few, &all, 1 << 30).is_err());
        edits.weave.held = 100;
        assert!(make(&edits, &all, 1 << 30).is_err());
    }
}

/// All words of each block, in the place of what puts it right.
fn as_words() -> Vec<u8> {
    let (mut rest, mut told, mut out) = (&MADE.words[..], 0, vec![]);
    while !rest.is_empty() {
        let mut words = Words::new(rest);
        words.find(|sequence| sequence.length == 0).unwrap();
        told = rest.len() - words.left();
        put_words(&mut out, &rest[..told]);
        rest = &rest[told..];
    }
    assert!(told > 0);
    out
}

/// What of a frame is there tells an encoder what was chosen, which then is put right as
/// if it had been so from the start.
#[test]
fn what_is_put_right_is_gone_on_with() {
    let Made { frame, content, records, edits, .. } = &*MADE;
    for closed in [vec![], vec![100_000..200_000, BLOCK + 90_000..2 * BLOCK + 1]] {
        let mut edits = edits.clone();
        let words = as_words();
        let waiting = edits.clone().weave_of(&words, content, &closed);
        let (all, _) = edits.weave(records, content, &closed).unwrap();
        edits.weave.held = edits.weave.held.max(waiting);
        let replaced = edits.replaced(frame, &all).unwrap();
        assert_eq!(replaced.len(), 4);
        let mut begun = 0;
        for until in (0..all.len()).step_by(7001).chain([all.len()]) {
            if replaced.iter().any(|(place, _)| place.start < until && until < place.end) {
                continue;
            }
            let before = replaced.iter().filter(|(place, _)| place.end <= until);
            let (less, more) = before
                .fold((0, 0), |(less, more), (place, told)| (less + place.len(), more + told));
            let edits = Edits { bytes: edits.bytes - less + more, ..edits.clone() };
            let (plain, count) = (all.len() - less + more, until - less + more);
            let mut again = again::again(edits.clone(), plain as u64).unwrap();
            let mut encoder = EditedEncoder::new(OPTIONS, edits, plain as u64).unwrap();
            let mut out = vec![];
            let mut read = |at: u64, into: &mut [u8]| {
                let from = frame.get(at as usize..at as usize + into.len());
                into.copy_from_slice(from.ok_or("behind the end")?);
                Ok::<(), Fault>(())
            };
            let mut sink = |bytes: &[u8]| encoder.push(bytes, &mut out);
            let there = frame.len() as u64;
            let took = again.give(count as u64, there, &mut read, &mut sink).unwrap();
            assert!(out.len() as u64 <= took.max(6) && frame.starts_with(&out), "{until}");
            encoder.push(&all[until..], &mut out).unwrap();
            encoder.finish(&mut out).unwrap();
            assert!(&out == frame, "from {until}");
            begun += 1;
        }
        assert!(begun > 40, "{begun}");
    }
}

impl Edits {
    /// How much waits at most where these bytes come between the content.
    fn weave_of(
        mut self,
        records: &[u8],
        content: &[u8],
        closed: &[core::ops::Range<usize>],
    ) -> usize {
        self.bytes = records.len();
        self.weave(records, content, closed).unwrap();
        self.weave.held
    }
}

#[test]
fn heap_figures_hold_for_what_is_put_right() {
    let Made { content, records, edits, .. } = &*MADE;
    let mut edits = edits.clone();
    let (all, _) = edits.weave(records, content, &[]).unwrap();
    let declared = edits.heap(OPTIONS, all.len() as u64);
    let chooser = Chooser::heap(OPTIONS, content.len() as u64);
    assert!(chooser < declared && declared < chooser + (8 << 20), "{declared} for {chooser}");
    let mut encoder = EditedEncoder::new(OPTIONS, edits, all.len() as u64).unwrap();
    encoder.push(&all, &mut vec![]).unwrap();
    let took = encoder.chooser.context_heap();
    assert!(took <= chooser && chooser < took * 3 / 2, "{took} of {chooser}");
}

#[test]
fn stored_forms_are_read_or_refused() {
    let weave = Weave { held: 5000, early: vec![(3, 400), (7, 9)] };
    let (head, tail) = (vec![1; 14], vec![2; 4]);
    let wanted = Edits { bytes: 70_000, weave, held: 90_000, head, tail };
    let stored = wanted.to_bytes();
    assert_eq!(Edits::read(&stored).as_ref(), Ok(&wanted));
    assert!((0..25).all(|cut| Edits::read(&stored[..cut]).is_err()));
    assert!(Edits::read(&[stored, vec![3]].concat()).is_err());
    assert!(EditedEncoder::new(OPTIONS, wanted, 69_999).is_err());
}

/// Content and what puts it right, mixed.
static MIXED: LazyLock<(Edits, Vec<u8>)> = LazyLock::new(|| {
    let Made { content, records, edits, .. } = &*MADE;
    let mut edits = edits.clone();
    let (all, _) = edits.weave(records, content, &[]).unwrap();
    (edits, all)
});

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    /// Other edits than those of the content: an error or another frame, never more.
    #[test]
    fn any_edits_are_refused_or_harmless(
        changes in proptest::collection::vec(
            (0..4usize, any::<prop::sample::Index>(), any::<u8>()),
            1..5,
        ),
        bytes in prop_oneof![4 => Just(0isize), 1 => -9..9isize],
    ) {
        let (edits, mut all) = MIXED.clone();
        let places = edits.woven().places(&all).unwrap();
        for (block, at, byte) in changes {
            *at.get_mut(&mut all[places[block].clone()]) = byte;
        }
        let edits = Edits { bytes: edits.bytes.saturating_add_signed(bytes), ..edits };
        if let Ok(frame) = make(&edits, &all, 1 << 30) {
            prop_assert!(frame.len() < all.len() + 1000);
        }
    }

    /// What is there of a frame may be anything: it is read, or refused.
    #[test]
    fn any_start_of_a_frame_is_read_or_refused(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        count in any::<prop::sample::Index>(),
        there in any::<prop::sample::Index>(),
    ) {
        let (edits, all) = &*MIXED;
        let mut frame = MADE.frame.clone();
        for (at, byte) in changes {
            *at.get_mut(&mut frame) = byte;
        }
        let (mut given, count) = (0, count.index(all.len()));
        let mut again = again::again(edits.clone(), all.len() as u64).unwrap();
        let mut read = |at: u64, into: &mut [u8]| {
            let from = frame.get(at as usize..at as usize + into.len());
            into.copy_from_slice(from.ok_or("behind the end")?);
            Ok::<(), Fault>(())
        };
        let mut sink = |bytes: &[u8]| {
            given += bytes.len();
            Ok(())
        };
        let there = there.index(frame.len()) as u64;
        let took = again.give(count as u64, there, &mut read, &mut sink);
        prop_assert!(given <= count && took.is_ok_and(|took| took <= there) || took.is_err());
    }
}
