//! Places of those that download, where a rollout bounds them: rows with a time, so that
//! what a server held that died is free again by itself.

use super::bulk::insert;
use super::rows::parsed;
use super::statement::{HELD, query};
use super::{Stored, Tx};
use fleet::Places;
use std::collections::{BTreeMap, BTreeSet};
use types::{AttemptId, Name, Text, Timestamp};

/// A place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Download {
    /// Of which rollout.
    pub(crate) rollout: Name,
    /// Who has it.
    pub(crate) attempt: AttemptId,
    /// At which site, if the rollout tells them apart.
    pub(crate) site: Option<Text>,
    /// Until when, unless it is moved on.
    pub(crate) until: Timestamp,
}

/// Who downloads, by rollout, and at which site.
pub(crate) type Downloading = BTreeMap<Name, BTreeMap<AttemptId, Option<Text>>>;

const ENTER: &str = "INSERT INTO downloads (rollout, attempt, site, until) VALUES ($1, $2, $3, $4) \
     ON CONFLICT (rollout, attempt) DO UPDATE SET until = excluded.until";
const MOVE_ON: &str = "UPDATE downloads SET until = place.column3 FROM (";
const MOVED: &str = ") AS place WHERE downloads.rollout = place.column1 \
     AND downloads.attempt = place.column2 RETURNING attempt";
const LEAVE: &str = "DELETE FROM downloads WHERE (rollout, attempt) IN (";

impl Tx {
    /// Takes a place, if there is room for it or it is had already. Returns who downloads
    /// in the rollout then, or nothing where there is no room. The rollout's row is held:
    /// no other server counts meanwhile.
    pub(crate) async fn enter_download(
        &mut self,
        wanted: &Download,
        places: Places,
        now: Timestamp,
    ) -> Stored<Option<BTreeMap<AttemptId, Option<Text>>>> {
        let text = format!("SELECT rollout FROM rollouts WHERE rollout = $1{HELD}");
        self.all(query(sqlx::AssertSqlSafe(text)).bind(wanted.rollout.as_str())).await?;
        let text = "DELETE FROM downloads WHERE rollout = $1 AND until <= $2";
        self.run(query(text).bind(wanted.rollout.as_str()).bind(now)).await?;
        let text = "SELECT attempt, site FROM downloads WHERE rollout = $1";
        let mut there: BTreeMap<AttemptId, Option<Text>> = BTreeMap::new();
        for row in self.all(query(text).bind(wanted.rollout.as_str())).await? {
            let site: Option<&str> = row.try_get("site")?;
            there.insert(parsed(&row, "attempt", "download")?, site.map(Into::into));
        }
        let (all, here) = counted(&there, wanted.site.as_ref());
        if !there.contains_key(&wanted.attempt) && !places.room(all, here) {
            return Ok(None);
        }
        let statement = query(ENTER)
            .bind(wanted.rollout.as_str())
            .bind(wanted.attempt.to_string())
            .bind(wanted.site.as_ref().map(ToString::to_string))
            .bind(wanted.until);
        self.run(statement).await?;
        there.insert(wanted.attempt, wanted.site.clone());
        Ok(Some(there))
    }

    /// Moves the time of places on. Returns whose were still there.
    pub(crate) async fn move_downloads_on(
        &mut self,
        places: &[Download],
    ) -> Stored<BTreeSet<AttemptId>> {
        let row = |place: &Download| {
            let (rollout, attempt) = (place.rollout.as_str().into(), place.attempt.to_string());
            vec![rollout, attempt.into(), place.until.into()]
        };
        let rows: Vec<_> = places.iter().map(row).collect();
        let mut moved = BTreeSet::new();
        for statement in insert(MOVE_ON, &rows, MOVED) {
            for row in self.all(statement).await? {
                moved.insert(parsed(&row, "attempt", "download")?);
            }
        }
        Ok(moved)
    }

    /// Gives places up.
    pub(crate) async fn leave_downloads(&mut self, places: &[(Name, AttemptId)]) -> Stored<()> {
        let row = |(rollout, attempt): &(Name, AttemptId)| {
            vec![rollout.as_str().into(), attempt.to_string().into()]
        };
        let rows: Vec<_> = places.iter().map(row).collect();
        for statement in insert(LEAVE, &rows, ")") {
            self.run(statement).await?;
        }
        Ok(())
    }

    /// The clock was set: every place holds until `until`.
    pub(crate) async fn hold_downloads_anew(&mut self, until: Timestamp) -> Stored<()> {
        self.run(query("UPDATE downloads SET until = $1").bind(until)).await.map(drop)
    }

    /// The servers that gave places away are gone: on a database of one server, that is
    /// its last start.
    pub(crate) async fn void_downloads(&mut self) -> Stored<()> {
        self.run(query("DELETE FROM downloads")).await.map(drop)
    }

    /// Who downloads.
    pub(crate) async fn downloading(&mut self, now: Timestamp) -> Stored<Downloading> {
        let text = "SELECT rollout, attempt, site FROM downloads WHERE until > $1";
        let mut out = Downloading::new();
        for row in self.all(query(text).bind(now)).await? {
            let site: Option<&str> = row.try_get("site")?;
            let attempt = parsed(&row, "attempt", "download")?;
            let rollout = out.entry(parsed(&row, "rollout", "download")?).or_default();
            rollout.insert(attempt, site.map(Into::into));
        }
        Ok(out)
    }
}

/// How many download in all, and at `site`.
pub(crate) fn counted(
    downloading: &BTreeMap<AttemptId, Option<Text>>,
    site: Option<&Text>,
) -> (u32, u32) {
    let here = downloading.values().filter(|own| site.is_some() && own.as_ref() == site).count();
    let number = |count| u32::try_from(count).unwrap_or(u32::MAX);
    (number(downloading.len()), number(here))
}
