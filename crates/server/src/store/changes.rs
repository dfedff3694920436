//! How servers on one database learn of each other's changes.
//!
//! Each server numbers its transactions and writes with each which terminals and
//! rollouts it touched. The others read what they have not read, once a second, and
//! read those rows anew. Numbers follow each other without a gap because a server
//! runs one transaction at a time; so a missing one means that too much was missed.
//! What a server does not know to be committed comes back to itself as news.

use super::rows::{json, parsed, to_json};
use super::statement::query;
use super::{StoreError, Stored, Tx};
use crate::secret;
use std::collections::{BTreeMap, BTreeSet};
use types::{DeviceId, Name, Seconds, Timestamp};

/// How long changes can be read. Who was away for longer reads everything anew.
const KEPT: Seconds = Seconds(600);
/// After which silence a server is gone and its changes are removed.
const GONE: Seconds = Seconds(3600);
/// How often a server says that it is there.
const SAID: Seconds = Seconds(60);
/// The most changes read by one statement.
const PAGE: i64 = 1000;

/// What one transaction touched, or several.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Touched {
    /// Terminals, and with them their attempts.
    pub(crate) devices: BTreeSet<DeviceId>,
    /// Rollouts.
    pub(crate) rollouts: BTreeSet<Name>,
}

/// What others changed since the last time.
#[derive(Debug, Default)]
pub(crate) struct News {
    /// What they touched.
    pub(crate) touched: Touched,
    /// Too much was missed: everything is to be read anew.
    pub(crate) missed: bool,
    read: BTreeMap<Name, u64>,
}

/// A server's own log, and how far it has read the others'.
#[derive(Debug)]
pub(super) struct Log {
    replica: Name,
    /// The number of its last transaction.
    written: u64,
    /// The transaction under way.
    pending: Option<Touched>,
    /// What may or may not be committed.
    doubtful: Touched,
    read: BTreeMap<Name, u64>,
    said: Timestamp,
    /// Its row is gone, though it wrote one.
    expelled: bool,
}

impl Touched {
    /// Nothing at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.devices.is_empty() && self.rollouts.is_empty()
    }

    fn add(&mut self, other: Self) {
        self.devices.extend(other.devices);
        self.rollouts.extend(other.rollouts);
    }
}

impl Log {
    /// The log of a server that starts.
    pub(super) fn new() -> Stored<Self> {
        let replica = secret::id("s").map_err(|_| StoreError::Random)?;
        let (doubtful, read, said) = (Touched::default(), BTreeMap::new(), Timestamp(0));
        Ok(Self { replica, written: 0, pending: None, doubtful, read, said, expelled: false })
    }

    /// A transaction begins.
    pub(super) fn begin(&mut self) {
        self.pending = None;
    }

    /// The transaction is durable.
    pub(super) fn committed(&mut self) {
        if self.pending.take().is_some() {
            self.written += 1;
        }
    }

    /// Nobody knows whether the transaction is durable. Nor whether its number is
    /// used: the server goes on under another name.
    pub(super) fn doubt(&mut self) -> Stored<()> {
        if let Some(touched) = self.pending.take() {
            self.doubtful.add(touched);
            self.replica = secret::id("s").map_err(|_| StoreError::Random)?;
            self.written = 0;
        }
        Ok(())
    }
}

impl Tx {
    /// Whether other servers may use the same database.
    pub(crate) fn is_shared(&self) -> bool {
        self.line.is_postgres()
    }

    /// Writes what this transaction touches, for the other servers. Once, at its end.
    pub(crate) async fn note(&mut self, touched: Touched, now: Timestamp) -> Stored<()> {
        if touched.is_empty() {
            return Ok(());
        }
        if self.is_shared() {
            self.write_note(&touched, now).await?;
        }
        self.line.log.pending = Some(touched);
        Ok(())
    }

    async fn write_note(&mut self, touched: &Touched, now: Timestamp) -> Stored<()> {
        let (replica, written) = (self.line.log.replica.clone(), self.line.log.written);
        if written == 0 {
            let text = "INSERT INTO replicas (replica, kept_from, seen) VALUES ($1, 1, $2)";
            self.run(query(text).bind(replica.as_str()).bind(now)).await?;
        }
        let text = "INSERT INTO changes (replica, number, at, devices, rollouts) \
                    VALUES ($1, $2, $3, $4, $5)";
        let statement = query(text)
            .bind(replica.as_str())
            .bind(super::rows::signed(written + 1))
            .bind(now)
            .bind(to_json(&touched.devices, "change")?)
            .bind(to_json(&touched.rollouts, "change")?);
        self.run(statement).await.map(drop)
    }

    /// What others changed since the last time that [`Tx::heard`] was told.
    pub(crate) async fn news(&mut self) -> Stored<News> {
        let mut news = News { touched: self.line.log.doubtful.clone(), ..News::default() };
        if self.is_shared() {
            for (replica, kept_from) in self.others().await? {
                self.read_log(replica, kept_from, &mut news).await?;
            }
        }
        Ok(news)
    }

    /// The other servers, and from which number on their changes can be read.
    async fn others(&mut self) -> Stored<Vec<(Name, u64)>> {
        let rows = self.all(query("SELECT replica, kept_from FROM replicas")).await?;
        let other = |row| {
            Ok((
                parsed(row, "replica", "server")?,
                super::rows::unsigned(row, "kept_from", "server")?,
            ))
        };
        let mut all: Vec<(Name, u64)> = rows.iter().map(other).collect::<Stored<_>>()?;
        let count = all.len();
        all.retain(|(replica, _)| *replica != self.line.log.replica);
        self.line.log.expelled = self.line.log.written > 0 && all.len() == count;
        Ok(all)
    }

    /// Goes on under another name after one whose clock was wrong took this server for
    /// gone. Its numbers begin with a gap, so the others read everything.
    async fn come_back(&mut self, now: Timestamp) -> Stored<()> {
        self.line.log.replica = secret::id("s").map_err(|_| StoreError::Random)?;
        (self.line.log.written, self.line.log.expelled) = (1, false);
        let text = "INSERT INTO replicas (replica, kept_from, seen) VALUES ($1, 2, $2)";
        let me = self.line.log.replica.to_string();
        self.run(query(text).bind(me).bind(now)).await.map(drop)
    }

    async fn read_log(&mut self, replica: Name, kept_from: u64, news: &mut News) -> Stored<()> {
        let before = self.line.log.read.get(&replica).copied().unwrap_or(0);
        let text = "SELECT number, devices, rollouts FROM changes WHERE replica = $1 \
                    AND number > $2 ORDER BY number LIMIT $3";
        let mut read = before;
        loop {
            let statement = query(text).bind(replica.as_str());
            let rows = self.all(statement.bind(super::rows::signed(read)).bind(PAGE)).await?;
            for row in &rows {
                let number: u64 = super::rows::unsigned(row, "number", "change")?;
                news.missed |= number != read + 1;
                read = number;
                news.touched.add(Touched {
                    devices: json(row, "devices", "change")?,
                    rollouts: json(row, "rollouts", "change")?,
                });
            }
            if rows.len() < usize::try_from(PAGE).unwrap_or(usize::MAX) {
                break;
            }
        }
        news.missed |= kept_from > read + 1;
        news.read.insert(replica, read);
        Ok(())
    }

    /// Everything is about to be read: what others change from now on is news.
    pub(crate) async fn read_everything(&mut self) -> Stored<News> {
        let mut news = News::default();
        if self.is_shared() {
            for (replica, kept_from) in self.others().await? {
                let text =
                    "SELECT number FROM changes WHERE replica = $1 ORDER BY number DESC LIMIT 1";
                let rows = self.all(query(text).bind(replica.as_str())).await?;
                let number = |row| super::rows::unsigned(row, "number", "change");
                let last = rows.first().map_or(Ok(kept_from.saturating_sub(1)), number)?;
                news.read.insert(replica, last);
            }
        }
        Ok(news)
    }

    /// Memory is as `news` say; they need not be told again.
    pub(crate) fn heard(&mut self, news: News) {
        self.line.log.read = news.read;
        self.line.log.doubtful = Touched::default();
    }

    /// Says that this server is there, and removes what nobody needs any more.
    pub(crate) async fn tidy_changes(&mut self, now: Timestamp) -> Stored<()> {
        if self.line.log.expelled {
            self.come_back(now).await?;
        }
        let said = self.line.log.said;
        // A clock that went back is not waited for.
        if !self.is_shared() || (now >= said && now.seconds_since(said) < SAID) {
            return Ok(());
        }
        self.line.log.said = now;
        let (me, written) = (self.line.log.replica.to_string(), self.line.log.written);
        let old = Timestamp(now.0.saturating_sub(i64::from(KEPT.0) * 1000));
        let text = "DELETE FROM changes WHERE replica = $1 AND at < $2";
        self.run(query(text).bind(me.as_str()).bind(old)).await?;
        let text = "UPDATE replicas SET seen = $2, kept_from = COALESCE((SELECT MIN(number) \
                    FROM changes WHERE replica = $1), $3) WHERE replica = $1";
        let next = super::rows::signed(written + 1);
        self.run(query(text).bind(me).bind(now).bind(next)).await?;
        let gone = Timestamp(now.0.saturating_sub(i64::from(GONE.0) * 1000));
        let text =
            "DELETE FROM changes WHERE replica IN (SELECT replica FROM replicas WHERE seen < $1)";
        self.run(query(text).bind(gone)).await?;
        self.run(query("DELETE FROM replicas WHERE seen < $1").bind(gone)).await.map(drop)
    }

    /// The clock was set: nobody is gone because of that.
    pub(crate) async fn see_servers_anew(&mut self, now: Timestamp) -> Stored<()> {
        if !self.is_shared() {
            return Ok(());
        }
        self.run(query("UPDATE replicas SET seen = $1").bind(now)).await.map(drop)
    }

    /// Agrees with the other servers on a value: the first one kept stays.
    pub(crate) async fn agree(&mut self, name: &str, value: &[u8]) -> Stored<Vec<u8>> {
        let text = "INSERT INTO kept (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
        self.run(query(text).bind(name).bind(value.to_vec())).await?;
        self.kept(name).await?.ok_or(StoreError::Row { what: "kept value" })
    }

    /// Replaces a value that all servers have in common.
    pub(crate) async fn keep(&mut self, name: &str, value: &[u8]) -> Stored<()> {
        let text = "INSERT INTO kept (name, value) VALUES ($1, $2) \
                    ON CONFLICT (name) DO UPDATE SET value = excluded.value";
        self.run(query(text).bind(name).bind(value.to_vec())).await.map(drop)
    }

    /// A value that all servers have in common.
    pub(crate) async fn kept(&mut self, name: &str) -> Stored<Option<Vec<u8>>> {
        let rows = self.all(query("SELECT value FROM kept WHERE name = $1").bind(name)).await?;
        rows.first().map(|row| row.try_get("value")).transpose()
    }
}
