//! What operators say of terminals: labels, one by one or by filter, and groups.

use crate::roster::{Shared, lock};
use crate::server::Server;
use crate::store::{Conflict, RegionPolicy, StoreError, Stored, StoredDevice, settle};
use fleet::filter::Filter;
use fleet::{Labels, Zone, ZoneError};
use protocols::operator::{LabelOrder, Labelled, Single};
use std::sync::Arc;
use types::{DeviceId, Name, Timestamp};

/// How many terminals are written in one transaction, so that reports do not wait long.
const AT_ONCE: usize = 500;

/// Why labels cannot be changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LabelError {
    /// There is no such terminal.
    #[error("there is no terminal {0}")]
    NoDevice(DeviceId),
    /// The time zone is none.
    #[error(transparent)]
    Zone(#[from] ZoneError),
    /// A terminal would have too many.
    #[error("terminal {0} {1}")]
    Many(DeviceId, &'static str),
    /// The store fails.
    #[error("the labels could not be stored")]
    Store(#[from] StoreError),
}

impl Conflict for LabelError {
    fn is_conflict(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_conflict())
    }
}

impl Server {
    /// Changes the labels of those that `order` names, or that `filter` holds for.
    pub(crate) async fn relabel(
        &self,
        order: &LabelOrder,
        filter: Option<&Filter>,
        now: Timestamp,
    ) -> Result<Labelled, LabelError> {
        let zone = order.set.zone.as_deref().map(str::parse).transpose()?;
        let terminals = self.named(order, filter)?;
        let mut changed = 0;
        for some in terminals.chunks(AT_ONCE) {
            changed += settle!(self.relabel_some(some, order, zone.as_ref(), now))?;
        }
        self.wake.notify_one();
        Ok(Labelled { devices: count(terminals.len()), changed: count(changed) })
    }

    fn named(
        &self,
        order: &LabelOrder,
        filter: Option<&Filter>,
    ) -> Result<Vec<Shared>, LabelError> {
        let Some(filter) = filter else {
            let find =
                |id: &DeviceId| self.roster.device(id).ok_or(LabelError::NoDevice(id.clone()));
            return order.devices.iter().map(find).collect();
        };
        let mut all = self.roster.all();
        all.retain(|terminal| lock(terminal).ask(|device| filter.matches(device)));
        Ok(all)
    }

    async fn relabel_some(
        &self,
        terminals: &[Shared],
        order: &LabelOrder,
        zone: Option<&Zone>,
        now: Timestamp,
    ) -> Result<usize, LabelError> {
        let mut entry = self.begin(now).await?;
        entry.take(terminals).await?;
        let mut changed = 0;
        for terminal in terminals {
            let stored = lock(terminal).stored.clone();
            let new = applied(order, zone, stored.labels());
            if let Some(fault) = new.fault() {
                return Err(LabelError::Many(stored.device, fault));
            }
            if new != *stored.labels() {
                let labels = Some(Arc::new(new)).filter(|labels| !labels.is_empty());
                entry.put_device(terminal, StoredDevice { labels, ..stored });
                changed += 1;
            }
        }
        entry.commit().await?;
        Ok(changed)
    }

    /// Writes a dynamic group, or takes it away.
    pub(crate) async fn put_group(
        &self,
        name: &Name,
        filter: Option<&Filter>,
        now: Timestamp,
    ) -> Stored<()> {
        settle!(async {
            let mut entry = self.begin(now).await?;
            entry.tx.put_group(name, filter).await?;
            entry.commit().await
        })
    }
}

impl Server {
    /// Writes what becomes of a product's terminals outside of their region.
    pub(crate) async fn put_product(
        &self,
        product: &Name,
        policy: RegionPolicy,
        now: Timestamp,
    ) -> Stored<()> {
        settle!(async {
            let mut entry = self.begin(now).await?;
            entry.tx.put_product(product, policy).await?;
            entry.commit().await
        })
    }
}

fn count(of: usize) -> u32 {
    u32::try_from(of).unwrap_or(u32::MAX)
}

/// The labels after `order`.
fn applied(order: &LabelOrder, zone: Option<&Zone>, old: &Labels) -> Labels {
    let (set, mut new) = (&order.set, old.clone());
    new.tags.retain(|tag| !order.drop_tags.contains(tag));
    new.groups.retain(|group| !order.drop_groups.contains(group));
    new.attributes.retain(|name, _| !order.drop_attributes.contains(name));
    for single in &order.clear {
        match single {
            Single::Channel => new.channel = None,
            Single::Home => new.home = None,
            Single::Zone => new.zone = None,
            Single::Pin => new.pin = None,
        }
    }
    new.tags.extend(set.tags.iter().cloned());
    new.groups.extend(set.groups.iter().cloned());
    new.attributes.extend(set.attributes.clone());
    new.channel = set.channel.clone().or(new.channel);
    new.home = set.home.clone().or(new.home);
    new.pin = set.pin.clone().or(new.pin);
    new.zone = zone.cloned().or(new.zone);
    new
}
