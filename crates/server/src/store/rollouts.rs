//! Rollouts, how they go, and what happened to them.

use super::bulk::within;
use super::rows::{json, parsed, signed, texts, time, to_json, unsigned};
use super::statement::{HELD, Row, query};
use super::{Stored, Tx};
use fleet::operator::{Halt, Rollout, State, Tally, Wave};
use fleet::{Audience, Terms};
use sqlx::AssertSqlSafe;
use types::{Digest, Name, Text, Timestamp};

/// A rollout as the store keeps it: without what its release's row says.
#[derive(Debug, Clone)]
pub(crate) struct StoredRollout {
    pub(crate) id: Name,
    pub(crate) name: Text,
    pub(crate) manifest: Digest,
    pub(crate) audience: Audience,
    pub(crate) waves: Vec<Wave>,
    pub(crate) halt: Halt,
    pub(crate) terms: Terms,
    pub(crate) in_flight: u32,
    pub(crate) made: Timestamp,
    pub(crate) started: Option<Timestamp>,
    pub(crate) state: State,
    pub(crate) who: Text,
    pub(crate) why: Text,
    pub(crate) since: Timestamp,
    pub(crate) wave: usize,
    pub(crate) opened: Timestamp,
    /// When it stopped to wait for its deltas.
    pub(crate) prepared: Option<Timestamp>,
    pub(crate) tally: Tally,
}

/// One thing that happened to a rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Happened {
    /// When.
    pub(crate) at: Timestamp,
    /// By whom.
    pub(crate) who: Text,
    /// What.
    pub(crate) what: String,
    /// Why.
    pub(crate) why: Text,
}

const PUT: &str = "INSERT INTO rollouts (rollout, name, manifest, audience, waves, halt, \
     in_flight_limit, made, state, who, why, since, wave, opened, exposed, in_flight, confirmed, \
     failed, neutral, terms) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $8, 0, $8, 0, 0, 0, 0, 0, $12)";
const MOVE: &str = "UPDATE rollouts SET state = $2, who = $3, why = $4, since = $5, wave = $6, \
     opened = $7, started = COALESCE(started, $8), prepared = $9 WHERE rollout = $1";
const TALLY: &str = "UPDATE rollouts SET exposed = $2, in_flight = $3, confirmed = $4, \
     failed = $5, neutral = $6, lost = $7, fetched = $8, full_size = $9 WHERE rollout = $1";
const HAPPENED: &str = "INSERT INTO rollout_events (rollout, number, at, who, what, why) \
     SELECT $1, COALESCE(MAX(number), 0) + 1, $2, $3, $4, $5 FROM rollout_events WHERE rollout = $1";

const COLUMNS: &str = "rollout, name, manifest, audience, waves, halt, in_flight_limit, made, \
     started, state, who, why, since, wave, opened, exposed, in_flight, confirmed, failed, neutral, \
     terms, lost, prepared, fetched, full_size";

impl Tx {
    /// Adds a rollout, as a draft.
    pub(crate) async fn put_rollout(&mut self, rollout: &StoredRollout) -> Stored<()> {
        let statement = query(PUT)
            .bind(rollout.id.as_str())
            .bind(rollout.name.as_str())
            .bind(rollout.manifest.to_string())
            .bind(to_json(&rollout.audience, "audience")?)
            .bind(to_json(&rollout.waves, "waves")?)
            .bind(to_json(&rollout.halt, "halting rule")?)
            .bind(i64::from(rollout.in_flight))
            .bind(rollout.made.0)
            .bind(rollout.state.to_string())
            .bind(rollout.who.as_str())
            .bind(rollout.why.as_str())
            .bind(to_json(&rollout.terms, "terms")?);
        self.run(statement).await.map(drop)
    }

    /// Writes where a rollout stands: state, reason, wave.
    pub(crate) async fn move_rollout(
        &mut self,
        rollout: &Rollout,
        who: &str,
        since: Timestamp,
    ) -> Stored<()> {
        let started = (rollout.state != State::Draft).then_some(since.0);
        let wave = i64::try_from(rollout.wave).unwrap_or(i64::MAX);
        let statement = query(MOVE)
            .bind(rollout.id.as_str())
            .bind(rollout.state.to_string())
            .bind(who)
            .bind(rollout.why.as_str())
            .bind(since.0)
            .bind(wave)
            .bind(rollout.opened.0)
            .bind(started)
            .bind(rollout.prepared.map(|at| at.0));
        self.run(statement).await.map(drop)
    }

    /// Writes what became of a rollout's terminals.
    pub(crate) async fn put_tally(&mut self, rollout: &Name, tally: Tally) -> Stored<()> {
        let statement = query(TALLY)
            .bind(rollout.as_str())
            .bind(i64::from(tally.exposed))
            .bind(i64::from(tally.in_flight))
            .bind(i64::from(tally.confirmed))
            .bind(i64::from(tally.failed))
            .bind(i64::from(tally.neutral))
            .bind(i64::from(tally.lost))
            .bind(signed(tally.fetched))
            .bind(signed(tally.full));
        self.run(statement).await.map(drop)
    }

    /// Every rollout, last made first.
    pub(crate) async fn rollouts(&mut self) -> Stored<Vec<StoredRollout>> {
        let text = format!("SELECT {COLUMNS} FROM rollouts ORDER BY made DESC, rollout");
        self.all(query(AssertSqlSafe(text))).await?.iter().map(rollout).collect()
    }

    /// One rollout; its row is held until the transaction ends.
    pub(crate) async fn rollout_held(&mut self, id: &Name) -> Stored<Option<StoredRollout>> {
        let text = format!("SELECT {COLUMNS} FROM rollouts WHERE rollout = $1{HELD}");
        let rows = self.all(query(AssertSqlSafe(text)).bind(id.as_str())).await?;
        rows.first().map(rollout).transpose()
    }

    /// These rollouts.
    pub(crate) async fn rollouts_of(&mut self, ids: &[Name]) -> Stored<Vec<StoredRollout>> {
        let head = format!("SELECT {COLUMNS} FROM rollouts WHERE rollout");
        let mut all = Vec::new();
        for statement in within(&head, &texts(ids), "") {
            for row in self.all(statement).await? {
                all.push(rollout(&row)?);
            }
        }
        Ok(all)
    }

    /// Adds to what happened to a rollout.
    pub(crate) async fn put_happened(&mut self, rollout: &Name, event: &Happened) -> Stored<()> {
        let statement = query(HAPPENED)
            .bind(rollout.as_str())
            .bind(event.at.0)
            .bind(event.who.as_str())
            .bind(event.what.as_str())
            .bind(event.why.as_str());
        self.run(statement).await.map(drop)
    }

    /// What happened to a rollout, first things first.
    pub(crate) async fn happened(&mut self, rollout: &Name) -> Stored<Vec<Happened>> {
        let text =
            "SELECT at, who, what, why FROM rollout_events WHERE rollout = $1 ORDER BY number";
        let rows = self.all(query(text).bind(rollout.as_str())).await?;
        rows.iter().map(event).collect()
    }
}

fn event(row: &Row) -> Stored<Happened> {
    Ok(Happened {
        at: time(row, "at")?,
        who: text(row, "who")?,
        what: row.try_get("what")?,
        why: text(row, "why")?,
    })
}

fn text(row: &Row, column: &str) -> Stored<Text> {
    let text: &str = row.try_get(column)?;
    Ok(text.into())
}

fn rollout(row: &Row) -> Stored<StoredRollout> {
    let what = "rollout";
    let started: Option<i64> = row.try_get("started")?;
    let prepared: Option<i64> = row.try_get("prepared")?;
    Ok(StoredRollout {
        id: parsed(row, "rollout", what)?,
        name: text(row, "name")?,
        manifest: parsed(row, "manifest", what)?,
        audience: json(row, "audience", what)?,
        waves: json(row, "waves", what)?,
        halt: json(row, "halt", what)?,
        terms: json(row, "terms", what)?,
        in_flight: unsigned(row, "in_flight_limit", what)?,
        made: time(row, "made")?,
        started: started.map(Timestamp),
        state: parsed(row, "state", what)?,
        who: text(row, "who")?,
        why: text(row, "why")?,
        since: time(row, "since")?,
        wave: unsigned(row, "wave", what)?,
        opened: time(row, "opened")?,
        prepared: prepared.map(Timestamp),
        tally: Tally {
            exposed: unsigned(row, "exposed", what)?,
            in_flight: unsigned(row, "in_flight", what)?,
            confirmed: unsigned(row, "confirmed", what)?,
            failed: unsigned(row, "failed", what)?,
            neutral: unsigned(row, "neutral", what)?,
            lost: unsigned(row, "lost", what)?,
            fetched: unsigned(row, "fetched", what)?,
            full: unsigned(row, "full_size", what)?,
        },
    })
}
