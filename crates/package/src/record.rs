//! The archive's records (PKWARE APPNOTE 6.3.10), each in its one byte form.
//!
//! Always zip64, never compressed, never dated, no comments: equal content gives
//! equal bytes, and a reader can compare instead of interpret.

use alloc::string::String;
use alloc::vec::Vec;

/// Bytes of a local header before the name (4.3.7).
pub(crate) const LOCAL_FIXED: usize = 30;
/// Bytes of a local header's zip64 field (4.5.3).
pub(crate) const LOCAL_EXTRA: usize = 20;
/// First bytes of a local header.
pub(crate) const LOCAL_MAGIC: [u8; 4] = *b"PK\x03\x04";

/// The version that made it and the one needed to read it: 4.5, for zip64.
const VERSION: u16 = 45;
/// 1980-01-01 in MS-DOS form: the earliest date there is.
const DATE: u16 = 0x21;
/// "See the zip64 field."
const IN_ZIP64: u32 = u32::MAX;

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// One or two names, separated by a slash.
    pub name: String,
    /// Where its bytes start in the archive.
    pub at: u64,
    /// How many bytes it has.
    pub size: u64,
    /// CRC-32 (ISO 3309) of its bytes.
    pub crc32: u32,
}

impl Entry {
    /// Where its local header starts.
    pub(crate) fn header_at(&self) -> u64 {
        self.at.saturating_sub(local_len(&self.name))
    }
}

/// Bytes of the local header of an entry with this name.
pub(crate) fn local_len(name: &str) -> u64 {
    u64::try_from(LOCAL_FIXED + name.len() + LOCAL_EXTRA).unwrap_or(u64::MAX)
}

/// The local header of `entry`.
pub(crate) fn local(entry: &Entry) -> Vec<u8> {
    let mut out = Vec::with_capacity(LOCAL_FIXED + entry.name.len() + LOCAL_EXTRA);
    out.extend(LOCAL_MAGIC);
    shared(&mut out, entry, 20);
    out.extend(entry.name.as_bytes());
    zip64_field(&mut out, &[entry.size, entry.size]);
    out
}

/// Everything after the last entry: central directory and its three end records.
/// `start` is where the directory starts in the archive, in bytes.
pub(crate) fn tail(entries: &[Entry], start: u64) -> Vec<u8> {
    let mut out = Vec::new();
    entries.iter().for_each(|entry| central(&mut out, entry));
    let size = u64::try_from(out.len()).unwrap_or(u64::MAX);
    let count = u64::try_from(entries.len()).unwrap_or(u64::MAX);
    end64(&mut out, count, size, start);
    locator(&mut out, start.saturating_add(size));
    end(&mut out);
    out
}

/// What local and central headers have in common, from the needed version to
/// the lengths of name and zip64 field.
fn shared(out: &mut Vec<u8>, entry: &Entry, extra: u16) {
    let name_len = u16::try_from(entry.name.len()).unwrap_or(u16::MAX);
    let (flags, method, time) = (0u16, 0u16, 0u16);
    for field in [VERSION, flags, method, time, DATE] {
        out.extend(field.to_le_bytes());
    }
    for field in [entry.crc32, IN_ZIP64, IN_ZIP64] {
        out.extend(field.to_le_bytes());
    }
    out.extend(name_len.to_le_bytes());
    out.extend(extra.to_le_bytes());
}

fn zip64_field(out: &mut Vec<u8>, values: &[u64]) {
    let size = u16::try_from(8 * values.len()).unwrap_or(u16::MAX);
    out.extend(1u16.to_le_bytes());
    out.extend(size.to_le_bytes());
    values.iter().for_each(|value| out.extend(value.to_le_bytes()));
}

/// One entry of the central directory (4.3.12).
fn central(out: &mut Vec<u8>, entry: &Entry) {
    out.extend(b"PK\x01\x02");
    out.extend(VERSION.to_le_bytes());
    shared(out, entry, 28);
    // No comment, on disk 0, no attributes inside or outside.
    out.extend([0; 2 + 2 + 2 + 4]);
    out.extend(IN_ZIP64.to_le_bytes());
    out.extend(entry.name.as_bytes());
    zip64_field(out, &[entry.size, entry.size, entry.header_at()]);
}

/// The zip64 end of the central directory (4.3.14).
fn end64(out: &mut Vec<u8>, count: u64, size: u64, start: u64) {
    out.extend(b"PK\x06\x06");
    // Bytes of the rest of this record.
    out.extend(44u64.to_le_bytes());
    out.extend(VERSION.to_le_bytes());
    out.extend(VERSION.to_le_bytes());
    // This disk, and the one on which the directory starts.
    out.extend([0; 8]);
    for field in [count, count, size, start] {
        out.extend(field.to_le_bytes());
    }
}

/// Where the zip64 end is (4.3.15).
fn locator(out: &mut Vec<u8>, end64_at: u64) {
    out.extend(b"PK\x06\x07");
    out.extend(0u32.to_le_bytes());
    out.extend(end64_at.to_le_bytes());
    out.extend(1u32.to_le_bytes());
}

/// The old end record (4.3.16); every number in it is in the zip64 one.
fn end(out: &mut Vec<u8>) {
    out.extend(b"PK\x05\x06");
    out.extend([0; 4]);
    out.extend(u16::MAX.to_le_bytes());
    out.extend(u16::MAX.to_le_bytes());
    out.extend(IN_ZIP64.to_le_bytes());
    out.extend(IN_ZIP64.to_le_bytes());
    out.extend(0u16.to_le_bytes());
}
