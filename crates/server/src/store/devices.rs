//! Terminals and the tokens that let them in.

use super::bulk::{insert, within};
use super::rows::{json, parsed, texts, time, to_json};
use super::statement::{HELD, Row, Value, query};
use super::{Kinds, StoreError, Stored, Tx};
use fleet::Labels;
use protocols::native::Facts;
use sqlx::AssertSqlSafe;
use std::collections::BTreeSet;
use std::sync::Arc;
use types::{DeviceId, Digest, Name, Running, Slot, Timestamp};

/// A terminal as the store keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredDevice {
    /// Who.
    pub(crate) device: DeviceId,
    /// SHA-256 of its credential.
    pub(crate) credential: Digest,
    /// What it is.
    pub(crate) facts: Arc<Facts>,
    /// The slot that runs; none before its first heartbeat.
    pub(crate) slot: Option<Slot>,
    /// What it runs.
    pub(crate) running: Arc<Running>,
    /// When it was enrolled first.
    pub(crate) enrolled: Timestamp,
    /// What the operator says of it, if anything.
    pub(crate) labels: Option<Arc<Labels>>,
}

impl StoredDevice {
    /// What the operator says of it.
    pub(crate) fn labels(&self) -> &Labels {
        self.labels.as_deref().unwrap_or(Labels::NONE)
    }
}

/// A token that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TokenUse {
    /// The only terminal it is for, if it is for one.
    pub(crate) device: Option<DeviceId>,
    /// Who used it already.
    pub(crate) used_by: Option<DeviceId>,
}

const PUT: &str =
    "INSERT INTO devices (device, credential, facts, slot, running, enrolled, changed, labels)";
const CHANGE: &str = "ON CONFLICT (device) DO UPDATE SET \
     credential = excluded.credential, facts = excluded.facts, slot = excluded.slot, \
     running = excluded.running, changed = excluded.changed, labels = excluded.labels";

impl Tx {
    /// Writes terminals, new or changed, each only once.
    pub(crate) async fn put_devices(
        &mut self,
        devices: &[&StoredDevice],
        now: Timestamp,
    ) -> Stored<()> {
        let rows: Stored<Vec<_>> = devices.iter().map(|device| values(device, now)).collect();
        for statement in insert(PUT, &rows?, CHANGE) {
            self.run(statement).await?;
        }
        Ok(())
    }

    /// Adds a terminal. Returns whether its name was free.
    pub(crate) async fn add_device(
        &mut self,
        device: &StoredDevice,
        now: Timestamp,
    ) -> Stored<bool> {
        let mut added = 0;
        for statement in insert(PUT, &[values(device, now)?], "ON CONFLICT (device) DO NOTHING") {
            added += self.run(statement).await?;
        }
        Ok(added == 1)
    }

    /// Adds terminals whose names are free. Returns which these are.
    pub(crate) async fn add_devices(
        &mut self,
        devices: &[StoredDevice],
        now: Timestamp,
    ) -> Stored<BTreeSet<DeviceId>> {
        let rows: Stored<Vec<_>> = devices.iter().map(|device| values(device, now)).collect();
        let mut added = BTreeSet::new();
        let free = "ON CONFLICT (device) DO NOTHING RETURNING device";
        for statement in insert(PUT, &rows?, free) {
            for row in self.all(statement).await? {
                added.insert(parsed(&row, "device", "terminal")?);
            }
        }
        Ok(added)
    }

    /// At most `limit` terminals behind `after`, by name.
    pub(crate) async fn devices_after(
        &mut self,
        after: Option<&DeviceId>,
        limit: u32,
    ) -> Stored<Vec<StoredDevice>> {
        let text =
            format!("SELECT {COLUMNS} FROM devices WHERE device > $1 ORDER BY device LIMIT $2");
        let after = after.map_or("", |device| device.as_str());
        let statement = query(AssertSqlSafe(text)).bind(after).bind(i64::from(limit));
        let rows = self.all(statement).await?;
        rows.iter().map(|row| device(row, &self.kinds)).collect()
    }

    /// These terminals; their rows are held until the transaction ends.
    pub(crate) async fn devices_held(&mut self, devices: &[Name]) -> Stored<Vec<StoredDevice>> {
        let head = format!("SELECT {COLUMNS} FROM devices WHERE device");
        let mut all = Vec::new();
        for statement in within(&head, &texts(devices), &format!("ORDER BY device{HELD}")) {
            for row in self.all(statement).await? {
                all.push(device(&row, &self.kinds)?);
            }
        }
        Ok(all)
    }

    /// These terminals.
    pub(crate) async fn devices_of(&mut self, devices: &[Name]) -> Stored<Vec<StoredDevice>> {
        let head = format!("SELECT {COLUMNS} FROM devices WHERE device");
        let mut all = Vec::new();
        for statement in within(&head, &texts(devices), "") {
            for row in self.all(statement).await? {
                all.push(device(&row, &self.kinds)?);
            }
        }
        Ok(all)
    }

    /// The terminal whose credential has this digest.
    pub(crate) async fn holder(&mut self, credential: Digest) -> Stored<Option<DeviceId>> {
        let text = "SELECT device FROM devices WHERE credential = $1";
        let rows = self.all(query(text).bind(credential.0.to_vec())).await?;
        rows.first().map(|row| parsed(row, "device", "terminal")).transpose()
    }

    /// Adds an enrolment token, for one terminal or for any.
    pub(crate) async fn put_token(
        &mut self,
        digest: Digest,
        device: Option<&DeviceId>,
        now: Timestamp,
        expires: Timestamp,
    ) -> Stored<()> {
        let text =
            "INSERT INTO enrolment_tokens (digest, device, made, expires) VALUES ($1, $2, $3, $4)";
        let statement = query(text)
            .bind(digest.0.to_vec())
            .bind(device.map(|device| device.as_str().to_owned()))
            .bind(now.0)
            .bind(expires.0);
        self.run(statement).await.map(drop)
    }

    /// What is known of a token that has not expired.
    pub(crate) async fn token(
        &mut self,
        digest: Digest,
        now: Timestamp,
    ) -> Stored<Option<TokenUse>> {
        let text =
            "SELECT device, used_by FROM enrolment_tokens WHERE digest = $1 AND expires > $2";
        let statement = query(text).bind(digest.0.to_vec()).bind(now.0);
        self.all(statement).await?.first().map(token).transpose()
    }

    /// Marks a token as used, and forgets those that expired.
    pub(crate) async fn use_token(
        &mut self,
        digest: Digest,
        device: &DeviceId,
        now: Timestamp,
    ) -> Stored<()> {
        let text = "UPDATE enrolment_tokens SET used_by = $2 WHERE digest = $1";
        let statement = query(text).bind(digest.0.to_vec()).bind(device.as_str());
        self.run(statement).await?;
        let text = "DELETE FROM enrolment_tokens WHERE expires <= $1";
        self.run(query(text).bind(now.0)).await.map(drop)
    }
}

fn token(row: &Row) -> Stored<TokenUse> {
    let name = |column| -> Stored<Option<DeviceId>> {
        let text: Option<&str> = row.try_get(column)?;
        text.map(|text| text.parse().map_err(|_| StoreError::Row { what: "token" })).transpose()
    };
    Ok(TokenUse { device: name("device")?, used_by: name("used_by")? })
}

const COLUMNS: &str = "device, credential, facts, slot, running, enrolled, labels";

fn values(device: &StoredDevice, now: Timestamp) -> Stored<Vec<Value>> {
    Ok(vec![
        device.device.as_str().into(),
        device.credential.0.to_vec().into(),
        to_json(device.facts.as_ref(), "facts")?.into(),
        device.slot.map(|slot| slot.to_string()).into(),
        to_json(device.running.as_ref(), "running")?.into(),
        device.enrolled.into(),
        now.into(),
        match &device.labels {
            Some(labels) => to_json(labels.as_ref(), "labels")?.into(),
            None => "".into(),
        },
    ])
}

fn device(row: &Row, kinds: &Kinds) -> Stored<StoredDevice> {
    let what = "terminal";
    let credential: &[u8] = row.try_get("credential")?;
    let slot: Option<&str> = row.try_get("slot")?;
    let slot = slot.map(|slot| slot.parse().map_err(|_| StoreError::Row { what })).transpose()?;
    Ok(StoredDevice {
        device: parsed(row, "device", what)?,
        credential: Digest(credential.try_into().map_err(|_| StoreError::Row { what })?),
        facts: kinds.facts(row.try_get("facts")?)?,
        slot,
        running: kinds.running(row.try_get("running")?)?,
        enrolled: time(row, "enrolled")?,
        labels: if row.try_get::<&str>("labels")?.is_empty() {
            None
        } else {
            Some(Arc::new(json(row, "labels", what)?))
        },
    })
}
