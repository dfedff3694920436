//! What a power cut leaves of recorded storage.
//!
//! What was flushed is there. Of the rest, and of the operation that was under way,
//! each file and folder keeps what chance says: bytes are lost in pieces of 512 or
//! 4096, some of which break in the middle, and names one operation at a time. No
//! order holds between what was not flushed.

use super::record::{Op, Recording};
use super::tree::{Change, Ino, Tree};
use crate::chance::Chance;
use std::collections::BTreeMap;
use std::fmt;

/// Which cut of a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// Its number, from 0. The power goes during operation `number`, and again from
    /// the start where there are fewer operations.
    pub number: usize,
    /// What chance begins with.
    pub seed: u64,
}

/// What happens to what was not flushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// All of it is lost.
    Lost,
    /// All of it is there.
    Kept,
    /// Pieces of so many bytes are there `kept` times of 8.
    Torn { grain: usize, kept: usize },
}

/// What a cut left.
#[derive(Debug)]
pub struct Left {
    /// Files and folders.
    pub tree: Tree,
    /// How many changes had not been flushed.
    pub pending: usize,
    /// In words, where the power went and what it took.
    pub story: String,
}

impl Fate {
    fn by(chance: &mut Chance) -> Self {
        match chance.below(6) {
            0 => Self::Lost,
            1 => Self::Kept,
            n => {
                let grain = if n % 2 == 0 { 512 } else { 4096 };
                Self::Torn { grain, kept: chance.below(7) + 1 }
            }
        }
    }

    fn keeps(self, chance: &mut Chance) -> bool {
        match self {
            Self::Lost => false,
            Self::Kept => true,
            Self::Torn { kept, .. } => chance.below(8) < kept,
        }
    }

    /// How many bytes of a piece are there, from its start. One torn piece in four
    /// breaks off, as on flash without whole sectors: anywhere, and more often early,
    /// where small records have their bytes.
    fn of_piece(self, len: usize, chance: &mut Chance) -> usize {
        match self {
            Self::Torn { .. } if chance.once_in(4) => {
                let early = len >> chance.below(8);
                chance.below(early)
            }
            _ if self.keeps(chance) => len,
            _ => 0,
        }
    }

    fn grain(self) -> usize {
        match self {
            Self::Lost | Self::Kept => usize::MAX,
            Self::Torn { grain, .. } => grain,
        }
    }
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost => f.write_str("all of it lost"),
            Self::Kept => f.write_str("all of it there"),
            Self::Torn { grain, kept } => write!(f, "{kept} of 8 pieces of {grain} bytes there"),
        }
    }
}

/// The storage after `cut`.
pub fn after(recording: &Recording, cut: Cut) -> Left {
    let mut chance = Chance::new(cut.seed.rotate_left(32) ^ cut.number as u64);
    let places = recording.ops.len() + 1;
    let place = cut.number.checked_rem(places).unwrap_or(0);
    let (mut tree, pending) = flushed(recording, place);
    let fate = Fate::by(&mut chance);
    for change in pending.values().flatten() {
        tear(&mut tree, change, fate, &mut chance);
    }
    let pending = pending.values().map(Vec::len).sum();
    let during = recording.ops.get(place).map(|op| in_words(recording, op));
    let during = during.unwrap_or("the time after the last one".into());
    let of = recording.ops.len();
    let story = format!("operation {place} of {of}, {during}; {pending} not flushed, {fate}");
    Left { tree, pending, story }
}

/// What is certain when operation `place` is under way, and what is not, by file.
fn flushed(recording: &Recording, place: usize) -> (Tree, BTreeMap<Ino, Vec<&Change>>) {
    let mut tree = recording.before.clone();
    let mut pending: BTreeMap<Ino, Vec<&Change>> = BTreeMap::new();
    for (index, op) in recording.ops.iter().enumerate().take(place.saturating_add(1)) {
        match op {
            Op::Changed(change) => pending.entry(change.ino()).or_default().push(change),
            // One that is under way has promised nothing yet.
            Op::Flushed(_) if index == place => {}
            Op::Flushed(ino) => {
                let durable = pending.remove(ino).unwrap_or_default();
                durable.into_iter().for_each(|change| tree.apply(change));
            }
        }
    }
    (tree, pending)
}

fn tear(tree: &mut Tree, change: &Change, fate: Fate, chance: &mut Chance) {
    let Change::Write { file, at, bytes } = change else {
        if fate.keeps(chance) {
            tree.apply(change);
        }
        return;
    };
    let mut at = *at;
    let mut rest = bytes.as_slice();
    while !rest.is_empty() {
        // Media tear at multiples of their blocks, wherever a write begins.
        let to_border = fate.grain() - at % fate.grain();
        let (piece, tail) = rest.split_at(to_border.min(rest.len()));
        let left = piece.get(..fate.of_piece(piece.len(), chance)).unwrap_or_default();
        tree.apply(&Change::Write { file: *file, at, bytes: left.to_vec() });
        at += piece.len();
        rest = tail;
    }
}

/// One operation, for people.
pub fn in_words(recording: &Recording, op: &Op) -> String {
    match op {
        Op::Flushed(ino) => format!("a flush of `{}`", recording.name(*ino)),
        Op::Changed(Change::Write { file, at, bytes }) => {
            format!("{} bytes to `{}` at {at}", bytes.len(), recording.name(*file))
        }
        Op::Changed(Change::Length { file, len }) => {
            format!("{len} as the length of `{}`", recording.name(*file))
        }
        Op::Changed(Change::Names { set, .. }) => {
            let names: Vec<&str> = set.iter().map(|(name, _)| name.as_str()).collect();
            format!("the names {}", names.join(" and "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::Recorder;
    use super::super::tree::{Node, ROOT};
    use super::*;

    fn seeds() -> std::ops::Range<u64> {
        0..200
    }

    /// A slot of 16 KiB of 1, of which 8 KiB become 2 in the middle; a flush; then a
    /// document that is replaced, and a flush of its folder.
    fn recording() -> (Recording, Ino) {
        let mut recorder = Recorder::default();
        let slot = recorder.make(ROOT, "slot-b", Node::File(vec![1; 16384]));
        recorder.make(ROOT, "boot", Node::File(b"old".to_vec()));
        recorder.begin();
        recorder.change(Change::Write { file: slot, at: 4096, bytes: vec![2; 8192] });
        recorder.flush(slot);
        let new = recorder.make(ROOT, ".new-boot", Node::File(Vec::new()));
        recorder.change(Change::Write { file: new, at: 0, bytes: b"new".to_vec() });
        recorder.flush(new);
        let set = vec![(".new-boot".to_owned(), None), ("boot".to_owned(), Some(new))];
        recorder.change(Change::Names { folder: ROOT, set });
        recorder.flush(ROOT);
        (recorder.recording(), slot)
    }

    fn bytes(tree: &Tree, ino: Ino) -> Vec<u8> {
        match tree.node(ino) {
            Some(Node::File(bytes)) => bytes.clone(),
            other => panic!("{other:?}"),
        }
    }

    fn boot(number: usize, seed: u64) -> Vec<u8> {
        let tree = after(&recording().0, Cut { number, seed }).tree;
        bytes(&tree, tree.named(ROOT, "boot").unwrap())
    }

    #[test]
    fn what_was_flushed_is_always_there() {
        for seed in seeds() {
            for number in 2..8 {
                let (recording, slot) = recording();
                let slot = bytes(&after(&recording, Cut { number, seed }).tree, slot);
                assert!(slot[4096..12288].iter().all(|byte| *byte == 2), "{number} {seed}");
            }
            assert_eq!(boot(7, seed), b"new");
        }
    }

    #[test]
    fn a_write_is_lost_kept_or_torn_until_it_is_flushed() {
        let (recording, slot) = recording();
        for number in [0, 1] {
            let seen: Vec<Vec<u8>> = seeds()
                .map(|seed| bytes(&after(&recording, Cut { number, seed }).tree, slot))
                .collect();
            let new = |slot: &Vec<u8>| slot.iter().filter(|byte| **byte == 2).count();
            assert!(seen.iter().any(|slot| new(slot) == 0), "never lost");
            assert!(seen.iter().any(|slot| new(slot) == 8192), "never kept");
            assert!(seen.iter().any(|slot| new(slot) % 4096 == 512), "never torn at a sector");
            assert!(seen.iter().any(|slot| new(slot) % 512 != 0), "never torn inside a sector");
            assert!(seen.iter().any(|slot| slot[4096] == 1 && slot[8192] == 2), "always in order");
            assert!(seen.iter().all(|slot| slot.len() == 16384));
            assert!(seen.iter().all(|slot| slot[..4096].iter().all(|byte| *byte == 1)));
        }
    }

    #[test]
    fn a_name_is_old_or_new_until_its_folder_is_flushed() {
        for number in 0..5 {
            assert!(seeds().all(|seed| boot(number, seed) == b"old"), "{number}");
        }
        for number in [5, 6] {
            let new = seeds().filter(|seed| boot(number, *seed) == b"new").count();
            assert!((1..200).contains(&new), "{number}: {new}");
            assert!(seeds().all(|seed| {
                [b"old", b"new"].contains(&boot(number, seed)[..].try_into().unwrap())
            }));
        }
    }

    #[test]
    fn a_file_that_was_not_flushed_may_be_empty_under_its_new_name() {
        let (mut recording, _) = recording();
        recording.ops.remove(4);
        let boot = |seed| {
            let tree = after(&recording, Cut { number: 4, seed }).tree;
            bytes(&tree, tree.named(ROOT, "boot").unwrap())
        };
        assert!(seeds().map(boot).any(|bytes| bytes.is_empty()));
    }

    #[test]
    fn a_cut_can_be_repeated() {
        let (recording, _) = recording();
        for number in 0..20 {
            let cut = Cut { number, seed: 3 };
            let (one, two) = (after(&recording, cut), after(&recording, cut));
            assert_eq!((one.tree, one.story), (two.tree, two.story));
        }
        assert_eq!(after(&recording, Cut { number: 0, seed: 3 }).pending, 1);
        assert_eq!(after(&recording, Cut { number: 7, seed: 3 }).pending, 0);
    }
}
