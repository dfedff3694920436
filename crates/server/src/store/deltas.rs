//! Deltas that servers made, and those that were not worth keeping.

use super::rows::{parsed, signed, time, unsigned};
use super::statement::{Row, query};
use super::{Stored, Tx};
use types::{Digest, Name, Timestamp};

/// What came of making one delta.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredDelta {
    /// Digest of what it is made of: source, target, class, generator.
    pub(crate) key: Digest,
    pub(crate) component: Name,
    /// The image that it starts from.
    pub(crate) source: Digest,
    /// The image that it makes.
    pub(crate) target: Digest,
    /// The class of memory that it was made for, in MiB.
    pub(crate) class: u32,
    /// What made it.
    pub(crate) generator: String,
    /// It, if it was kept.
    pub(crate) made: Option<MadeDelta>,
    /// Bytes of the full payload.
    pub(crate) full: u64,
    /// Why it was not kept.
    pub(crate) why: String,
    pub(crate) at: Timestamp,
    /// When it was made or fetched last.
    pub(crate) used: Timestamp,
}

/// A delta that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MadeDelta {
    /// SHA-256 of its bytes; its name among the blobs.
    pub(crate) blob: Digest,
    /// Its bytes.
    pub(crate) size: u64,
    /// Bytes of memory that applying it takes.
    pub(crate) heap: u64,
}

const PUT: &str = "INSERT INTO deltas (delta, component, source, target, class, generator, blob, \
     size, heap, full_size, why, made, used) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) \
     ON CONFLICT (delta) DO UPDATE SET blob = excluded.blob, size = excluded.size, \
     heap = excluded.heap, why = excluded.why, made = excluded.made, used = excluded.used";

impl Tx {
    /// Writes what came of making a delta.
    pub(crate) async fn put_delta(&mut self, delta: &StoredDelta) -> Stored<()> {
        let made = delta.made.as_ref();
        let statement = query(PUT)
            .bind(delta.key.to_string())
            .bind(delta.component.as_str())
            .bind(delta.source.to_string())
            .bind(delta.target.to_string())
            .bind(i64::from(delta.class))
            .bind(delta.generator.clone())
            .bind(made.map(|made| made.blob.to_string()))
            .bind(signed(made.map_or(0, |made| made.size)))
            .bind(signed(made.map_or(0, |made| made.heap)))
            .bind(signed(delta.full))
            .bind(delta.why.clone())
            .bind(delta.at.0)
            .bind(delta.used.0);
        self.run(statement).await.map(drop)
    }

    /// Forgets what came of making a delta.
    pub(crate) async fn drop_delta(&mut self, key: Digest) -> Stored<()> {
        self.run(query("DELETE FROM deltas WHERE delta = $1").bind(key.to_string())).await.map(drop)
    }

    /// A delta was fetched.
    pub(crate) async fn use_delta(&mut self, key: Digest, at: Timestamp) -> Stored<()> {
        let text = "UPDATE deltas SET used = $2 WHERE delta = $1 AND used < $2";
        self.run(query(text).bind(key.to_string()).bind(at.0)).await.map(drop)
    }

    /// What came of making deltas, all of it.
    pub(crate) async fn deltas(&mut self) -> Stored<Vec<StoredDelta>> {
        let text = "SELECT delta, component, source, target, class, generator, blob, size, heap, \
                    full_size, why, made, used FROM deltas ORDER BY made, delta";
        self.all(query(text)).await?.iter().map(stored).collect()
    }
}

fn stored(row: &Row) -> Stored<StoredDelta> {
    let what = "delta";
    let made = |blob| {
        let (size, heap) = (unsigned(row, "size", what)?, unsigned(row, "heap", what)?);
        Stored::Ok(MadeDelta { blob, size, heap })
    };
    let blob: Option<&str> = row.try_get("blob")?;
    let blob = blob.map(|_| parsed(row, "blob", what)).transpose()?;
    Ok(StoredDelta {
        key: parsed(row, "delta", what)?,
        component: parsed(row, "component", what)?,
        source: parsed(row, "source", what)?,
        target: parsed(row, "target", what)?,
        class: unsigned(row, "class", what)?,
        generator: row.try_get("generator")?,
        made: blob.map(made).transpose()?,
        full: unsigned(row, "full_size", what)?,
        why: row.try_get("why")?,
        at: time(row, "made")?,
        used: time(row, "used")?,
    })
}
