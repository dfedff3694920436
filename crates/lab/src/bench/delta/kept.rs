//! What peers did in earlier runs, kept beside the corpus: some take minutes for each
//! pair, and none of them changes when Refit does.
//!
//! A result belongs to the digests of both images, the tool's release, and how it is
//! asked; it is taken only where all are the same. Deliberately absent: Refit's own.

use super::cost::Cost;
use super::outcome::{Done, Said};
use super::peers::Tool;
use crate::corpus::Made;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Results by what they belong to.
pub(super) struct Kept {
    file: PathBuf,
    results: RefCell<BTreeMap<String, Entry>>,
}

/// What one peer did with one pair.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Entry {
    /// A round trip: bytes of the patch, and what both ways cost.
    Did { size: u64, diff: Cost, patch: Cost },
    /// It did not come through, and why.
    DidNot(String),
}

impl Kept {
    /// Those beside the corpus in `folder`.
    pub(super) fn open(folder: &Path) -> Result<Self> {
        let file = folder.join("peers.json");
        let results = if file.exists() {
            let what = || format!("{} is of another time: remove it", file.display());
            serde_json::from_slice(&fs::read(&file)?).with_context(what)?
        } else {
            BTreeMap::new()
        };
        Ok(Self { file, results: RefCell::new(results) })
    }

    /// What this tool, by what it calls itself, did with these images.
    pub(super) fn find(
        &self,
        tool: Tool,
        itself: &str,
        pair: &Made,
    ) -> Option<Result<Done, String>> {
        let found = self.results.borrow().get(&key(tool, itself, pair)).cloned()?;
        Some(match found {
            Entry::Did { size, diff, patch } => {
                Ok(Done { size, diff, patch, said: Said::default(), earlier: true })
            }
            Entry::DidNot(why) => Err(why),
        })
    }

    /// Keeps what it did.
    pub(super) fn keep(
        &self,
        tool: Tool,
        itself: &str,
        pair: &Made,
        did: &Result<Done, String>,
    ) -> Result<()> {
        let entry = match did {
            Ok(Done { size, diff, patch, .. }) => {
                Entry::Did { size: *size, diff: *diff, patch: *patch }
            }
            Err(why) => Entry::DidNot(why.clone()),
        };
        let mut results = self.results.borrow_mut();
        results.insert(key(tool, itself, pair), entry);
        let part = self.file.with_extension("part");
        fs::write(&part, serde_json::to_vec_pretty(&*results)?)?;
        fs::rename(&part, &self.file).context("cannot keep what the peers did")
    }
}

fn key(tool: Tool, itself: &str, pair: &Made) -> String {
    format!("{} {} {tool} ({itself})", pair.old.sha256, pair.new.sha256)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::{Group, Shape, Sum};

    fn pair(digest: &str) -> Made {
        let sum = Sum { size: 9, sha256: digest.to_owned() };
        Made {
            name: "x".into(),
            group: Group::Main,
            shape: Shape::Any,
            recipe: String::new(),
            old: sum.clone(),
            new: sum,
            suites: Vec::new(),
            same: 0,
            changed: Vec::new(),
            packages: String::new(),
        }
    }

    #[test]
    fn results_belong_to_images_and_releases() {
        let dir = tempfile::tempdir().unwrap();
        let kept = Kept::open(dir.path()).unwrap();
        let done = Ok(Done { size: 7, ..Done::default() });
        kept.keep(Tool::Zstd, "1.5.4", &pair("aa"), &done).unwrap();
        kept.keep(Tool::Bsdiff, "4.3", &pair("aa"), &Err("took too long".into())).unwrap();
        let kept = Kept::open(dir.path()).unwrap();
        let found = kept.find(Tool::Zstd, "1.5.4", &pair("aa")).unwrap().unwrap();
        assert!(found.size == 7 && found.earlier);
        let why = kept.find(Tool::Bsdiff, "4.3", &pair("aa")).unwrap().unwrap_err();
        assert_eq!(why, "took too long");
        assert!(kept.find(Tool::Zstd, "1.5.5", &pair("aa")).is_none());
        assert!(kept.find(Tool::Zstd, "1.5.4", &pair("bb")).is_none());
        assert!(kept.find(Tool::Xdelta3, "1.5.4", &pair("aa")).is_none());
    }
}
