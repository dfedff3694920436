//! Which versions of which packages make the two sides of a pair.

use super::index::{Index, Package};
use anyhow::{Context, Result, ensure};
use std::cmp::Ordering;

/// Debian's releases that pairs are made of, older first.
pub(super) const RELEASES: [&str; 2] = ["bookworm", "trixie"];

/// What administers a Debian machine, and no terminal carries.
const NOT_ON_TERMINALS: [&str; 8] =
    ["adduser", "apt", "debconf", "dpkg", "libperl5.36", "perl", "perl-base", "perl-modules-5.36"];

/// How far apart the two sides are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// What a release and its updates carry: security and stable updates.
    Point,
    /// One release and the next.
    Feature,
}

/// One package on both sides; `None` where it is on one side only.
#[derive(Debug, Clone, Copy)]
pub(super) struct Choice<'a> {
    pub(super) old: Option<&'a Package>,
    pub(super) new: Option<&'a Package>,
}

impl Choice<'_> {
    /// Whether it is another version.
    pub(super) fn differs(&self) -> bool {
        let version = |side: Option<&Package>| side.map(|package| package.version.clone());
        version(self.old) != version(self.new)
    }

    /// Its name.
    pub(super) fn name(&self) -> &str {
        self.old.or(self.new).map_or("", |package| &package.name)
    }
}

/// These packages with all that they depend on.
pub(super) fn closure<'a>(index: &'a Index, roots: &[&str], step: Step) -> Result<Vec<Choice<'a>>> {
    let mut names = index.closure(roots, RELEASES[0], &NOT_ON_TERMINALS);
    if step == Step::Feature {
        names.extend(index.closure(roots, RELEASES[1], &NOT_ON_TERMINALS));
    }
    choose(index, names.iter().map(String::as_str), step)
}

/// These packages only.
pub(super) fn listed<'a>(index: &'a Index, names: &[&str], step: Step) -> Result<Vec<Choice<'a>>> {
    choose(index, names.iter().copied(), step)
}

fn choose<'a, 'n>(
    index: &'a Index,
    names: impl Iterator<Item = &'n str>,
    step: Step,
) -> Result<Vec<Choice<'a>>> {
    let [before, after] = RELEASES;
    let one = |name: &str| {
        let own = index.versions(name, before);
        match step {
            Step::Point => Choice { old: own.first().copied(), new: own.last().copied() },
            Step::Feature => Choice {
                old: own.last().copied(),
                new: index.versions(name, after).last().copied(),
            },
        }
    };
    let all: Vec<_> = names.map(one).filter(|c| c.old.is_some() || c.new.is_some()).collect();
    ensure!(all.iter().any(Choice::differs), "the mirror has one version only of each package");
    Ok(all)
}

/// A kernel of the older release: the one of the last point release and the newest
/// update; where there is no newer one, the oldest and the newest.
pub(super) fn kernel<'a>(index: &'a Index, flavour: &str) -> Result<Choice<'a>> {
    let release = RELEASES[0];
    let names = index.numbered("linux-image-6.1.0-", &format!("-{flavour}"));
    let mut all: Vec<_> = names.iter().flat_map(|name| index.versions(name, release)).collect();
    all.sort_by(|a, b| super::version::compare(&a.version, &b.version));
    let what = || format!("the mirror has no kernel `{flavour}`");
    let (oldest, newest) = (all.first().with_context(what)?, all.last().with_context(what)?);
    let older =
        |p: &&&Package| super::version::compare(&p.version, &newest.version) == Ordering::Less;
    let stable = all.iter().rev().filter(older).find(|package| package.suite == release);
    let old = stable.unwrap_or(oldest);
    ensure!(old.version != newest.version, "the mirror has one kernel `{flavour}` only");
    Ok(Choice { old: Some(old), new: Some(newest) })
}
