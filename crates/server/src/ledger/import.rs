//! Terminals that a factory gave their credentials, made known in bulk.

use crate::roster::lock;
use crate::server::Server;
use crate::store::{Stored, StoredDevice, Touched, Words, settle, words};
use protocols::operator::{Imports, Made};
use std::collections::{BTreeMap, BTreeSet};
use types::{DeviceId, Digest, Running, Timestamp};

/// Terminals of one transaction, so that reports do not wait long.
const AT_ONCE: usize = 1000;

impl Server {
    /// Makes terminals known. Who is known already stays as it is.
    pub(crate) async fn import(&self, made: &[Made], now: Timestamp) -> Stored<Imports> {
        let mut all = Imports::default();
        for some in made.chunks(AT_ONCE) {
            let done = settle!(self.import_some(some, now))?;
            all.added += done.added;
            all.known += done.known;
            all.taken.extend(done.taken);
        }
        Ok(all)
    }

    async fn import_some(&self, made: &[Made], now: Timestamp) -> Stored<Imports> {
        let mut tx = self.store.begin().await?;
        let wanted: BTreeMap<&DeviceId, &Made> = made.iter().map(|m| (&m.device, m)).collect();
        let unknown = wanted.values().filter(|m| self.roster.device(&m.device).is_none());
        let fresh: Vec<StoredDevice> = unknown.map(|made| stored(made, now)).collect();
        let added = tx.add_devices(&fresh, now).await?;
        let fresh: Vec<StoredDevice> =
            fresh.into_iter().filter(|device| added.contains(&device.device)).collect();
        let news: Vec<_> =
            fresh.iter().map(|fresh| (&fresh.device, Words::new(), words(fresh))).collect();
        tx.put_words(&news).await?;
        let touched = Touched { devices: added.clone(), ..Touched::default() };
        tx.note(touched, now).await?;
        // Those that another server let in a moment ago are read from the store.
        let absent =
            |device: &&&DeviceId| !added.contains(**device) && self.roster.device(device).is_none();
        let absent: Vec<DeviceId> =
            wanted.keys().filter(absent).map(|device| DeviceId::clone(device)).collect();
        let late = tx.devices_of(&absent).await?;
        tx.commit().await?;
        fresh.into_iter().chain(late).for_each(|device| self.show_device(device));
        Ok(self.outcome(&wanted, &added))
    }

    fn outcome(&self, wanted: &BTreeMap<&DeviceId, &Made>, added: &BTreeSet<DeviceId>) -> Imports {
        let mut all = Imports::default();
        for (device, made) in wanted {
            let same = |credential: Digest| credential == made.credential_sha256;
            let terminal = self.roster.device(device);
            if added.contains(*device) {
                all.added += 1;
            } else if terminal.is_some_and(|terminal| same(lock(&terminal).stored.credential)) {
                all.known += 1;
            } else {
                all.taken.push(DeviceId::clone(device));
            }
        }
        all
    }
}

fn stored(made: &Made, now: Timestamp) -> StoredDevice {
    StoredDevice {
        device: made.device.clone(),
        credential: made.credential_sha256,
        facts: made.facts.clone().into(),
        slot: None,
        running: Running::new().into(),
        enrolled: now,
        labels: None,
    }
}
