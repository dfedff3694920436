//! What happened, counted as it happens: sites, failures by kind, events of terminals.

use super::bulk::insert;
use super::rows::{parsed, time, unsigned};
use super::statement::{Row, query};
use super::{Stored, Tx};
use std::collections::BTreeMap;
use types::{DeviceId, Name, Outcome, Text, Timestamp};

/// How many terminals of a rollout failed in one way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failures {
    /// The wave that was open when they got the release, counted from 1.
    pub(crate) wave: u32,
    /// How they failed: the outcome's number.
    pub(crate) outcome: u16,
    /// On which hardware.
    pub(crate) hardware: Name,
    /// The version that they ran before.
    pub(crate) origin: Text,
    /// How many.
    pub(crate) devices: u32,
}

/// One way in which terminals fail: rollout, wave, outcome, hardware, what ran before.
pub(crate) type Failing = (Name, u32, u16, Name, Text);

const FAILED: &str =
    "INSERT INTO rollout_failures (rollout, wave, outcome, hardware, origin, devices)";
const COUNTED: &str = "ON CONFLICT (rollout, wave, outcome, hardware, origin) \
     DO UPDATE SET devices = rollout_failures.devices + excluded.devices";
const ENTER: &str = "INSERT INTO rollout_sites (rollout, site, in_flight) VALUES ($1, $2, 1) \
     ON CONFLICT (rollout, site) DO UPDATE SET in_flight = rollout_sites.in_flight + 1 \
     WHERE rollout_sites.in_flight < $3";
const LEAVE: &str = "UPDATE rollout_sites SET in_flight = \
     CASE WHEN in_flight > $3 THEN in_flight - $3 ELSE 0 END WHERE rollout = $1 AND site = $2";

impl Tx {
    /// Counts one more terminal of a site, if it has fewer than `limit`. Returns whether
    /// it had: the row decides, whatever a memory believes.
    pub(crate) async fn enter_site(
        &mut self,
        rollout: &Name,
        site: &Text,
        limit: u32,
    ) -> Stored<bool> {
        let statement = query(ENTER).bind(rollout.as_str()).bind(site.as_str());
        Ok(self.run(statement.bind(i64::from(limit))).await? == 1)
    }

    /// Counts so many terminals of a site less.
    pub(crate) async fn leave_site(
        &mut self,
        rollout: &Name,
        site: &Text,
        less: u32,
    ) -> Stored<()> {
        let statement = query(LEAVE).bind(rollout.as_str()).bind(site.as_str());
        self.run(statement.bind(i64::from(less))).await.map(drop)
    }

    /// How many terminals update at each site, by rollout.
    pub(crate) async fn sites(&mut self) -> Stored<BTreeMap<Name, BTreeMap<Text, u32>>> {
        let text = "SELECT rollout, site, in_flight FROM rollout_sites WHERE in_flight > 0";
        let mut out: BTreeMap<Name, BTreeMap<Text, u32>> = BTreeMap::new();
        for row in self.all(query(text)).await? {
            let site: &str = row.try_get("site")?;
            let count = unsigned(&row, "in_flight", "site")?;
            out.entry(parsed(&row, "rollout", "site")?).or_default().insert(site.into(), count);
        }
        Ok(out)
    }

    /// Counts how many terminals more failed in each way, or less.
    pub(crate) async fn count_failures(&mut self, more: &BTreeMap<Failing, i64>) -> Stored<()> {
        let row = |((rollout, wave, outcome, hardware, origin), more): (&Failing, &i64)| {
            vec![
                rollout.as_str().into(),
                i64::from(*wave).into(),
                i64::from(*outcome).into(),
                hardware.as_str().into(),
                origin.as_str().into(),
                (*more).into(),
            ]
        };
        let rows: Vec<_> = more.iter().filter(|(_, more)| **more != 0).map(row).collect();
        for statement in insert(FAILED, &rows, COUNTED) {
            self.run(statement).await?;
        }
        Ok(())
    }

    /// How the terminals of a rollout failed, most frequent first.
    pub(crate) async fn failures(&mut self, rollout: &Name) -> Stored<Vec<Failures>> {
        let text = "SELECT wave, outcome, hardware, origin, devices FROM rollout_failures \
                    WHERE rollout = $1 AND devices > 0 \
                    ORDER BY devices DESC, outcome, hardware, origin, wave LIMIT 1000";
        let rows = self.all(query(text).bind(rollout.as_str())).await?;
        let read = |row: &Row| {
            let origin: &str = row.try_get("origin")?;
            Ok(Failures {
                wave: unsigned(row, "wave", "failure")?,
                outcome: unsigned(row, "outcome", "failure")?,
                hardware: parsed(row, "hardware", "failure")?,
                origin: origin.into(),
                devices: unsigned(row, "devices", "failure")?,
            })
        };
        rows.iter().map(read).collect()
    }

    /// Adds to what happened to terminals.
    pub(crate) async fn put_events(
        &mut self,
        events: &[(DeviceId, Text)],
        at: Timestamp,
    ) -> Stored<()> {
        let row = |(device, what): &(DeviceId, Text)| {
            vec![device.as_str().into(), at.into(), what.as_str().into()]
        };
        let rows: Vec<_> = events.iter().map(row).collect();
        let head = "INSERT INTO device_events (device, at, what)";
        for statement in insert(head, &rows, "ON CONFLICT (device, at, what) DO NOTHING") {
            self.run(statement).await?;
        }
        Ok(())
    }

    /// What happened to a terminal, last things first.
    pub(crate) async fn events(
        &mut self,
        device: &DeviceId,
        limit: u32,
    ) -> Stored<Vec<(Timestamp, Text)>> {
        let text = "SELECT at, what FROM device_events WHERE device = $1 \
                    ORDER BY at DESC, what LIMIT $2";
        let statement = query(text).bind(device.as_str()).bind(i64::from(limit));
        let read = |row: &Row| {
            let what: &str = row.try_get("what")?;
            Ok((time(row, "at")?, what.into()))
        };
        self.all(statement).await?.iter().map(read).collect()
    }
}

impl Failures {
    /// The outcome, where this server knows its number.
    pub(crate) fn sentence(&self) -> &'static str {
        Outcome::from_code(self.outcome).map_or("an outcome of a newer agent", Outcome::sentence)
    }
}
