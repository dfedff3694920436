//! One form: what the writer writes both readers accept, and nothing else.

extern crate std;

use crate::{
    Archive, ArchiveError, Entry, Event, OutOfRange, Package, ReadError, Source, Stream, Writer,
    crc32,
};
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::convert::Infallible;
use proptest::prelude::*;
use proptest::sample::Index;

/// The archive of these entries.
fn zip(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = Writer::new(|bytes: &[u8]| {
        out.extend_from_slice(bytes);
        Ok::<(), Infallible>(())
    });
    for (name, bytes) in entries {
        writer.entry(name, bytes).unwrap();
    }
    writer.finish().unwrap();
    out
}

fn small() -> Vec<u8> {
    zip(&[
        ("manifest.json", b"{}"),
        ("targets.json", b"{\"signatures\":[]}"),
        ("chunks/rootfs", &[7; 64]),
        ("payload/rootfs.zst", b"not really compressed"),
    ])
}

fn opened(bytes: &[u8]) -> Result<Vec<Entry>, ArchiveError> {
    match Archive::open(bytes) {
        Ok(archive) => Ok(archive.entries().to_vec()),
        Err(ReadError::Archive(error)) => Err(error),
        Err(ReadError::Source(error)) => panic!("read outside the source: {error}"),
    }
}

/// Reads forward, in pieces of `piece` bytes; checks that the data add up.
fn streamed(bytes: &[u8], piece: usize) -> Result<Vec<Entry>, ArchiveError> {
    let mut stream = Stream::new();
    let mut open: Option<(Entry, Vec<u8>)> = None;
    for mut part in bytes.chunks(piece) {
        while let Some(event) = stream.next(&mut part)? {
            match event {
                Event::Entry(entry) => open = Some((entry, Vec::new())),
                Event::Data(data) => open.as_mut().unwrap().1.extend(data),
                Event::Complete => {
                    let (entry, data) = open.take().unwrap();
                    let at = entry.at as usize;
                    assert_eq!(data, &bytes[at..at + entry.size as usize]);
                }
                Event::End => assert!(open.is_none()),
            }
        }
        assert!(part.is_empty(), "`None` means that all input was used");
    }
    stream.finish()
}

/// Both readers say the same about `bytes`, whatever the pieces.
fn check(bytes: &[u8], expected: Result<&[&str], ArchiveError>) {
    let names = |entries: Vec<Entry>| entries.into_iter().map(|e| e.name).collect::<Vec<_>>();
    let expected = expected.map(|names| names.iter().map(ToString::to_string).collect::<Vec<_>>());
    assert_eq!(opened(bytes).map(names), expected);
    for piece in [1, 3, 30, 1000] {
        assert_eq!(streamed(bytes, piece).map(names), expected, "in pieces of {piece}");
    }
}

#[test]
fn what_is_written_is_read() {
    let names = ["manifest.json", "targets.json", "chunks/rootfs", "payload/rootfs.zst"];
    check(&small(), Ok(&names));
    check(&zip(&[("manifest.json", b"")]), Ok(&["manifest.json"]));
    let archive = Archive::open(&small()[..]).unwrap();
    assert_eq!(archive.read(&small()[..], "chunks/rootfs", 64).unwrap(), [7; 64]);
    let too_long = archive.read(&small()[..], "chunks/rootfs", 63).unwrap_err();
    assert_eq!(too_long.to_string(), "entry `chunks/rootfs` has more than 63 bytes");
    let missing = archive.read(&small()[..], "chunks/kernel", 64).unwrap_err();
    assert_eq!(missing.to_string(), "the package has no entry `chunks/kernel`");
}

#[test]
fn equal_content_gives_equal_bytes() {
    assert_eq!(small(), small());
}

#[test]
fn a_cut_archive_is_refused_at_every_length() {
    let whole = small();
    for len in 0..whole.len() {
        assert!(opened(&whole[..len]).is_err(), "{len} of {} bytes", whole.len());
        assert!(streamed(&whole[..len], 50).is_err(), "{len} of {} bytes", whole.len());
    }
}

#[test]
fn nothing_may_follow() {
    for trailing in [&b"\0"[..], b"PK\x05\x06", &small()] {
        check(&[&small()[..], trailing].concat(), Err(ArchiveError::Trailing));
    }
}

#[test]
fn a_second_directory_is_refused() {
    let whole = small();
    let end = whole.len() - 22;
    check(&[&whole[..end], &whole[end..], &whole[end..]].concat(), Err(ArchiveError::Trailing));
    let doubled = [&whole[..end], &whole[end - 20..]].concat();
    check(&doubled, Err(ArchiveError::Directory));
}

#[test]
fn a_comment_is_refused() {
    let mut whole = small();
    let at = whole.len() - 2;
    whole[at] = 4;
    whole.extend(b"note");
    check(&whole, Err(ArchiveError::Directory));
}

#[test]
fn a_gap_is_refused() {
    let whole = small();
    let second = Archive::open(&whole[..]).unwrap().entries()[1].header_at() as usize;
    let gap = [&whole[..second], b"gap", &whole[second..]].concat();
    check(&gap, Err(ArchiveError::Directory));
    check(&[b"MZ", &whole[..]].concat(), Err(ArchiveError::NotAnArchive));
}

#[test]
fn other_programs_archives_are_refused() {
    // A local header as `zip` writes it: not zip64, version 1.0, with a date.
    let mut other = b"PK\x03\x04\x0a\0\0\0\0\0\x21\x52\x21\x52".to_vec();
    other.extend([0, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 13, 0, 0, 0]);
    other.extend(b"manifest.json{}");
    other.extend([0; 60]);
    check(&other, Err(ArchiveError::Header { at: 0 }));
    check(b"Rar!\x1a\x07", Err(ArchiveError::NotAnArchive));
}

/// What the writer says about an entry of this name after the manifest, and both
/// readers about an archive in which `fine` was renamed to it.
fn check_name(name: &str, expected: Option<ArchiveError>) {
    let mut writer = Writer::new(|_: &[u8]| Ok::<(), Infallible>(()));
    writer.entry("manifest.json", b"").unwrap();
    let written = writer.entry(name, b"").map_err(|e| e.to_string());
    assert_eq!(written, expected.clone().map_or(Ok(()), |e| Err(e.to_string())), "{name:?}");
    let fits = name.is_ascii() && (1..=96).contains(&name.len());
    if let (Some(expected), true) = (expected, fits) {
        let placeholder = "x".repeat(name.len());
        let bytes = zip(&[("manifest.json", b""), (&placeholder, b"")]);
        let text = String::from_utf8(bytes.iter().map(|b| b & 0x7f).collect()).unwrap();
        let mut renamed = bytes.clone();
        for (at, _) in text.match_indices(&placeholder) {
            renamed[at..at + name.len()].copy_from_slice(name.as_bytes());
        }
        check(&renamed, Err(expected));
    }
}

#[test]
fn names_cannot_escape() {
    let at = 30 + 13 + 20;
    check_name("chunks/rootfs", None);
    check_name("a", None);
    for bad in
        ["/a", "../a", "a/..", "a//b", "a/", ".a", "a/.b", "-a", "a/b/c", "a\\b", "a b", "a\0"]
    {
        check_name(bad, Some(ArchiveError::Name { at }));
    }
    check_name("", Some(ArchiveError::Name { at }));
    check_name("\u{e4}", Some(ArchiveError::Name { at }));
    check_name(&"x".repeat(97), Some(ArchiveError::Name { at }));
    let mut long = zip(&[("manifest.json", b""), ("a", b"")]);
    long[at as usize + 26] = 97;
    long.extend([0; 100]);
    check(&long, Err(ArchiveError::Name { at }));
}

#[test]
fn names_stand_once() {
    let name = String::from("manifest.json");
    check_name(&name, Some(ArchiveError::Duplicate { name: name.clone() }));
}

/// What the writer says about these names, in this order.
fn check_order(names: &[&str], expected: Option<&str>) {
    let mut writer = Writer::new(|_: &[u8]| Ok::<(), Infallible>(()));
    let written = names.iter().try_for_each(|name| writer.entry(name, b""));
    let expected = expected.map(|name| ArchiveError::Order { name: name.into() }.to_string());
    assert_eq!(written.err().map(|e| e.to_string()), expected);
}

#[test]
fn the_documents_come_first() {
    check_order(&["manifest.json", "targets.json", "proof.tlog", "a", "b"], None);
    check_order(&["manifest.json", "a"], None);
    check_order(&["manifest.json", "targets.json", "deltas.json", "a"], None);
    check_order(&["manifest.json", "deltas.json", "a"], None);
    check_order(&["manifest.json", "targets.json", "proof.tlog", "deltas.json"], None);
    check_order(&["manifest.json", "targets.json", "a", "deltas.json"], Some("deltas.json"));
    check_order(&["manifest.json", "deltas.json", "targets.json"], Some("targets.json"));
    check_order(&["a"], Some("a"));
    check_order(&["targets.json"], Some("targets.json"));
    check_order(&["manifest.json", "a", "targets.json"], Some("targets.json"));
    check_order(&["manifest.json", "proof.tlog"], Some("proof.tlog"));
    check_order(&["manifest.json", "targets.json", "a", "proof.tlog"], Some("proof.tlog"));
}

#[test]
fn entries_are_counted() {
    let mut writer = Writer::new(|_: &[u8]| Ok::<(), Infallible>(()));
    writer.entry("manifest.json", b"").unwrap();
    let more = (1..=512).try_for_each(|n| writer.entry(&alloc::format!("chunks/{n}"), b""));
    assert_eq!(more.unwrap_err().to_string(), "the package has more than 512 entries");
}

#[test]
fn the_writer_is_held_to_its_word() {
    let sink = |_: &[u8]| Ok::<(), Infallible>(());
    let start = || {
        let mut writer = Writer::new(sink);
        writer.start("manifest.json", 2, crc32(b"{}")).unwrap();
        writer
    };
    assert!(start().data(b"{} ").is_err());
    let mut short = start();
    short.data(b"{").unwrap();
    assert!(short.finish().is_err());
    let mut other = start();
    other.data(b"[]").unwrap();
    assert!(other.start("a", 0, 0).is_err());
    assert!(Writer::new(sink).finish().is_err());
    assert!(Writer::new(sink).data(b"x").is_err());
}

#[test]
fn any_flipped_byte_is_seen_by_the_stream() {
    let whole = small();
    for at in 0..whole.len() {
        for mask in [0x01, 0x20, 0x80, 0xff] {
            let mut flipped = whole.clone();
            flipped[at] ^= mask;
            assert!(streamed(&flipped, 100).is_err(), "byte {at} with mask {mask:#x}");
        }
    }
}

/// Bytes with holes: what was not written is zero.
#[derive(Default)]
struct Sparse {
    pieces: BTreeMap<u64, Vec<u8>>,
    size: u64,
}

impl Sparse {
    fn append(&mut self, bytes: &[u8]) {
        if bytes.iter().any(|byte| *byte != 0) {
            self.pieces.insert(self.size, bytes.into());
        }
        self.size += bytes.len() as u64;
    }
}

impl Source for Sparse {
    type Error = OutOfRange;

    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> Result<(), OutOfRange> {
        let end = at.checked_add(into.len() as u64).filter(|end| *end <= self.size);
        let end = end.ok_or(OutOfRange)?;
        into.fill(0);
        for (start, bytes) in self.pieces.range(..end) {
            for (offset, byte) in bytes.iter().enumerate() {
                let place = start + offset as u64;
                if (at..end).contains(&place) {
                    into[(place - at) as usize] = *byte;
                }
            }
        }
        Ok(())
    }
}

/// An archive whose second payload starts beyond 4 GiB, and the CRC-32 of the first.
fn beyond_4_gib() -> (Sparse, u64) {
    let (mib, count) = (vec![0; 1 << 20], 4097u64);
    let mut crc = crc32fast::Hasher::new();
    (0..count).for_each(|_| crc.update(&mib));
    let mut sparse = Sparse::default();
    let mut writer = Writer::new(|bytes: &[u8]| {
        sparse.append(bytes);
        Ok::<(), Infallible>(())
    });
    writer.entry("manifest.json", b"{}").unwrap();
    writer.start("payload/big.zst", count << 20, crc.finalize()).unwrap();
    (0..count).for_each(|_| writer.data(&mib).unwrap());
    writer.entry("payload/small.zst", b"beyond").unwrap();
    writer.finish().unwrap();
    (sparse, count << 20)
}

#[test]
fn sizes_and_offsets_beyond_4_gib_are_read_and_written() {
    let (mut sparse, big) = beyond_4_gib();
    let archive = Archive::open(&sparse).unwrap();
    let small = archive.entry("payload/small.zst").unwrap();
    assert_eq!(archive.entry("payload/big.zst").unwrap().size, big);
    assert!(small.at > 1 << 32);
    assert_eq!(archive.read(&sparse, "payload/small.zst", 100).unwrap(), b"beyond");
    // The offset in the directory has 64 bits, and each of them counts.
    let offset = small.header_at().to_le_bytes();
    let directory = sparse.pieces.last_entry().unwrap().into_mut();
    let at = directory.windows(8).position(|w| w == offset).unwrap();
    for byte in at..at + 8 {
        sparse.pieces.last_entry().unwrap().into_mut()[byte] ^= 1;
        assert!(matches!(Archive::open(&sparse), Err(ReadError::Archive(ArchiveError::Directory))));
        sparse.pieces.last_entry().unwrap().into_mut()[byte] ^= 1;
    }
    assert!(Archive::open(&sparse).is_ok());
}

#[test]
fn the_stream_follows_beyond_4_gib() {
    let (sparse, _) = beyond_4_gib();
    let (mut stream, mut piece, mut at) = (Stream::new(), vec![0; 1 << 20], 0);
    while at < sparse.size() {
        let len = (sparse.size() - at).min(1 << 20) as usize;
        sparse.read_at(at, &mut piece[..len]).unwrap();
        let mut input = &piece[..len];
        while stream.next(&mut input).unwrap().is_some() {}
        at += len as u64;
    }
    assert_eq!(stream.finish().unwrap(), Archive::open(&sparse).unwrap().entries());
}

proptest! {
    #[test]
    fn noise_never_panics(noise in prop::collection::vec(any::<u8>(), 0..400)) {
        for bytes in [noise.clone(), [b"PK\x03\x04", &noise[..]].concat()] {
            prop_assert!(opened(&bytes).is_err());
            prop_assert!(streamed(&bytes, 7).is_err());
            prop_assert!(Package::open(&bytes[..]).is_err());
        }
    }

    #[test]
    fn both_readers_agree_on_mutations(
        flips in prop::collection::vec((any::<Index>(), any::<u8>()), 0..4),
        cut in any::<Index>(),
        paste in any::<Index>(),
    ) {
        let mut bytes = small();
        for (at, value) in flips {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let cut = cut.index(bytes.len());
        let pasted = [&bytes[..cut], &bytes[paste.index(bytes.len())..]].concat();
        for bytes in [bytes, pasted] {
            // The archive leaves checksums to those who read the entries.
            let sound = |archive: &Archive| {
                archive.entries().iter().all(|e| archive.read(&bytes[..], &e.name, 1 << 20).is_ok())
            };
            let by_place = Archive::open(&bytes[..]).is_ok_and(|archive| sound(&archive));
            prop_assert_eq!(by_place, streamed(&bytes, 11).is_ok());
        }
    }
}
