//! Pairs of firmware images to measure deltas on, made of Debian's packages: the
//! versions that a release had, and those that its updates brought.
//!
//! Deliberately absent: images of anybody's product, and any image in the
//! repository. Whoever builds the corpus later gets other versions; the manifest
//! says which.

mod build;
mod choice;
mod index;
mod manifest;
mod pack;
mod pairs;
mod registry;
mod tree;
mod version;

pub use build::build;
pub use manifest::{Made, Manifest, Sum};
pub use pairs::{Group, Shape};

use anyhow::{Result, ensure};
use std::path::PathBuf;
use std::process::ExitCode;

/// Makes pairs of images to measure deltas on
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which pairs
    #[command(flatten)]
    pub wanted: Wanted,
    /// Asks the mirror anew, for the versions of today
    #[arg(long)]
    refresh: bool,
}

/// Which pairs, and where.
#[derive(Debug, Clone, clap::Args)]
pub struct Wanted {
    /// Only three small ones
    #[arg(long)]
    pub small: bool,
    /// Only these, with commas; a word stands for all that begin with it
    #[arg(long, value_delimiter = ',', conflicts_with = "small")]
    pub pairs: Vec<String>,
    /// Where they are kept
    #[arg(long, default_value = "target/corpus")]
    pub folder: PathBuf,
}

impl Wanted {
    /// The names of the pairs, in the order of the table.
    ///
    /// # Errors
    /// A word fits none.
    pub fn names(&self) -> Result<Vec<&'static str>> {
        let all = pairs::PAIRS.iter();
        for word in &self.pairs {
            let names: Vec<_> = all.clone().map(|pair| pair.name).collect();
            let fits = names.iter().any(|name| name.starts_with(word.as_str()));
            ensure!(fits, "no pair is called `{word}`; there are: {}", names.join(", "));
        }
        let wanted = |name: &str, group: Group| match (self.small, self.pairs.as_slice()) {
            (true, _) => group == Group::Small,
            (false, []) => true,
            (false, words) => words.iter().any(|word| name.starts_with(word.as_str())),
        };
        Ok(all.filter(|pair| wanted(pair.name, pair.group)).map(|pair| pair.name).collect())
    }
}

/// `lab corpus`.
///
/// # Errors
/// No pair could be made, or one that the mirror still has failed.
pub fn run(args: &Args) -> Result<ExitCode> {
    if args.refresh {
        build::forget(&args.wanted.folder)?;
    }
    let manifest = build(&args.wanted)?;
    println!("{} pairs in {}", manifest.pairs.len(), args.wanted.folder.display());
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(small: bool, words: &[&str], want: Option<usize>) {
        let pairs = words.iter().map(|word| (*word).to_owned()).collect();
        let wanted = Wanted { small, pairs, folder: PathBuf::new() };
        assert_eq!(wanted.names().ok().map(|names| names.len()), want, "{words:?}");
    }

    #[test]
    fn pairs_are_chosen_by_the_beginning_of_their_names() {
        check(true, &[], Some(3));
        check(false, &[], Some(pairs::PAIRS.len()));
        check(false, &["small"], Some(3));
        check(false, &["uboot", "same"], Some(2));
        check(false, &["uboot", "nonsense"], None);
    }
}
