//! What share of the compressed bytes could be opened, by kind of container.

use anyhow::{Result, ensure};
use delta::open::ContainerKind;
use delta::{DiffOptions, Effort};
use std::collections::BTreeMap;
use std::fmt;

/// What is promised to be opened, of the kinds below that occur.
const LEAST: f64 = 95.0;
/// Of so many bytes of a kind: those few that a kernel has to test its own readers with
/// say nothing of firmware.
const TELLING: u64 = 64 << 10;
/// The kinds of which so much is promised.
const PROMISED: [ContainerKind; 9] = [
    ContainerKind::Bare,
    ContainerKind::Squashfs,
    ContainerKind::Ext4,
    ContainerKind::Fat,
    ContainerKind::Tar,
    ContainerKind::Cpio,
    ContainerKind::Fit,
    ContainerKind::LegacyImage,
    ContainerKind::Kernel,
];
/// The kinds that the small pairs have: that one is not found is an error, too.
const PRESENT: [ContainerKind; 3] =
    [ContainerKind::Squashfs, ContainerKind::Ext4, ContainerKind::Fit];
/// Heap of the largest class of devices: a kernel's 32 MiB dictionary takes more than
/// any smaller one has.
const HEAP: u64 = 512 << 20;

/// Compressed bytes of all images together.
#[derive(Default)]
pub(super) struct Shares(BTreeMap<ContainerKind, Share>);

#[derive(Default)]
struct Share {
    seen: u64,
    opened: u64,
}

impl Shares {
    /// Counts what a delta opens of what changed. What pays to be opened depends on the old
    /// image: so does what can be told of an encoder's choice.
    ///
    /// # Errors
    /// The delta could not be made.
    pub(super) fn count(&mut self, old: &[u8], new: &[u8]) -> Result<()> {
        let options =
            DiffOptions { max_heap: HEAP, effort: Effort::Fast, ..DiffOptions::default() };
        for (kind, row) in delta::diff(old, new, &options, &())?.census.rows {
            let share = self.0.entry(kind).or_default();
            share.seen += row.seen.bytes - row.unchanged.bytes;
            share.opened += row.opened.bytes + row.corrected.bytes;
        }
        Ok(())
    }

    /// Fails where too little could be opened.
    pub(super) fn check(&self) -> Result<()> {
        for (kind, share) in &self.0 {
            let (name, percent) = (kind.name(), share.percent());
            let promised = PROMISED.contains(kind) && share.seen >= TELLING;
            let enough = percent >= LEAST || !promised;
            ensure!(enough, "of {name} only {percent:.1} % of the bytes are opened");
        }
        Ok(())
    }

    /// Fails where what the small pairs have was not found.
    pub(super) fn check_small(&self) -> Result<()> {
        for kind in PRESENT {
            ensure!(self.0.contains_key(&kind), "no {} was found", kind.name());
        }
        Ok(())
    }
}

impl Share {
    fn percent(&self) -> f64 {
        if self.seen == 0 { 100.0 } else { self.opened as f64 * 100.0 / self.seen as f64 }
    }
}

impl fmt::Display for Shares {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("opened of the compressed bytes:")?;
        for (at, (kind, share)) in self.0.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            write!(f, "{comma} {} {:.1} %", kind.name(), share.percent())?;
        }
        Ok(())
    }
}
