//! What operators do to jobs.

use crate::deltas::work::came_of;
use crate::deltas::{Order, plan_job};
use crate::server::Server;
use crate::store::{Kind, Stored, StoredJob, settle};
use types::{Name, Timestamp};

impl Server {
    /// Ends a job that has not ended. A delta is not planned for again then.
    pub(crate) async fn cancel_job(&self, id: &Name, why: &str, now: Timestamp) -> Stored<bool> {
        let done = settle!(async {
            let mut tx = self.store.begin().await?;
            if !tx.cancel_job(id, why, now).await? {
                return Ok(false);
            }
            if let Some(order) = tx.job(id).await?.as_ref().and_then(order) {
                let full = self.full_of(&order);
                tx.put_delta(&came_of(&order, None, why.to_owned(), full, now)).await?;
                tx.put_job(&plan_job(order.release, now), now).await?;
                tx.raise_generation().await?;
            }
            tx.commit().await?;
            Stored::Ok(true)
        })?;
        self.wake.notify_one();
        Ok(done)
    }

    /// Begins a job anew at which nobody is.
    pub(crate) async fn retry_job(&self, id: &Name, now: Timestamp) -> Stored<bool> {
        let done = settle!(async {
            let mut tx = self.store.begin().await?;
            if !tx.retry_job(id, now).await? {
                return Ok(false);
            }
            if let Some(order) = tx.job(id).await?.as_ref().and_then(order) {
                tx.drop_delta(order.key()).await?;
                tx.raise_generation().await?;
            }
            tx.commit().await?;
            Stored::Ok(true)
        })?;
        self.wake.notify_one();
        self.delta_wake.notify_waiters();
        Ok(done)
    }
}

/// The delta that a job is to make, if it is to make one.
fn order(job: &StoredJob) -> Option<Order> {
    (job.new.kind == Kind::Delta).then(|| serde_json::from_str(&job.new.payload).ok())?
}
