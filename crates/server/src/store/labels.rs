//! What operators say of terminals, and the words that filters ask about.

use super::bulk::insert;
use super::rows::parsed;
use super::statement::{Row, Value, query};
use super::{Store, Stored, StoredDevice, Tx};
use fleet::DeviceFacts;
use fleet::filter::{Filter, rank};
use std::collections::{BTreeMap, BTreeSet};
use types::{DeviceId, Name};

/// Terminals whose words are written at once.
const PAGE: u32 = 1000;

/// The values that filters ask about: word, name, value.
pub(crate) type Words = BTreeSet<(&'static str, String, String)>;

/// The words of a terminal.
pub(crate) fn words(device: &StoredDevice) -> Words {
    let labels = device.labels();
    let facts = &device.facts;
    let plain = [
        ("device", Some(&device.device)),
        ("product", Some(&facts.product)),
        ("hardware", Some(&facts.hardware)),
        ("variant", facts.variant.as_ref()),
        ("region", facts.region.as_ref()),
        ("home", labels.home.as_ref()),
        ("channel", labels.channel.as_ref()),
    ];
    let plain = plain.into_iter().filter_map(|(word, name)| Some((word, name?)));
    let tags = labels.tags.iter().map(|tag| ("tag", tag));
    let groups = labels.groups.iter().map(|group| ("group", group));
    let all = plain.chain(tags).chain(groups);
    let mut out: Words = all.map(|(word, name)| (word, String::new(), name.to_string())).collect();
    let versions = device.running.iter();
    out.extend(versions.map(|(n, state)| ("version", n.to_string(), state.version.to_string())));
    if labels.is_abroad_in(facts.region.as_ref()) {
        out.insert(("abroad", String::new(), DeviceFacts::ABROAD.into()));
    }
    let attributes = labels.attributes.iter();
    out.extend(attributes.map(|(name, text)| ("attribute", name.to_string(), text.to_string())));
    out
}

impl Tx {
    /// Writes which words terminals have: each with those it had and those it has.
    pub(crate) async fn put_words(&mut self, changed: &[(&DeviceId, Words, Words)]) -> Stored<()> {
        let mut rows: Vec<Vec<Value>> = Vec::new();
        for (device, before, after) in changed {
            for (word, name, value) in before.difference(after) {
                let text = "DELETE FROM device_words \
                            WHERE device = $1 AND word = $2 AND name = $3 AND value = $4";
                let statement = query(text).bind(device.as_str()).bind(*word);
                self.run(statement.bind(name.as_str()).bind(value.as_str())).await?;
            }
            rows.extend(after.difference(before).map(|(word, name, value)| {
                let (device, rank) = (device.as_str().into(), rank(value).into());
                vec![device, (*word).into(), name.as_str().into(), value.as_str().into(), rank]
            }));
        }
        let head = "INSERT INTO device_words (device, word, name, value, rank)";
        for statement in insert(head, &rows, "ON CONFLICT (device, word, name, value) DO NOTHING") {
            self.run(statement).await?;
        }
        Ok(())
    }

    /// Writes a dynamic group, or takes it away.
    pub(crate) async fn put_group(&mut self, name: &Name, filter: Option<&Filter>) -> Stored<()> {
        let statement = match filter {
            Some(filter) => query(
                "INSERT INTO fleet_groups (name, filter) VALUES ($1, $2) \
                 ON CONFLICT (name) DO UPDATE SET filter = excluded.filter",
            )
            .bind(name.as_str())
            .bind(filter.as_str()),
            None => query("DELETE FROM fleet_groups WHERE name = $1").bind(name.as_str()),
        };
        self.run(statement).await.map(drop)
    }

    /// The dynamic groups, by name.
    pub(crate) async fn groups(&mut self) -> Stored<BTreeMap<Name, Filter>> {
        let rows = self.all(query("SELECT name, filter FROM fleet_groups")).await?;
        let read = |row: &Row| Ok((parsed(row, "name", "group")?, parsed(row, "filter", "group")?));
        rows.iter().map(read).collect()
    }
}

/// Writes the words of terminals that an earlier version knew, once.
pub(super) async fn backfill(store: &Store) -> Stored<()> {
    let mut tx = store.begin().await?;
    let text = "UPDATE settings SET value = 1 WHERE name = 'words' AND value = 0";
    if tx.run(query(text)).await? == 1 {
        let mut last: Option<DeviceId> = None;
        loop {
            let page = tx.devices_after(last.as_ref(), PAGE).await?;
            let Some(end) = page.last() else { break };
            last = Some(end.device.clone());
            let word = |stored: &StoredDevice| (Words::new(), words(stored));
            let all: Vec<_> = page.iter().map(|stored| (&stored.device, word(stored))).collect();
            let all: Vec<_> =
                all.into_iter().map(|(d, (before, after))| (d, before, after)).collect();
            tx.put_words(&all).await?;
        }
    }
    tx.commit().await
}
