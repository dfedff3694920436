//! Which deltas there are for a release: a document without a signature.
//!
//! Whoever holds a release can make deltas to it and say so here: a server, or
//! whoever puts a package on an SD card. Nothing in it is believed. What a delta
//! makes is checked against the signed chunk digests like any other payload.

use crate::names::{DELTAS, is_entry_name};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};
use types::{Digest, Document, Image, Name, tree};

/// The most deltas of one document.
const DELTAS_MAX: usize = 64;

/// The folder of all deltas in a package.
const FOLDER: &str = "delta/";

/// The deltas to one release. JSON, at most 64 KiB. Fields that a reader does not
/// know are passed over.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Deltas {
    /// The deltas, best first.
    #[serde(default)]
    pub deltas: Vec<Delta>,
}

/// One way from an image to the release's image of the same component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delta {
    /// The component.
    pub component: Name,
    /// SHA-256 of the image that it starts from.
    pub source: Digest,
    /// The entry that holds it.
    pub entry: String,
    /// Bytes of the entry.
    pub size: u64,
    /// Bytes of memory that a terminal needs for it.
    pub heap: u64,
}

impl Deltas {
    /// The entry's name in a package and under a package's address.
    pub const ENTRY: &'static str = DELTAS;

    /// The deltas to `component` that start from `source` and take at most `heap` bytes
    /// of memory, the smallest first.
    pub fn fitting(&self, component: &Name, source: Digest, heap: u64) -> Vec<&Delta> {
        let fits = |d: &&Delta| d.component == *component && d.source == source && d.heap <= heap;
        let mut fitting: Vec<&Delta> = self.deltas.iter().filter(fits).collect();
        fitting.sort_by_key(|delta| delta.size);
        fitting
    }

    /// The entries with their sizes, in order.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (String, u64)> + '_ {
        self.deltas.iter().map(|delta| (delta.entry.clone(), delta.size))
    }

    fn check(&self) -> Result<(), String> {
        if self.deltas.len() > DELTAS_MAX {
            return Err(format!("more than {DELTAS_MAX} deltas"));
        }
        for (n, delta) in self.deltas.iter().enumerate() {
            let Delta { entry, size, .. } = delta;
            if !entry.starts_with(FOLDER) || !is_entry_name(entry) {
                return Err(format!("delta {n} has an entry that is not in `{FOLDER}`"));
            }
            if !(1..=2 * Image::SIZE_MAX).contains(size) {
                return Err(format!("`{entry}` has a size that no delta has"));
            }
            if self.deltas.iter().skip(n + 1).any(|other| other.entry == *entry) {
                return Err(format!("`{entry}` is named twice"));
            }
        }
        Ok(())
    }
}

impl Document for Deltas {
    const KIND: &'static str = "list of deltas";
    const LIMIT: u32 = 64 << 10;

    fn decode(bytes: &[u8]) -> Result<Self, String> {
        let deltas: Self = tree::from_json(bytes).map_err(|e| e.to_string())?;
        deltas.check()?;
        Ok(deltas)
    }
}

/// The entry of delta number `n` of a package.
pub fn delta_entry(n: usize) -> String {
    format!("{FOLDER}{n}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn delta(n: u8, size: u64) -> Delta {
        Delta {
            component: "rootfs".parse().unwrap(),
            source: Digest([n; 32]),
            entry: delta_entry(size as usize),
            size,
            heap: 1000 * size,
        }
    }

    fn decoded(deltas: Vec<Delta>) -> Result<Deltas, String> {
        Deltas::decode(&serde_json::to_vec(&Deltas { deltas }).unwrap())
    }

    #[test]
    fn the_smallest_that_fits_comes_first() {
        let deltas = decoded(vec![delta(1, 30), delta(2, 5), delta(1, 20), delta(1, 10)]).unwrap();
        let sizes = |source, heap| -> Vec<u64> {
            let fitting = deltas.fitting(&"rootfs".parse().unwrap(), Digest([source; 32]), heap);
            fitting.iter().map(|delta| delta.size).collect()
        };
        assert_eq!(sizes(1, u64::MAX), [10, 20, 30]);
        assert_eq!(sizes(1, 20_000), [10, 20]);
        assert!(sizes(2, 4_999).is_empty());
        assert!(sizes(3, u64::MAX).is_empty());
        assert!(deltas.fitting(&"modem".parse().unwrap(), Digest([1; 32]), 1 << 40).is_empty());
    }

    #[test]
    fn limits_hold() {
        let check = |change: &dyn Fn(&mut Delta), wrong: &str| {
            let mut changed = delta(1, 9);
            change(&mut changed);
            assert!(decoded(vec![changed]).unwrap_err().contains(wrong), "{wrong}");
        };
        check(&|d| d.entry = "payload/rootfs.zst".into(), "not in `delta/`");
        check(&|d| d.entry = "delta/../x".into(), "not in `delta/`");
        check(&|d| d.size = 0, "a size that no delta has");
        check(&|d| d.size = u64::MAX, "a size that no delta has");
        assert!(decoded(vec![delta(1, 9), delta(2, 9)]).unwrap_err().contains("twice"));
        assert!(decoded((1..66).map(|n| delta(1, n)).collect()).unwrap_err().contains("64"));
    }

    #[test]
    fn later_fields_are_passed_over() {
        assert_eq!(Deltas::decode(br#"{"news": 1}"#), Ok(Deltas::default()));
    }
}
