//! What a corpus was made of: enough to say which figures belong to which bytes.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::Path;

use super::pairs::{Group, Shape};

/// All of it, by the name of each pair.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The tools that packed.
    pub tools: Vec<String>,
    /// The pairs that there are.
    pub pairs: Vec<Made>,
}

/// One pair.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    /// Its name, which is its folder's.
    pub name: String,
    /// Whom it is for.
    pub group: Group,
    /// By what it is judged.
    pub shape: Shape,
    /// How it was packed.
    pub recipe: String,
    /// Both images.
    pub old: Sum,
    /// Both images.
    pub new: Sum,
    /// The suites that the mirror had.
    pub suites: Vec<String>,
    /// Packages with one version on both sides, and how many differ.
    pub same: usize,
    /// Those with another version: name, old, new; `-` where it is on one side only.
    pub changed: Vec<[String; 3]>,
    /// SHA-256 over the SHA-256 of all packages, in order.
    pub packages: String,
}

/// Size and digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sum {
    /// Bytes.
    pub size: u64,
    /// SHA-256.
    pub sha256: String,
}

impl Manifest {
    const FILE: &'static str = "manifest.json";

    /// Takes the one in `folder`; an empty one where there is none.
    ///
    /// # Errors
    /// There is one that cannot be read.
    pub fn read(folder: &Path) -> Result<Self> {
        let file = folder.join(Self::FILE);
        if !file.exists() {
            return Ok(Self::default());
        }
        let bytes = fs::read(&file)?;
        let what = || format!("{} is of another time: remove it", file.display());
        serde_json::from_slice(&bytes).with_context(what)
    }

    /// Writes it, one line for each pair.
    ///
    /// # Errors
    /// The storage is full.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let mut text =
            format!("{{\"tools\": {},\n\"pairs\": [\n", serde_json::to_string(&self.tools)?);
        let lines: Result<Vec<_>, _> = self.pairs.iter().map(serde_json::to_string).collect();
        text += &lines?.join(",\n");
        text += "\n]}\n";
        let part = folder.join("manifest.part");
        fs::write(&part, text)?;
        fs::rename(&part, folder.join(Self::FILE)).context("cannot write the manifest")
    }

    /// The pair of this name.
    pub fn find(&self, name: &str) -> Option<&Made> {
        self.pairs.iter().find(|pair| pair.name == name)
    }

    /// Puts a pair in, in place of the one with the same name.
    pub fn put(&mut self, made: Made) {
        match self.pairs.iter_mut().find(|pair| pair.name == made.name) {
            Some(place) => *place = made,
            None => self.pairs.push(made),
        }
    }
}
