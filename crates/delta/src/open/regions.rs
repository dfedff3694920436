//! Which part of the bytes which container takes up: for the census only, as
//! streams are found by their own signatures inside all of them.

use super::Region;
use super::bytes::{be32_at, u16_at, u32_at, u64_at};
use super::census::ContainerKind as Kind;
use super::{closed, sparse, ubi};

/// A signature, how far into its container it lies, and what finds the end.
struct Signature {
    bytes: &'static [u8],
    into: usize,
    kind: Kind,
    /// The container's length, given the bytes from its start.
    len: fn(&[u8]) -> Option<usize>,
}

const SIGNATURES: [Signature; 20] = [
    Signature { bytes: b"\x53\xef", into: 0x438, kind: Kind::Ext4, len: ext4 },
    Signature { bytes: b"FAT12   ", into: 54, kind: Kind::Fat, len: fat },
    Signature { bytes: b"FAT16   ", into: 54, kind: Kind::Fat, len: fat },
    Signature { bytes: b"FAT32   ", into: 82, kind: Kind::Fat, len: fat },
    Signature { bytes: b"ustar", into: 257, kind: Kind::Tar, len: tar },
    Signature { bytes: b"070701", into: 0, kind: Kind::Cpio, len: cpio },
    Signature { bytes: b"070702", into: 0, kind: Kind::Cpio, len: cpio },
    Signature { bytes: b"\xd0\x0d\xfe\xed", into: 0, kind: Kind::Fit, len: fit },
    Signature { bytes: b"\x27\x05\x19\x56", into: 0, kind: Kind::LegacyImage, len: legacy },
    Signature { bytes: b"\x18\x28\x6f\x01", into: 0x24, kind: Kind::Kernel, len: zimage },
    Signature { bytes: b"\x01\x6f\x28\x18", into: 0x24, kind: Kind::Kernel, len: zimage_be },
    Signature { bytes: b"HdrS", into: 0x202, kind: Kind::Kernel, len: bzimage },
    Signature { bytes: b"zimg", into: 4, kind: Kind::Kernel, len: zboot },
    Signature { bytes: b"\x3a\xff\x26\xed", into: 0, kind: Kind::AndroidSparse, len: sparse::len },
    Signature { bytes: b"\xe2\xe1\xf5\xe0", into: 1024, kind: Kind::Erofs, len: closed::erofs },
    Signature { bytes: b"\x04\x22\x4d\x18", into: 0, kind: Kind::Lz4, len: closed::lz4 },
    Signature { bytes: b"\x02\x21\x4c\x18", into: 0, kind: Kind::Lz4, len: closed::lz4_legacy },
    Signature { bytes: b"UBI#\x01", into: 0, kind: Kind::Ubi, len: ubi::len },
    Signature { bytes: b"\x7fELF", into: 0, kind: Kind::Kernel, len: elf_kernel },
    Signature {
        bytes: b"ANDROID!",
        into: 0,
        kind: Kind::AndroidBoot,
        len: |bytes| Some(bytes.len()),
    },
];

/// The first two bytes of all signatures.
pub(super) fn starts() -> impl Iterator<Item = [u8; 2]> {
    SIGNATURES.iter().filter_map(|signature| signature.bytes.first_chunk().copied())
}

/// The container that shows itself at `at` and is none that is `known` to hold this place
/// already: to find the end of one takes long, and an archive shows itself at each of its
/// files.
pub(super) fn region(bytes: &[u8], at: usize, known: impl Fn(Kind) -> bool) -> Option<Region> {
    let rest = bytes.get(at..)?;
    let two = rest.first_chunk::<2>()?;
    // Most of what has a first byte has none of the second ones: that is seen here.
    let mut alike = SIGNATURES.iter().filter(|it| it.bytes.first_chunk() == Some(two));
    alike.find_map(|signature| {
        let shows = rest.starts_with(signature.bytes) && !known(signature.kind);
        shows.then_some(())?;
        let start = at.checked_sub(signature.into)?;
        let rest = bytes.get(start..)?;
        let len = (signature.len)(rest)?.min(rest.len());
        Some(Region { range: start..start + len, kind: signature.kind })
    })
}

fn ext4(bytes: &[u8]) -> Option<usize> {
    let log = u32_at(bytes, 0x418)?;
    let group = u16_at(bytes, 0x45a)?;
    (log <= 6 && u32_at(bytes, 0x44c)? <= 1 && group == 0).then_some(())?;
    (u32_at(bytes, 0x404)? as usize).checked_mul(1024 << log)
}

fn fat(bytes: &[u8]) -> Option<usize> {
    let sector = usize::from(u16_at(bytes, 11)?);
    let sound = matches!(sector, 512 | 1024 | 2048 | 4096) && u16_at(bytes, 510)? == 0xaa55;
    sound.then_some(())?;
    let few = usize::from(u16_at(bytes, 19)?);
    let sectors = if few == 0 { u32_at(bytes, 32)? as usize } else { few };
    sectors.checked_mul(sector)
}

/// A number in text.
fn digits(bytes: &[u8], at: usize, len: usize, radix: u32) -> Option<usize> {
    let text = core::str::from_utf8(bytes.get(at..at.checked_add(len)?)?).ok()?;
    usize::from_str_radix(text.trim_matches(['\0', ' ']), radix).ok()
}

fn tar(bytes: &[u8]) -> Option<usize> {
    let mut at = 0usize;
    while bytes.get(at + 257..at + 262) == Some(b"ustar") {
        let head = bytes.get(at..at + 512)?;
        // The sum counts its own field as spaces.
        let sum: usize = head.iter().map(|byte| usize::from(*byte)).sum();
        let own: usize = head.iter().skip(148).take(8).map(|byte| usize::from(*byte)).sum();
        if digits(head, 148, 8, 8) != Some(sum - own + 8 * 32) {
            break;
        }
        let size = digits(head, 124, 12, 8)?.checked_next_multiple_of(512)?;
        at = at.checked_add(512)?.checked_add(size)?;
    }
    (at > 0).then(|| at + 1024)
}

fn cpio(bytes: &[u8]) -> Option<usize> {
    let mut at = 0usize;
    loop {
        let head = bytes.get(at..at.checked_add(110)?)?;
        if !head.starts_with(b"07070") {
            return (at > 0).then_some(at);
        }
        let name = digits(head, 94, 8, 16)?;
        let text = at + 110;
        let content = text.checked_add(name)?.checked_next_multiple_of(4)?;
        let last = bytes.get(text..text + 10) == Some(b"TRAILER!!!");
        let size = digits(head, 54, 8, 16)?;
        at = content.checked_add(size)?.checked_next_multiple_of(4)?;
        if last {
            return Some(at);
        }
    }
}

fn fit(bytes: &[u8]) -> Option<usize> {
    let total = be32_at(bytes, 4)? as usize;
    let (strings, len) = (be32_at(bytes, 12)? as usize, be32_at(bytes, 32)? as usize);
    let tree = bytes.get(..total)?;
    tree.windows(8).take(4096).any(|name| name == b"\x01images\0").then_some(())?;
    let names = tree.get(strings..strings.checked_add(len)?)?;
    let external = names.windows(5).any(|name| name == b"data-");
    // Data outside of the tree follows it; where it ends only its nodes say.
    Some(if external { bytes.len() } else { total })
}

fn legacy(bytes: &[u8]) -> Option<usize> {
    (be32_at(bytes, 12)? as usize).checked_add(64)
}

fn zimage(bytes: &[u8]) -> Option<usize> {
    (u32_at(bytes, 0x2c)? as usize).checked_sub(u32_at(bytes, 0x28)? as usize)
}

fn zimage_be(bytes: &[u8]) -> Option<usize> {
    (be32_at(bytes, 0x2c)? as usize).checked_sub(be32_at(bytes, 0x28)? as usize)
}

/// The Linux/x86 boot protocol: setup sectors and the protected-mode code.
fn bzimage(bytes: &[u8]) -> Option<usize> {
    (u16_at(bytes, 0x1fe)? == 0xaa55).then_some(())?;
    let setup = match *bytes.get(0x1f1)? {
        0 => 4,
        sectors => usize::from(sectors),
    };
    (u32_at(bytes, 0x1f4)? as usize).checked_mul(16)?.checked_add((setup + 1) * 512)
}

/// The EFI program around a compressed kernel: payload offset and size.
fn zboot(bytes: &[u8]) -> Option<usize> {
    bytes.starts_with(b"MZ").then_some(())?;
    (u32_at(bytes, 8)? as usize).checked_add(u32_at(bytes, 12)? as usize)
}

/// A program for MIPS, as its kernels are; up to the section headers at its end.
fn elf_kernel(bytes: &[u8]) -> Option<usize> {
    let (wide, big) = (*bytes.get(4)? == 2, *bytes.get(5)? == 2);
    let short = |at| u16_at(bytes, at).map(|n| if big { n.swap_bytes() } else { n });
    // An executable, for MIPS.
    (short(16)? == 2 && short(18)? == 8).then_some(())?;
    let (sections, size, count) = if wide {
        let at = u64_at(bytes, 40)?;
        (if big { at.swap_bytes() } else { at }, short(58)?, short(60)?)
    } else {
        let at = if big { be32_at(bytes, 32)? } else { u32_at(bytes, 32)? };
        (at.into(), short(46)?, short(48)?)
    };
    usize::try_from(sections).ok()?.checked_add(usize::from(size) * usize::from(count))
}
