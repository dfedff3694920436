//! What the registry has: the `Packages` files that `apt-get update` fetched.

use super::version;
use anyhow::{Context, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// One version of a package, as one suite has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Package {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) suite: String,
    /// `all` for those that fit every architecture.
    pub(super) architecture: String,
    pub(super) sha256: String,
    depends: Vec<Vec<String>>,
}

/// All versions of all packages of one architecture.
#[derive(Debug, Default)]
pub(super) struct Index {
    packages: BTreeMap<String, Vec<Package>>,
}

impl Index {
    /// Reads all that apt keeps in the folder `lists`.
    pub(super) fn read(lists: &Path) -> Result<Self> {
        let mut index = Self::default();
        let what = || format!("cannot list {}", lists.display());
        let mut files: Vec<_> =
            fs::read_dir(lists).with_context(what)?.flatten().map(|entry| entry.path()).collect();
        files.sort();
        for file in files {
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let Some(suite) = suite(&name) else { continue };
            let text = fs::read_to_string(&file)
                .with_context(|| format!("cannot read {}", file.display()))?;
            text.split("\n\n").filter_map(|text| package(text, suite)).for_each(|p| index.add(p));
        }
        Ok(index)
    }

    fn add(&mut self, package: Package) {
        self.packages.entry(package.name.clone()).or_default().push(package);
    }

    /// Whether a suite is there at all.
    pub(super) fn has(&self, suite: &str) -> bool {
        self.packages.values().flatten().any(|package| package.suite == suite)
    }

    /// The versions of `name` in a release and its updates, lowest first.
    pub(super) fn versions(&self, name: &str, release: &str) -> Vec<&Package> {
        let all = self.packages.get(name).into_iter().flatten();
        let mut all: Vec<_> = all.filter(|package| belongs(&package.suite, release)).collect();
        all.sort_by(|a, b| version::compare(&a.version, &b.version));
        all
    }

    /// Names that begin and end so, with nothing but digits between.
    pub(super) fn numbered(&self, prefix: &str, suffix: &str) -> Vec<&str> {
        let fits = |name: &&String| {
            let number = name.strip_prefix(prefix).and_then(|rest| rest.strip_suffix(suffix));
            number.is_some_and(|n| !n.is_empty() && n.bytes().all(|byte| byte.is_ascii_digit()))
        };
        self.packages.keys().filter(fits).map(String::as_str).collect()
    }

    /// `roots` and all that they depend on, by the first alternative that there is, but
    /// not what is `left_out`.
    /// What is only provided by others is left out: whoever builds images names it.
    pub(super) fn closure(
        &self,
        roots: &[&str],
        release: &str,
        left_out: &[&str],
    ) -> BTreeSet<String> {
        let mut open: Vec<&str> = roots.to_vec();
        let mut found = BTreeSet::new();
        while let Some(name) = open.pop() {
            if left_out.contains(&name) {
                continue;
            }
            let Some(package) = self.versions(name, release).pop() else { continue };
            if found.insert(package.name.clone()) {
                let there = |name: &&String| !self.versions(name, release).is_empty();
                let chosen = package.depends.iter().filter_map(|any| any.iter().find(there));
                open.extend(chosen.map(String::as_str));
            }
        }
        found
    }
}

/// Whether a suite is the release itself or one that updates it: what a device of
/// that release is given, so no backports.
fn belongs(suite: &str, release: &str) -> bool {
    ["", "-updates", "-security"].iter().any(|end| suite.strip_suffix(end) == Some(release))
}

/// `…_dists_bookworm-updates_main_binary-arm64_Packages` → `bookworm-updates`.
fn suite(file: &str) -> Option<&str> {
    let (_, rest) = file.strip_suffix("_Packages")?.split_once("_dists_")?;
    rest.split('_').next()
}

fn package(text: &str, suite: &str) -> Option<Package> {
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        Some(line.strip_prefix(':')?.trim().to_owned())
    };
    let list = |name: &str| field(name).unwrap_or_default();
    let mut depends = relations(&list("Pre-Depends"));
    depends.extend(relations(&list("Depends")));
    Some(Package {
        name: field("Package")?,
        version: field("Version")?,
        suite: suite.to_owned(),
        architecture: field("Architecture")?,
        sha256: field("SHA256")?,
        depends,
    })
}

/// `a (>= 1) | b, c:any` → `[[a, b], [c]]`.
fn relations(text: &str) -> Vec<Vec<String>> {
    let name = |one: &str| one.trim().split([' ', '(', ':']).next().unwrap_or_default().to_owned();
    let any = |one: &str| one.split('|').map(name).filter(|n| !n.is_empty()).collect::<Vec<_>>();
    text.split(',').map(any).filter(|any| !any.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index() -> Index {
        let dir = tempfile::tempdir().unwrap();
        let stable = "Package: shell\nVersion: 1.0-1\nArchitecture: arm64\nSHA256: aa\n\
            Depends: libc (>= 2), nothing | reader:any\n\n\
            Package: libc\nVersion: 2-1\nArchitecture: arm64\nSHA256: bb\n\n\
            Package: reader\nVersion: 8\nArchitecture: all\nSHA256: cc\n\n\
            Package: linux-5-x\nVersion: 5-1\nArchitecture: arm64\nSHA256: dd\n";
        let security = "Package: shell\nVersion: 1.0-1+deb12u1\nArchitecture: arm64\nSHA256: ee\n\
            Depends: libc\nPre-Depends: reader\n";
        let later = "Package: shell\nVersion: 3-1\nArchitecture: arm64\nSHA256: ff\n";
        for (suite, text) in
            [("old", stable), ("old-security", security), ("old-backports", later), ("new", later)]
        {
            let name = format!("mirror_debian_dists_{suite}_main_binary-arm64_Packages");
            fs::write(dir.path().join(name), text).unwrap();
        }
        fs::write(dir.path().join("mirror_debian_dists_old_InRelease"), "no index").unwrap();
        Index::read(dir.path()).unwrap()
    }

    #[test]
    fn a_release_is_its_suite_and_what_updates_it() {
        let index = index();
        let versions = |release| -> Vec<String> {
            index.versions("shell", release).into_iter().map(|p| p.version.clone()).collect()
        };
        assert_eq!(versions("old"), ["1.0-1", "1.0-1+deb12u1"]);
        assert_eq!(versions("new"), ["3-1"]);
        assert!(index.has("old-backports") && !index.has("other"));
    }

    #[test]
    fn a_closure_follows_alternatives() {
        let closure = |left_out| -> Vec<String> {
            index().closure(&["shell", "missing"], "old", left_out).into_iter().collect()
        };
        assert_eq!(closure(&[]), ["libc", "reader", "shell"]);
        assert_eq!(closure(&["reader"]), ["libc", "shell"]);
    }

    #[test]
    fn numbered_names_have_only_digits_between() {
        let index = index();
        assert_eq!(index.numbered("linux-", "-x"), ["linux-5-x"]);
        assert!(index.numbered("linux-", "5-x").is_empty());
        assert!(index.numbered("lib", "c").is_empty());
    }
}
