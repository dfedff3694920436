//! Reads the store into memory, at the start and when another server changed it.

use super::missing;
use crate::roster::{Terminal, lock};
use crate::server::Server;
use crate::snapshot::{Course, Snapshot};
use crate::store::{Stored, StoredDevice};
use std::sync::atomic::Ordering;
use types::Timestamp;

impl Server {
    /// Reads releases, rollouts, terminals and attempts.
    pub(crate) async fn load(&self, now: Timestamp) -> Stored<()> {
        let mut tx = self.store.begin().await?;
        self.catalogue.replace(tx.releases().await?);
        let stored = tx.rollouts().await?;
        let courses = stored.into_iter().filter_map(|rollout| Course::of(rollout, &self.catalogue));
        let mut snapshot = Snapshot::new(courses.collect(), tx.generation().await?);
        for device in tx.devices().await? {
            self.show_device(device);
        }
        self.change_snapshot(|held| *held = snapshot.clone());
        for attempt in tx.attempts().await? {
            let terminal = self.roster.device(&attempt.device).ok_or(missing("attempt"))?;
            self.show_attempt(&terminal, &attempt);
        }
        snapshot.audiences = snapshot.count(&self.roster);
        snapshot.compile();
        snapshot.renew(now);
        self.change_snapshot(|held| *held = snapshot);
        Ok(())
    }

    /// Takes a stored terminal into memory.
    pub(crate) fn show_device(&self, device: StoredDevice) {
        let release = self.catalogue.running(&device.facts.product, &device.running);
        match self.roster.device(&device.device) {
            None => self.roster.add(&Terminal::new(device, release), None),
            Some(terminal) => {
                let old = lock(&terminal).stored.credential;
                {
                    let mut locked = lock(&terminal);
                    (locked.stored, locked.release) = (device, release);
                }
                self.roster.add(&terminal, Some(old));
            }
        }
    }

    /// Checks that the plan is what the store says, and lets it be used for another
    /// lease; reads everything anew if another server changed it. Writes how many
    /// bytes were sent.
    pub(crate) async fn refresh(&self, now: Timestamp) -> Stored<()> {
        let mut tx = self.store.begin().await?;
        let stored = tx.generation().await?;
        let served = self.served();
        for (device, attempt, bytes) in &served {
            tx.put_served(device, *attempt, *bytes).await?;
        }
        tx.commit().await?;
        if stored != self.snapshot().plan.generation {
            drop(tx);
            return self.load(now).await;
        }
        let counted = self.roster.was_stirred().then(|| self.snapshot().count(&self.roster));
        self.change_snapshot(|snapshot| {
            if let Some(audiences) = counted {
                snapshot.audiences = audiences;
                snapshot.compile();
            }
            snapshot.renew(now);
        });
        Ok(())
    }

    /// The attempts for which more bytes were sent than the store knows.
    fn served(&self) -> Vec<(types::DeviceId, types::AttemptId, u64)> {
        let mut out = Vec::new();
        for rollout in self.snapshot().courses.keys() {
            for (id, terminal) in self.roster.in_flight(rollout) {
                let mut locked = lock(&terminal);
                let device = locked.stored.device.clone();
                let Some(tried) = locked.tried_mut(id) else { continue };
                let bytes = tried.served.load(Ordering::Relaxed);
                if bytes != tried.stored.served {
                    tried.stored.served = bytes;
                    out.push((device, id, bytes));
                }
            }
        }
        out
    }
}
