//! What was found in an image, by container: the figures behind `--explain`.

use alloc::collections::BTreeMap;
use core::fmt;

/// What a compressed stream lies in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ContainerKind {
    /// Found by its signature, in nothing that is known.
    Bare,
    /// A squashfs.
    Squashfs,
    /// An ext2, ext3 or ext4 file system.
    Ext4,
    /// A FAT file system.
    Fat,
    /// A tar archive.
    Tar,
    /// A cpio archive, as initial RAM disks are.
    Cpio,
    /// A flattened image tree of U-Boot.
    Fit,
    /// A legacy image of U-Boot.
    LegacyImage,
    /// A kernel that extracts itself.
    Kernel,
    /// A zip archive.
    Zip,
    /// An Android boot image.
    AndroidBoot,
    /// An Android sparse image.
    AndroidSparse,
    /// Volumes of UBI.
    Ubi,
}

impl ContainerKind {
    /// As it is printed.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare stream",
            Self::Squashfs => "squashfs",
            Self::Ext4 => "ext4",
            Self::Fat => "fat",
            Self::Tar => "tar",
            Self::Cpio => "cpio",
            Self::Fit => "fit",
            Self::LegacyImage => "legacy image",
            Self::Kernel => "kernel",
            Self::Zip => "zip",
            Self::AndroidBoot => "android boot",
            Self::AndroidSparse => "android sparse",
            Self::Ubi => "ubi",
        }
    }
}

/// Why a stream was left as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// No known parameters make these bytes of its content.
    NoRecipe,
    /// Making it takes more memory than allowed.
    Heap,
    /// The image has more streams or content than the limits allow.
    Limit,
    /// Its pieces do not follow each other in the image, or much lies between them.
    Pieces,
}

impl Reason {
    /// As it is printed.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoRecipe => "no recipe makes it",
            Self::Heap => "needs more memory than allowed",
            Self::Limit => "beyond the limits",
            Self::Pieces => "lies in scattered pieces",
        }
    }
}

/// Streams and their compressed bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// How many.
    pub streams: u64,
    /// Compressed bytes.
    pub bytes: u64,
}

impl Tally {
    fn add(&mut self, bytes: u64) {
        self.streams += 1;
        self.bytes += bytes;
    }
}

/// What became of a kind of container's streams.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Row {
    /// All that were found.
    pub seen: Tally,
    /// Held by the old image as they are.
    pub unchanged: Tally,
    /// Opened; a recipe makes them exactly.
    pub opened: Tally,
    /// Opened; a recipe makes them with a correction.
    pub corrected: Tally,
    /// Bytes of those corrections.
    pub correction_bytes: u64,
    /// Left as they are.
    pub raw: BTreeMap<Reason, Tally>,
}

/// What becomes of one stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Unchanged,
    Opened,
    Corrected(u64),
    Raw(Reason),
}

/// What was found, by container.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Census {
    /// A row for each kind that occurs.
    pub rows: BTreeMap<ContainerKind, Row>,
}

impl Census {
    pub(super) fn count(&mut self, kind: ContainerKind, bytes: u64, fate: Fate) {
        let row = self.rows.entry(kind).or_default();
        row.seen.add(bytes);
        match fate {
            Fate::Unchanged => row.unchanged.add(bytes),
            Fate::Opened => row.opened.add(bytes),
            Fate::Corrected(cost) => {
                row.corrected.add(bytes);
                row.correction_bytes += cost;
            }
            Fate::Raw(reason) => row.raw.entry(reason).or_default().add(bytes),
        }
    }

    pub(super) fn join(&mut self, other: &Self) {
        for (kind, from) in &other.rows {
            let to = self.rows.entry(*kind).or_default();
            let pairs = [
                (&mut to.seen, from.seen),
                (&mut to.unchanged, from.unchanged),
                (&mut to.opened, from.opened),
                (&mut to.corrected, from.corrected),
            ];
            for (to, from) in pairs {
                to.streams += from.streams;
                to.bytes += from.bytes;
            }
            to.correction_bytes += from.correction_bytes;
            for (reason, from) in &from.raw {
                let to = to.raw.entry(*reason).or_default();
                to.streams += from.streams;
                to.bytes += from.bytes;
            }
        }
    }
}

impl Row {
    /// The share of compressed bytes that need not be sent as they are, in percent.
    pub fn opened_percent(&self) -> f64 {
        let good = self.unchanged.bytes + self.opened.bytes + self.corrected.bytes;
        if self.seen.bytes == 0 { 100.0 } else { good as f64 * 100.0 / self.seen.bytes as f64 }
    }
}

impl fmt::Display for Census {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (kind, row) in &self.rows {
            write!(
                out,
                "{}: {} streams, {} compressed bytes, {:.1} % opened",
                kind.name(),
                row.seen.streams,
                row.seen.bytes,
                row.opened_percent()
            )?;
            if row.unchanged.streams > 0 {
                write!(out, "; {} bytes unchanged", row.unchanged.bytes)?;
            }
            if row.corrected.streams > 0 {
                let (bytes, cost) = (row.corrected.bytes, row.correction_bytes);
                write!(out, "; {bytes} bytes corrected by {cost}")?;
            }
            for (reason, tally) in &row.raw {
                write!(out, "; {} bytes raw: {}", tally.bytes, reason.name())?;
            }
            writeln!(out)?;
        }
        Ok(())
    }
}
