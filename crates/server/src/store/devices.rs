//! Terminals and the tokens that let them in.

use super::rows::{json, parsed, to_json};
use super::statement::{Row, query};
use super::{StoreError, Stored, Tx};
use protocols::native::Facts;
use types::{DeviceId, Digest, Running, Slot, Timestamp};

/// A terminal as the store keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredDevice {
    /// Who.
    pub(crate) device: DeviceId,
    /// SHA-256 of its credential.
    pub(crate) credential: Digest,
    /// What it is.
    pub(crate) facts: Facts,
    /// The slot that runs; none before its first heartbeat.
    pub(crate) slot: Option<Slot>,
    /// What it runs.
    pub(crate) running: Running,
}

/// A token that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TokenUse {
    /// The only terminal it is for, if it is for one.
    pub(crate) device: Option<DeviceId>,
    /// Who used it already.
    pub(crate) used_by: Option<DeviceId>,
}

const PUT: &str = "INSERT INTO devices (device, credential, facts, slot, running, enrolled, changed) \
     VALUES ($1, $2, $3, $4, $5, $6, $6) ON CONFLICT (device) DO UPDATE SET \
     credential = excluded.credential, facts = excluded.facts, slot = excluded.slot, \
     running = excluded.running, changed = excluded.changed";

impl Tx {
    /// Writes a terminal, new or changed.
    pub(crate) async fn put_device(&mut self, device: &StoredDevice, now: Timestamp) -> Stored<()> {
        let statement = query(PUT)
            .bind(device.device.as_str())
            .bind(device.credential.0.to_vec())
            .bind(to_json(&device.facts, "facts")?)
            .bind(device.slot.map(|slot| slot.to_string()))
            .bind(to_json(&device.running, "running")?)
            .bind(now.0);
        self.run(statement).await.map(drop)
    }

    /// Every terminal.
    pub(crate) async fn devices(&mut self) -> Stored<Vec<StoredDevice>> {
        let text = "SELECT device, credential, facts, slot, running FROM devices";
        self.all(query(text)).await?.iter().map(device).collect()
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

fn device(row: &Row) -> Stored<StoredDevice> {
    let what = "terminal";
    let credential: &[u8] = row.try_get("credential")?;
    let slot: Option<&str> = row.try_get("slot")?;
    let slot = slot.map(|slot| slot.parse().map_err(|_| StoreError::Row { what })).transpose()?;
    Ok(StoredDevice {
        device: parsed(row, "device", what)?,
        credential: Digest(credential.try_into().map_err(|_| StoreError::Row { what })?),
        facts: json(row, "facts", what)?,
        slot,
        running: json(row, "running", what)?,
    })
}
