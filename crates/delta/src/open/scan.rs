//! Goes through bytes once and finds compressed streams: by structure where a
//! container has one, by signature everywhere else.

use super::bytes::{u16_at, u32_at};
use super::census::{ContainerKind, Reason};
use super::squashfs::{self, Role};
use super::unpack::{Unpacked, unpack_counted};
use super::{Form, Found, Place, Region, erofs, pieces, regions};
use crate::codec::deflate::adler32;
use crate::codec::lzma::crc32;
use crate::patch::Holes;
use crate::recipe::Framing;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ops::Range;
use std::sync::LazyLock;

/// What a scan found.
pub(super) struct Scan {
    pub(super) found: Vec<Found>,
    pub(super) places: Vec<Place>,
    /// What was found and cannot be opened: its kind, its bytes and why.
    pub(super) left: Vec<Left>,
    /// A stream was given up because it holds more than there may be.
    pub(super) is_beyond: bool,
}

pub(super) type Left = (ContainerKind, u64, Reason);

/// How deep containers that cut files up are followed into each other: a file system in
/// a sparse image, and two more.
const CUT_MAX: usize = 4;

/// Content below this size is not worth a recipe.
const CONTENT_MIN: usize = 64;

/// Bytes that may be decoded in vain, as a multiple of the image, before signatures
/// are no longer followed: hostile bytes are full of beginnings.
const IN_VAIN: usize = 4;
/// ... and at least this many.
const IN_VAIN_FLOOR: usize = 64 << 20;

/// Bytes of files that are put together, as a multiple of the image: damaged file systems
/// give the same blocks to many.
const GATHERED: usize = 4;
/// ... and at least this many.
const GATHERED_FLOOR: usize = 64 << 20;

/// What starting a decoder costs, in bytes that could have been decoded.
const START: usize = 1 << 10;

/// Finds the streams in `bytes` whose content together has at most `most` bytes.
pub(super) fn scan(bytes: &[u8], most: usize) -> Scan {
    let gathered = bytes.len().saturating_mul(GATHERED).max(GATHERED_FLOOR);
    let (mut scan, _) = sweep(bytes, most, CUT_MAX, gathered);
    apart(&mut scan);
    scan
}

/// Where streams lie between the pieces of another, the one with fewer bytes is given up.
fn apart(scan: &mut Scan) {
    if scan.found.iter().all(|found| found.holes.is_empty()) {
        return;
    }
    scan.found.sort_by_key(|found| found.range.start);
    let mut kept: Vec<Found> = Vec::with_capacity(scan.found.len());
    for found in scan.found.drain(..) {
        let over = kept.pop_if(|last| last.range.end > found.range.start);
        let (stays, goes) = match over {
            Some(last) if last.encoded() >= found.encoded() => (last, Some(found)),
            last => (found, last),
        };
        scan.left.extend(goes.map(|goes| (goes.kind, goes.encoded() as u64, Reason::Pieces)));
        kept.push(stays);
    }
    scan.found = kept;
}

/// What is found, and how many bytes of files may still be put together.
fn sweep(bytes: &[u8], most: usize, cuts: usize, gathered: usize) -> (Scan, usize) {
    let mut sweep = Sweep {
        bytes,
        most,
        in_vain: bytes.len().saturating_mul(IN_VAIN).max(IN_VAIN_FLOOR),
        found: Vec::new(),
        places: Vec::new(),
        regions: Vec::new(),
        blocks: Vec::new(),
        passed: Vec::new(),
        left: Vec::new(),
        is_beyond: false,
        cuts,
        gathered,
    };
    let (mut at, starts) = (0, &*STARTS);
    while let Some(rest) = bytes.get(at..) {
        let Some(hit) = rest.array_windows().position(|pair| starts.has(*pair)) else { break };
        at += hit;
        at = match sweep.behind_block(at) {
            Some(end) => end,
            None => sweep.look(at).max(at + 1),
        };
    }
    let left = sweep.gathered;
    (sweep.conclude(), left)
}

/// The first two bytes of all that is looked for.
static STARTS: LazyLock<Pairs> = LazyLock::new(|| {
    let alone = ALONE_PROPERTIES.map(|properties| [properties, 0]);
    Pairs::new(regions::starts().chain(STREAMS).chain(alone))
});

/// The first two bytes of a squashfs and of what [`stream_start`] knows, but for LZMA alone
/// and what regions share.
const STREAMS: [[u8; 2]; 10] = [
    *b"hs",
    [0x1f, 0x8b],
    [0xfd, b'7'],
    [0x28, 0xb5],
    [0x78, 0x01],
    [0x78, 0x5e],
    [0x78, 0x9c],
    [0x78, 0xda],
    *b"PK",
    *b"LZ",
];

/// A set of pairs of bytes, a bit for each.
struct Pairs([u64; 1 << 10]);

impl Pairs {
    fn new(pairs: impl Iterator<Item = [u8; 2]>) -> Self {
        let mut set = [0; 1 << 10];
        for pair in pairs.map(u16::from_le_bytes) {
            set.get_mut(usize::from(pair >> 6))
                .into_iter()
                .for_each(|bits| *bits |= 1 << (pair & 63));
        }
        Self(set)
    }

    #[inline]
    fn has(&self, pair: [u8; 2]) -> bool {
        let pair = u16::from_le_bytes(pair);
        self.0.get(usize::from(pair >> 6)).is_some_and(|bits| bits >> (pair & 63) & 1 != 0)
    }
}

struct Sweep<'a> {
    bytes: &'a [u8],
    most: usize,
    in_vain: usize,
    found: Vec<Found>,
    places: Vec<Place>,
    regions: Vec<Region>,
    /// Compressed blocks of file systems that are not passed yet, the next one last.
    blocks: Vec<Range<usize>>,
    /// Pieces of files that were looked through, the next one last.
    passed: Vec<Range<usize>>,
    left: Vec<Left>,
    is_beyond: bool,
    /// How deep containers may cut up what was cut up.
    cuts: usize,
    /// Bytes of files that may still be put together.
    gathered: usize,
}

impl Sweep<'_> {
    /// Where the compressed block ends that holds a place: nothing else is in it.
    fn behind_block(&mut self, at: usize) -> Option<usize> {
        while self.blocks.pop_if(|block| block.end <= at).is_some() {}
        while self.passed.pop_if(|piece| piece.end <= at).is_some() {}
        let next = [self.blocks.last(), self.passed.last()];
        next.into_iter().flatten().find(|block| block.start <= at).map(|block| block.end)
    }

    /// Deals with what starts at `at`; says where to go on.
    fn look(&mut self, at: usize) -> usize {
        let rest = self.bytes.get(at..).unwrap_or_default();
        if let Some(behind) = self.squashfs(rest, at) {
            return behind;
        }
        let known =
            |kind| self.regions.iter().any(|known| known.kind == kind && known.range.contains(&at));
        if let Some(region) = regions::region(self.bytes, at, known) {
            if region.kind == ContainerKind::Erofs {
                self.erofs(&region.range);
            }
            self.cut_up(&region);
            self.regions.push(region);
        }
        match stream_start(rest) {
            Some((form, header)) => self.stream(form, at + header).unwrap_or_else(|| {
                self.closed(form, at);
                at
            }),
            None => at,
        }
    }

    /// Looks through the files of a container that lie in several pieces.
    fn cut_up(&mut self, region: &Region) {
        let Some(cuts) = self.cuts.checked_sub(1) else { return };
        let base = region.range.start;
        let Some(bytes) = self.bytes.get(region.range.clone()) else { return };
        for file in pieces::files(region.kind, bytes, self.gathered) {
            let Some(left) = self.gathered.checked_sub(file.len()) else { break };
            let Some(content) = file.gather(bytes) else { continue };
            let (scan, left) = sweep(&content, self.most, cuts, left);
            self.gathered = left;
            self.passed.extend(file.ranges(base));
            let places = self.places.len();
            self.places.extend(scan.places);
            self.left.extend(scan.left);
            self.is_beyond |= scan.is_beyond;
            for mut found in scan.found {
                if found.kind == ContainerKind::Bare {
                    found.kind = region.kind;
                }
                found.place += places;
                let held = found.plain.as_ref().map_or(0, |(plain, _)| plain.len());
                let Some((range, holes)) = file.place(&found.range, &found.holes) else {
                    self.left.push((found.kind, found.encoded() as u64, Reason::Pieces));
                    continue;
                };
                self.most = self.most.saturating_sub(held);
                (found.range, found.holes) = (range.start + base..range.end + base, holes);
                self.found.push(found);
            }
        }
        self.passed.sort_by_key(|piece| core::cmp::Reverse(piece.start));
    }

    /// Tries to decode a stream; says where it ends.
    fn stream(&mut self, form: Form, start: usize) -> Option<usize> {
        let next = [self.blocks.last(), self.passed.last()];
        let next = next.into_iter().flatten().map(|block| block.start).min();
        let end = next.unwrap_or(self.bytes.len());
        let rest = self.bytes.get(start..end)?;
        if self.in_vain == 0 {
            return None;
        }
        let mut spent = 0;
        let unpacked = unpack_counted(form, rest, self.most, &mut spent);
        self.is_beyond |= spent > self.most;
        let Some(unpacked) = unpacked.filter(|unpacked| sound(form, rest, unpacked)) else {
            self.in_vain = self.in_vain.saturating_sub(spent + START);
            return None;
        };
        self.most = self.most.saturating_sub(unpacked.plain.len());
        let range = start..start + unpacked.consumed;
        let end = range.end;
        let most = unpacked.plain.len();
        let plain = Some((unpacked.plain, unpacked.recipe));
        let kind = ContainerKind::Bare;
        self.found.push(Found {
            range,
            holes: Holes::default(),
            form,
            kind,
            place: usize::MAX,
            most,
            plain,
        });
        Some(end)
    }

    /// Takes note of the blocks of a squashfs; says where its superblock ends. What it
    /// stores as it is, files that are compressed already, is looked through as well.
    fn squashfs(&mut self, rest: &[u8], at: usize) -> Option<usize> {
        if !self.blocks.is_empty() {
            // One in another that is not compressed; its blocks are none of the other's.
            return None;
        }
        let image = squashfs::read(rest)?;
        let (data, metadata) = (self.places.len(), self.places.len() + 1);
        self.places.push(Place::of(image.hints()));
        self.places.push(Place::of(image.hints()));
        if image.form.is_none() {
            let bytes = image.range.len() as u64;
            self.left.push((ContainerKind::Squashfs, bytes, Reason::Codec));
        }
        let form = image.form.unwrap_or(Form::Raw);
        for block in image.blocks {
            let (place, most) = match block.role {
                Role::Data => (data, image.block_size),
                Role::Metadata => (metadata, squashfs::METADATA),
            };
            let range = shift(&block.range, at);
            let kind = ContainerKind::Squashfs;
            self.blocks.push(range.clone());
            let holes = Holes::default();
            self.found.push(Found { range, holes, form, kind, place, most, plain: None });
        }
        self.blocks.reverse();
        let range = shift(&image.range, at);
        self.regions.push(Region { range, kind: ContainerKind::Squashfs });
        Some(at + squashfs::SUPERBLOCK)
    }

    /// Takes note of the clusters of an erofs.
    fn erofs(&mut self, range: &Range<usize>) {
        if !self.blocks.is_empty() {
            return;
        }
        let kind = ContainerKind::Erofs;
        let Some(image) = self.bytes.get(range.clone()).and_then(erofs::read) else {
            self.left.push((kind, range.len() as u64, Reason::Codec));
            return;
        };
        if image.closed > 0 {
            self.left.push((kind, image.closed as u64, Reason::Codec));
        }
        let place = self.places.len();
        self.places.push(Place::default());
        for (cluster, framing) in image.clusters {
            let range = shift(&cluster, range.start);
            // A byte says 255 bytes of a match at most.
            let (form, most) = (Form::Lz4(framing), range.len().saturating_mul(255));
            self.blocks.push(range.clone());
            let holes = Holes::default();
            self.found.push(Found { range, holes, form, kind, place, most, plain: None });
        }
        self.blocks.reverse();
    }

    /// What looked like a stream of LZ4 is none that can be opened: it is counted.
    fn closed(&mut self, form: Form, at: usize) {
        let Form::Lz4(_) = form else { return };
        let kind = ContainerKind::Lz4;
        let here = |region: &&Region| region.kind == kind && region.range.start == at;
        if let Some(region) = self.regions.iter().find(here) {
            self.left.push((kind, region.range.len() as u64, Reason::Codec));
        }
    }

    /// Gives every stream its container, and its place by that.
    fn conclude(mut self) -> Scan {
        self.regions.sort_by_key(|region| region.range.len());
        let mut places = BTreeMap::new();
        for found in self.found.iter_mut().filter(|found| found.place == usize::MAX) {
            let range = &found.range;
            let holds = |region: &&Region| {
                region.range.start <= range.start && range.end <= region.range.end
            };
            if let Some(region) = self.regions.iter().find(holds) {
                found.kind = region.kind;
            } else if found.form == Form::Raw {
                found.kind = ContainerKind::Zip;
            } else if found.plain.as_ref().is_some_and(|(plain, _)| is_arm64_kernel(plain)) {
                found.kind = ContainerKind::Kernel;
            }
            found.place = *places.entry((found.kind, found.form)).or_insert_with(|| {
                self.places.push(Place::default());
                self.places.len() - 1
            });
        }
        let Self { found, places, left, is_beyond, .. } = self;
        Scan { found, places, left, is_beyond }
    }
}

fn shift(range: &Range<usize>, by: usize) -> Range<usize> {
    range.start + by..range.end + by
}

/// The magic number of an arm64 kernel (Documentation/arch/arm64/booting).
fn is_arm64_kernel(plain: &[u8]) -> bool {
    plain.get(56..60) == Some(b"ARM\x64")
}

/// Which stream's signature `bytes` start with, and how long its header is that is
/// not part of what is decoded.
fn stream_start(bytes: &[u8]) -> Option<(Form, usize)> {
    match bytes {
        [0x1f, 0x8b, 8, ..] => Some((Form::Gzip, gzip_header(bytes)?)),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some((Form::Xz, 0)),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some((Form::Zstd, 0)),
        [4, 0x22, 0x4d, 0x18, ..] => Some((Form::Lz4(Framing::Frame), 0)),
        [2, 0x21, 0x4c, 0x18, ..] => Some((Form::Lz4(Framing::Legacy), 0)),
        [b'L', b'Z', b'I', b'P', 1, ..] => Some((Form::Lzip, 0)),
        [properties, 0, rest @ ..] if ALONE_PROPERTIES.contains(properties) => {
            is_alone(rest).then_some((Form::Alone, 0))
        }
        [0x78, 0x01 | 0x5e | 0x9c | 0xda, ..] => Some((Form::Zlib, 0)),
        [b'P', b'K', 3, 4, ..] => {
            let (names, extra) = (u16_at(bytes, 26)?, u16_at(bytes, 28)?);
            let sound = u16_at(bytes, 8)? == 8 && u16_at(bytes, 6)? & 1 == 0;
            sound.then(|| (Form::Raw, 30 + usize::from(names) + usize::from(extra)))
        }
        _ => None,
    }
}

/// lc, lp and pb of streams of LZMA that are looked for: those of most programs, and what
/// others are told for the code of some processors.
const ALONE_PROPERTIES: [u8; 5] = [0x5d, 0x5e, 0x66, 0x6c, 0x6d];

/// Whether it may be LZMA alone, by what follows properties and a zero: a dictionary of a
/// power of two, or of half of it more; no size or a sensible one; and a coder's first byte.
fn is_alone(rest: &[u8]) -> bool {
    let Some(([a, b, c, size @ .., first], _)) = rest.split_first_chunk::<12>() else {
        return false;
    };
    let size: [u8; 8] = *size;
    let (dictionary, size) = (u32::from_le_bytes([0, *a, *b, *c]), u64::from_le_bytes(size));
    let sizes = size == u64::MAX || (CONTENT_MIN as u64..1 << 40).contains(&size);
    let high = dictionary.checked_ilog2().unwrap_or(0);
    let power = high >= 12 && matches!(dictionary >> (high - 1), 2 | 3);
    *first == 0 && sizes && power && dictionary.trailing_zeros() + 1 >= high
}

/// The length of a gzip header (RFC 1952, 2.3).
fn gzip_header(bytes: &[u8]) -> Option<usize> {
    let flags = *bytes.get(3)?;
    (flags & 0xe0 == 0).then_some(())?;
    let mut at = 10;
    if flags & 4 != 0 {
        at += 2 + usize::from(u16_at(bytes, at)?);
    }
    // File name and comment are terminated by zero.
    for _ in 0..(flags >> 3 & 1) + (flags >> 4 & 1) {
        at += bytes.get(at..)?.iter().position(|byte| *byte == 0)? + 1;
    }
    Some(at + if flags & 2 == 0 { 0 } else { 2 })
}

/// Whether a decoded stream is one, by its own sum, and worth opening.
fn sound(form: Form, encoded: &[u8], unpacked: &Unpacked) -> bool {
    let Unpacked { plain, consumed, .. } = unpacked;
    let tail = |len: usize| u32_at(encoded, consumed.checked_sub(len)?);
    plain.len() >= CONTENT_MIN
        && match form {
            Form::Gzip => tail(8) == Some(crc32(plain, 0)) && tail(4) == Some(plain.len() as u32),
            Form::Zlib => tail(4).map(u32::swap_bytes) == Some(adler32(plain, 1)),
            Form::Lzip => u32_at(encoded, consumed.saturating_sub(20)) == Some(crc32(plain, 0)),
            Form::Raw | Form::Xz | Form::Zstd | Form::Alone | Form::Lz4(_) => true,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_starts_streams_is_looked_for() {
        let alone = [0, 0, 1, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0];
        let zip = [3, 4, 20, 0, 0, 0, 8, 0];
        let tails = [&[8, 0][..], b"zXZ\0", &[0x2f, 0xfd], &[0x4d, 0x18], &[0x4c, 0x18], b"IP\x01"];
        let mut known = 0;
        for pair in (0..=u16::MAX).map(u16::to_le_bytes) {
            let starts = |tail: &[u8]| {
                let mut bytes = [&pair, tail].concat();
                bytes.resize(64, 0);
                stream_start(&bytes).is_some()
            };
            if tails.into_iter().chain([&alone[1..], &zip]).any(starts) {
                assert!(STARTS.has(pair), "{pair:?}");
                known += 1;
            }
        }
        assert_eq!(known, STREAMS.len() - 1 + ALONE_PROPERTIES.len() + 2);
        assert!(regions::starts().all(|pair| STARTS.has(pair)) && !STARTS.has([0, 0]));
    }
}
