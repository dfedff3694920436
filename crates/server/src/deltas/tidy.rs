//! Lets go of deltas that nobody needs, and of what there is no room for.

use super::GENERATOR;
use super::shelf::Item;
use crate::server::Server;
use crate::store::{Stored, StoredDelta};
use fleet::operator::{Kept, evict};
use std::sync::Arc;
use types::{Digest, Timestamp};

/// Why a delta that was kept is kept no longer.
const EVICTED: &str = "it was let go: the cache is full, and it was fetched longest ago";

impl Server {
    /// Writes when deltas were fetched, and removes those that are not to stay.
    pub(crate) async fn tidy_deltas(&self, now: Timestamp) -> Stored<()> {
        let shelf = self.shelf.all();
        let fetched: Vec<_> = shelf.iter().filter(|item| item.used() > item.stored.used).collect();
        let stale: Vec<_> = shelf.iter().filter(|item| !self.is_wanted(&item.stored)).collect();
        let crowded = self.crowded(&shelf);
        if fetched.is_empty() && stale.is_empty() && crowded.is_empty() {
            return Ok(());
        }
        let mut tx = self.store.begin().await?;
        for item in fetched {
            tx.use_delta(item.stored.key, item.used()).await?;
        }
        for item in &stale {
            tx.drop_delta(item.stored.key).await?;
        }
        for item in &crowded {
            let why = EVICTED.to_owned();
            let gone = StoredDelta { made: None, why, at: now, ..item.stored.clone() };
            tx.put_delta(&gone).await?;
        }
        tx.raise_generation().await?;
        let left = tx.deltas().await?;
        tx.commit().await?;
        drop(tx);
        self.shelf.replace(left);
        self.remove_blobs(stale.into_iter().chain(&crowded));
        Ok(())
    }

    /// Whether the release that a delta leads to is still offered, and its maker ours.
    fn is_wanted(&self, delta: &StoredDelta) -> bool {
        let leads = |p: &&Arc<crate::catalogue::Published>| {
            let here = p.images.get(&delta.component) == Some(&delta.target);
            here && p.rules.withdrawn.is_none()
        };
        delta.generator == GENERATOR && self.catalogue.all().iter().any(|p| leads(&p))
    }

    /// Those of the wanted ones that there is no room for.
    fn crowded(&self, shelf: &[Arc<Item>]) -> Vec<Arc<Item>> {
        let wanted = |item: &&Arc<Item>| item.stored.made.is_some() && self.is_wanted(&item.stored);
        let items: Vec<&Arc<Item>> = shelf.iter().filter(wanted).collect();
        let kept = |item: &&Arc<Item>| Kept {
            size: item.stored.made.map_or(0, |made| made.size),
            used: item.used(),
            wanted: true,
        };
        let kept: Vec<Kept> = items.iter().map(kept).collect();
        let gone = evict(&kept, self.settings.deltas.budget());
        gone.into_iter().filter_map(|index| items.get(index).copied().cloned()).collect()
    }

    /// Removes the bytes of deltas, unless another one has the same.
    fn remove_blobs<'a>(&self, gone: impl Iterator<Item = &'a Arc<Item>>) {
        let left = self.shelf.all();
        let blobs: Vec<Digest> = gone.filter_map(|item| Some(item.stored.made?.blob)).collect();
        for blob in blobs {
            let shared = left.iter().any(|i| i.stored.made.is_some_and(|made| made.blob == blob));
            if !shared {
                self.delta_blobs.remove(blob);
            }
        }
    }
}
