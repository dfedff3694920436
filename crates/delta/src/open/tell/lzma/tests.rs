//! Streams of many programs, told and in patches.

use super::super::tests::{changed, letters, text};
use super::*;
use crate::apply::tests::{apply, check_resumes};
use crate::open::tests::{content, run};
use crate::open::{ContainerKind, Form, guess};
use crate::{Delta, DiffOptions, diff};
use std::fs;
use std::string::ToString;
use tempfile::TempDir;

/// What a command of a shell makes of the file `it`.
fn pack(plain: &[u8], command: &str) -> Vec<u8> {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("it"), plain).unwrap();
    run(folder.path(), "sh", &["-c", command]);
    fs::read(folder.path().join("out")).unwrap()
}

/// How the programs are called.
const COMMANDS: [(Form, &str); 9] = [
    (Form::Alone, "xz -F lzma -c -0 it > out"),
    (Form::Alone, "xz -F lzma -c -9e it > out"),
    (Form::Alone, "lzmp -z -c -k -9 it > out"),
    (Form::Alone, "lzmp -z -c -k -1 it > out"),
    (
        Form::Alone,
        "python3 -c \"import lzma; open('out', 'wb').write(lzma.compress(open('it', 'rb').read(), lzma.FORMAT_ALONE, filters=[dict(id=lzma.FILTER_LZMA1, preset=5, lc=1, lp=2, nice_len=7)]))\"",
    ),
    (Form::Lzip, "lzip -9 -c it > out"),
    (Form::Xz, "7z a -txz -mx9 -mmt1 out.xz it && mv out.xz out"),
    (Form::Xz, "7z a -txz -mx1 -mmt2 -ms1m out.xz it && mv out.xz out"),
    (Form::Xz, "xz -c --arm --lzma2=preset=4,lc=0,pb=0,nice=11,mf=hc3 it > out"),
];

#[test]
fn streams_of_many_programs_are_told() {
    let plain = [text(700_000, 1), content(1_500_000, 2)].concat();
    for (form, command) in COMMANDS {
        let encoded = pack(&plain, command);
        let recipe = telling(&guess::decodes(form, &encoded).unwrap()).unwrap();
        let (words, marked) = words(&encoded, plain.len(), recipe).unwrap();
        let (_, correction) = told(&encoded, &plain, recipe, &words, marked).expect(command);
        let size = correction.to_bytes().len();
        assert!(size < 200, "{command}: {size}");
    }
}

/// The patch between two images, applied.
fn patch(old: &[u8], new: &[u8], max_heap: u64) -> Delta {
    let options = DiffOptions { max_heap, ..DiffOptions::default() };
    let delta = diff(old, new, &options, &()).unwrap();
    let (out, _) = apply(&delta.bytes, old).unwrap();
    assert!(out == new, "other bytes came out");
    delta
}

#[test]
fn archives_by_many_programs_pay() {
    let old = text(600_000, 3);
    let new = changed(&old);
    // lzip's choices follow from all before: none of them stays where content is like itself
    // in so many places.
    for (_, command) in COMMANDS.into_iter().filter(|(form, _)| *form != Form::Lzip) {
        let [old, new] = [&old, &new].map(|plain| [b"head", &*pack(plain, command)].concat());
        let delta = patch(&old, &new, 64 << 20);
        let (size, census) = (delta.bytes.len(), delta.census.to_string());
        assert!(size * 3 < new.len() * 2, "{command}: {size} of {}; {census}", new.len());
        let row = delta.census.rows.get(&ContainerKind::Bare).expect(command);
        assert!(row.opened_percent() > 99.9, "{command}: {census}");
    }
}

/// As makers of routers have it: the kernel, packed, behind a head of 64 bytes.
#[test]
fn legacy_images_of_lzma_are_opened() {
    let old = text(300_000, 4);
    let image = |plain: &[u8]| {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("it"), plain).unwrap();
        let make = "lzmp -z -c -k -9 it > it.lzma && \
            mkimage -A mips -O linux -T kernel -C lzma -n k -a 80000000 -e 80000000 -d it.lzma out";
        run(folder.path(), "sh", &["-c", make]);
        fs::read(folder.path().join("out")).unwrap()
    };
    let (old, new) = (image(&old), image(&changed(&old)));
    let delta = patch(&old, &new, 16 << 20);
    assert!(delta.bytes.len() * 3 < new.len(), "{} of {}", delta.bytes.len(), new.len());
    let row = delta.census.rows.get(&ContainerKind::LegacyImage).unwrap();
    assert!(row.opened_percent() > 99.9, "{}", delta.census);
}

/// liblzma's encoder takes 2.5 MiB for the smallest dictionary of a squashfs.
#[test]
fn little_memory_is_enough_for_what_is_told() {
    let blocks = |plain: &[u8]| -> Vec<u8> {
        let each = |block: &[u8]| pack(block, "xz -c --check=crc32 --lzma2=dict=128KiB it > out");
        plain.chunks(128 << 10).flat_map(each).collect()
    };
    let old = text(400_000, 5);
    let (old, new) = (blocks(&old), blocks(&changed(&old)));
    let [small, large] = [4, 16].map(|mib| patch(&old, &new, mib << 20));
    assert!(small.bytes.len() * 2 < new.len(), "{} of {}", small.bytes.len(), new.len());
    assert!(large.bytes.len() < small.bytes.len(), "{}", large.bytes.len());
    let row = small.census.rows.get(&ContainerKind::Bare).unwrap();
    assert!(row.corrected.streams > 0 && row.opened_percent() > 99.9, "{}", small.census);
}

/// What may look like the head of a stream in bytes that are none.
#[test]
fn what_only_begins_like_lzma_is_left_alone() {
    let mut bytes = content(100_000, 6);
    for at in (0..bytes.len() - 40).step_by(40) {
        let head = [0x5d, 0, 0, 0x80, 0, 255, 255, 255, 255, 255, 255, 255, 255, 0];
        bytes[at..at + head.len()].copy_from_slice(&head);
    }
    assert!(crate::open::tests::opened(&bytes, crate::open::Purpose::New).streams.is_empty());
}

/// A cut inside of what is told costs little of the patch.
#[test]
fn long_streams_are_gone_on_with() {
    let old = b"nothing of it";
    let plain = letters(700_000, 7);
    for command in ["xz -F lzma -c -0 it > out", "xz -c --x86 --lzma2=preset=1,nice=11 it > out"] {
        let new = [&b"head"[..], &pack(&plain, command), b"tail"].concat();
        let delta = patch(old, &new, 16 << 20);
        let (_, resets) = apply(&delta.bytes, old).unwrap();
        assert!(resets.len() > 3, "{command}: {resets:?} {:?}", delta.explanation);
        check_resumes(&delta.bytes, old, &new, &resets);
    }
}
