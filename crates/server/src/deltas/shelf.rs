//! What came of making deltas, in memory: what terminals are offered.

use crate::store::{MadeDelta, StoredDelta};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use types::{Digest, Timestamp};

/// One delta, kept or not.
#[derive(Debug)]
pub(crate) struct Item {
    /// What the store keeps of it.
    pub(crate) stored: StoredDelta,
    /// When it was fetched last.
    used: AtomicI64,
}

impl Item {
    /// It was fetched.
    pub(crate) fn touch(&self, now: Timestamp) {
        self.used.fetch_max(now.0, Ordering::Relaxed);
    }

    /// When it was made or fetched last, as far as any server knows.
    pub(crate) fn used(&self) -> Timestamp {
        Timestamp(self.used.load(Ordering::Relaxed)).max(self.stored.used)
    }
}

/// All deltas.
#[derive(Debug, Default)]
pub(crate) struct Shelf(RwLock<Arc<[Arc<Item>]>>);

impl Shelf {
    /// Exchanges all of them; when each was fetched last is not forgotten.
    pub(crate) fn replace(&self, all: Vec<StoredDelta>) {
        let before = self.all();
        let item = |stored: StoredDelta| {
            let known = before.iter().find(|item| item.stored.key == stored.key);
            let used = known.map_or(stored.used, |known| known.used());
            Arc::new(Item { used: AtomicI64::new(used.0), stored })
        };
        let all = all.into_iter().map(item).collect();
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = all;
    }

    /// All of them.
    pub(crate) fn all(&self) -> Arc<[Arc<Item>]> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Those that were kept and lead from `source` to `target`.
    pub(crate) fn between(&self, source: Digest, target: Digest) -> Vec<(Arc<Item>, MadeDelta)> {
        let all = self.all();
        let fits = |item: &&Arc<Item>| item.stored.source == source && item.stored.target == target;
        let made = |item: &Arc<Item>| Some((Arc::clone(item), item.stored.made?));
        all.iter().filter(fits).filter_map(made).collect()
    }

    /// One that was kept under this name and makes one of `targets`.
    pub(crate) fn kept(
        &self,
        blob: Digest,
        targets: impl Fn(Digest) -> bool,
    ) -> Option<(Arc<Item>, MadeDelta)> {
        let all = self.all();
        let made = |item: &Arc<Item>| Some((Arc::clone(item), item.stored.made?));
        let mut kept = all.iter().filter_map(made);
        kept.find(|(item, made)| made.blob == blob && targets(item.stored.target))
    }
}
