//! The published releases, in memory.

use fleet::Fit;
use fleet::operator::Step;
use package::payload_entry;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use types::{Digest, Name, Release, Running, Text, Timestamp, Version};

/// A published release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Published {
    /// Which.
    pub(crate) release: Release,
    /// SHA-256 of the whole package; its name among the blobs.
    pub(crate) package: Digest,
    /// Bytes of the whole package.
    pub(crate) size: u64,
    /// Where its entries lie.
    pub(crate) entries: Vec<Span>,
    /// The images that a terminal runs when it runs the release.
    pub(crate) images: BTreeMap<Name, Digest>,
    /// When it was published.
    pub(crate) at: Timestamp,
    /// What it is for, and whether it still is for anybody.
    pub(crate) rules: Rules,
}

/// What a release needs, and whether it was withdrawn.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Rules {
    /// What a terminal must be and run.
    pub(crate) fit: Fit,
    /// The versions of components that have one of their own.
    pub(crate) versions: BTreeMap<Name, Version>,
    /// Why it was withdrawn, if it was.
    pub(crate) withdrawn: Option<Text>,
}

/// Where an entry lies in its package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Span {
    /// Its name.
    pub(crate) name: String,
    /// Where its bytes start.
    pub(crate) at: u64,
    /// How many bytes it has.
    pub(crate) size: u64,
}

impl Published {
    /// Bytes of the full payload of `component`, where it has the name that payloads
    /// have; 0 otherwise.
    pub(crate) fn full_size(&self, component: &Name) -> u64 {
        self.span(&payload_entry(component)).map_or(0, |span| span.size)
    }

    /// Bytes of the full payloads that a terminal needs which runs `before`; of all, where
    /// nobody knows what it runs.
    pub(crate) fn full_bytes(&self, before: Option<&Self>) -> u64 {
        let same = |name: &Name, image: &Digest| {
            before.is_some_and(|before| before.images.get(name) == Some(image))
        };
        let needed = self.images.iter().filter(|(name, image)| !same(name, image));
        needed.map(|(name, _)| self.full_size(name)).sum()
    }

    /// Where `entry` lies.
    pub(crate) fn span(&self, entry: &str) -> Option<&Span> {
        self.entries.iter().find(|span| span.name == entry)
    }
}

/// All published releases, last published first.
#[derive(Debug, Default)]
pub(crate) struct Catalogue(RwLock<Arc<[Arc<Published>]>>);

impl Catalogue {
    /// Exchanges all of them. Returns whether they are others than before.
    pub(crate) fn replace(&self, all: Vec<Published>) -> bool {
        let all: Arc<[_]> = all.into_iter().map(Arc::new).collect();
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let differs = *held != all;
        *held = all;
        differs
    }

    /// Adds one.
    pub(crate) fn add(&self, published: Published) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let first = std::iter::once(Arc::new(published));
        *all = first.chain(all.iter().cloned()).collect();
    }

    /// All of them.
    pub(crate) fn all(&self) -> Arc<[Arc<Published>]> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The releases, as a terminal may go over them.
    pub(crate) fn steps(&self) -> Vec<Step> {
        let step = |published: &Arc<Published>| Step {
            release: published.release.clone(),
            images: published.images.clone(),
            versions: published.rules.versions.clone(),
            fit: published.rules.fit.clone(),
            withdrawn: published.rules.withdrawn.is_some(),
        };
        self.all().iter().map(step).collect()
    }

    /// Exchanges the rules of one.
    pub(crate) fn set_rules(&self, manifest: Digest, rules: &Rules) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let changed = |published: &Arc<Published>| {
            if published.release.manifest == manifest {
                Arc::new(Published { rules: rules.clone(), ..Published::clone(published) })
            } else {
                Arc::clone(published)
            }
        };
        *all = all.iter().map(changed).collect();
    }

    /// The release whose manifest has this digest.
    pub(crate) fn find(&self, manifest: Digest) -> Option<Arc<Published>> {
        self.all().iter().find(|published| published.release.manifest == manifest).cloned()
    }

    /// The releases that `word` names: the digest of a manifest, or a version, of
    /// `product` where one is given.
    pub(crate) fn named(&self, word: &str, product: Option<&Name>) -> Vec<Arc<Published>> {
        let names = |p: &&Arc<Published>| {
            let release = &p.release;
            let of_product = product.is_none_or(|product| *product == release.product);
            of_product && (release.version.as_str() == word || release.manifest.to_string() == word)
        };
        self.all().iter().filter(names).cloned().collect()
    }

    /// The release of `product` whose images all run, if one's do.
    pub(crate) fn running(&self, product: &Name, running: &Running) -> Option<Arc<Published>> {
        let runs =
            |p: &&Arc<Published>| p.release.product == *product && fleet::runs(&p.images, running);
        self.all().iter().find(runs).cloned()
    }
}
