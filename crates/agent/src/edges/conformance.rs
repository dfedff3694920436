//! Suites that every implementation of an edge has to pass, the simulator's fakes
//! and a porter's own alike. They panic with the rule that was broken.
#![expect(clippy::panic, reason = "a suite reports to a test by panicking")]

use super::{
    BootControl, Direct, Flash, Journal, Live, Loaded, RECORD_MAX, RollbackStore, SlotFacts, Stage,
    Store,
};
use std::io;
use trust::ChunkList;
use types::{Digest, Hasher, Image, Slot, Tries};

/// Bytes of the chunks that the suites write.
const CHUNK: u32 = 4096;

/// Says which rule was broken.
#[track_caller]
fn rule(holds: bool, rule: &str) {
    if !holds {
        panic!("broken: {rule}");
    }
}

/// What an operation gave that must not fail here.
#[track_caller]
fn must<T, E: std::fmt::Debug>(result: Result<T, E>, what: &str) -> T {
    match result {
        Ok(value) => value,
        Err(e) => panic!("broken: {what} must work here: {e:?}"),
    }
}

/// An image of `len` bytes that differs with `seed`, and the list that proves it.
fn image(len: usize, seed: u8) -> (Vec<u8>, ChunkList) {
    let bytes: Vec<u8> = (0..len).map(|n| (n % 251) as u8 ^ (n / 4096) as u8 ^ seed).collect();
    let mut list = Vec::new();
    for chunk in bytes.chunks(CHUNK as usize) {
        list.extend(Digest::of(chunk).0);
    }
    let mut whole = Hasher::default();
    whole.update(&bytes);
    let image = Image {
        size: len as u64,
        sha256: whole.finish(),
        chunk_size: CHUNK,
        chunks: Digest::of(&list),
    };
    (bytes, must(ChunkList::check(&image, list), "the list of an image's chunks"))
}

/// Writes an image chunk by chunk, the last one twice, and flushes.
fn write<F: Flash + ?Sized>(medium: &mut F, bytes: &[u8], list: &ChunkList) {
    for (index, chunk) in (0..).zip(bytes.chunks(CHUNK as usize)) {
        let proven = must(list.prove(index, chunk), "a chunk of the image");
        must(medium.write(&proven), "a write within the medium");
        if index + 1 == list.image().chunk_count() {
            must(medium.write(&proven), "the same write again");
        }
    }
    must(medium.flush(), "flush");
}

fn holds<F: Flash + ?Sized>(medium: &mut F, bytes: &[u8]) -> bool {
    let mut back = vec![0; bytes.len()];
    must(medium.read_back(0, &mut back), "reading back what was written");
    back == bytes
}

/// [`Flash`]: `open` gives the same medium, of at least 64 KiB, each time, as after
/// a restart of the agent.
pub fn flash(mut open: impl FnMut() -> Box<dyn Flash>) {
    let mut medium = open();
    let geometry = must(medium.geometry(), "geometry");
    rule(geometry.size >= 64 << 10, "a medium for this suite has at least 64 KiB");
    rule(geometry.block.is_power_of_two() && geometry.block <= CHUNK, "a block is at most 4 KiB");
    must(medium.prepare(), "prepare");
    let (bytes, list) = image(30_001, 1);
    write(medium.as_mut(), &bytes, &list);
    rule(holds(medium.as_mut(), &bytes), "what was written and flushed is read back");
    for (at, len) in [(0_usize, 1_usize), (4095, 2), (1, 8192), (30_000, 1)] {
        let mut back = vec![0; len];
        must(medium.read_back(at as u64, &mut back), "reading back at any place");
        rule(bytes.get(at..at + len) == Some(&back), "any place is read back as it was written");
    }
    drop(medium);
    let mut medium = open();
    rule(holds(medium.as_mut(), &bytes), "what was flushed is there after a restart");
    let (newer, list) = image(30_001, 2);
    let chunks: Vec<&[u8]> = newer.chunks(CHUNK as usize).collect();
    for index in [3_u32, 1] {
        let chunk = chunks.get(index as usize).copied().unwrap_or_default();
        must(medium.write(&must(list.prove(index, chunk), "a chunk")), "writing out of order");
    }
    must(medium.flush(), "flush");
    let mut back = vec![0; 4 * CHUNK as usize];
    must(medium.read_back(0, &mut back), "reading back");
    let expected: Vec<u8> = [bytes.get(..4096), newer.get(4096..8192), bytes.get(8192..12_288)]
        .into_iter()
        .chain([newer.get(12_288..16_384)])
        .flatten()
        .flatten()
        .copied()
        .collect();
    rule(back == expected, "a write changes its own chunk and nothing else");
    let end = must(medium.geometry(), "geometry").size;
    rule(medium.read_back(end, &mut [0]).is_err(), "there is nothing behind the end");
}

/// [`BootControl`]: `open` gives the same boot control each time, with the same slot
/// running; that slot is good at first.
pub fn boot_control(mut open: impl FnMut() -> Box<dyn BootControl>) {
    let running = must(open().running(), "running");
    let other = running.other();
    let slot = |open: &mut dyn FnMut() -> Box<dyn BootControl>, slot: Slot| {
        must(open().slot(slot), "asking about a slot")
    };
    rule(slot(&mut open, running) == SlotFacts::Good, "the slot that runs is good at first");
    for _ in 0..2 {
        must(open().set_unbootable(other), "set_unbootable");
        rule(slot(&mut open, other) == SlotFacts::Unbootable, "an unbootable slot is remembered");
    }
    let tries = open().tries();
    let left = match tries {
        Tries::Counted(most) => most.min(3),
        Tries::Single => 1,
    };
    for _ in 0..2 {
        must(open().set_trial(other, 3), "set_trial");
        rule(slot(&mut open, other) == SlotFacts::Trial { left }, "a trial has its tries");
    }
    rule(slot(&mut open, running) == SlotFacts::Good, "the other slot stays good during a trial");
    rule(must(open().running(), "running") == running, "a trial does not change what runs");
    must(open().mark_running_good(), "mark_running_good");
    rule(slot(&mut open, running) == SlotFacts::Good, "the running slot is good when it is marked");
    rule(slot(&mut open, other) != SlotFacts::Good, "marking the running slot marks no other one");
    must(open().set_unbootable(other), "set_unbootable");
    rule(slot(&mut open, other) == SlotFacts::Unbootable, "a trial can be called off");
    rule(open().tries() == tries, "how a bootloader tries does not change");
}

/// [`Journal`]: `open` gives the same journal each time, empty at first.
pub fn journal(mut open: impl FnMut() -> Box<dyn Journal>) {
    rule(must(open().load(), "load") == Loaded::Nothing, "a new journal holds nothing");
    let longest = vec![0xa5; RECORD_MAX];
    for record in [&b"first"[..], b"second", b"", &longest, b"third", b"third"] {
        must(open().save(record), "save");
        let loaded = must(open().load(), "load");
        rule(loaded == Loaded::Record(record.to_vec()), "the last record is loaded");
    }
    let mut journal = open();
    for n in 0..20_u8 {
        must(journal.save(&[n]), "save");
        rule(must(journal.load(), "load") == Loaded::Record(vec![n]), "the last record is loaded");
    }
    rule(journal.save(&vec![0; RECORD_MAX + 1]).is_err(), "a record has at most 512 bytes");
    drop(journal);
    let loaded = must(open().load(), "load");
    rule(loaded == Loaded::Record(vec![19]), "a record that was refused changes nothing");
}

/// [`Store`]: `open` gives the same store each time, empty at first.
pub fn store(mut open: impl FnMut() -> Box<dyn Store>) {
    rule(must(open().read("job"), "read").is_none(), "a document that was never written is none");
    must(open().remove("job"), "removing a document that is not there");
    let large = vec![7; 200_000];
    for bytes in [&b"one"[..], b"", &large, b"two"] {
        must(open().replace("job", bytes), "replace");
        rule(must(open().read("job"), "read").as_deref() == Some(bytes), "the last bytes are read");
    }
    must(open().replace("outbox", b"other"), "replace");
    must(open().remove("job"), "remove");
    rule(must(open().read("job"), "read").is_none(), "a removed document is gone");
    let other = must(open().read("outbox"), "read");
    rule(other.as_deref() == Some(b"other"), "documents do not touch each other");
}

/// [`RollbackStore`]: `open` gives the same floors each time, none raised at first.
pub fn rollback_store(mut open: impl FnMut() -> Box<dyn RollbackStore>) {
    let mut check = |component: &str, floor: u64, why: &str| {
        rule(must(open().floor(component), "floor") == floor, why);
        open()
    };
    let mut floors = check("rootfs", 0, "a floor that was never raised is 0");
    must(floors.raise("rootfs", 5), "raise");
    let mut floors = check("rootfs", 5, "a raised floor stays raised");
    must(floors.raise("rootfs", 3), "raising to less");
    let mut floors = check("rootfs", 5, "a floor is never lowered");
    must(floors.raise("modem", u64::MAX), "raise");
    drop(check("rootfs", 5, "floors do not touch each other"));
    drop(check("modem", u64::MAX, "a floor can have any height"));
}

/// A place for a package: it holds what was written, has room, and forgets.
pub fn place_for_a_package(stage: &mut dyn Stage) {
    must(stage.remove(), "to remove a package that is not there");
    rule(must(stage.room(), "room") > 0, "an empty stage has room");
    must(stage.prepare(), "prepare");
    let piece: Vec<u8> = (0..5000_u32).map(|n| (n % 251) as u8).collect();
    // Payloads start anywhere, and what stands around them comes last.
    for at in [4_321, 77] {
        must(stage.write(at, &piece), "a write anywhere");
    }
    must(stage.flush(), "flush");
    let mut back = vec![0; 5000];
    must(stage.read(4_321, &mut back), "to read what was written");
    rule(back.get(756..) == piece.get(756..), "a stage holds what was written");
    must(stage.read(77, &mut back), "to read what was written last");
    rule(back == piece, "what was written last counts");
    rule(stage.read(9_000, &mut back).is_err(), "no byte is read that was not written");
    must(stage.prepare(), "prepare again");
    rule(stage.read(0, &mut [0]).is_err(), "another package begins with nothing");
    must(stage.remove(), "remove");
    must(stage.remove(), "to remove it again");
    rule(!stage.locator().is_empty(), "a stage has a locator");
}

/// [`Live`]: `open` gives the same component each time; `runs` says which image
/// programs see, if any. Nothing runs at first.
pub fn live(
    mut open: impl FnMut() -> Box<dyn Live>,
    mut runs: impl FnMut() -> io::Result<Option<Vec<u8>>>,
) {
    let images: Vec<_> = (1..=3).map(|seed| image(30_001, seed)).collect();
    let [(one, one_list), (two, two_list), (three, three_list)] = images.as_slice() else {
        return;
    };
    let mut sees = |expected: Option<&[u8]>, why: &str| {
        rule(must(runs(), "looking at what runs").as_deref() == expected, why);
    };
    must(open().switch_back(), "switch_back without a switch");
    sees(None, "undoing no switch changes nothing");
    stage(open().as_mut(), one, one_list);
    sees(None, "staging does not change what runs");
    for _ in 0..2 {
        must(open().switch(), "switch");
        sees(Some(one), "a switch runs what is staged");
    }
    for _ in 0..2 {
        must(open().keep(), "keep");
        sees(Some(one), "keeping changes nothing that runs");
    }
    must(open().switch_back(), "switch_back after keep");
    sees(Some(one), "a kept switch is not undone");
    stage(open().as_mut(), two, two_list);
    sees(Some(one), "staging does not change what runs");
    must(open().switch(), "switch");
    sees(Some(two), "a switch runs what is staged");
    for _ in 0..2 {
        must(open().switch_back(), "switch_back");
        sees(Some(one), "a switch that is undone runs what ran before");
    }
    stage(open().as_mut(), three, three_list);
    must(open().switch(), "switch");
    must(open().keep(), "keep");
    sees(Some(three), "after an undone switch another one works");
}

/// Writes an image to a staging area.
fn stage<F: Flash + ?Sized>(medium: &mut F, bytes: &[u8], list: &ChunkList) {
    must(medium.prepare(), "prepare");
    write(medium, bytes, list);
    rule(holds(medium, bytes), "what is staged is read back");
}

/// [`Direct`]: `open` gives the same component each time; `place` says what is in
/// its one place.
pub fn direct(
    mut open: impl FnMut() -> Box<dyn Direct>,
    mut place: impl FnMut() -> io::Result<Option<Vec<u8>>>,
) {
    for seed in [1, 2] {
        let before = must(place(), "looking at the place");
        let (bytes, list) = image(30_001, seed);
        stage(open().as_mut(), &bytes, &list);
        rule(must(place(), "looking at the place") == before, "staging changes nothing in place");
        for _ in 0..2 {
            must(open().apply(), "apply");
            let now = must(place(), "looking at the place");
            rule(now.as_deref() == Some(&bytes), "what was staged is in its place");
        }
    }
}

#[cfg(test)]
mod tests;
