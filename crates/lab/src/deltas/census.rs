//! What share of the compressed bytes could be opened, by kind of container.

use anyhow::{Context, Result, ensure};
use delta::open::{ContainerKind, OpenOptions, Purpose, open};
use std::collections::BTreeMap;
use std::fmt;

/// The least share in percent of each kind that is promised to be opened.
const LEAST: [(ContainerKind, f64); 1] = [(ContainerKind::Squashfs, 95.0)];
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
    /// Opens `image` as if the old one held nothing of it.
    pub(super) fn count(&mut self, image: &[u8]) {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let options = OpenOptions { purpose: Purpose::New, max_heap: HEAP, threads };
        for (kind, row) in open(image, &options, &|_| false, &|_| ()).census.rows {
            let share = self.0.entry(kind).or_default();
            share.seen += row.seen.bytes;
            share.opened += row.opened.bytes + row.corrected.bytes;
        }
    }

    /// Fails where too little could be opened.
    pub(super) fn check(&self) -> Result<()> {
        for (kind, least) in LEAST {
            let name = kind.name();
            let share = self.0.get(&kind).with_context(|| format!("no {name} was found"))?;
            let percent = share.percent();
            ensure!(percent >= least, "of {name} only {percent:.1} % of the bytes are opened");
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
