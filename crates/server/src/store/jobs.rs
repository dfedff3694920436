//! Jobs: what is to be done at a time, whichever server is there to do it.

use super::rows::parsed;
use super::statement::query;
use super::{Stored, Tx};
use types::{Name, Seconds, Timestamp};

const PUT: &str = "INSERT INTO jobs (job, due, lease, tries) VALUES ($1, $2, 0, 0) \
     ON CONFLICT (job) DO UPDATE SET due = excluded.due, lease = 0, tries = 0";
const CLAIM: &str = "UPDATE jobs SET lease = $2, tries = tries + 1 WHERE job = (SELECT job FROM jobs \
     WHERE due <= $1 AND lease <= $1 ORDER BY due, job LIMIT 1) \
     AND lease <= $1 RETURNING job";

impl Tx {
    /// The job is due at `due`; made if it is not there, and given back if it is claimed.
    pub(crate) async fn put_job(&mut self, job: &Name, due: Timestamp) -> Stored<()> {
        self.run(query(PUT).bind(job.as_str()).bind(due.0)).await.map(drop)
    }

    /// Claims the job that is due longest, for `lease`. Who claims it and dies
    /// loses it to the next after that time.
    pub(crate) async fn claim_job(
        &mut self,
        now: Timestamp,
        lease: Seconds,
    ) -> Stored<Option<Name>> {
        let statement = query(CLAIM).bind(now.0).bind(now.after(lease).0);
        self.all(statement).await?.first().map(|row| parsed(row, "job", "job")).transpose()
    }

    /// The job is done for good.
    pub(crate) async fn drop_job(&mut self, job: &Name) -> Stored<()> {
        self.run(query("DELETE FROM jobs WHERE job = $1").bind(job.as_str())).await.map(drop)
    }
}
