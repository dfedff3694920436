//! Words between the content: the same blocks, and gone on with in their middle.

use super::super::again::again;
use super::*;
use crate::codec::Fault;
use std::sync::LazyLock;

const LONG: [Framing; 2] = [Framing::Legacy, Framing::Frame];

/// What is told of a stream whose words come between its content, both mixed, and the stream.
type Made = (Told, Vec<u8>, Vec<u8>);

fn woven(framing: Framing, closed: &[core::ops::Range<usize>]) -> Made {
    let (words, content) = super::told(framing, 3, 9000, 11);
    assert!(content.len() > 500_000);
    let mut told = outside(framing, words.len());
    let stream = make(framing, &told, &[&words[..], &content].concat(), 1 << 20).unwrap();
    let (all, places) = told.weave(&words, &content, closed).unwrap();
    assert!(places.len() > 6 && told.weave.as_ref().unwrap().held < words.len() / 2);
    (told, all, stream)
}

#[test]
fn words_between_the_content_make_the_same_blocks() {
    for framing in LONG {
        for closed in [vec![], vec![100_000..200_000, 260_000..260_500]] {
            let (mut told, all, stream) = woven(framing, &closed);
            for piece in [1 << 20, 1000, 7] {
                assert!(make(framing, &told, &all, piece).unwrap() == stream, "by {piece}");
            }
            // Less is granted than waits.
            told.weave.as_mut().unwrap().held /= 2;
            assert!(make(framing, &told, &all, 1000).is_err());
        }
    }
}

/// So much of the start of a stream as is needed for so much of words and content.
fn given(
    framing: Framing,
    told: &Told,
    stream: &[u8],
    plain: usize,
    until: usize,
) -> Result<(Vec<u8>, usize), Fault> {
    let mut again = again(framing, told.clone(), plain as u64)?;
    let mut out = vec![];
    let mut read = |at: u64, into: &mut [u8]| {
        let from = stream.get(at as usize..at as usize + into.len()).ok_or("behind the end")?;
        into.copy_from_slice(from);
        Ok::<(), Fault>(())
    };
    let mut took = 0;
    for until in [until / 3, until / 2, until] {
        let count = (until - out.len()) as u64;
        let mut sink = |bytes: &[u8]| {
            out.extend_from_slice(bytes);
            Ok(())
        };
        took = again.give(count, stream.len() as u64, &mut read, &mut sink)? as usize;
    }
    Ok((out, took))
}

#[test]
fn blocks_are_gone_on_with() {
    for framing in LONG {
        for closed in [vec![], vec![100_000..200_000, 260_000..260_500]] {
            let (told, all, stream) = woven(framing, &closed);
            for until in (0..all.len()).step_by(20_011).chain([all.len()]) {
                let (out, took) = given(framing, &told, &stream, all.len(), until).unwrap();
                assert!(out == all[..until], "other bytes up to {until}");
                let less = given(framing, &told, &stream[..took], all.len(), until).unwrap();
                assert_eq!(less.1, took);
                let recipe = Lz4Recipe { framing, told: true };
                let mut maker = Maker::new(recipe, &told.to_bytes(), all.len() as u64).unwrap();
                let mut made = vec![];
                maker.push(&out, &mut made).unwrap();
                assert!(made.len() <= took.max(7) + 4 && stream.starts_with(&made), "{until}");
                maker.push(&all[until..], &mut made).unwrap();
                maker.finish(&mut made).unwrap();
                assert!(made == stream, "from {until}");
            }
        }
    }
}

/// A point is not far behind what is needed for it.
#[test]
fn little_more_is_needed_than_was_made() {
    for framing in LONG {
        let (told, all, stream) = woven(framing, &[]);
        let recipe = Lz4Recipe { framing, told: true };
        for until in (0..all.len()).step_by(50_021) {
            let (out, took) = given(framing, &told, &stream, all.len(), until).unwrap();
            let mut maker = Maker::new(recipe, &told.to_bytes(), all.len() as u64).unwrap();
            let mut made = vec![];
            maker.push(&out, &mut made).unwrap();
            assert!(took <= made.len() + (80 << 10), "{took} for {}", made.len());
        }
    }
}

#[test]
fn what_is_told_between_the_content_is_read_again() {
    let weave = Weave { held: 9000, early: vec![(2, 70_000), (5, 1)] };
    let told = Told { weave: Some(weave), ..outside(Framing::Frame, 80_000) };
    assert_eq!(Told::read(&told.to_bytes()).as_ref(), Ok(&told));
    let stored = told.to_bytes();
    assert!((0..13).all(|cut| Told::read(&stored[..cut]).is_err()));
    let heap = told.heap();
    assert!((9000..20_000).contains(&heap), "{heap}");
}

/// Blocks whose bytes are stated otherwise than their sequences have.
#[test]
fn other_sizes_are_refused() {
    let end = |literals| Sequence { literals, ..Sequence::default() };
    let check = |framing, wanted: &[Sequence], content: usize, is_right: bool| {
        let mut all = vec![];
        wanted.iter().for_each(|sequence| words::put(&mut all, *sequence));
        let weave = Some(Weave { held: 500, early: vec![] });
        let told = Told { weave, ..outside(framing, all.len()) };
        all.resize(all.len() + content, 7);
        assert_eq!(make(framing, &told, &all, 99).is_ok(), is_right, "{framing:?} {wanted:?}");
    };
    for framing in LONG {
        check(framing, &[end(14), end(12)], 12, false);
        check(framing, &[end(13), end(12)], 12, true);
        check(framing, &[end(12), end(12)], 12, false);
        check(framing, &[end(13), end(12)], 11, false);
        check(framing, &[end(13), end(12)], 13, false);
        check(framing, &[end(1), end(0)], 0, false);
        check(framing, &[end(1), end(0), end(13), end(12)], 12, false);
        check(framing, &[end(u32::MAX), end(u32::MAX)], 90, false);
        let copy = Sequence { offset: 0x10000, literals: 3, length: 4, repeat: 0 };
        check(framing, &[end(9), copy, end(2)], 9, false);
    }
    check(Framing::Frame, &[end(1 << 31 | 90), end(90)], 90, true);
    check(Framing::Frame, &[end(1 << 31 | 90), end(91)], 91, false);
    check(Framing::Legacy, &[end(1 << 31 | 90), end(90)], 90, false);
    check(Framing::Each { log: 12 }, &[end(13), end(12)], 12, false);
}

/// Of each framing, a stream with what is told of it.
static WOVEN: LazyLock<[Made; 2]> = LazyLock::new(|| LONG.map(|framing| woven(framing, &[])));

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    /// Other bytes than words: an error or another stream, never more.
    #[test]
    fn any_words_between_the_content_make_something_or_nothing(
        which in 0..2usize,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
        less in 0..9usize,
    ) {
        let (told, all, _) = &WOVEN[which];
        let places = told.woven().unwrap().places(all).unwrap();
        let mut all = all.clone();
        for (at, byte) in changes {
            let place = &places[at.index(places.len())];
            *at.get_mut(&mut all[place.clone()]) = byte;
        }
        let told = Told { words: told.words - less, ..told.clone() };
        if let Ok(made) = make(LONG[which], &told, &all, 1 << 20) {
            prop_assert!(made.len() < 2 * all.len());
        }
    }

    #[test]
    fn any_start_of_a_stream_is_read_or_refused(
        which in 0..2usize,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
        until in any::<prop::sample::Index>(),
        cut in any::<prop::sample::Index>(),
    ) {
        let (told, all, stream) = &WOVEN[which];
        let mut stream = stream.clone();
        for (at, byte) in changes {
            *at.get_mut(&mut stream) = byte;
        }
        stream.truncate(cut.index(stream.len()));
        let until = until.index(all.len());
        if let Ok((out, took)) = given(LONG[which], told, &stream, all.len(), until) {
            prop_assert!(out.len() == until && took <= stream.len());
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(
        which in 0..2usize,
        stream in proptest::collection::vec(any::<u8>(), 0..3000),
        until in 0..9000usize,
    ) {
        let (told, _, _) = &WOVEN[which];
        let _ = given(LONG[which], told, &stream, told.words + 9000, until);
    }
}
